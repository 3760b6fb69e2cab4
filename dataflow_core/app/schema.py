"""What an instance does with schemas: discovery, plans, the registry, and files of models."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    DataFlowError,
    InvalidModel,
    InvalidType,
    RegistryConflict,
    SchemaChangeRefused,
    TableMissing,
    UniqueViolation,
)
from dataflow_core.evolve import registry
from dataflow_core.evolve.refusals import conflict
from dataflow_core.evolve.registry import REGISTRY, Record, latest, make_record
from dataflow_core.evolve.tables import Tables
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.nodes.registry import NodeName
from dataflow_core.schema.definition import checksum, definition_of, model_of
from dataflow_core.schema.discovered import (
    Discovered,
    described_model,
    described_table,
    model_from_table,
)
from dataflow_core.schema.naming import class_name
from dataflow_core.schema.relations import foreign_keys
from dataflow_core.schema.tables import OWN_TABLES, Table

if TYPE_CHECKING:
    from dataflow_core.contract import Dialect
    from dataflow_core.nodes.base import NodeType
    from dataflow_core.operations.plan import SchemaPlan
    from dataflow_core.run.engine import Engine
    from dataflow_core.run.session import Session
    from dataflow_core.schema import Model

__all__ = ["GeneratedNodes", "Schemas"]

_FILE_VERSION: Final = 1


class GeneratedNodes(Mapping[str, dict[str, str]]):
    """The names of nodes by the names of models, or of their tables; goes through the former."""

    def __init__(self) -> None:
        self._by_model: dict[str, dict[str, str]] = {}
        self._model_of: dict[str, str] = {}

    def __getitem__(self, name: str) -> dict[str, str]:
        return self._by_model[self._model_of.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_model)

    def __len__(self) -> int:
        return len(self._by_model)

    def __contains__(self, name: object) -> bool:
        return name in self._by_model or name in self._model_of

    def __repr__(self) -> str:
        return repr(self._by_model)

    def add(self, model: Model, names: dict[str, str]) -> None:
        """Add the nodes of a model."""
        self._by_model[model.name] = names
        for name in (model.table, model.key):
            if name not in self._by_model:
                self._model_of[name] = model.name


@define(eq=False)
class Schemas:
    """The schemas of the databases of one instance.

    Attributes:
        owner: the instance, which the names of nodes remember.
        engine: the engine of a database.
        tables: what sees to the tables of a database.
        models: the models of a database.
        add: registers a model, whose table is there or not; its nodes.
        may_change: whether the schema may be changed.
    """

    owner: Any
    engine: Callable[[str], Engine]
    tables: Callable[[str], Tables]
    models: Callable[[str], Iterable[Model]]
    add: Callable[[Model, bool], Mapping[str, NodeType]]
    may_change: bool

    # Discovery

    async def discover(self, database: str, *, inspect: bool) -> dict[str, dict[str, Any]]:
        """The tables of a database, or of its models, as plain documents by name."""
        if not inspect:
            models = self._users_models(database)
            return {
                model.key: described_model(model, foreign_keys(model, models)) for model in models
            }
        found = await self._read(database)
        return {table.key: described_table(table) for table in found}

    def _users_models(self, database: str) -> list[Model]:
        """The models of a database, without those of the project's own tables."""
        return [item for item in self.models(database) if not item.table.startswith(OWN_TABLES)]

    async def _read(self, database: str) -> list[Table]:
        async with self._session(database, writes=False) as (session, dialect):
            session.need("schema.introspection")
            read = dialect.read_tables(session.connection, None)
            tables = await session.guarded(read, ErrorSituation())
        # In the same order from every database: names decide which of two like classes is made.
        return sorted(
            (table for table in tables if not table.name.startswith(OWN_TABLES)),
            key=lambda table: (table.schema is not None, table.schema or "", table.name),
        )

    async def register(self, tables: Sequence[str] | None, database: str) -> dict[str, Any]:
        """Register tables as models: all, or those of these names."""
        if isinstance(tables, str) or not (tables is None or isinstance(tables, Sequence)):
            raise InvalidType(f"tables is a list of names of tables, got {quoted(tables)}")
        found = {table.key: table for table in await self._read(database)}
        kept = await self._under_policies(database) if found else {}
        registered: list[Discovered] = []
        errors: dict[str, str] = {}
        names = GeneratedNodes()
        for name in found if tables is None else tables:
            table = found.get(name)
            try:
                if table is None:
                    raise TableMissing(
                        f"there is no table {quoted(name)}", suggestion=nearest(str(name), found)
                    )
                discovered = self._discovered(table, database, kept.get(name))
                self._register(discovered.model, names, there=True)
            except DataFlowError as error:
                errors[str(name)] = str(error.message)
                continue
            registered.append(discovered)
        conflicts = await self._persist([item.model for item in registered], database)
        errors.update(conflicts)
        return {
            "registered_models": [item.model.name for item in registered],
            "generated_nodes": names,
            "success_count": len(registered),
            "error_count": len(errors),
            "errors": errors,
            "notes": {item.model.key: list(item.notes) for item in registered if item.notes},
        }

    async def _under_policies(self, database: str) -> dict[str, Record]:
        """The tables whose models have options, such as `multi_tenant`, which no table shows."""
        found: dict[str, Record] = {}
        for record in sorted(await self.records(database), key=lambda item: item.registered_at):
            options = record.definition.get("options", {})
            if any(value is not False for value in options.values()):
                found[record.table_name] = record
        return found

    def _discovered(self, table: Table, database: str, kept: Record | None) -> Discovered:
        """The model of a table; that which has it already, here or in the registry under options.

        So rows of tenants stay apart, whoever finds their table.
        """
        for model in self.models(database):
            if (model.table, model.schema) == (table.name, table.schema):
                return Discovered(model)
        if kept is not None:
            return Discovered(kept.model(database))
        taken = {model.name for model in self.models(database)}
        discovered = model_from_table(table, database=database)
        if discovered.model.name in taken and table.schema is not None:
            name = f"{class_name(table.schema, singly=False)}{discovered.model.name}"
            discovered = model_from_table(table, database=database, name=name)
        return discovered

    def _register(self, model: Model, names: GeneratedNodes, *, there: bool) -> None:
        made = self.add(model, there)
        names.add(model, {kind: NodeName(node.name, self.owner) for kind, node in made.items()})

    # The registry

    @asynccontextmanager
    async def _registry(self, database: str) -> AsyncIterator[tuple[Session, Dialect] | None]:
        """The database of the registry; ``None`` where there is no registry."""
        tables = self.tables(database)
        if not tables.persists:
            yield None
        elif tables.remote is not None:
            async with tables.remote() as opened:
                yield opened
        else:
            async with self._session(database, writes=self.engine(database).writable) as opened:
                session, dialect = opened
                read = dialect.read_tables(session.connection, [REGISTRY.table])
                there = await session.guarded(read, ErrorSituation(model=REGISTRY))
                if not there and self.may_change and self.engine(database).writable:
                    await registry.install(session, dialect)
                    there = [Table(REGISTRY.table)]
                yield opened if there else None

    async def install(self, database: str) -> None:
        """Make the table of the registry, whatever the instance may do otherwise."""
        async with self._session(database, writes=True) as (session, dialect):
            await registry.install(session, dialect)

    async def _persist(self, models: Sequence[Model], database: str) -> dict[str, str]:
        """Write models into the registry; the conflicts by name of table."""
        errors: dict[str, str] = {}
        if not models:
            return errors
        async with self._registry(database) as opened:
            if opened is None:
                return errors
            names = [model.name for model in models]
            records = await registry.read_records(*opened, names)
            for model in models:
                known = [record for record in records if record.name == model.name]
                try:
                    await self._keep(model, known, *opened)
                except RegistryConflict as refused:
                    errors[model.key] = refused.message
        return errors

    async def _keep(
        self, model: Model, known: Sequence[Record], session: Session, dialect: Dialect
    ) -> None:
        """Write a model into the registry, unless it is there in this shape."""
        own = checksum(definition_of(model))
        while not any(record.checksum == own for record in known):
            before = next(iter(latest(known)), None)
            if before is not None and before.table_name != model.key:
                raise conflict(model, before)
            record = make_record(model, before, owned=before is not None and before.owned)
            try:
                await registry.write_record(session, dialect, record)
                return
            except UniqueViolation:
                # Somebody else wrote this version at the same time, of this shape or of another.
                known = await registry.read_records(session, dialect, [model.name])

    async def records(self, database: str) -> list[Record]:
        """The latest shape of every model and table of the registry; none where there is none."""
        async with self._registry(database) as opened:
            if opened is None:
                return []
            return latest(await registry.read_records(*opened))

    async def reconstruct(self, database: str) -> dict[str, Any]:
        """Register the models of the registry."""
        found: dict[str, Record] = {}
        conflicts: dict[str, str] = {}
        for record in await self.records(database):
            if record.table_name.startswith(OWN_TABLES):
                continue
            taken = found.setdefault(record.name, record)
            if taken is not record:
                conflicts[record.table_name] = conflict(record.model(database), taken).message
        definitions = [(name, record.definition) for name, record in found.items()]
        result = self._reconstructed(definitions, database, there=True)
        errors = {**result["errors"], **conflicts}
        return {**result, "errors": errors, "error_count": len(errors)}

    def _reconstructed(
        self, definitions: Iterable[tuple[str, Mapping[str, Any]]], database: str, *, there: bool
    ) -> dict[str, Any]:
        done: list[str] = []
        errors: dict[str, str] = {}
        names = GeneratedNodes()
        for name, definition in definitions:
            try:
                model = model_of(definition, database=database)
                known = next((one for one in self.models(database) if one.name == name), None)
                if known is not None and definition_of(known) == definition_of(model):
                    model = known
                self._register(model, names, there=there)
            except DataFlowError as error:
                errors[name] = error.message
                continue
            done.append(name)
        return {
            "reconstructed_models": done,
            "generated_nodes": names,
            "success_count": len(done),
            "error_count": len(errors),
            "errors": errors,
        }

    # Files

    def export(self, path: str | os.PathLike[str], database: str) -> int:
        """Write the models of an instance into a file that people can review; how many."""
        models = sorted(self._users_models(database), key=lambda model: model.name)
        document = {
            "dataflow_models": _FILE_VERSION,
            "models": [definition_of(model) for model in models],
        }
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        Path(path).write_text(text, "utf-8")
        return len(models)

    def import_(self, path: str | os.PathLike[str], database: str) -> dict[str, Any]:
        """Register the models of a file; the result is that of ``reconstruct``."""
        try:
            document = json.loads(Path(path).read_text("utf-8"))
            if document["dataflow_models"] != _FILE_VERSION:
                raise InvalidModel(f"{path}: the file is of a version that is not known here")
            definitions = [(item["name"], item) for item in document["models"]]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidModel(f"{path} is no file of models: {error}") from error
        return self._reconstructed(definitions, database, there=not self.may_change)

    # Plans

    async def plan(self, database: str) -> SchemaPlan:
        """What would be sent to make the tables what the models say; nothing is changed."""
        tables = self.tables(database)
        async with self._session(database, writes=False) as (session, dialect):
            return await tables.plan(session, dialect)

    async def migrate(self, database: str, *, allow_data_loss: bool) -> SchemaPlan:
        """Do what ``plan`` says; what was done."""
        if not self.may_change:
            raise SchemaChangeRefused(
                "this instance changes no schema: it was made with auto_migrate=False or"
                " existing_schema_mode=True",
                database=database,
            )
        plan = await self.plan(database)
        if not plan:
            return plan
        tables = self.tables(database)
        models = [operation.model for operation in plan.operations]
        async with self._session(database, writes=True) as (session, dialect):
            done = await tables.apply(models, session, dialect, allow_data_loss=allow_data_loss)
        for model in models:
            self.engine(database).cache.forget(model)
        return done

    @asynccontextmanager
    async def _session(
        self, database: str, *, writes: bool
    ) -> AsyncIterator[tuple[Session, Dialect]]:
        engine = self.engine(database)
        session = await engine.borrow(writes=writes)
        try:
            yield session, engine.dialect
        finally:
            await engine.give_back(session)
