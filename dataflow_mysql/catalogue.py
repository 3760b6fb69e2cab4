"""What is asked of the server's catalogue, and how the SQL that it keeps is read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from attrs import evolve, frozen

from dataflow_core.contract import Connection
from dataflow_core.types import Boolean, Enumeration, FieldType, Text
from dataflow_mysql.columns import Rules

__all__ = [
    "Catalogue",
    "as_written",
    "compared_value",
    "literal_value",
    "marked",
    "read_catalogue",
    "unmarked",
]

_TABLES: Final = (
    "SELECT table_name, table_type, engine, create_options, table_comment,"
    " @@lower_case_table_names FROM information_schema.tables WHERE table_schema = DATABASE()"
)
_COLUMNS: Final = (
    "SELECT table_name, column_name, column_type, is_nullable, column_default, extra,"
    " column_comment, character_set_name, collation_name, generation_expression"
    " FROM information_schema.columns WHERE table_schema = DATABASE()"
)
_INDEXES: Final = (
    "SELECT table_name, index_name, non_unique, column_name, collation, sub_part, index_type,"
    " {more} FROM information_schema.statistics WHERE table_schema = DATABASE()"
)
_KEYS: Final = (
    "SELECT table_name, constraint_name, column_name, referenced_table_schema, DATABASE(),"
    " referenced_table_name, referenced_column_name FROM information_schema.key_column_usage"
    " WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL"
)
_RULES: Final = (
    "SELECT table_name, constraint_name, update_rule, delete_rule"
    " FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()"
)
_MARIADB_CHECKS: Final = (
    "SELECT table_name, constraint_name, check_clause, level, 'YES'"
    " FROM information_schema.check_constraints WHERE constraint_schema = DATABASE()"
)
_MYSQL_CHECKS: Final = (
    "SELECT tables.table_name, checks.constraint_name, checks.check_clause, 'Table',"
    " tables.enforced FROM information_schema.table_constraints AS tables"
    " JOIN information_schema.check_constraints AS checks"
    " ON checks.constraint_schema = tables.constraint_schema"
    " AND checks.constraint_name = tables.constraint_name"
    " WHERE tables.table_schema = DATABASE() AND tables.constraint_type = 'CHECK'"
)
_TRIGGERS: Final = (
    "SELECT event_object_table, trigger_name FROM information_schema.triggers"
    " WHERE trigger_schema = DATABASE() AND event_object_schema = DATABASE()"
)

Rows = Sequence[Sequence[Any]]


@frozen
class Catalogue:
    """The rows of the catalogue, whose first column is the name of the table."""

    tables: Rows
    columns: Rows = ()
    indexes: Rows = ()
    keys: Rows = ()
    rules: Rows = ()
    checks: Rows = ()
    triggers: Rows = ()


async def read_catalogue(connection: Connection, names: Sequence[str] | None) -> Catalogue:
    """What the catalogue says of these tables, or of all; one statement if there are none."""
    mariadb = connection.server.name == "MariaDB"
    parameters = () if names is None else tuple(names)
    marks = ", ".join("?" for _ in parameters)

    async def rows(sql: str, column: str, order: str = "") -> Rows:
        wanted = "" if names is None else f" AND {column} IN ({marks})"
        return await connection.fetch(f"{sql}{wanted}{order}", parameters)

    tables = await rows(_TABLES, "table_name", " ORDER BY table_name")
    if not tables:
        return Catalogue(())
    more = "'', 'YES'" if mariadb else "expression, is_visible"
    checks = (_MARIADB_CHECKS, "table_name") if mariadb else (_MYSQL_CHECKS, "tables.table_name")
    return Catalogue(
        tables,
        columns=await rows(_COLUMNS, "table_name", " ORDER BY table_name, ordinal_position"),
        indexes=await rows(
            _INDEXES.format(more=more),
            "table_name",
            " ORDER BY table_name, index_name, seq_in_index",
        ),
        keys=await rows(
            _KEYS, "table_name", " ORDER BY table_name, constraint_name, ordinal_position"
        ),
        rules=await rows(_RULES, "table_name"),
        checks=await rows(*checks),
        triggers=await rows(_TRIGGERS, "event_object_table", " ORDER BY trigger_name"),
    )


# SQL as the catalogue keeps it

_ESCAPES: Final = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
_ESCAPED: Final = re.compile(r"\\(.)|''", re.DOTALL)
_QUOTED: Final = r"'((?:[^'\\]|\\.|'')*)'"
_LITERAL: Final = re.compile(
    rf"""\s*(?:
        convert\(\s*unhex\(\s*(?:_\w+\s*)?'(?P<hex>[0-9a-f]*)'\s*\)\s+using\s+utf8mb4\s*\)
      | (?:x'|0x|unhex\(\s*(?:_\w+\s*)?')(?P<bytes>[0-9a-f]*)'?\)?
      | b'(?P<bits>[01]*)'
      | (?:_\w+\s*|timestamp\s*|date\s*|time\s*)?{_QUOTED.replace("(", "(?P<text>", 1)}
      | (?P<minus>-\s*)?\(?(?P<number>-?[0-9.]+(?:e[-+]?[0-9]+)?)\)?
      | (?P<word>true|false)
    )\s*""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def _unescaped(sql: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]) if found[1] else "'", sql)


def as_written(sql: str) -> str:
    """An expression of MySQL's catalogue: within a text, its bytes taken for Latin letters."""
    with suppress(UnicodeError):
        sql = sql.encode("latin-1").decode()
    return _unescaped(sql)


def _value(found: re.Match[str]) -> str | bytes:
    if found["hex"] is not None:
        return bytes.fromhex(found["hex"]).decode()
    if found["bytes"] is not None:
        return bytes.fromhex(found["bytes"])
    if found["bits"] is not None:
        return str(int(found["bits"] or "0", 2))
    if found["text"] is not None:
        return _unescaped(found["text"])
    if found["word"] is not None:
        return str(int(found["word"].lower() == "true"))
    return ("-" if found["minus"] else "") + str(found["number"])


def _without_brackets(sql: str) -> str:
    """An expression without brackets around the whole."""
    sql = sql.strip()
    while sql.startswith("(") and sql.endswith(")") and _closes_last(sql):
        sql = sql[1:-1].strip()
    return sql


def _closes_last(sql: str) -> bool:
    """Whether the first bracket is closed by the last one; those within texts do not count."""
    depth = 0
    for found in re.finditer(rf"{_QUOTED}|`(?:[^`]|``)*`|[()]", sql, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return found.end() == len(sql)
    return False


def literal_value(sql: str) -> str | bytes | None:
    """The value of a constant, as text or bytes; ``None`` for an expression."""
    found = _LITERAL.fullmatch(_without_brackets(sql))
    return None if found is None else _value(found)


_COMPARED: Final = re.compile(r"`((?:[^`]|``)+)`\s+(?:in\s*\(|=)", re.IGNORECASE)


def compared_value(sql: str) -> tuple[str, tuple[str | bytes, ...]] | None:
    """The column of ``column IN (constants)`` and the constants; ``None`` for anything else."""
    sql = _without_brackets(sql)
    head = _COMPARED.match(sql)
    if head is None:
        return None
    end, values = len(sql) - head[0].endswith("("), []
    position = head.end()
    while position < end:
        found = _LITERAL.match(sql, position, end)
        if found is None:
            return None
        values.append(_value(found))
        position = found.end() + 1
        if position <= end and sql[found.end() : position] not in (",", ""):
            return None
    return head[1].replace("``", "`"), tuple(values)


# What a comment tells of a type where no check may

_MARK: Final = re.compile(r" ?\[dataflow: (bool|enum (?:\[.*\])|text(?: \d+)?)\]\Z", re.DOTALL)
_ENCODED: Final = re.compile(r"\\|\{(?=U\+[0-9a-f]+\})|\[(?=dataflow:)|[^\u0000-\uffff]")
_CODE: Final = re.compile(r"\{U\+([0-9a-f]+)\}")


def marked(comment: str | None, kind: FieldType | None) -> str:
    """The comment of a column as the server keeps it, which knows the basic plane only.

    ``kind``: a type of which no check tells, since a reference may set the column to NULL.
    """
    text = _encoded(comment or "")
    mark = None
    if isinstance(kind, Boolean):
        mark = "bool"
    elif isinstance(kind, Enumeration):
        mark = f"enum {json.dumps(list(kind.values))}"
    elif isinstance(kind, Text):
        mark = "text" if kind.max_length is None else f"text {kind.max_length}"
    if mark is None:
        return text
    mark = f"[dataflow: {_encoded(mark)}]"
    return f"{text} {mark}" if text else mark


def _encoded(text: str) -> str:
    """A text without backslashes, which modes of a session read differently."""
    return _ENCODED.sub(lambda found: f"{{U+{ord(found[0]):x}}}", text)


def _decoded(text: str) -> str:
    return _CODE.sub(lambda code: chr(int(code[1], 16)), text)


def unmarked(text: str, rules: Rules) -> tuple[str | None, Rules]:
    """The comment that was declared, and the rules with what a mark adds."""
    found = _MARK.search(text)
    if found is not None:
        text = text[: found.start()]
        word, _, rest = found[1].partition(" ")
        if word == "bool":
            rules = evolve(rules, flags=True)
        elif word == "enum":
            rules = evolve(rules, checked=True, values=tuple(map(str, json.loads(_decoded(rest)))))
        else:
            rules = evolve(rules, checked=True, longest=int(rest) if rest else None)
    return _decoded(text) or None, rules
