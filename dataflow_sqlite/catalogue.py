"""What SQLite keeps of its schema: queries of the catalogue, and the stored statements taken apart.

Names of constraints, checks, collations and comments stand in the text of CREATE TABLE only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

from attrs import frozen

__all__ = [
    "COLUMNS",
    "FOREIGN_KEYS",
    "INDEXES",
    "OBJECTS",
    "SHADOWS",
    "Constraint",
    "ParsedColumn",
    "ParsedIndex",
    "ParsedTable",
    "Token",
    "comment_text",
    "literal_value",
    "parse_index",
    "parse_table",
    "tokens_of",
]

OBJECTS: Final = (
    "SELECT type, name, tbl_name, sql FROM main.sqlite_master"
    " WHERE name NOT LIKE 'sqlite|_%' ESCAPE '|'"
)
"""Tables, views, indexes and triggers; without those that SQLite makes by itself."""
SHADOWS: Final = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
"""Tables in which virtual ones keep what they hold; from SQLite 3.37."""
_EACH: Final = "(SELECT value AS of_table FROM json_each(?))"
COLUMNS: Final = (
    'SELECT of_table, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden'
    f" FROM {_EACH}, pragma_table_xinfo(of_table, 'main') AS c ORDER BY c.cid"
)
INDEXES: Final = (
    'SELECT of_table, i.name, i."unique", i.origin, i.partial, c.cid, c.name, c."desc", c.coll'
    f" FROM {_EACH}, pragma_index_list(of_table, 'main') AS i,"
    " pragma_index_xinfo(i.name, 'main') AS c WHERE c.key ORDER BY i.seq DESC, c.seqno"
)
_IS_TARGET: Final = 'i.name = f."to" COLLATE NOCASE OR (f."to" IS NULL AND i.pk = f.seq + 1)'
FOREIGN_KEYS: Final = (
    'SELECT of_table, f.id, f."from", COALESCE((SELECT name FROM main.sqlite_master WHERE type ='
    ' \'table\' AND name = f."table" COLLATE NOCASE), f."table"), COALESCE((SELECT i.name FROM'
    f' pragma_table_info(f."table", \'main\') AS i WHERE {_IS_TARGET}), f."to"),'
    " f.on_delete, f.on_update"
    f" FROM {_EACH}, pragma_foreign_key_list(of_table, 'main') AS f ORDER BY f.id DESC, f.seq"
)


@frozen
class Token:
    """A piece of SQL. ``kind``: ``word``, ``name`` (quoted), ``text``, ``comment`` or ``sign``."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where it ends in the statement."""
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        """The keyword that it may be; empty for what is quoted."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """The identifier that it is, without its quotes."""
        if self.kind not in ("name", "text"):
            return self.text
        quote = self.text[-1]
        inner = self.text[1:-1]
        return inner if quote == "]" else inner.replace(quote * 2, quote)


_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<text>'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    | (?P<number>0[xX][0-9a-fA-F]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<blob>[xX]'[0-9a-fA-F]*')
    | (?P<word>[\w$\u0080-\U0010ffff]+)
    | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)


def tokens_of(sql: str) -> list[Token]:
    """The tokens of a statement that SQLite has accepted; without white space."""
    return [
        Token(found.lastgroup or "sign", found[0], found.start())
        for found in _TOKEN.finditer(sql)
        if found.lastgroup != "space"
    ]


_COMMENT: Final = re.compile(r"/\* comment: (\".*\") \*/", re.DOTALL)


def comment_text(comment: str) -> str:
    """A comment of a column inside the statement; nothing in it can end it."""
    text = json.dumps(comment, ensure_ascii=False).replace("*", "\\u002a")
    return f"/* comment: {text} */"


def _comment_of(tokens: Sequence[Token]) -> str | None:
    for token in tokens:
        found = _COMMENT.fullmatch(token.text) if token.kind == "comment" else None
        if found is not None:
            comment: str = json.loads(found[1])
            return comment
    return None


_NOT_A_LITERAL: Final = object()
_WORDS: Final[dict[str, Any]] = {"NULL": None, "TRUE": 1, "FALSE": 0}


def literal_value(sql: str) -> tuple[bool, Any]:
    """Whether a text of SQL is a literal, and the value that SQLite makes of it."""
    tokens = [token for token in tokens_of(sql) if token.kind != "comment"]
    while len(tokens) > 2 and tokens[0].text == "(" and tokens[-1].text == ")":
        tokens = tokens[1:-1]
    sign = -1 if tokens and tokens[0].text == "-" else 1
    if tokens and tokens[0].text in ("-", "+"):
        tokens = tokens[1:]
        if len(tokens) != 1 or tokens[0].kind != "number":
            return False, None
    if len(tokens) != 1:
        return False, None
    value = _value_of(tokens[0])
    if value is _NOT_A_LITERAL:
        return False, None
    return True, value * sign if tokens[0].kind == "number" else value


def _value_of(token: Token) -> Any:
    # SQLite takes a text in double quotes for a literal where no column has that name.
    if token.kind == "text" or (token.kind == "name" and token.text[0] == '"'):
        return token.name
    if token.kind == "blob":
        return bytes.fromhex(token.text[2:-1])
    if token.kind == "number":
        if token.text[:2].lower() == "0x":
            return int(token.text, 16)
        return int(token.text) if token.text.isdigit() else float(token.text)
    return _WORDS.get(token.word, _NOT_A_LITERAL)


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
    columns, constraints = [], []
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
    return ParsedColumn(name, text, tuple(inner), _comment_of(part))


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
