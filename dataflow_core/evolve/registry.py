"""The registry of models: the table ``dataflow_models``, every shape that a model has had.

It tells other processes which models there are, and this one which tables it made itself and what
they were made from.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any, Final

from attrs import frozen

from dataflow_core.compile import WriterCache
from dataflow_core.contract import Dialect, ErrorSituation
from dataflow_core.filters import Bindings, Membership, Slot
from dataflow_core.operations import CreateMany, CreateTable, Find
from dataflow_core.order import SortKey
from dataflow_core.run.plans import Plan
from dataflow_core.run.session import Session
from dataflow_core.schema import Field, Index, Model
from dataflow_core.schema.definition import Definition, checksum, definition_of, model_of
from dataflow_core.types import Boolean, Integer, Json, Text, Timestamp

__all__ = ["REGISTRY", "Record", "install", "latest", "make_record", "read_records", "write_record"]

_NAME: Final = Text(255)
_FIELDS: Final = (
    Field("id", Integer(), "id", primary_key=True, generated="database"),
    Field("name", _NAME, "name"),
    Field("version", Integer(), "version"),
    Field("table_name", _NAME, "table_name"),
    Field("definition", Json("object"), "definition"),
    Field("checksum", Text(64), "checksum"),
    Field("owned", Boolean(), "owned"),
    Field("registered_by", _NAME, "registered_by"),
    Field("registered_at", Timestamp(), "registered_at"),
)
REGISTRY: Final = Model(
    "DataFlowModel",
    "dataflow_models",
    _FIELDS,
    indexes=(Index(("name", "version"), unique=True, name="dataflow_models_version"),),
)
"""The model of the registry's table."""

_WRITTEN: Final = tuple(item for item in _FIELDS if item.generated is None)


@frozen
class Record:
    """One shape of a model.

    Attributes:
        name: the name of the model.
        version: counts from 1.
        table_name: the name of its table, with the schema where that is not the default one.
        definition: the model as a document.
        checksum: that of the document.
        owned: whether the table was made by this project, so that it may be changed by it.
        registered_by, registered_at: who wrote it, and when.
    """

    name: str
    version: int
    table_name: str
    definition: Definition
    checksum: str
    owned: bool
    registered_by: str
    registered_at: dt.datetime

    def model(self, database: str = "primary") -> Model:
        """The model of this shape."""
        return model_of(self.definition, database=database)


def make_record(model: Model, before: Record | None, *, owned: bool) -> Record:
    """The next record of a model, after its latest one."""
    definition = definition_of(model)
    return Record(
        model.name,
        1 if before is None else before.version + 1,
        model.key,
        definition,
        checksum(definition),
        owned,
        _who(),
        dt.datetime.now(dt.UTC),
    )


def _who() -> str:
    user = os.environ.get("USER") or os.environ.get("USERNAME") or "unknown"
    return f"{user}@{socket.gethostname()}"[:255]


def latest(records: Iterable[Record]) -> list[Record]:
    """The latest record of every name and table; of several tables of a name the latest first."""
    found: dict[tuple[str, str], Record] = {}
    for record in sorted(records, key=lambda record: (record.name, -record.version)):
        found.setdefault((record.name, record.table_name), record)
    return list(found.values())


async def install(session: Session, dialect: Dialect) -> None:
    """Make the table of the registry, if it is not there."""
    for sql in dialect.ddl.compile(CreateTable(REGISTRY)):
        await session.execute(sql, (), ErrorSituation(model=REGISTRY, writing=True))


async def read_records(
    session: Session, dialect: Dialect, names: Sequence[str] | None = None
) -> list[Record]:
    """All records of these models, or of all, by name and version; the table is there."""
    bindings = Bindings()
    order = (SortKey(REGISTRY.by_name["name"]), SortKey(REGISTRY.by_name["version"]))
    if names is None:
        operation = Find(REGISTRY, _WRITTEN, order=order)
    else:
        slot: Slot = bindings.list_slot(list(names), _NAME)
        chosen = Membership(REGISTRY.by_name["name"], slot)
        operation = Find(REGISTRY, _WRITTEN, chosen, order)
    plan = Plan.of(operation, dialect.compiler)
    statement = plan.statement
    rows = await session.fetch(statement.sql, statement.bind(bindings.values), plan.situation)
    return [Record(**row) for row in statement.decode(rows)]


async def write_record(session: Session, dialect: Dialect, record: Record) -> None:
    """Add a record. ``UniqueViolation`` where somebody else added the same version."""
    row: dict[str, Any] = {item.name: getattr(record, item.name) for item in _WRITTEN}
    writer = WriterCache(REGISTRY, dialect.compiler.codec).writer(row)
    plan = Plan.of(CreateMany(REGISTRY, writer.columns), dialect.compiler)
    statement = plan.compiled.rows
    assert statement is not None
    await session.execute(statement.sql(1), writer.write(row, record.registered_at), plan.situation)
