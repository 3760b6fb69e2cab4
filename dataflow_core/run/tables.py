"""Tables on first use: made, or looked at, once for every model of an instance."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from attrs import define, field

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import InvalidModel, SchemaMismatch, TableMissing
from dataflow_core.naming_hints import quoted
from dataflow_core.operations import CreateTable
from dataflow_core.run.session import Session
from dataflow_core.schema import ForeignKey, Model, Reference

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
                stack.extend((target, False) for target in self._targets(item))
        return result

    def _targets(self, model: Model) -> list[Model]:
        tables = {key.reference.table for key in self.foreign_keys(model)}
        return [item for item in self.models() if item.table in tables and item is not model]

    def foreign_keys(self, model: Model) -> tuple[ForeignKey, ...]:
        """The foreign keys of a model, those on fields resolved to tables and columns."""
        resolved = list(model.foreign_keys)
        for item in model.fields:
            if item.references is not None:
                target = self._resolve(model, item.name, item.references)
                resolved.append(
                    ForeignKey((item.name,), Reference(*target, on_delete=item.on_delete))
                )
        return tuple(resolved)

    def _resolve(self, model: Model, field_name: str, text: str) -> tuple[str, tuple[str, ...]]:
        owner, dot, column = text.rpartition(".")
        for other in self.models():
            if dot and owner in (other.name, other.table) and column in other.by_name:
                return other.table, (other.by_name[column].column,)
        raise InvalidModel(
            f"{model.name}.{field_name}: references {quoted(text)}, which no model of this database"
            " has; write 'Model.field' or 'table.field'"
        )

    async def _make_or_check(self, model: Model, session: Session, dialect: Dialect) -> bool:
        situation = ErrorSituation(model=model, writing=True)
        columns = await session.guarded(
            dialect.table_columns(session.connection, model.table), situation
        )
        if columns:
            missing = [item.column for item in model.fields if item.column not in columns]
            if missing:
                raise SchemaMismatch(
                    f"the table {quoted(model.table)} of {model.name} has no column"
                    f" {', '.join(map(quoted, missing))}",
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
        operation = CreateTable(model, self.foreign_keys(model))
        for sql in dialect.ddl.compile(operation):
            await session.execute(sql, (), situation)
        logger.info("made the table %s of %s", model.table, model.name)
        return True
