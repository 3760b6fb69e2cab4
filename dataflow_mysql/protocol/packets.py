"""The server's packets: rows as tuples of Python values, what a statement did, and errors.

Rows are read by functions that are made once for each list of column types; a row costs no call
but those that make its values.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from attrs import frozen
from pymysql.constants import FIELD_TYPE

from dataflow_mysql.protocol.failures import ServerError

__all__ = [
    "BINARY",
    "COLUMN_TYPES",
    "ColumnKind",
    "Done",
    "Reader",
    "Row",
    "column_kind",
    "columns_of",
    "done_of",
    "error_of",
    "number_at",
    "reader_of",
    "row_of",
    "value_of",
]

Row = tuple[Any, ...]
ColumnKind = str
"""One of the keys of ``_VALUES``."""

BINARY: Final = 63
"""The number of the character set of bytes."""
NULL: Final = 251
_END: Final = 254
_ERROR: Final = 255
_LONGEST_END: Final = 9
_LONGEST_PACKET: Final = 0xFFFFFF
# The first byte of a number that needs more of them, and how many.
_SIZES: Final = {252: 2, 253: 3, 254: 8}
_SESSION_CHANGED: Final = 0x4000
_SYSTEM_VARIABLE: Final = 0
_SCHEMA: Final = 1

COLUMN_TYPES: Final[dict[int, ColumnKind]] = {
    FIELD_TYPE.TINY: "int",
    FIELD_TYPE.SHORT: "int",
    FIELD_TYPE.INT24: "int",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "int",
    FIELD_TYPE.YEAR: "int",
    FIELD_TYPE.FLOAT: "float",
    FIELD_TYPE.DOUBLE: "float",
    FIELD_TYPE.DECIMAL: "decimal",
    FIELD_TYPE.NEWDECIMAL: "decimal",
    FIELD_TYPE.DATETIME: "timestamp",
    FIELD_TYPE.TIMESTAMP: "timestamp",
    FIELD_TYPE.DATE: "date",
    FIELD_TYPE.NEWDATE: "date",
    FIELD_TYPE.TIME: "time",
    FIELD_TYPE.BIT: "bit",
    FIELD_TYPE.GEOMETRY: "bytes",
    # Its character set is said to be binary, and it is utf8mb4.
    FIELD_TYPE.JSON: "text",
}


@frozen
class Done:
    """What a statement without rows did, and how often the server warned.

    ``charset`` if it set that of the connection; ``moved`` if it chose another database.
    """

    rows: int
    status: int
    warnings: int = 0
    charset: str | None = None
    moved: bool = False


# Where a value stands is from q to p; ``text`` is the packet with one character for each byte.
_VALUES: Final[dict[ColumnKind, str]] = {
    "int": "to_int(text[q:p])",
    "float": "to_float(text[q:p])",
    "decimal": "to_decimal(text[q:p])",
    "text": "data[q:p].decode()",
    "bytes": "data[q:p]",
    "timestamp": "to_timestamp(text[q:p] + '+00:00')",
    "date": "to_date(text[q:p])",
    "time": "to_time(text[q:p])",
    "bit": "to_bit(data[q:p], 'big')",
}
_NAMESPACE: Final[dict[str, Any]] = {
    "to_int": int,
    "to_float": float,
    "to_decimal": Decimal,
    "to_timestamp": dt.datetime.fromisoformat,
    "to_date": dt.date.fromisoformat,
    "to_time": dt.time.fromisoformat,
    "to_bit": int.from_bytes,
}

Reader = Callable[[bytes, str, int, int, Callable[[Row], None]], int]
"""Appends the rows from a position of the data on, whole packets only; the position after them."""


def length_at(data: bytes, position: int) -> tuple[int, int]:
    """Where a value begins and ends whose length stands at a position."""
    length, start = number_at(data, position)
    return start, start + length


def _reader_source(kinds: Sequence[ColumnKind]) -> str:
    lines = [
        "def read(data, text, at, size, append):",
        "    while at + 4 < size:",
        "        length = data[at] | data[at + 1] << 8 | data[at + 2] << 16",
        "        end = at + 4 + length",
        f"        if end > size or length == {_LONGEST_PACKET}: return at",
        "        p = at + 4",
        "        n = data[p]",
        f"        if n == {_ERROR} or n == {_END} and length < {_LONGEST_END}: return at",
    ]
    for number, kind in enumerate(kinds):
        value = _VALUES[kind]
        lines += [
            *(["        n = data[p]"] if number else []),
            f"        if n < {NULL}: q = p + 1; p = q + n; v{number} = {value}",
            f"        elif n == {NULL}: p += 1; v{number} = None",
            f"        else: q, p = length_at(data, p); v{number} = {value}",
        ]
    cells = "".join(f"v{number}, " for number in range(len(kinds)))
    lines += [f"        append(({cells}))", "        at = end", "    return at", ""]
    return "\n".join(lines)


_readers: dict[tuple[ColumnKind, ...], Reader] = {}
_KEPT_READERS: Final = 1_024


def reader_of(kinds: tuple[ColumnKind, ...]) -> Reader:
    """The function that reads rows of these columns. It raises what a value cannot be read by."""
    found = _readers.get(kinds)
    if found is None:
        if len(_readers) >= _KEPT_READERS:
            _readers.clear()
        namespace = {**_NAMESPACE, "length_at": length_at}
        exec(_reader_source(kinds), namespace)  # noqa: S102 - our own text, of the kinds alone
        found = _readers[kinds] = namespace["read"]
    return found


def value_of(kind: ColumnKind, data: bytes) -> Any:
    """One value, also one that Python's type cannot hold: that stays text, or a timedelta."""
    try:
        return _ONE[kind](data)
    except ValueError:
        text = data.decode("utf-8", "replace")
        return _duration(text) if kind == "time" else text


def _duration(text: str) -> dt.timedelta | str:
    """A TIME that is no time of day: negative, or of more than a day."""
    sign = -1 if text.startswith("-") else 1
    hours, minutes, seconds = text.lstrip("-").split(":")
    whole, _, fraction = seconds.partition(".")
    return sign * dt.timedelta(
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(whole),
        microseconds=int(fraction.ljust(6, "0") or 0),
    )


_ONE: Final[dict[ColumnKind, Callable[[bytes], Any]]] = {
    "int": int,
    "float": float,
    "decimal": lambda data: Decimal(data.decode("ascii")),
    "text": lambda data: data.decode(),
    "bytes": bytes,
    "timestamp": lambda data: dt.datetime.fromisoformat(data.decode("ascii") + "+00:00"),
    "date": lambda data: dt.date.fromisoformat(data.decode("ascii")),
    "time": lambda data: dt.time.fromisoformat(data.decode("ascii")),
    "bit": lambda data: int.from_bytes(data, "big"),
}


def row_of(kinds: Sequence[ColumnKind], payload: bytes) -> Row:
    """One row, value by value: of any size, and with values that Python's types cannot hold."""
    cells: list[Any] = []
    position = 0
    for kind in kinds:
        if payload[position] == NULL:
            position += 1
            cells.append(None)
            continue
        start, position = length_at(payload, position)
        cells.append(value_of(kind, payload[start:position]))
    return tuple(cells)


def column_kind(type_code: int, charset: int) -> ColumnKind:
    """How the values of a column are read."""
    kind = COLUMN_TYPES.get(type_code)
    if kind is not None:
        return kind
    return "bytes" if charset == BINARY else "text"


def columns_of(payload: bytes) -> tuple[str, ColumnKind]:
    """Name and kind of the column that a packet defines."""
    position = 0
    # Catalogue, database, table, its name before AS, name, its name before AS.
    for _ in range(4):
        _, position = length_at(payload, position)
    start, end = length_at(payload, position)
    _, position = length_at(payload, end)
    charset, _, type_code = struct.unpack_from("<HIB", payload, position + 1)
    return payload[start:end].decode(), column_kind(type_code, charset)


def done_of(payload: bytes) -> Done:
    """What a packet says that a statement without rows did."""
    rows, position = number_at(payload, 1)
    _, position = number_at(payload, position)
    status = int.from_bytes(payload[position : position + 2], "little")
    warnings = int.from_bytes(payload[position + 2 : position + 4], "little")
    if not status & _SESSION_CHANGED:
        return Done(rows, status, warnings)
    return Done(rows, status, warnings, *_changes_of(payload, position + 4))


def number_at(data: bytes, position: int) -> tuple[int, int]:
    """A number of an encoded length, and the position after it."""
    first = data[position]
    if first < NULL:
        return first, position + 1
    end = position + 1 + _SIZES[first]
    return int.from_bytes(data[position + 1 : end], "little"), end


def _changes_of(payload: bytes, position: int) -> tuple[str | None, bool]:
    """The character set that was set, and whether another database was chosen."""
    charset, moved = None, False
    # The message of the server stands before the changes, if there are any.
    for _ in range(2):
        if position >= len(payload):
            return charset, moved
        start, position = length_at(payload, position)
    end, position = position, start
    while position < end:
        kind = payload[position]
        start, position = length_at(payload, position + 1)
        moved = moved or kind == _SCHEMA
        while kind == _SYSTEM_VARIABLE and start < position:
            name_start, name_end = length_at(payload, start)
            value_start, start = length_at(payload, name_end)
            if payload[name_start:name_end] == b"character_set_client":
                charset = payload[value_start:start].decode()
    return charset, moved


def error_of(payload: bytes) -> ServerError:
    """The error that a packet reports."""
    number = int.from_bytes(payload[1:3], "little")
    if payload[3:4] == b"#":
        return ServerError(number, payload[9:].decode("utf-8", "replace"), payload[4:9].decode())
    return ServerError(number, payload[3:].decode("utf-8", "replace"))
