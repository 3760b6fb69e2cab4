"""Statements with their values written in, the way the server reads them.

The text protocol binds nothing, so every value becomes a literal here. Only text depends on the
session: a backslash is a plain character under the mode NO_BACKSLASH_ESCAPES. The connection
speaks utf8mb4 and refuses to speak anything else, so no byte of a character is ever a quote.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import re
import uuid
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from dataflow_core.errors import DatabaseError, InvalidType, InvalidValue, OutOfRange

__all__ = ["PLACEHOLDER", "Statement", "rendered", "statement", "text_literal"]

PLACEHOLDER: Final = "?"
"""Stands for a value, outside of quotes and comments. Every other character is the statement's."""

_LONG: Final = 20_000
_LEAST_INTEGER: Final = -(2**63)
_GREATEST_INTEGER: Final = 2**64 - 1
_DECIMAL_DIGITS: Final = 200

# Quoted texts and names, comments, placeholders, and the first word; the rest is skipped.
_ESCAPED: Final = r"'(?:[^'\\]|\\.|'')*+'?|\"(?:[^\"\\]|\\.|\"\")*+\"?"
_PLAIN: Final = r"'[^']*+'?|\"[^\"]*+\"?"
_OTHER: Final = r"|`[^`]*+`?|/\*.*?(?:\*/|\Z)|--(?=[\s]|\Z)[^\n]*|\#[^\n]*|(?P<mark>\?)"
_TOKENS: Final = {
    False: re.compile(_ESCAPED + _OTHER, re.DOTALL),
    True: re.compile(_PLAIN + _OTHER, re.DOTALL),
}
_LEADING: Final = re.compile(r"(?:\s|\(|--(?=\s)[^\n]*\n|\#[^\n]*\n|/\*(?![!M]).*?\*/)*", re.DOTALL)
_WORDS: Final = re.compile(r"[A-Za-z_]+(?:\s+[A-Za-z_]+)?")


@frozen
class Statement:
    """A statement cut at its placeholders. ``words`` are its first two, in upper case."""

    parts: tuple[str, ...]
    words: tuple[str, ...]

    def filled(self, parameters: Sequence[Any], *, no_backslash_escapes: bool) -> str:
        """The text with the values in place.

        Raises:
            DatabaseError: there are more or fewer values than placeholders.
            InvalidType, InvalidValue, OutOfRange: a value has no literal.
        """
        parts = self.parts
        if len(parts) != len(parameters) + 1:
            raise DatabaseError(
                f"the statement has {len(parts) - 1} placeholders and {len(parameters)} values",
                outcome="not done",
            )
        if not parameters:
            return parts[0]
        pieces: list[Any] = [None] * (2 * len(parts) - 1)
        pieces[0::2] = parts
        writers = _PLAIN_WRITERS if no_backslash_escapes else _WRITERS
        try:
            pieces[1::2] = [writers[type(value)](value) for value in parameters]
        except KeyError:
            pieces[1::2] = [rendered(value, writers) for value in parameters]
        return "".join(pieces)


def statement(sql: str, no_backslash_escapes: bool = False) -> Statement:
    """A statement, cut; what was cut lately is remembered."""
    if len(sql) < _LONG:
        return _short(sql, no_backslash_escapes)
    return _long(sql, no_backslash_escapes)


def _cut(sql: str, no_backslash_escapes: bool) -> Statement:
    parts: list[str] = []
    start = 0
    if PLACEHOLDER in sql:
        for token in _TOKENS[no_backslash_escapes].finditer(sql):
            if token.lastgroup is not None:
                parts.append(sql[start : token.start()])
                start = token.end()
    parts.append(sql[start:])
    leading = _LEADING.match(sql)
    words = _WORDS.match(sql, leading.end() if leading else 0)
    return Statement(tuple(parts), tuple(words[0].upper().split()) if words else ())


_short = lru_cache(maxsize=1_024)(_cut)
# Statements of many rows: few texts, each of them large.
_long = lru_cache(maxsize=16)(_cut)


def text_literal(value: str) -> str:
    """A text. Quotes are doubled, which every mode reads alike."""
    if "'" in value:
        value = value.replace("'", "''")
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    return f"'{value}'"


def _plain_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _integer(value: int) -> str:
    if _LEAST_INTEGER <= value <= _GREATEST_INTEGER:
        return repr(value)
    raise OutOfRange("an int exceeds 64 bits")


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise InvalidValue("a float that is infinite or not a number cannot be bound")
    # Without an exponent the server reads a decimal number, which is exact where a double is not.
    text = repr(value)
    return text if "e" in text else f"{text}e0"


def _decimal(value: decimal.Decimal) -> str:
    if not value.is_finite():
        raise InvalidValue("a Decimal that is infinite or not a number cannot be bound")
    if abs(value.adjusted()) > _DECIMAL_DIGITS:
        raise OutOfRange(f"a Decimal has more than {_DECIMAL_DIGITS} places")
    return format(value, "f")


def _timestamp(value: dt.datetime) -> str:
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    return f"TIMESTAMP'{value.isoformat(' ', 'microseconds')}'"


def _time(value: dt.time) -> str:
    if value.tzinfo is not None:
        raise InvalidType("a time with a zone cannot be bound")
    return f"TIME'{value.isoformat('microseconds')}'"


def _bytes(value: bytes | bytearray | memoryview) -> str:
    return f"_binary X'{value.hex()}'"


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda value: "NULL",
    bool: lambda value: "1" if value else "0",
    int: _integer,
    float: _float,
    decimal.Decimal: _decimal,
    str: text_literal,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    dt.datetime: _timestamp,
    dt.date: lambda value: f"DATE'{value.isoformat()}'",
    dt.time: _time,
    uuid.UUID: lambda value: f"'{value}'",
}
_PLAIN_WRITERS: Final = {**_WRITERS, str: _plain_text}


def rendered(value: Any, writers: dict[type, Callable[[Any], str]] = _WRITERS) -> str:
    """A value of a known type, or of a subclass of one, as a literal; ``InvalidType`` if none."""
    for kind in type(value).__mro__:
        writer = writers.get(kind)
        if writer is not None:
            # A subclass may print itself in any way: what counts is the value that it is.
            plain = _PLAIN_VALUES.get(kind)
            return writer(value if plain is None else plain(value))
    raise InvalidType(f"a value of the type {type(value).__name__} cannot be bound")


_PLAIN_VALUES: Final[dict[type, Callable[[Any], Any]]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    decimal.Decimal: decimal.Decimal,
}
