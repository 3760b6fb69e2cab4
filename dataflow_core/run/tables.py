"""Tables on first use: made, or looked at, once for every model of an instance."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from attrs import define, field

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import SchemaMismatch, TableMissing
from dataflow_core.naming_hints import quoted
from dataflow_core.operations import CreateTable
from dataflow_core.run.session import Session
from dataflow_core.schema import Model
from dataflow_core.schema.relations import foreign_keys, referenced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dataflow_core.contract import Dialect

__all__ = ["Tables"]

logger = logging.getLogger("dataflow")


@define(eq=False)
class Tables:
    """The models of one database, and which of their tables are known to be there."""

    models: Callable[[], Iterable[Model]]
    may_create: bool
    ready: set[Model] = field(factory=set)

    def pending(self) -> list[Model]:
        """The models whose tables have not been looked at."""
        return [model for model in self.models() if model not in self.ready]

    async def prepare(self, model: Model, session: Session, dialect: Dialect) -> list[Model]:
        """Make the table of a model and those it refers to, or check that they fit.

        Returns the models whose tables were made. Raises ``TableMissing`` or ``SchemaMismatch``.
        """
        made: list[Model] = []
        for item in self._with_referred(model):
            if item not in self.ready:
                if await self._make_or_check(item, session, dialect):
                    made.append(item)
                self.ready.add(item)
        return made

    def _with_referred(self, model: Model) -> list[Model]:
        """The model after those that its foreign keys need, each once."""
        result: list[Model] = []
        stack = [(model, False)]
        seen: set[Model] = set()
        while stack:
            item, expanded = stack.pop()
            if expanded:
                result.append(item)
            elif item not in seen:
                seen.add(item)
                stack.append((item, True))
                stack.extend((target, False) for target in referenced(item, self.models()))
        return result

    async def _make_or_check(self, model: Model, session: Session, dialect: Dialect) -> bool:
        situation = ErrorSituation(model=model, writing=True)
        columns = await session.guarded(
            dialect.table_columns(session.connection, model.table), situation
        )
        if columns:
            missing = [item.column for item in model.fields if item.column not in columns]
            if missing:
                automatic = {item.column for item in model.fields if item.managed is not None}
                hint = (
                    "; without automatic timestamps: __dataflow__ = {'timestamps': False}"
                    if automatic.issuperset(missing)
                    else ""
                )
                raise SchemaMismatch(
                    f"the table {quoted(model.table)} of {model.name} has no column"
                    f" {', '.join(map(quoted, missing))}{hint}",
                    model=model.name,
                    table=model.table,
                    missing=missing,
                )
            return False
        if not self.may_create:
            raise TableMissing(
                f"there is no table {quoted(model.table)} for {model.name},"
                " and this instance may not make it",
                model=model.name,
                table=model.table,
            )
        operation = CreateTable(model, foreign_keys(model, self.models()))
        for sql in dialect.ddl.compile(operation):
            await session.execute(sql, (), situation)
        logger.info("made the table %s of %s", model.table, model.name)
        return True
