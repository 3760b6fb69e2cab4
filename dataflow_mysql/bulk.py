"""Many rows at once: LOAD DATA, and upserts by way of a temporary table.

No file is read: the rows are what the server is sent when it asks for one. The server takes what
does not fit for something near and only warns, so whoever loads has to count the warnings.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.compile import LiteralBuild, LoadStatement, StagedStatements, names_list
from dataflow_core.filters import EVERYTHING
from dataflow_core.operations import Upsert
from dataflow_core.schema import Field
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_mysql.types import plain_type

if TYPE_CHECKING:
    from dataflow_mysql.compiler import MySQLCompiler

__all__ = ["load_statement", "staged_statements"]

_LEAST_ROWS: Final = 200
"""Below, an INSERT is as quick."""
_STAGE: Final = "__dataflow_rows"
_UPDATED: Final = "@dataflow_updated"
"""Counts the rows of a staged upsert that were stored before."""

Rows = Sequence[Sequence[Any]]


def load_statement(
    compiler: MySQLCompiler, table: str, columns: Sequence[Field]
) -> LoadStatement | None:
    """The LOAD DATA into a table; ``None`` where a column has a type that has no text."""
    kinds = tuple(type(plain_type(item.type)) for item in columns)
    if not columns or not all(kind in _TEXTS for kind in kinds):
        return None
    targets, settings = [], []
    for at, (item, kind) in enumerate(zip(columns, kinds, strict=True)):
        name = compiler.quote(item.column)
        if kind is Binary:
            targets.append(f"@dataflow{at}")
            settings.append(f"{name} = UNHEX(@dataflow{at})")
        else:
            targets.append(name)
    # Numbers, so that no mode of the session reads them otherwise.
    text = (
        f"LOAD DATA LOCAL INFILE 'dataflow' INTO TABLE {compiler.quote(table)}"
        " CHARACTER SET utf8mb4 FIELDS TERMINATED BY X'09' ENCLOSED BY '' ESCAPED BY X'5C'"
        f" LINES TERMINATED BY X'0A' ({', '.join(targets)})"
    )
    if settings:
        text += f" SET {', '.join(settings)}"
    nullable = tuple(item.nullable for item in columns)
    return LoadStatement(table, tuple(columns), _LEAST_ROWS, text, _lines_of(kinds, nullable))


def _escaped(value: str) -> str:
    """A text as the server reads it back: only these three characters mean something."""
    if "\\" in value or "\t" in value or "\n" in value:
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    return value


_UTC: Final = dt.UTC


def _moment(value: dt.datetime) -> str:
    if value.tzinfo is not _UTC:
        value = value.astimezone(_UTC)
    # Without the zone, which the column does not have.
    return value.isoformat(" ", "microseconds")[:26]


_NULL: Final = "\\N"

# How the value v, as it would be bound, is written.
_TEXTS: Final[dict[type[FieldType], str]] = {
    Integer: "v",
    Boolean: "v",
    Float: "repr(v)",
    Decimal: "fixed(v)",
    Text: "escaped(v)",
    Json: "escaped(v)",
    Uuid: "v",
    Binary: "v.hex()",
    Timestamp: "moment(v)",
    Date: "v.isoformat()",
    Time: "time_of_day(v)",
}
_NAMESPACE: Final[dict[str, Any]] = {
    "NULL": _NULL,
    "escaped": _escaped,
    "fixed": lambda value: format(value, "f"),
    "moment": _moment,
    "time_of_day": lambda value: value.isoformat("microseconds"),
}
_VALUE: Final = re.compile(r"\bv\b")


@lru_cache(maxsize=256)
def _lines_of(
    kinds: tuple[type[FieldType], ...], nullable: tuple[bool, ...]
) -> Callable[[Rows], bytes]:
    """The function that writes rows as lines: one expression for each column."""
    names = [f"v{at}" for at in range(len(kinds))]
    cells = []
    for name, kind, optional in zip(names, kinds, nullable, strict=True):
        text = _VALUE.sub(name, _TEXTS[kind])
        cells.append(f"{{NULL if {name} is None else {text}}}" if optional else f"{{{text}}}")
    line = "\\t".join(cells) + "\\n"
    source = (
        "def lines(rows):\n"
        f"    return ''.join([f'{line}' for {', '.join(names)}, in rows]).encode()\n"
    )
    namespace = dict(_NAMESPACE)
    exec(source, namespace)  # noqa: S102 - our own text, of the kinds alone
    function: Callable[[Rows], bytes] = namespace["lines"]
    return function


def staged_statements(compiler: MySQLCompiler, operation: Upsert) -> StagedStatements | None:
    """The upsert of rows that a LOAD DATA has put into a temporary table, in their order.

    ``ON DUPLICATE KEY`` takes any unique key for the one that is meant. A number that is too large
    then ends the statement, and the rows are written another way.
    """
    model, columns, match = operation.model, operation.columns, operation.match
    load = load_statement(compiler, _STAGE, columns)
    if load is None or not set(match) <= set(columns):
        return None
    quote, table, stage = compiler.quote, compiler.table(model), compiler.quote(_STAGE)
    names = names_list(compiler, columns)
    meant = " AND ".join(
        f"{table}.{quote(item.column)} <=> {stage}.{quote(item.column)}" for item in match
    )
    if operation.among != EVERYTHING:
        # The new row stands beside the stored one.
        stored = {item.name: f"{table}.{quote(item.column)}" for item in model.fields}
        meant += (
            f" AND {compiler.predicate(operation.among, LiteralBuild(compiler, columns=stored))}"
        )
    counted = f"({_UPDATED} := {_UPDATED} + IF({meant}, 1, POW(10, 400 + {_UPDATED}))) IS NULL"
    first, *others = [quote(item.column) for item in operation.updates or match[:1]]
    changes = [
        f"{table}.{first} = IF({counted}, {table}.{first}, {stage}.{first})",
        *(f"{table}.{name} = {stage}.{name}" for name in others),
    ]
    given = ", ".join(f"{stage}.{quote(item.column)}" for item in columns)
    return StagedStatements(
        create=(
            f"DROP TEMPORARY TABLE IF EXISTS {stage}",
            f"CREATE TEMPORARY TABLE {stage} ENGINE={compiler.variant.stage}"
            f" AS SELECT {names} FROM {table} LIMIT 0",
        ),
        load=load,
        writes=(
            f"SET {_UPDATED} = 0",
            f"INSERT INTO {table} ({names}) SELECT {given} FROM {stage}"
            f" ON DUPLICATE KEY UPDATE {', '.join(changes)}",
        ),
        counts=f"SELECT COUNT(*) - CAST({_UPDATED} AS SIGNED), COUNT(*) FROM {stage}",
        drop=f"DROP TEMPORARY TABLE {stage}",
    )
