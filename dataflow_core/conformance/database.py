"""The database under test, as far as the suite has to look behind the nodes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import define, field

from dataflow_core.conformance.watched import Recording, WatchedDialect
from dataflow_core.contract import Dialect, ErrorSituation, Server
from dataflow_core.errors import DataFlowError
from dataflow_core.evolve.registry import REGISTRY
from dataflow_core.evolve.tables import Tables
from dataflow_core.run.observing import EachStatement
from dataflow_core.schema import Model
from dataflow_core.schema.relations import referrers

if TYPE_CHECKING:
    from dataflow_core import DataFlow
    from dataflow_core.run.engine import Engine

__all__ = ["Database"]

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


@define(eq=False)
class Database:
    """Counts the statements that a handle sends, and removes the tables that a case made.

    Attributes:
        db: the handle.
        ignore_claims: send even what the dialect declares off.
        asked: the features that core asked for, in order, to carry out what was called.
        statements: how many statements its nodes have sent so far.
        recording: the statements of the latest call, with their values.
    """

    db: DataFlow
    ignore_claims: bool = False
    asked: dict[str, None] = field(factory=dict)
    statements: int = 0
    recording: Recording = field(factory=Recording)
    _mark: int = 0
    _owned: list[Model] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.engine.observe(EachStatement(self._count))
        watched = WatchedDialect(
            self.engine.dialect,
            self.recording,
            self.asked,
            claim_everything=self.ignore_claims,
        )
        self.engine.dialect = cast("Dialect", watched)

    def _count(self, sql: str, parameters: int) -> None:
        self.statements += 1

    @property
    def engine(self) -> Engine:
        """The engine of the primary database."""
        return self.db.engine()

    @property
    def dialect(self) -> Dialect:
        """The dialect; after the first connection the one for this server."""
        dialect = self.engine.dialect
        return dialect.inner if isinstance(dialect, WatchedDialect) else dialect

    @property
    def dialect_version(self) -> str:
        """The dialect's name, and the version of the distribution that brings it."""
        distribution = self._distribution()
        if distribution is None:
            return self.dialect.name
        return f"{self.dialect.name} {metadata.version(distribution)}"

    @property
    def driver_version(self) -> str:
        """What the dialect's distribution requires beside this project, with the versions."""
        distribution = self._distribution()
        found = []
        for requirement in metadata.requires(distribution) or () if distribution else ():
            name = _NAME.match(requirement)
            if name is None or name[0].startswith("dataflow") or "extra" in requirement:
                continue
            with suppress(metadata.PackageNotFoundError):
                found.append(f"{name[0]} {metadata.version(name[0])}")
        return ", ".join(found) or "unknown"

    def _distribution(self) -> str | None:
        package = type(self.dialect).__module__.partition(".")[0]
        return next(iter(metadata.packages_distributions().get(package, ())), None)

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return self.db.url.render()

    async def server(self) -> Server:
        """Connect, and say what answered."""
        session = await self.engine.borrow(writes=False)
        try:
            return session.connection.server
        finally:
            await self.engine.give_back(session)

    def model(self, name: str) -> Model:
        """A registered model."""
        return next(model for model in self.engine.tables.models() if model.name == name)

    def own(self, name: str) -> Model:
        """A registered model whose table goes when the case ends."""
        model = self.model(name)
        self._owned.append(model)
        return model

    async def before_call(self, model: Model) -> None:
        """See to the table now, so that what a call sends is its own."""
        self._mark = self.statements
        await self.engine.prepare(model)
        self._mark = self.statements
        self.recording.clear()

    def after_call(self) -> None:
        """What is refused from now on is not of a call that has ended."""
        self._mark = self.statements

    @property
    def sent_in_last_call(self) -> bool:
        """Whether anything was sent since the latest call began."""
        return self.statements != self._mark

    async def drop_tables(self) -> None:
        """Remove the tables of the owned models, those that refer to others first."""
        made = [model for model in self._owned if model in self.engine.tables.ready]
        self._owned.clear()
        while made:
            # The latest that no other one refers to; tables in a circle go as they come.
            free = [model for model in made if not referrers(model, made)] or made
            made.remove(free[-1])
            await self.send(f"DROP TABLE {self.quote(free[-1].table)}")
            await self._forget(free[-1])

    async def _forget(self, model: Model) -> None:
        """Take a model out of the registry, whose table is gone."""
        tables = self.engine.tables
        if not (isinstance(tables, Tables) and tables.persists and tables.may_create):
            return
        name, mark = REGISTRY.by_name["table_name"], self.dialect.compiler.placeholder(1)
        sql = f"DELETE FROM {self.quote(REGISTRY.table)} WHERE {self.quote(name.column)} = {mark}"
        await self.send(sql, (model.table,))

    async def has_table(self, name: str) -> bool:
        """Whether the database has a table, or cannot tell."""
        session = await self.engine.borrow(writes=False)
        try:
            read = self.dialect.read_tables(session.connection, [name])
            return bool(await session.guarded(read, ErrorSituation()))
        except DataFlowError:
            return True
        finally:
            await self.engine.give_back(session)

    async def drop_registry(self) -> None:
        """Remove the table of the registry, if it is there."""
        if await self.has_table(REGISTRY.table):
            await self.send(f"DROP TABLE {self.quote(REGISTRY.table)}")

    def quote(self, name: str) -> str:
        """A name as the dialect quotes it."""
        return self.dialect.compiler.quote(name)

    async def send(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement of the suite's own, outside of every model: of no call."""
        self._mark += 1
        session = await self.engine.borrow(writes=True)
        try:
            return await session.execute(sql, parameters, ErrorSituation(writing=True))
        finally:
            await self.engine.give_back(session)

    def pool_in_use(self) -> int:
        """How many connections are out of the pools."""
        lanes: dict[str, Any] = self.db.pool_stats()["primary"]
        return sum(lane.used + lane.waiting for lane in lanes.values())
