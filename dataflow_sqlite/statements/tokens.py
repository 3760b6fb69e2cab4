"""SQL as tokens, literals as values, and comments of columns inside a statement."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

__all__ = ["Token", "comment_of", "comment_text", "literal_value", "tokens_of"]


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


def comment_of(tokens: Sequence[Token]) -> str | None:
    """What ``comment_text`` put among the tokens; ``None`` if it did not."""
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
