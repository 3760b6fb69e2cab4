"""The database under test, as far as the suite has to look behind the nodes."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from attrs import define, field

from dataflow_core.contract import Dialect, ErrorSituation, Server
from dataflow_core.schema import Model

if TYPE_CHECKING:
    from dataflow_core import DataFlow
    from dataflow_core.run.engine import Engine

__all__ = ["Database"]


@define(eq=False)
class Database:
    """Counts the statements that a handle sends, and removes the tables that a case made.

    Attributes:
        db: the handle.
        statements: how many statements its nodes have sent so far.
    """

    db: DataFlow
    statements: int = 0
    _mark: int = 0
    _owned: list[Model] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.engine.observer = self._count

    def _count(self, sql: str, parameters: int) -> None:
        del sql, parameters
        self.statements += 1

    @property
    def engine(self) -> Engine:
        """The engine of the primary database."""
        return self.db.engine()

    @property
    def dialect(self) -> Dialect:
        """The dialect; after the first connection the one for this server."""
        return self.engine.dialect

    @property
    def dialect_version(self) -> str:
        """The dialect's name, and the version of the distribution that brings it."""
        package = type(self.dialect).__module__.partition(".")[0]
        for distribution in metadata.packages_distributions().get(package, ()):
            return f"{self.dialect.name} {metadata.version(distribution)}"
        return self.dialect.name

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
        return next(model for model in self.engine.models() if model.name == name)

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

    @property
    def sent_in_last_call(self) -> bool:
        """Whether anything was sent since the latest call began."""
        return self.statements != self._mark

    async def drop_tables(self) -> None:
        """Remove the tables of the owned models, those that refer to others first."""
        made = [model for model in self._owned if model in self.engine.tables.ready]
        self._owned.clear()
        for model in reversed(made):
            await self.send(f"DROP TABLE {self.quote(model.table)}")

    def quote(self, name: str) -> str:
        """A name as the dialect quotes it."""
        return self.dialect.compiler.quote(name)

    async def send(self, sql: str) -> int:
        """Run a statement of the suite's own, outside of every model."""
        session = await self.engine.borrow(writes=True)
        try:
            return await session.execute(sql, (), ErrorSituation(writing=True))
        finally:
            await self.engine.give_back(session)

    def pool_in_use(self) -> int:
        """How many connections are out of the pools."""
        lanes: dict[str, Any] = self.db.pool_stats()["primary"]
        return sum(lane.used + lane.waiting for lane in lanes.values())
