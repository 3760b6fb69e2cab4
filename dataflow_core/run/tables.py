"""Tables on first use: made, or looked at, once for every model of an instance."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import define, field

from dataflow_core.compile.needs import table_needs
from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import InvalidModel, SchemaMismatch, TableMissing, UnsupportedFeature
from dataflow_core.naming_hints import quoted
from dataflow_core.operations import CreateTable
from dataflow_core.run.session import Session
from dataflow_core.schema import Model
from dataflow_core.schema.relations import foreign_keys, referenced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dataflow_core.contract import Dialect

__all__ = ["TABLE_ERRORS", "Tables"]

logger = logging.getLogger("dataflow")

TABLE_ERRORS: Final = (SchemaMismatch, TableMissing, InvalidModel, UnsupportedFeature)
"""What is wrong with one model's table: nothing was sent that changes anything."""


@define(eq=False)
class Tables:
    """The models of one database, and which of their tables are known to be there."""

    models: Callable[[], Iterable[Model]]
    may_create: bool
    ready: set[Model] = field(factory=set)

    def pending(self) -> list[Model]:
        """The models whose tables have not been looked at."""
        return [model for model in self.models() if model not in self.ready]

    async def prepare(
        self, model: Model, session: Session, dialect: Dialect, *, writable: bool = True
    ) -> list[Model]:
        """Make the table of a model and those it refers to, or check that they fit.

        Where no transaction is open, all is made in one, so that a failure leaves no table without
        its indexes; where statements of a schema commit, each makes a whole table. Returns the
        models whose tables were made. Raises ``TableMissing`` or ``SchemaMismatch``.
        """
        absent: list[Model] = []
        wanted = self._with_referred(model)
        for item in wanted:
            session.need(*table_needs(item, made=self.may_create), place=item.name)
        for item in wanted:
            if item not in self.ready:
                if await self._is_there(item, session, dialect):
                    self.ready.add(item)
                else:
                    absent.append(item)
        if not absent:
            return []
        if not self.may_create or not writable:
            reason = "this instance may not make it" if writable else "the database is read-only"
            raise TableMissing(
                f"there is no table {quoted(absent[0].table)} for {absent[0].name}, and {reason}",
                model=absent[0].name,
                table=absent[0].table,
            )
        alone = dialect.ddl.transactional and session.offers("transactions")
        if session.connection.in_transaction or not alone:
            await self._make(absent, session, dialect)
        else:
            await self._make_at_once(absent, session, dialect)
        self.ready.update(absent)
        return absent

    async def _make_at_once(self, models: list[Model], session: Session, dialect: Dialect) -> None:
        situation = ErrorSituation(model=models[0], writing=True)
        connection = session.connection
        await session.guarded(connection.begin(), situation)
        try:
            await self._make(models, session, dialect)
            await session.guarded(connection.commit(), situation)
        except BaseException:
            if connection.usable and connection.in_transaction:
                await session.guarded(connection.rollback(), situation)
            raise

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

    async def _is_there(self, model: Model, session: Session, dialect: Dialect) -> bool:
        """Whether the table exists; ``SchemaMismatch`` if it does and lacks a column."""
        situation = ErrorSituation(model=model)
        tables = await session.guarded(
            dialect.read_tables(session.connection, [model.table]), situation
        )
        columns = tables[0].by_name if tables else {}
        missing = [item.column for item in model.fields if item.column not in columns]
        if columns and missing:
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
        return bool(columns)

    async def _make(self, models: list[Model], session: Session, dialect: Dialect) -> None:
        for model in models:
            situation = ErrorSituation(model=model, writing=True)
            operation = CreateTable(model, foreign_keys(model, self.models()))
            lock = [] if dialect.ddl.lock is None else [dialect.ddl.lock]
            try:
                for sql in (*lock, *dialect.ddl.compile(operation)):
                    await session.execute(sql, (), situation)
            finally:
                if dialect.ddl.unlock is not None and session.connection.usable:
                    await session.execute(dialect.ddl.unlock, (), situation)
            logger.info("made the table %s of %s", model.table, model.name)
