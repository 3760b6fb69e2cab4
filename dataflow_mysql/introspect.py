"""What the database tells about its tables."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from attrs import define, evolve, field

from dataflow_core.contract import Connection
from dataflow_core.schema import MISSING, Column, Table, TableCheck, TableIndex, TableReference
from dataflow_mysql.catalogue import (
    as_written,
    compared_value,
    literal_value,
    read_catalogue,
    unmarked,
)
from dataflow_mysql.columns import Rules, constant, found_type, native_type
from dataflow_mysql.ddl import ENUM_CHECK, LENGTH_CHECK, TYPE_CHECK
from dataflow_mysql.indexes import made_index, marker_name

__all__ = ["read_tables"]

_KINDS: Final[Mapping[str, Literal["table", "view"]]] = {
    "BASE TABLE": "table",
    "SYSTEM VERSIONED": "table",
    "VIEW": "view",
}
_ACTIONS: Final[Mapping[str, Any]] = {
    "RESTRICT": "restrict",
    "CASCADE": "cascade",
    "SET NULL": "set_null",
    "NO ACTION": "no_action",
    "SET DEFAULT": "set_default",
}
_PARTS: Final = ("columns", "indexes", "keys", "rules", "checks", "triggers")
_LENGTH: Final = re.compile(r"char_length\(`((?:[^`]|``)+)`\) (<=?) (\d+)")
_VALID: Final = re.compile(r"\(?json_valid\(`((?:[^`]|``)+)`\)\)?")
_MARKED: Final = re.compile(r"\(?case when (.*) then 1 end\)?", re.DOTALL | re.IGNORECASE)
_UPDATED: Final = re.compile(r"on update \S+", re.IGNORECASE)


async def read_tables(connection: Connection, names: Sequence[str] | None) -> Sequence[Table]:
    """The tables and views of these names, or of all; one statement if none of them is there."""
    if names is not None and not names:
        return []
    catalogue = await read_catalogue(connection, names)
    mariadb = connection.server.name == "MariaDB"
    parts = {what: _by_table(getattr(catalogue, what)) for what in _PARTS}
    result = []
    for name, kind, engine, options, comment, folded in catalogue.tables:
        asked = _asked(name, names, folded=bool(folded))
        if asked is None or kind not in _KINDS:
            continue
        rows = [parts[what].get(name, []) for what in _PARTS]
        table = _Table(name, mariadb, *rows).read()
        notes = (*table.notes, *_table_notes(asked, kind, engine, options, comment))
        shown = None if _KINDS[kind] == "view" else comment or None
        result.append(evolve(table, name=asked, kind=_KINDS[kind], comment=shown, notes=notes))
    return result


def _by_table(rows: Iterable[Sequence[Any]]) -> dict[str, list[Sequence[Any]]]:
    result: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        result[row[0]].append(row[1:])
    return result


def _asked(name: str, names: Sequence[str] | None, *, folded: bool) -> str | None:
    """The name by which a table was asked for; some servers keep names in lower case."""
    if names is None or name in names:
        return name
    if not folded:
        return None
    return next((asked for asked in names if asked.lower() == name.lower()), None)


def _table_notes(
    name: str, kind: str, engine: str | None, options: str | None, comment: str
) -> list[str]:
    notes = []
    if kind == "SYSTEM VERSIONED":
        notes.append(f"{name} has former versions of its rows, which the server keeps")
    if "partitioned" in (options or "").lower():
        notes.append(f"{name} is partitioned")
    if kind != "VIEW" and (engine or "").lower() != "innodb":
        notes.append(
            f"{name} has the engine {engine}, which may know no transactions or references"
        )
    if kind == "VIEW" and comment not in ("", "VIEW"):
        # In the place of a comment stands the error that the server gives whoever reads the view.
        notes.append(f"{name} cannot be read: {comment}")
    return notes


@define
class _Table:
    """The rows of the catalogue about one table, put together."""

    name: str
    mariadb: bool
    columns: list[Sequence[Any]]
    indexes: list[Sequence[Any]]
    keys: list[Sequence[Any]]
    rules: list[Sequence[Any]]
    checks: list[Sequence[Any]]
    triggers: list[Sequence[Any]]
    notes: list[str] = field(factory=list, init=False)

    def read(self) -> Table:
        """The table, without what the list of tables says of it."""
        checks, own_checks, rules = self._checks()
        markers = self._markers()
        primary, indexes = self._indexes(markers)
        references = self._references()
        made = self._made_for(references)
        return Table(
            self.name,
            columns=tuple(
                self._column(row, rules) for row in self.columns if row[0] not in markers
            ),
            primary_key=primary,
            indexes=tuple(
                index
                for index in indexes
                if (index.name, index.columns) not in made or index.unique or index.descending
            ),
            foreign_keys=tuple(references),
            checks=tuple(checks),
            type_checks=tuple(own_checks),
            triggers=tuple(row[0] for row in self.triggers),
            notes=tuple(self.notes),
        )

    def _column(self, row: Sequence[Any], rules: Mapping[str, Rules]) -> Column:
        name, declared, nullable, default, extra, comment, _, collation, computed = row
        extra = extra.lower()
        counter = "auto_increment" in extra
        shown, own = unmarked(comment, rules.get(name, Rules()))
        found = found_type(declared, collation, own, counter=counter)
        notes = list(found.notes)
        generated: Literal["counter", "computed"] | None = "counter" if counter else None
        if "generated" in extra.replace("default_generated", ""):
            generated = "computed"
            notes.append(f"is computed as {self._text(computed)}")
        updated = _UPDATED.search(extra)
        if updated is not None:
            notes.append(f"every update of a row sets it: {updated[0]}")
        if "invisible" in extra:
            notes.append("SELECT * leaves it out")
        sql, value = self._default(default, extra, found.type)
        if generated == "computed":
            sql, value = None, MISSING
        return Column(
            name,
            native_type(declared, collation),
            type=found.type,
            problem=found.problem,
            nullable=nullable == "YES",
            default=value,
            default_sql=sql,
            generated=generated,
            comment=shown,
            notes=tuple(notes),
        )

    def _text(self, sql: str) -> str:
        """An expression of the catalogue as it would be written."""
        return sql if self.mariadb else as_written(sql)

    def _default(self, default: str | None, extra: str, kind: Any) -> tuple[str | None, Any]:
        """The default as SQL, and as a value of the type."""
        if default is None or (self.mariadb and default.upper() == "NULL"):
            return None, MISSING
        if self.mariadb or "default_generated" in extra:
            sql = self._text(default)
            return sql, constant(literal_value(sql), kind)
        # Here the catalogue has the value itself, but for bits and bytes.
        found = literal_value(default) if default.startswith(("b'", "0x")) else default
        return default, constant(found, kind)

    def _checks(self) -> tuple[list[TableCheck], list[TableCheck], dict[str, Rules]]:
        """The checks, those by which a type is kept, and what these tell of the columns."""
        checks, own = [], []
        rules: dict[str, Rules] = defaultdict(Rules)
        for name, clause, level, enforced in self.checks:
            sql = self._text(clause)
            column = _rule(name, sql, rules)
            if enforced != "YES":
                self.notes.append(f"the check {name} is not enforced")
            if column and name.partition(":")[0] in (TYPE_CHECK, LENGTH_CHECK, ENUM_CHECK):
                own.append(TableCheck(name, sql))
            elif not (column and level == "Column" and rules[name].documents):
                checks.append(TableCheck(None if level == "Column" else name, sql))
        return checks, own, rules

    def _markers(self) -> dict[str, str]:
        """The columns by which this project keeps values unique among some rows: the conditions."""
        wanted = {marker_name(row[0]) for row in self.indexes if not row[1]}
        found = {row[0]: _MARKED.fullmatch(row[-1] or "") for row in self.columns}
        return {
            name: self._text(condition[1])
            for name, condition in found.items()
            if condition is not None and name in wanted
        }

    def _indexes(self, markers: Mapping[str, str]) -> tuple[tuple[str, ...], list[TableIndex]]:
        """The columns of the primary key, and the other indexes."""
        parts: dict[str, list[Sequence[Any]]] = defaultdict(list)
        for row in self.indexes:
            parts[row[0]].append(row)
        primary = tuple(row[2] for row in parts.pop("PRIMARY", []))
        result = []
        for name, rows in parts.items():
            unique = not rows[0][1]
            where = markers.get(marker_name(name))
            rows = rows if where is None else rows[:-1]
            columns = tuple(self._part(row, unique=unique) for row in rows)
            method = rows[0][5]
            if rows[0][7] != "YES":
                self.notes.append(f"the index {name} is not used by the server")
            result.append(
                TableIndex(
                    name,
                    columns,
                    unique=unique,
                    descending=frozenset(row[2] for row in rows if row[3] == "D" and row[2]),
                    expressions=any(row[2] is None or (unique and row[4]) for row in rows),
                    where=where,
                    method=None if method == "BTREE" else method.lower(),
                )
            )
        return primary, result

    def _part(self, row: Sequence[Any], *, unique: bool) -> str:
        """A column; the text of an expression, as which the start of a unique column counts."""
        column, start, expression = row[2], row[4], row[6]
        if column is None:
            return self._text(expression)
        return f"LEFT(`{column}`, {start})" if unique and start else str(column)

    def _references(self) -> list[TableReference]:
        rules = {name: (update, delete) for name, update, delete in self.rules}
        parts: dict[str, list[Sequence[Any]]] = defaultdict(list)
        for row in self.keys:
            parts[row[0]].append(row)
        result = []
        for name, rows in parts.items():
            update, delete = rules.get(name, ("NO ACTION", "NO ACTION"))
            schema, current, table = rows[0][2:5]
            result.append(
                TableReference(
                    name,
                    tuple(row[1] for row in rows),
                    table if schema == current else f"{schema}.{table}",
                    tuple(row[5] for row in rows),
                    on_delete=_ACTIONS[delete],
                    on_update=_ACTIONS[update],
                )
            )
        position = {row[0]: at for at, row in enumerate(self.columns)}
        return sorted(result, key=lambda key: [position.get(name, 0) for name in key.columns])

    def _made_for(self, references: Iterable[TableReference]) -> set[tuple[str, tuple[str, ...]]]:
        """The indexes that the server makes by itself for references."""
        return {(made_index(self.name, reference), reference.columns) for reference in references}


def _rule(name: str, sql: str, rules: dict[str, Rules]) -> str | None:
    """Note what a check tells of a column's type; the column, if it does."""
    valid = _VALID.fullmatch(sql)
    if valid is not None:
        column = valid[1].replace("``", "`")
        rules[column] = evolve(rules[column], documents=True)
        return column
    if name.startswith(LENGTH_CHECK):
        lengths = _LENGTH.findall(sql)
        for column, sign, number in lengths:
            column = column.replace("``", "`")
            longest = int(number) if sign == "<=" else rules[column].longest
            rules[column] = evolve(rules[column], checked=True, longest=longest)
        return lengths[0][0].replace("``", "`") if lengths else None
    compared = compared_value(sql)
    if compared is None:
        return None
    column, values = compared
    if name.startswith(ENUM_CHECK):
        rules[column] = evolve(rules[column], values=tuple(map(str, values)))
        return column
    if set(values) == {"0", "1"}:
        rules[column] = evolve(rules[column], flags=True)
        return column
    return None
