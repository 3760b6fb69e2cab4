"""Columns as the server has them: their field types, how they are kept, and their constants."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
import struct
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from dataflow_core.compile import PLAIN, Codec
from dataflow_core.dialect import JSON_AS_TEXT, TIMESTAMP_WITHOUT_ZONE
from dataflow_core.schema import MISSING
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)

__all__ = ["ColumnType", "Storage", "column_of", "constant", "literals", "storage_of"]


@frozen
class Storage:
    """How a column that this project did not make keeps its values.

    Attributes:
        bound: the type that the driver is told for a bound value.
        wanted: the type that such a value is turned into, that of the column.
        codec: how values travel; ``None``: as those of the field type do.
        value: the column as a value of the type that expressions have, which may be said twice.
        always: whether it is said of the column in comparisons too, where no index then serves.
    """

    bound: str
    wanted: str
    codec: Codec | None = None
    value: str = "{}"
    always: bool = False


_WIDE: Final = decimal.Context(prec=2000, Emin=-999999, Emax=999999)
_BY_CODE_POINT: Final = '({} COLLATE "C")'
_TEXT: Final = '(CAST({} AS text) COLLATE "C")'
# A cast says the size of the network behind every address.
_ADDRESS: Final = "(NULLIF(CONCAT({}), '') COLLATE \"C\")"


def _shortest(value: float) -> float:
    """The float with the fewest digits among those that are kept as this one in four bytes."""
    if value - value != 0:
        return value
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        try:
            if struct.unpack("f", struct.pack("f", short))[0] == value:
                return short
        except OverflowError:
            continue
    return float(f"{value:.9g}")


def _without_padding(value: str) -> str:
    return value.rstrip(" ")


def _shortened(value: decimal.Decimal) -> decimal.Decimal:
    """Without zeros behind, which such a column would keep."""
    return value.normalize(_WIDE)


_STORAGES: Final[dict[str, Storage]] = {
    "smallint": Storage("bigint", "bigint"),
    "real": Storage(
        "double precision",
        "real",
        Codec(decode=_shortest),
        "CAST(CAST({} AS text) AS double precision)",
    ),
    "numeric": Storage("numeric", "numeric", Codec(_shortened)),
    "collated": Storage("text", "text", value=_BY_CODE_POINT),
    "varchar": Storage("text", "text", value=_BY_CODE_POINT),
    "char": Storage("text", "bpchar", Codec(decode=_without_padding), _TEXT),
    "timestamp": Storage(
        "timestamp", "timestamp", TIMESTAMP_WITHOUT_ZONE, "CAST({} AS timestamptz)"
    ),
    "timestamptz": Storage("timestamptz", "timestamptz"),
    "time": Storage("time", "time"),
    "text:inet": Storage("text", "inet", Codec(decode=str), _ADDRESS),
    "json": Storage("jsonb", "jsonb", JSON_AS_TEXT, "CAST({} AS jsonb)", always=True),
}
"""The words for how values are kept. Others name a type: ``enum:`` and ``text:``."""


def storage_of(kind: FieldType) -> Storage | None:
    """How the values of a column are kept; ``None``: as this project keeps them."""
    word = kind.storage
    if word is None:
        return None
    found = _STORAGES.get(word)
    if found is not None:
        return found
    way, _, name = word.partition(":")
    return Storage("text", name, PLAIN if way == "enum" else Codec(decode=str), _TEXT)


@frozen
class ColumnType:
    """The field type of a column, or why it has none, and what may surprise."""

    type: FieldType | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()


_PLAIN_TYPES: Final[dict[str, FieldType]] = {
    "bigint": Integer(),
    "integer": Integer(32),
    "smallint": Integer(32, storage="smallint"),
    "double precision": Float(),
    "real": Float(storage="real"),
    "numeric": Decimal(38, 18, storage="numeric"),
    "boolean": Boolean(),
    "text": Text(),
    "character varying": Text(storage="varchar"),
    "bytea": Binary(),
    "timestamp with time zone": Timestamp(),
    "timestamp without time zone": Timestamp(storage="timestamp"),
    "date": Date(),
    "time without time zone": Time(),
    "uuid": Uuid(),
    "jsonb": Json(),
    "json": Json(storage="json"),
    **{
        name: Text(storage=f"text:{name}")
        for name in ("inet", "cidr", "macaddr", "macaddr8", "citext", "name")
    },
}
_NOTES: Final[dict[str, str]] = {
    "smallint": "holds only numbers from -32768 to 32767",
    "real": "keeps six to nine digits of a float",
    "numeric": "holds numbers of any size, of which 18 digits behind the point are written",
    "timestamp": "has no time zone: its values are taken for UTC",
    "char": "fills texts up with spaces, which are not given back",
    "varchar": "cuts off spaces that do not fit, without an error",
    "text:citext": "compares without regard to case",
    "text:inet": "sorts and compares as addresses",
    "text:cidr": "sorts and compares as addresses",
}
_PROBLEMS: Final[dict[str, str]] = {
    "interval": "no field type holds months and days beside a time",
    "money": "its text depends on the settings of the server",
    "time with time zone": "a time of day has no zone",
    "xml": "xml can be neither compared nor sorted",
    "bit": "no field type is a string of bits",
    "bit varying": "no field type is a string of bits",
    "oid": "it is a number of the server's own",
    "tsvector": "a search vector is made of other columns",
}
_SIZED: Final = re.compile(
    r"(?P<name>numeric|character varying|character|timestamp|time|bit varying|bit|interval[a-z ]*)"
    r"\((?P<size>[0-9]+)(?:,(?P<scale>-?[0-9]+))?\)(?P<more> with(?:out)? time zone)?"
)


def column_of(
    native: str,
    labels: Sequence[str] = (),
    collation: str | None = None,
    *,
    by_code_point: bool = False,
) -> ColumnType:
    """The field type of a column.

    Parameters:
        native: the type in the words of ``format_type``.
        labels: the values of a type that is an enumeration.
        collation: how its texts compare, if it has texts.
        by_code_point: whether that is by code point, whatever else the collation means.
    """
    if labels:
        listed = Enumeration(tuple(labels), Text(storage=f"enum:{native}"))
        return ColumnType(
            listed, notes=("sorts its values in the order in which they were declared",)
        )
    found = _sized(native)
    kind = found.type
    if isinstance(kind, Text) and collation not in (None, "C", "POSIX"):
        if kind.storage is None:
            found = evolve(found, type=evolve(kind, storage="collated"))
        if not by_code_point:
            note = f"compares by its own collation, {collation}, where it is filtered or sorted"
            return evolve(found, notes=(*found.notes, note))
    return found


def _sized(native: str) -> ColumnType:
    sized = _SIZED.fullmatch(native)
    if sized is None:
        # A type of an extension may have its schema in front.
        kind = _PLAIN_TYPES.get(native)
        if kind is None and native.rpartition(".")[2] == "citext":
            kind = Text(storage=f"text:{native}")
        if kind is None:
            return ColumnType(problem=_PROBLEMS.get(native) or f"no field type is like {native}")
        word = native.rpartition(".")[2] if kind.storage == f"text:{native}" else kind.storage
        note = _NOTES.get(kind.storage or "") or _NOTES.get(f"text:{word}")
        return ColumnType(kind, notes=() if note is None else (note,))
    size, more = int(sized["size"]), sized["more"] or ""
    name = sized["name"]
    if name == "numeric":
        return _numeric(size, int(sized["scale"] or 0))
    if name.startswith("character"):
        word = "varchar" if "varying" in name else "char"
        return ColumnType(Text(size, storage=word), notes=(_NOTES[word],))
    if name in ("timestamp", "time"):
        plain = _sized(f"{name}{more}")
        if plain.type is None:
            return plain
        word = plain.type.storage or ("timestamptz" if name == "timestamp" else "time")
        note = f"rounds to {size} digits of a second"
        return ColumnType(evolve(plain.type, storage=word), notes=(*plain.notes, note))
    return ColumnType(problem=_PROBLEMS[name.split(" ", 1)[0] if "interval" in name else name])


def _numeric(precision: int, scale: int) -> ColumnType:
    if scale < 0 or scale > min(precision, 38):
        return ColumnType(problem="no Decimal has its digits where this column has them")
    if precision <= 38:
        return ColumnType(Decimal(precision, scale))
    note = "of its numbers those of at most 38 digits are written"
    return ColumnType(Decimal(38, scale, storage="numeric"), notes=(note,))


# Constants, as the server writes them

_LITERAL: Final = re.compile(
    r"'(?P<text>(?:[^']|'')*)'|(?P<plain>(?<![\w$])(?:-?[0-9][0-9.]*(?:e[+-]?[0-9]+)?|true\b|false\b))",
    re.IGNORECASE,
)
_CAST: Final = re.compile(
    r"::(?:\"(?:[^\"]|\"\")*\"|[a-z_][a-z0-9_ ]*)(?:\.(?:\"(?:[^\"]|\"\")*\"|[a-z_][a-z0-9_]*))?"
    r"(?:\([0-9]+(?:, ?[0-9]+)?\))?(?: with(?:out)? time zone)?"
)
_DECODE: Final[dict[type[FieldType], Callable[[str], Any]]] = {
    Integer: int,
    Float: float,
    Decimal: decimal.Decimal,
    Boolean: lambda text: {"true": True, "false": False}[text.lower()],
    Text: str,
    Binary: lambda text: bytes.fromhex(text.removeprefix("\\x")),
    Timestamp: dt.datetime.fromisoformat,
    Date: dt.date.fromisoformat,
    Time: dt.time.fromisoformat,
    Uuid: uuid.UUID,
    Json: json.loads,
}


def constant(sql: str, kind: FieldType) -> Any:
    """The value of a default that is a constant; ``MISSING`` if it is none of the type."""
    if re.match(r"NULL(::.*)?$", sql):
        return None
    found = _LITERAL.search(sql)
    if found is None:
        return MISSING
    before, behind = sql[: found.start()], sql[found.end() :]
    if before.strip("(") or _CAST.sub("", behind).strip(")"):
        return MISSING
    return _value(found, kind)


def literals(sql: str, kind: FieldType) -> tuple[Any, ...]:
    """The constants of a type in an expression, in order."""
    return tuple(_value(found, kind) for found in _LITERAL.finditer(_plain_names(sql)))


def _plain_names(sql: str) -> str:
    """Without quoted names and casts, in which digits may stand; texts stay as they are."""
    token = re.compile(r"('(?:[^']|'')*')|\"(?:[^\"]|\"\")*\"|::[a-z ]+[0-9]*")
    return token.sub(lambda found: found[1] or "", sql)


def _value(found: re.Match[str], kind: FieldType) -> Any:
    base = kind.base if isinstance(kind, Enumeration) else kind
    text = found["plain"] if found["text"] is None else found["text"].replace("''", "'")
    try:
        value = _DECODE[type(base)](text)
        return base.check(value, "a constant")
    except (ValueError, ArithmeticError, KeyError):
        return MISSING
