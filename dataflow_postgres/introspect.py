"""What the database tells about its tables and about its log."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from attrs import define, evolve, field, frozen

from dataflow_core.contract import Connection
from dataflow_core.schema import (
    MISSING,
    Column,
    Partitions,
    Table,
    TableCheck,
    TableIndex,
    TableReference,
)
from dataflow_core.types import Enumeration, Text
from dataflow_postgres.catalogue import (
    ALL_TABLES,
    COLUMNS,
    CONSTRAINTS,
    INDEXES,
    NAMED_TABLES,
    TENANT_POLICY,
    TENANT_SETTING,
)
from dataflow_postgres.columns import column_of, constant, literals
from dataflow_postgres.ddl import constraint_name

__all__ = ["LogPosition", "replayed_position", "read_tables", "written_position"]

_KINDS: Final = {
    "p": "is partitioned by {}",
    "m": "is a view whose rows are stored: they change when it is refreshed",
    "f": "is on another server",
}
_ACTIONS: Final[Mapping[str, Any]] = {
    "a": "no_action",
    "r": "restrict",
    "c": "cascade",
    "n": "set_null",
    "d": "set_default",
}
_LENGTH: Final = re.compile(r"\(char_length\((.+)\) <= ([0-9]+)\)")
_DESCENDING: Final = 1
_HASH: Final = re.compile(r"HASH \((\w+|\"(?:[^\"]|\"\")+\")\)")
_TENANT: Final = re.compile(
    r"\(+(\w+|\"(?:[^\"]|\"\")+\")\)?(?:::\w+)? ="
    rf" \(*NULLIF\(current_setting\('{re.escape(TENANT_SETTING)}'::text, true\), ''::text\)"
    r"\)*(?:::\w+)?\)+"
)

Row = Sequence[Any]


async def read_tables(connection: Connection, names: Sequence[str] | None) -> Sequence[Table]:
    """The tables and views of these names, or of all: four statements, one if there are none."""
    if names is None:
        tables = await connection.fetch(ALL_TABLES, ())
    else:
        tables = await connection.fetch(NAMED_TABLES, (list(names),))
    if not tables:
        return ()
    numbers = [row[0] for row in tables]
    parts = []
    for sql in (COLUMNS, CONSTRAINTS, INDEXES):
        of_table: dict[int, list[Row]] = defaultdict(list)
        for row in await connection.fetch(sql, (numbers,)):
            of_table[row[0]].append(row[1:])
        parts.append(of_table)
    columns, constraints, indexes = parts
    return [
        _Reading(row, columns[row[0]], constraints[row[0]], indexes[row[0]]).table()
        for row in tables
    ]


@define
class _Reading:
    """Makes one table of the rows of the catalogue."""

    row: Row
    column_rows: Sequence[Row]
    constraint_rows: Sequence[Row]
    index_rows: Sequence[Row]
    notes: list[str] = field(factory=list)
    names: dict[int, str] = field(factory=dict)
    checks: list[TableCheck] = field(factory=list)
    keys: list[TableReference] = field(factory=list)
    primary_key: tuple[str, ...] = ()

    def table(self) -> Table:
        """The table."""
        _, name, schema, kind, comment, partitioned, parts, secured, policies = self.row[:9]
        parents, triggers, rules = self.row[9:]
        if kind in _KINDS:
            self.notes.append(f"{name} {_KINDS[kind].format(partitioned)}")
        if secured:
            self.notes.append(f"{name} shows only some of its rows to some users")
        if parents:
            self.notes.append(f"{name} inherits from {', '.join(parents)}")
        if rules:
            self.notes.append(f"{name} has rules that rewrite statements: {', '.join(rules)}")
        columns = {row[0]: _column(row) for row in self.column_rows}
        self.names = {number: column.name for number, column in columns.items()}
        for row in self.constraint_rows:
            self._constraint(row, columns)
        indexes = [self._index(row) for row in self.index_rows]
        return Table(
            name=name,
            schema=schema,
            kind="view" if kind in "vm" else "table",
            columns=tuple(columns.values()),
            primary_key=self.primary_key,
            indexes=tuple(indexes),
            foreign_keys=tuple(self.keys),
            checks=tuple(self.checks),
            comment=comment,
            triggers=tuple(triggers),
            secured_by=_secured_by(policies or (), columns.values()),
            partitions=_partitions(partitioned, parts, columns.values()),
            notes=tuple(self.notes),
        )

    def _constraint(self, row: Row, columns: dict[int, Column]) -> None:
        name, kind, numbers, _, target, schema, target_columns = row[:7]
        on_delete, on_update, condition, definition, valid, deferrable = row[7:13]
        if not valid:
            self.notes.append(f"the constraint {name} is not known to hold for all rows")
        if deferrable:
            self.notes.append(f"the constraint {name} may be checked at the end of a transaction")
        named = tuple(self.names[number] for number in numbers or ())
        if kind == "p":
            self.primary_key = named
        elif kind == "f":
            table = target if schema is None else f"{schema}.{target}"
            self.keys.append(
                TableReference(
                    name,
                    named,
                    table,
                    tuple(target_columns),
                    _ACTIONS[on_delete],
                    _ACTIONS[on_update],
                )
            )
            if "MATCH FULL" in definition or re.search(
                r"ON DELETE SET (NULL|DEFAULT) \(", definition
            ):
                self.notes.append(f"the foreign key {name} is more than it seems: {definition}")
        elif kind == "x":
            self.notes.append(f"the constraint {name} keeps rows apart: {definition}")
        elif kind == "c" and not (valid and self._of_type(name, numbers, condition, columns)):
            self.checks.append(TableCheck(name, condition))

    def _of_type(
        self, name: str, numbers: Sequence[int], condition: str, columns: dict[int, Column]
    ) -> bool:
        """Whether a check is one by which this project keeps a type; the column then has it."""
        if len(numbers or ()) != 1:
            return False
        number = numbers[0]
        column = columns[number]
        base = column.type.base if isinstance(column.type, Enumeration) else column.type
        if base is None or base.storage is not None:
            return False
        prefix = f"{self.row[1]}_{column.name}"
        if name == constraint_name(f"{prefix}_enum"):
            values = literals(condition, base)
            if not values or MISSING in values:
                return False
            columns[number] = evolve(column, type=Enumeration(values, base))
            return True
        length = _LENGTH.fullmatch(condition)
        if name != constraint_name(f"{prefix}_length") or length is None:
            return False
        if not isinstance(base, Text):
            return False
        sized: Any = Text(int(length[2]))
        if isinstance(column.type, Enumeration):
            sized = evolve(column.type, base=sized)
        columns[number] = evolve(column, type=sized)
        return True

    def _index(self, row: Row) -> TableIndex:
        name, method, unique, valid, width, numbers, options, texts = row[:8]
        where, constraint, special, nulls_equal = row[8:12]
        parts = tuple(
            self.names[number] if number else text
            for number, text in zip(numbers[:width], texts[:width], strict=True)
        )
        if not valid:
            self.notes.append(f"the index {name} is not valid: it was not made to the end")
        if len(texts) > width:
            self.notes.append(f"the index {name} also holds {', '.join(texts[width:])}")
        if special:
            self.notes.append(f"the index {name} has operators that are not the usual ones")
        if nulls_equal:
            self.notes.append(f"the index {name} takes NULL for equal to NULL")
        return TableIndex(
            name,
            parts,
            unique,
            frozenset(
                part
                for part, option in zip(parts, options[:width], strict=True)
                if option & _DESCENDING
            ),
            0 in numbers[:width],
            where,
            constraint,
            None if method == "btree" else method,
        )


def _secured_by(policies: Sequence[Sequence[str]], columns: Iterable[Column]) -> str | None:
    """The column by which the policy of this project keeps rows apart, if it is as it was made."""
    for name, rows, check in policies:
        found = _TENANT.fullmatch(rows or "")
        if name == TENANT_POLICY and found is not None and rows == check:
            return _named(found[1], columns)
    return None


def _partitions(key: str | None, count: int, columns: Iterable[Column]) -> Partitions | None:
    """The parts of a table, if they are by the hash of one column."""
    found = None if key is None else _HASH.fullmatch(key)
    by = None if found is None else _named(found[1], columns)
    return None if by is None else Partitions(by, count)


def _named(quoted: str, columns: Iterable[Column]) -> str | None:
    """The column that the server names, in quotes where that is needed."""
    name = quoted.removeprefix('"').removesuffix('"').replace('""', '"')
    return next((column.name for column in columns if column.name == name), None)


def _column(row: Row) -> Column:
    _, name, declared, native, domain, labels, required, default, identity, computed = row[:10]
    foreign_counter, collation, by_code_point, deterministic, comment = row[10:15]
    found = column_of(native, labels, collation, by_code_point=bool(by_code_point))
    notes = list(found.notes)
    if domain is not None:
        notes.append(f"is of the domain {domain}, which may have rules of its own")
    if deterministic is False:
        notes.append("takes texts for equal that differ")
    if identity == "a":
        notes.append("takes no value from those who write: the database always counts")
    if foreign_counter:
        notes.append(
            "is counted by a sequence that is not its own, so ids that are given stay behind"
        )
    generated: Literal["counter", "computed"] | None = None
    if computed:
        generated = "computed"
    elif identity or (default or "").startswith("nextval("):
        generated = "counter"
    value = MISSING
    if generated is None and default is not None and found.type is not None:
        value = constant(default, found.type)
    return Column(
        name=name,
        native=declared,
        type=found.type,
        problem=found.problem,
        nullable=not required,
        default=value,
        default_sql=default,
        generated=generated,
        comment=comment,
        notes=tuple(notes),
    )


_WRITTEN: Final = (
    "SELECT pg_catalog.pg_current_wal_insert_lsn()::text,"
    " (pg_catalog.pg_control_system()).system_identifier"
)
_REPLAYED: Final = (
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()"
    " ELSE pg_catalog.pg_current_wal_insert_lsn() END::text,"
    " (pg_catalog.pg_control_system()).system_identifier"
)
_PAGE: Final = 8192
_PAGE_HEADERS: Final = (24, 40)


@frozen
class LogPosition:
    """How far a server is: a place in the log of the system that replicas are copies of."""

    system: int
    place: int


async def written_position(primary: Connection) -> LogPosition:
    """Up to where a primary has written."""
    return await _position(primary, _WRITTEN)


async def replayed_position(replica: Connection) -> LogPosition:
    """Up to where a replica has carried out what it received."""
    return await _position(replica, _REPLAYED)


async def _position(connection: Connection, sql: str) -> LogPosition:
    ((text, system),) = await connection.fetch(sql, ())
    high, _, low = str(text).partition("/")
    place = (int(high, 16) << 32) + int(low, 16)
    if place % _PAGE in _PAGE_HEADERS:
        # Nothing is written behind the header of a page; a replica stops before the header.
        place -= place % _PAGE
    return LogPosition(int(system), place)
