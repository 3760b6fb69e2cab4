"""CREATE TABLE, CREATE INDEX and CREATE TRIGGER taken apart.

Names of constraints, checks, collations and comments stand in these texts only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

from attrs import frozen

from dataflow_sqlite.statements.tokens import Token, comment_of, tokens_of

__all__ = [
    "Constraint",
    "ParsedColumn",
    "ParsedIndex",
    "ParsedTable",
    "parse_index",
    "parse_table",
    "statement_name",
]


@frozen
class Constraint:
    """A constraint in the text of a table.

    Attributes:
        kind: ``PRIMARY``, ``UNIQUE``, ``CHECK``, ``FOREIGN`` or another first word.
        name: the name that it was given.
        columns: the names of its columns; of a check none.
        table: of a foreign key, the table that it points to.
        text: all of it, from the word CONSTRAINT on.
        body: of a check its condition.
    """

    kind: str
    name: str | None
    columns: tuple[str, ...]
    text: str
    table: str = ""
    body: str = ""

    def as_of_table(self, columns: str) -> str:
        """The text of a reference as one of the table, whose columns are quoted already."""
        if self.kind != "REFERENCES":
            return self.text
        start = next(token.start for token in tokens_of(self.text) if token.word == "REFERENCES")
        return f"{self.text[:start]}FOREIGN KEY ({columns}) {self.text[start:]}"


@frozen(slots=False)
class ParsedColumn:
    """The definition of a column: its text, and the constraints inside."""

    name: str
    text: str
    constraints: tuple[Constraint, ...]
    comment: str | None

    @cached_property
    def collation(self) -> str | None:
        """The collation that it was given; ``None`` without one."""
        found = [item.body for item in self.constraints if item.kind == "COLLATE"]
        return found[-1].upper() if found else None

    def checks(self, prefix: str = "") -> list[Constraint]:
        """Its checks whose names begin so."""
        return [
            item
            for item in self.constraints
            if item.kind == "CHECK" and (item.name or "").startswith(prefix)
        ]


@frozen
class ParsedTable:
    """A CREATE TABLE taken apart. ``tail`` is what follows the closing parenthesis."""

    columns: tuple[ParsedColumn, ...]
    constraints: tuple[Constraint, ...]
    tail: str

    @property
    def foreign_keys(self) -> list[Constraint]:
        """Those of the columns and those of the table, in the order of the text."""
        inside = [
            item
            for column in self.columns
            for item in column.constraints
            if item.kind == "REFERENCES"
        ]
        return inside + [item for item in self.constraints if item.kind == "FOREIGN"]


def parse_table(sql: str) -> ParsedTable:
    """Take a stored CREATE TABLE apart."""
    tokens = tokens_of(sql)
    start = next(at for at, token in enumerate(tokens) if token.text == "(")
    parts, after = _split(tokens, start)
    columns: list[ParsedColumn] = []
    constraints: list[Constraint] = []
    for part in parts:
        first = next((token for token in part if token.kind != "comment"), None)
        if first is None:
            continue
        if columns and first.word in _TABLE_CONSTRAINTS:
            constraints += _constraints(part, sql, ())
        else:
            columns.append(_column(part, sql))
    tail = sql[tokens[after].end :] if after < len(tokens) else ""
    return ParsedTable(tuple(columns), tuple(constraints), tail.strip())


@frozen
class ParsedIndex:
    """A CREATE INDEX: the texts of its parts, and the condition of a partial one."""

    parts: tuple[str, ...]
    where: str | None


def parse_index(sql: str) -> ParsedIndex:
    """Take a stored CREATE INDEX apart."""
    tokens = [token for token in tokens_of(sql) if token.kind != "comment"]
    on = next(at for at, token in enumerate(tokens) if token.word == "ON")
    start = next(at for at in range(on + 1, len(tokens)) if tokens[at].text == "(")
    parts, after = _split(tokens, start)
    rest = tokens[after + 1 :]
    where = sql[rest[1].start :].strip() if len(rest) > 1 and rest[0].word == "WHERE" else None
    return ParsedIndex(tuple(_expression(part, sql) for part in parts), where)


def statement_name(sql: str) -> tuple[str, str]:
    """What a stored statement makes, such as ``INDEX``, and its name."""
    tokens = [token for token in tokens_of(sql) if token.kind != "comment"]
    at = next(at for at, token in enumerate(tokens) if token.word in ("INDEX", "TRIGGER"))
    named = tokens[at + 1 :]
    if [token.word for token in named[:3]] == ["IF", "NOT", "EXISTS"]:
        named = named[3:]
    return tokens[at].word, named[0].name


def _expression(part: Sequence[Token], sql: str) -> str:
    """The text of a part of an index without its direction."""
    end = len(part) - 1 if part[-1].word in ("ASC", "DESC") else len(part)
    return sql[part[0].start : part[end - 1].end]


_TABLE_CONSTRAINTS: Final = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")
_COLUMN_CONSTRAINTS: Final = (
    *("CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE"),
    *("REFERENCES", "GENERATED", "AS"),
)


def _split(tokens: Sequence[Token], start: int) -> tuple[list[list[Token]], int]:
    """What stands between a parenthesis and the one that closes it, parted at commas; its place."""
    depth, at = 0, start
    parts: list[list[Token]] = [[]]
    for at in range(start, len(tokens)):
        token = tokens[at]
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
        if depth == 0:
            break
        if at == start:
            continue
        if depth == 1 and token.text == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts, at


def _column(part: list[Token], sql: str) -> ParsedColumn:
    first = next(at for at, token in enumerate(part) if token.kind != "comment")
    name = part[first].name
    text = sql[part[first].start : part[-1].end]
    inner = _constraints(part[first + 1 :], sql, (name,))
    return ParsedColumn(name, text, tuple(inner), comment_of(part))


def _constraints(part: list[Token], sql: str, columns: tuple[str, ...]) -> list[Constraint]:
    """The constraints in a definition, in order; ``columns`` are those of a column's own."""
    words = _COLUMN_CONSTRAINTS if columns else _TABLE_CONSTRAINTS
    found = []
    name: str | None = None
    begin: int | None = None
    for at in _starts(part, words):
        token = part[at]
        begin = at if begin is None else begin
        if token.word == "CONSTRAINT":
            name = _after(part, at)[0].name
            continue
        following = next((next_at for next_at in _starts(part, words) if next_at > at), len(part))
        inside = [token for token in part[at:following] if token.kind != "comment"]
        text = sql[part[begin].start : inside[-1].end]
        found.append(_constraint(inside, name, columns, text, sql))
        name, begin = None, None
    return found


def _starts(part: list[Token], words: Sequence[str]) -> Iterator[int]:
    """The places of the words with which constraints begin, outside of parentheses."""
    depth = 0
    previous = ""
    for at, token in enumerate(part):
        if token.kind == "comment":
            continue
        if token.kind == "sign":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        elif depth == 0 and token.word in words and not _goes_on(previous, token.word):
            following = _after(part, at)
            if not (token.word == "NOT" and following and following[0].word == "DEFERRABLE"):
                yield at
        # The name of a constraint may look like a word of SQL.
        previous = "CONSTRAINT NAME" if previous == "CONSTRAINT" else token.word


def _goes_on(previous: str, word: str) -> bool:
    """Whether a word belongs to the one before it: NOT NULL, DEFAULT NULL, SET NULL."""
    pairs = {
        "NULL": ("NOT", "DEFAULT", "SET"),
        "DEFAULT": ("SET",),
        "AS": ("ALWAYS",),
        "REFERENCES": (),
    }
    return previous == "CONSTRAINT" or previous in pairs.get(word, ())


def _after(part: Sequence[Token], at: int) -> list[Token]:
    return [token for token in part[at + 1 :] if token.kind != "comment"]


def _constraint(
    inside: list[Token], name: str | None, columns: tuple[str, ...], text: str, sql: str
) -> Constraint:
    kind = inside[0].word
    if kind == "COLLATE":
        return Constraint(kind, name, columns, text, body=inside[1].name)
    if kind == "REFERENCES":
        return Constraint(kind, name, columns, text, inside[1].name)
    opening = next((at for at, token in enumerate(inside) if token.text == "("), None)
    if opening is None:
        return Constraint(kind, name, columns, text)
    parts, closing = _split(inside, opening)
    if kind == "CHECK":
        body = sql[inside[opening].end : inside[closing].start].strip()
        return Constraint(kind, name, columns, text, body=body)
    if columns:
        return Constraint(kind, name, columns, text)
    named = tuple(item[0].name for item in parts if item)
    table = ""
    for at, token in enumerate(inside):
        if token.word == "REFERENCES":
            table = inside[at + 1].name
    return Constraint(kind, name, named, text, table)
