"""Tables on first use: made, changed or only looked at, once for every model of an instance."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from dataflow_core.compile.needs import table_needs
from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    ConstraintViolation,
    DataFlowError,
    SchemaChangeRefused,
    UniqueViolation,
)
from dataflow_core.evolve import registry
from dataflow_core.evolve.adapt import adapted_model
from dataflow_core.evolve.compare import Comparison, compare
from dataflow_core.evolve.finding import Finding
from dataflow_core.evolve.guards import Guards
from dataflow_core.evolve.locking import locked
from dataflow_core.evolve.refusals import (
    mismatch,
    missing,
    refuse_change,
    refuse_conversions,
    refuse_passing_over,
    refuse_unsecured,
)
from dataflow_core.evolve.registry import REGISTRY, Record
from dataflow_core.naming_hints import quoted
from dataflow_core.operations import AddIndex, AlterTable, CreateTable, SchemaPlan, TableChange
from dataflow_core.run.session import Session
from dataflow_core.run.table_keeper import ModelAdapted
from dataflow_core.schema import ForeignKey, Model
from dataflow_core.schema.relations import foreign_keys, referenced
from dataflow_core.schema.tables import Table

if TYPE_CHECKING:
    from dataflow_core.contract import Dialect

__all__ = ["Tables"]

logger = logging.getLogger("dataflow")

Remote = Callable[[], AbstractAsyncContextManager[tuple[Session, "Dialect"]]]
"""Opens the database of the registry, where that is another one."""


@define(eq=False)
class Tables:
    """The models of one database, and which of their tables are known to be there.

    Attributes:
        database: its name within the instance.
        models: the models of the database.
        may_create: whether tables are made and changed.
        persists: whether models are written to the registry.
        adopt: takes the model that fits a table, in the place of that of its name.
        remote: where the registry is, if it is in another database.
        guards: what plugins say of changes.
        ready: the models whose tables were seen to.
    """

    database: str
    models: Callable[[], Iterable[Model]]
    may_create: bool
    adopt: Callable[[Model], None]
    persists: bool = True
    remote: Remote | None = None
    guards: Guards = field(factory=Guards)
    ready: set[Model] = field(factory=set)
    _told: bool = False

    @property
    def writes(self) -> bool:
        """Whether seeing to a table may write: without that, only questions are asked."""
        return self.may_create

    def pending(self) -> list[Model]:
        """The models whose tables have not been looked at."""
        return [model for model in self.models() if model not in self.ready]

    async def prepare(
        self, model: Model, session: Session, dialect: Dialect, *, writable: bool = True
    ) -> list[Model]:
        """See to the table of a model and those that it refers to.

        What is missing is made; what differs is changed where nothing can be lost by it. Returns
        the models whose tables were made or changed. Raises ``TableMissing``, ``SchemaMismatch``
        or ``SchemaChangeRefused``; then nothing was changed.
        """
        wanted = self._with_referred(model)
        for item in wanted:
            session.need(*table_needs(item, made=self.may_create), place=item.name)
            refuse_passing_over(item, dialect)
        wanted = [item for item in wanted if item not in self.ready]
        found = await self.look(wanted, session, dialect)
        if self.adapt(found):
            raise ModelAdapted("a model was fitted to a table that others made: call again")
        refuse_unsecured(found, changes=self.may_create and writable)
        if not (self.may_create and writable):
            for finding in found:
                if finding.table is None:
                    raise missing(finding.model, may_create=self.may_create)
                if finding.differing.missing or finding.differing.problems:
                    raise mismatch(finding.model, finding.differing)
            self.ready.update(wanted)
            return []
        if not session.offers("schema.alter"):
            for finding in found:
                if finding.table is not None and finding.differing.missing:
                    lacking = ", ".join(finding.differing.missing)
                    place = f"{finding.model.name}, whose table lacks {lacking}"
                    session.need("schema.alter", place=place)
            found = [finding for finding in found if finding.table is None]
        to_do = [each.model for each in found if not each.fits and not self._tolerates(each)]
        changed: list[Model] = []
        if to_do:
            there = {each.model for each in found if each.table is not None}
            altering = not there.isdisjoint(to_do)
            done = await self.apply(to_do, session, dialect, first_use=True, altering=altering)
            changed = [operation.model for operation in done.operations]
        else:
            await self._record_seen(found, session, dialect)
        self.ready.update(wanted)
        return changed

    def adapt(self, found: Sequence[Finding]) -> bool:
        """Put models that fit in the place of those whose tables others made otherwise, if any."""
        adapted = False
        for item in found:
            if item.table is None or any(record.owned for record in item.records):
                continue
            model = adapted_model(item.model, item.table)
            if model is not item.model:
                self.adopt(model)
                adapted = True
        return adapted

    async def look(
        self, models: Sequence[Model], session: Session, dialect: Dialect
    ) -> list[Finding]:
        """Compare models with their tables; changes nothing."""
        if not models:
            return []
        # By name only those of the default schema are found.
        names = None
        if all(model.schema is None for model in models):
            names = [*dict.fromkeys(model.table for model in models), REGISTRY.table]
        read = dialect.read_tables(session.connection, names)
        found = await session.guarded(read, ErrorSituation(model=models[0]))
        tables = {table.key: table for table in found}
        records = await self._records(models, session, dialect, REGISTRY.table in tables)
        return [
            self._finding(model, tables.get(model.key), records.get(model.name, ()), dialect)
            for model in models
        ]

    def _finding(
        self, model: Model, table: Table | None, records: tuple[Record, ...], dialect: Dialect
    ) -> Finding:
        if table is None:
            return Finding(model, None, records, Comparison())
        own = [record for record in records if record.owned and record.table_name == model.key]
        recorded = own[-1].model(model.database) if own else None
        keys = foreign_keys(model, self.models())
        differing = compare(model, table, keys, dialect.ddl, recorded)
        # What the engine has no statement for, such as an index of documents, is not left to do.
        steps = tuple(
            step
            for step in differing.steps
            if not isinstance(step, AddIndex)
            or dialect.ddl.alter(AlterTable(model, table, (step,), keys))
        )
        return Finding(model, table, records, evolve(differing, steps=steps))

    def _tolerates(self, found: Finding) -> bool:
        """Whether a table that differs will do: for an older program, if no column is missing."""
        return found.is_older and not found.differing.missing and not found.differing.problems

    async def plan(self, session: Session, dialect: Dialect) -> SchemaPlan:
        """What would be done to make every table what its model says, an older shape included."""
        models = self.in_order()
        for model in models:
            session.need(*table_needs(model, made=self.may_create), place=model.name)
            refuse_passing_over(model, dialect)
        found = await self.look(models, session, dialect)
        if self.adapt(found):
            found = await self.look(self.in_order(), session, dialect)
        return await self._planned([item for item in found if not item.fits], session, dialect)

    async def _planned(
        self,
        found: Iterable[Finding],
        session: Session,
        dialect: Dialect,
        *,
        on_first_use: bool = False,
    ) -> SchemaPlan:
        changes = self._changes(list(found), dialect)
        plan = SchemaPlan(self.database, changes, on_first_use=on_first_use)
        return await self.guards.reviewed(plan, session)

    def _changes(self, found: Sequence[Finding], dialect: Dialect) -> tuple[TableChange, ...]:
        """The change of each model. Tables that refer to each other are made before the keys."""
        later = {item.model.table for item in found if item.table is None}
        changes = []
        for item in found:
            later.discard(item.model.table)
            changes.append(self._change(item, dialect, later))
        return tuple(changes)

    def _change(self, found: Finding, dialect: Dialect, later: Set[str]) -> TableChange:
        keys = foreign_keys(found.model, self.models())
        if found.table is None:
            now = (key for key in keys if key.reference.table not in later)
            made = CreateTable(
                found.model, tuple(key for key in now if not _needs_index(key, found.model))
            )
            return TableChange(made, dialect.ddl.compile(made))
        steps = found.differing.steps
        refuse_conversions(found.model, found.table, steps)
        operation = AlterTable(found.model, found.table, steps, keys)
        statements = dialect.ddl.alter(operation) if steps else ()
        return TableChange(operation, statements, found.differing.problems)

    async def apply(
        self,
        models: Sequence[Model],
        session: Session,
        dialect: Dialect,
        *,
        allow_data_loss: bool = False,
        first_use: bool = False,
        altering: bool = True,
    ) -> SchemaPlan:
        """Make or change the tables of models, all or none where the database can; what was done.

        Others may be doing the same: it is compared again when nobody else can change anything.
        On ``first_use`` an older program leaves the tables of a newer one alone. ``altering``:
        some of the tables may be there.
        """
        started = time.monotonic()
        async with locked(session, dialect, altering=altering):
            found = await self.look(models, session, dialect)
            to_do = [
                item
                for item in found
                if not item.fits and not (first_use and self._tolerates(item))
            ]
            plan = await self._planned(to_do, session, dialect, on_first_use=first_use)
            for item, change in zip(to_do, plan.changes, strict=True):
                await refuse_change(item, change, session, allow_data_loss)
            self.guards.enforce(plan)
            if to_do and self.persists and self.remote is None:
                await registry.install(session, dialect)
            for item, change in zip(to_do, plan.changes, strict=True):
                await self._carry_out(item, change, session, dialect)
            await self._close_circles(to_do, plan, session, dialect)
        if plan:
            await self.guards.tell(plan, started)
        return plan

    async def _close_circles(
        self, made: Sequence[Finding], plan: SchemaPlan, session: Session, dialect: Dialect
    ) -> None:
        """Add the references to tables that were made after the one that refers to them."""
        waiting = [
            item.model
            for item, change in zip(made, plan.changes, strict=True)
            if isinstance(change.operation, CreateTable)
            and change.operation.foreign_keys != foreign_keys(item.model, self.models())
        ]
        for item in await self.look(waiting, session, dialect):
            change = self._change(item, dialect, frozenset())
            await self._carry_out(item, change, session, dialect)

    async def _carry_out(
        self, found: Finding, change: TableChange, session: Session, dialect: Dialect
    ) -> None:
        model = found.model
        if found.table is not None:
            session.need("schema.alter", place=model.name)
        situation = ErrorSituation(model=model, writing=True)
        for sql in change.statements:
            try:
                await session.execute(sql, (), situation)
            except ConstraintViolation as error:
                if found.table is None:
                    raise
                raise SchemaChangeRefused(
                    f"the rows of {quoted(model.table)} do not fit what {model.name} says:"
                    f" {error.message}",
                    model=model.name,
                    table=model.table,
                    plan=change.lines(),
                ) from error
        owned = found.table is None or any(record.owned for record in found.records)
        await self._record(found, session, dialect, owned=owned)
        verb = "made" if found.table is None else "changed"
        logger.info("%s the table %s of %s", verb, model.table, model.name)

    # The registry

    async def _records(
        self, models: Sequence[Model], session: Session, dialect: Dialect, here: bool
    ) -> dict[str, tuple[Record, ...]]:
        if not self.persists or (self.remote is None and not here):
            return {}
        names = [model.name for model in models]
        if self.remote is None:
            return _by_name(await registry.read_records(session, dialect, names))
        async with self.remote() as (other, of_other):
            return _by_name(await registry.read_records(other, of_other, names))

    async def _record(
        self, found: Finding, session: Session, dialect: Dialect, *, owned: bool
    ) -> None:
        """Write the shape of a model, unless it is there."""
        if not self.persists:
            return
        record = registry.make_record(found.model, found.latest, owned=owned)
        if found.latest is not None and found.latest.checksum == record.checksum:
            return
        if self.remote is None:
            await registry.write_record(session, dialect, record)
            return
        async with self.remote() as (other, of_other):
            await registry.write_record(other, of_other, record)

    async def _record_seen(
        self, found: Sequence[Finding], session: Session, dialect: Dialect
    ) -> None:
        """Write models that are not there yet: no change of the schema, so no reason to fail."""
        new = [item for item in found if item.latest is None]
        if not new or not self.persists or session.connection.in_transaction:
            return
        if self.remote is None and not await self._is_installed(session, dialect):
            self._tell_once("there is no table of the registry, so models are not kept")
            return
        for item in new:
            try:
                await self._record(item, session, dialect, owned=False)
            except UniqueViolation:
                logger.debug("%s was recorded by somebody else", item.model.name)
            except DataFlowError as error:
                self._tell_once(f"models are not kept in the registry: {error.message}")
                return

    async def _is_installed(self, session: Session, dialect: Dialect) -> bool:
        read = dialect.read_tables(session.connection, [REGISTRY.table])
        return bool(await session.guarded(read, ErrorSituation(model=REGISTRY)))

    def _tell_once(self, reason: str) -> None:
        if not self._told:
            self._told = True
            logger.info("%s", reason)

    def in_order(self) -> list[Model]:
        """All models, each after those that it refers to."""
        found: dict[Model, None] = {}
        for model in self.models():
            found.update(dict.fromkeys(self._with_referred(model)))
        return list(found)

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


def _by_name(records: Iterable[Record]) -> dict[str, tuple[Record, ...]]:
    found: dict[str, tuple[Record, ...]] = {}
    for record in records:
        found[record.name] = (*found.get(record.name, ()), record)
    return found


def _needs_index(key: ForeignKey, model: Model) -> bool:
    """Whether a reference leads to an index of its own table, which is made after the table."""
    columns = {frozenset({item.column}) for item in model.fields if item.unique}
    columns.add(frozenset(item.column for item in model.primary_key))
    return key.reference.table == model.table and frozenset(key.reference.columns) not in columns
