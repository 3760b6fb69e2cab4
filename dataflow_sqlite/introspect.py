"""What the database tells about its tables, put together from its catalogue and their texts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from attrs import define, field

from dataflow_core.contract import Connection
from dataflow_core.errors import DataFlowError
from dataflow_core.schema import MISSING, Column, Table, TableCheck, TableIndex, TableReference
from dataflow_core.types import Enumeration, FieldType, Integer
from dataflow_sqlite.catalogue import COLUMNS, FOREIGN_KEYS, INDEXES, OBJECTS, SHADOWS
from dataflow_sqlite.columns import (
    StoredValues,
    foreign_column,
    needs_rows,
    stored_values,
    with_nulls,
)
from dataflow_sqlite.ddl import ENUM_CHECK, LENGTH_CHECK, TYPE_CHECK
from dataflow_sqlite.statements.parse import (
    ParsedColumn,
    ParsedTable,
    parse_index,
    parse_table,
)
from dataflow_sqlite.statements.tokens import literal_value, tokens_of
from dataflow_sqlite.types import codec, field_type

__all__ = ["read_tables"]

_SHADOWS_SINCE: Final = (3, 37)
_COMPUTED: Final = (2, 3)
_EXPRESSION: Final = -2
_ACTIONS: Final = {
    "NO ACTION": "no_action",
    "RESTRICT": "restrict",
    "CASCADE": "cascade",
    "SET NULL": "set_null",
    "SET DEFAULT": "set_default",
}


@define
class _Found:
    """A table as its catalogue rows come in. ``asked`` is the name that it was asked for by."""

    name: str
    asked: str
    kind: str
    sql: str
    statements: list[str] = field(factory=list)
    index_sql: dict[str, str] = field(factory=dict)
    triggers: list[str] = field(factory=list)
    columns: list[Any] = field(factory=list)
    indexes: dict[str, list[Any]] = field(factory=dict)
    keys: dict[int, list[Any]] = field(factory=dict)
    rows: dict[str, StoredValues] = field(factory=dict)
    notes: list[str] = field(factory=list)
    parsed: ParsedTable | None = None
    key_has_nulls: bool = False

    @property
    def virtual(self) -> bool:
        """Whether a module makes its rows up."""
        return self.kind == "table" and self.parsed is None


async def read_tables(connection: Connection, names: Sequence[str] | None) -> Sequence[Table]:
    """The tables and views of these names, or of all.

    Names are those of SQLite, to which upper and lower case are the same.
    """
    found = await _objects(connection, names)
    if not found:
        return []
    await _columns(connection, found)
    plain = {name: table for name, table in found.items() if table.parsed is not None}
    listed = (json.dumps(list(plain)),)
    for row in await connection.fetch(INDEXES, listed):
        plain[row[0]].indexes.setdefault(row[1], []).append(row)
    for row in await connection.fetch(FOREIGN_KEYS, listed):
        plain[row[0]].keys.setdefault(row[1], []).append(row)
    await _look_at_rows(connection, found)
    return [_table(table) for table in found.values()]


async def _objects(connection: Connection, names: Sequence[str] | None) -> dict[str, _Found]:
    sql = OBJECTS
    parameters: tuple[str, ...] = ()
    asked: dict[str, str] = {}
    if names is not None:
        sql = f"{OBJECTS} AND tbl_name COLLATE NOCASE IN (SELECT value FROM json_each(?))"
        parameters = (json.dumps(list(names)),)
        asked = {name.casefold(): name for name in names}
    rows = await connection.fetch(sql, parameters)
    hidden: set[str] = set()
    if names is None and connection.server.version >= _SHADOWS_SINCE:
        hidden = {row[0] for row in await connection.fetch(SHADOWS, ())}
    found: dict[str, _Found] = {}
    for kind, name, _, text in rows:
        if kind in ("table", "view") and name not in hidden:
            table = _Found(name, asked.get(name.casefold(), name), kind, text or "")
            if kind == "table" and _is_plain(table.sql):
                table.parsed = parse_table(table.sql)
            found[name] = table
    for kind, name, of_table, text in rows:
        owner = found.get(of_table)
        if owner is None or text is None or kind not in ("index", "trigger"):
            continue
        owner.statements.append(text)
        if kind == "index":
            owner.index_sql[name] = text
        else:
            owner.triggers.append(name)
    return found


def _is_plain(sql: str) -> bool:
    words = [token.word for token in tokens_of(sql)[:3] if token.kind != "comment"]
    return "VIRTUAL" not in words[:2]


async def _columns(connection: Connection, found: dict[str, _Found]) -> None:
    """What the columns are called and declared as, of all in one statement."""
    sure = [table.name for table in found.values() if table.parsed is not None]
    others = [table.name for table in found.values() if table.parsed is None]
    for names in (sure, others):
        if not names:
            continue
        try:
            rows = await connection.fetch(COLUMNS, (json.dumps(names),))
        except sqlite3.Error:
            # A view of what is gone, or a module that is not here, spoils the statement for all.
            rows = [row for name in names for row in await _columns_of(connection, found[name])]
        for row in rows:
            found[row[0]].columns.append(row)


async def _columns_of(connection: Connection, table: _Found) -> Sequence[Sequence[Any]]:
    try:
        return await connection.fetch(COLUMNS, (json.dumps([table.name]),))
    except sqlite3.Error as error:
        table.notes.append(f"{table.asked} cannot be read: {error}")
        return []


async def _look_at_rows(connection: Connection, found: dict[str, _Found]) -> None:
    """Values of each column whose declared type does not tell how they are written."""
    wanted = [
        (table.name, str(row[1]), row[2] or "")
        for table in found.values()
        for row in table.columns
        if row[6] != 1 and not _own(table, row[1]) and needs_rows(row[2] or "")
    ]
    for (name, column, _), values in (await stored_values(connection, wanted)).items():
        if isinstance(values, str):
            found[name].notes.append(f"{column} cannot be read: {values}")
        else:
            found[name].rows[column] = values
    # Only the number of a row and what is NOT NULL are sure; an index answers for the first column.
    keys = [
        (table.name, str(row[1]))
        for table in found.values()
        for row in table.columns
        if table.parsed is not None and row[5] == 1 and not row[3]
        if _automatic_key(table, tuple(str(each[1]) for each in table.columns if each[5])) is None
    ]
    for name in await with_nulls(connection, keys):
        found[name].key_has_nulls = True


# Putting it together


def _definition(table: _Found, name: str) -> ParsedColumn | None:
    columns = table.parsed.columns if table.parsed is not None else ()
    return next((item for item in columns if item.name == name), None)


def _own(table: _Found, name: str) -> bool:
    """Whether this project made the column: its type is kept by a check then, or it counts."""
    found = _definition(table, name)
    return found is not None and (bool(found.checks(TYPE_CHECK)) or _counts(found))


def _counts(definition: ParsedColumn) -> bool:
    return any(
        item.kind == "PRIMARY" and tokens_of(item.text)[-1].word == "AUTOINCREMENT"
        for item in definition.constraints
    )


def _table(table: _Found) -> Table:
    notes = list(table.notes)
    if table.asked != table.name:
        notes.append(f"{table.asked} is called {table.name} in the database")
    key = sorted((row for row in table.columns if row[5]), key=lambda row: row[5])
    names = tuple(str(row[1]) for row in key)
    automatic = _automatic_key(table, names)
    if table.key_has_nulls:
        notes.append(f"rows have NULL for {names[0]}: its key does not tell them apart")
        names = ()
    columns = tuple(_column(table, row, automatic) for row in table.columns if row[6] != 1)
    if table.virtual:
        notes.append(f"{table.asked} is a virtual table: its module says what can be done with it")
    if hidden := [str(row[1]) for row in table.columns if row[6] == 1]:
        notes.append(f"{table.asked} has hidden columns: {', '.join(hidden)}")
    indexes, of_indexes = _indexes(table)
    keys, of_keys = _foreign_keys(table)
    return Table(
        table.asked,
        kind="view" if table.kind == "view" else "table",
        columns=columns,
        primary_key=names,
        indexes=tuple(indexes),
        foreign_keys=tuple(keys),
        checks=tuple(_checks(table)),
        triggers=tuple(sorted(table.triggers)),
        notes=(*notes, *of_indexes, *of_keys, *_tail_notes(table)),
        source=(table.sql, *table.statements),
    )


def _automatic_key(table: _Found, key: tuple[str, ...]) -> str | None:
    """The column that is the number of the row, which SQLite counts."""
    if table.parsed is None or len(key) != 1:
        return None
    has_index = any(rows[0][3] == "pk" for rows in table.indexes.values())
    return None if has_index else key[0]


def _tail_notes(table: _Found) -> list[str]:
    words = [] if table.parsed is None else [token.word for token in tokens_of(table.parsed.tail)]
    told = {
        "WITHOUT": f"{table.asked} is WITHOUT ROWID: its rows have no number of their own",
        "STRICT": f"{table.asked} is STRICT: columns refuse values of other types",
    }
    return [note for word, note in told.items() if word in words]


def _column(table: _Found, row: Sequence[Any], automatic: str | None) -> Column:
    _, name, declared, not_null, default_sql, in_key, hidden = row
    definition = _definition(table, name)
    counter = name == automatic
    kind, problem, notes = _type_of(table, row, definition, counter)
    computed = hidden in _COMPUTED
    nullable = not not_null and not counter
    if in_key and nullable and not counter:
        notes = (*notes, "is part of the key and may be NULL all the same")
    collation = None if definition is None else definition.collation
    if collation not in (None, "BINARY"):
        notes = (*notes, f"compares by its own collation {collation}")
    return Column(
        name=name,
        native=declared or "",
        type=kind,
        problem=problem,
        nullable=nullable,
        default=MISSING if default_sql is None else _default(default_sql, kind),
        default_sql=default_sql,
        generated="computed" if computed else "counter" if counter else None,
        comment=None if definition is None else definition.comment,
        notes=notes,
    )


def _type_of(
    table: _Found, row: Sequence[Any], definition: ParsedColumn | None, counter: bool
) -> tuple[FieldType | None, str | None, tuple[str, ...]]:
    name, declared = row[1], row[2]
    if definition is not None and _own(table, name):
        if counter:
            return Integer(32 if definition.checks(TYPE_CHECK) else 64), None, ()
        own = _own_type(declared, definition)
        if own is not None:
            return own, None, ()
    if counter:
        return Integer(), None, ()
    found = foreign_column(declared or "", table.rows.get(name, StoredValues()))
    return found.type, found.problem, found.notes


def _own_type(declared: str, definition: ParsedColumn) -> FieldType | None:
    kind = field_type(declared)
    checks = definition.checks(ENUM_CHECK)
    if kind is None or not checks:
        return kind
    tokens = tokens_of(checks[0].body)
    start = next(at for at, token in enumerate(tokens) if token.word == "IN")
    values = []
    part = ""
    for token in [*tokens[start + 2 : -1], None]:
        if token is None or token.text == ",":
            values.append(literal_value(part)[1])
            part = ""
        else:
            part += token.text
    decode = codec(kind).decode
    return Enumeration(tuple(value if decode is None else decode(value) for value in values), kind)


def _default(sql: str, kind: FieldType | None) -> Any:
    constant, value = literal_value(sql)
    if not constant or kind is None or value is None:
        return None if constant and value is None else MISSING
    decode = codec(kind).decode
    try:
        return kind.check(value if decode is None else decode(value), "a default")
    except (DataFlowError, ValueError, TypeError, ArithmeticError):
        # It is told as the database keeps it.
        return MISSING


def _indexes(table: _Found) -> tuple[list[TableIndex], list[str]]:
    found, notes = [], []
    for name, rows in table.indexes.items():
        if rows[0][3] == "pk":
            continue
        sql = table.index_sql.get(name)
        parsed = None if sql is None else parse_index(sql)
        columns, down = [], []
        for at, (*_, cid, column, descending, collation) in enumerate(rows):
            is_text = parsed is not None and cid == _EXPRESSION
            part = parsed.parts[at] if is_text and parsed is not None else str(column or "rowid")
            columns.append(part)
            if descending:
                down.append(part)
            definition = _definition(table, part)
            own = (definition.collation if definition is not None else None) or "BINARY"
            if collation is not None and not is_text and collation.upper() != own:
                notes.append(f"the index {name} compares {part} by {collation}")
        found.append(
            TableIndex(
                name=name,
                columns=tuple(columns),
                unique=bool(rows[0][2]),
                descending=frozenset(down),
                expressions=any(row[5] == _EXPRESSION for row in rows),
                where=None if parsed is None else parsed.where,
                constraint=rows[0][3] == "u",
            )
        )
    return found, notes


def _foreign_keys(table: _Found) -> tuple[list[TableReference], list[str]]:
    found, notes = [], []
    declared = [] if table.parsed is None else list(table.parsed.foreign_keys)
    for rows in table.keys.values():
        columns = tuple(str(row[2]) for row in rows)
        target, on_delete, on_update = str(rows[0][3]), rows[0][5], rows[0][6]
        if any(row[4] is None for row in rows):
            notes.append(f"{', '.join(columns)} refers to {target}, which has no such key")
            continue
        text = next(
            (
                item
                for item in declared
                if _folded(item.columns) == _folded(columns)
                and item.table.casefold() == target.casefold()
            ),
            None,
        )
        if text is not None:
            declared.remove(text)
            if "DEFERRED" in (token.word for token in tokens_of(text.text)):
                notes.append(f"the reference of {', '.join(columns)} is looked at on commit")
        found.append(
            TableReference(
                name=None if text is None else text.name,
                columns=columns,
                table=target,
                target=tuple(str(row[4]) for row in rows),
                on_delete=_ACTIONS[on_delete],  # type: ignore[arg-type]
                on_update=_ACTIONS[on_update],  # type: ignore[arg-type]
            )
        )
    return found, notes


def _folded(names: Iterable[str]) -> list[str]:
    return [name.casefold() for name in names]


def _checks(table: _Found) -> list[TableCheck]:
    if table.parsed is None:
        return []
    inside = [item for column in table.parsed.columns for item in column.checks()]
    of_table = [item for item in table.parsed.constraints if item.kind == "CHECK"]
    own = tuple(f"{word}:" for word in (TYPE_CHECK, LENGTH_CHECK, ENUM_CHECK))
    return [
        TableCheck(item.name, item.body)
        for item in (*inside, *of_table)
        if not (item.name or "").startswith(own)
    ]
