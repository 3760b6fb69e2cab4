"""Columns that others made: which field type their values have, and how those are kept.

A declared type is any text to SQLite, and a column may hold values of every kind. So the words are
taken for what they mean elsewhere, and where they do not tell how a value is written, the values
are looked at.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final

from attrs import evolve, frozen

from dataflow_core.contract import Connection
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_sqlite.functions.storages import BOOLEAN_PAIRS, instant_form

__all__ = [
    "ForeignColumn",
    "StoredValues",
    "foreign_column",
    "needs_rows",
    "stored_values",
    "with_nulls",
]

_MOST_VALUES: Final = 100_000
_MOST_WRITTEN: Final = 10_000
"""How many values are looked at where only their kind counts, and where their form does."""
_MOST_FORMS: Final = 20
_LONGEST_FORM: Final = 64
_CELLS: Final = 500
_NUMBERS_TOO: Final = "keeps a text that is a number as one, which comes before all other texts"
_ABOUT_FIFTEEN: Final = "kept as a number of about 15 digits: values of more lose some"


@frozen
class ForeignColumn:
    """What a column that others made holds: the type or the problem, and what may surprise."""

    type: FieldType | None
    problem: str | None = None
    notes: tuple[str, ...] = ()


_WORDS: Final[tuple[tuple[str, FieldType], ...]] = (
    # What a declared type begins with -> the type; the first that fits is taken.
    (r"BOOL(EAN)?\b", Boolean(storage="boolean")),
    (r"(DATETIME|TIMESTAMP|SMALLDATETIME)", Timestamp()),
    (r"DATE\b", Date()),
    (r"TIME\b", Time()),
    (r"(UUID|GUID|UNIQUEIDENTIFIER)", Uuid()),
    (r"JSONB?\b", Json(storage="json")),
    (r"(DECIMAL|NUMERIC|NUMBER|DEC)\b", Decimal()),
    (r"(SMALL)?MONEY\b|CURRENCY\b", Decimal(storage="number")),
    (r"(VAR)?BINARY|IMAGE\b|BYTEA\b", Binary(storage="bytes")),
    (r"STRING\b", Text(storage="text")),
)
_AFFINITIES: Final[tuple[tuple[str, FieldType], ...]] = (
    # The rules of SQLite for all other words, in its order; first what it takes for a number though
    # the word says that there are texts too.
    (r"(?=.*INT).*(CHAR|CLOB|TEXT)", Text(storage="text:numbers")),
    (r".*INT", Integer(storage="integer")),
    (r".*(CHAR|CLOB|TEXT)", Text(storage="text")),
    (r".*BLOB", Binary(storage="bytes")),
    (r".*(REAL|FLOA|DOUB)", Float(storage="real")),
)
_SIZES: Final = re.compile(r"\(\s*(\d{1,9})(?:\s*,\s*(-?\d{1,9}))?\s*\)")
_UNSIZED: Final = (30, 10)
_MOST_DIGITS: Final = 38
_BY_ROWS: Final = (Timestamp, Date, Time, Uuid, Boolean)


def _declared(declared: str) -> FieldType | None:
    word = " ".join(declared.upper().split())
    for pattern, kind in (*_WORDS, *_AFFINITIES):
        if re.match(pattern, word):
            return _sized(kind, word)
    return None


def _sized(kind: FieldType, word: str) -> FieldType:
    found = _SIZES.search(word)
    if isinstance(kind, Decimal):
        precision, scale = _UNSIZED
        if found is not None:
            precision, scale = int(found[1]), int(found[2] or 0)
        fits = 0 < precision <= _MOST_DIGITS and 0 <= scale <= precision
        precision, scale = (precision, scale) if fits else _UNSIZED
        return Decimal(precision, scale, storage="number")
    if isinstance(kind, Text) and found is not None and int(found[1]) > 0 and found[2] is None:
        return evolve(kind, max_length=int(found[1]))
    return kind


def needs_rows(declared: str) -> bool:
    """Whether the declared type does not tell how values are written, so that rows have to."""
    kind = _declared(declared)
    return kind is None or isinstance(kind, _BY_ROWS)


def foreign_column(declared: str, stored: StoredValues) -> ForeignColumn:
    """The type of a column by its declared type and, where ``needs_rows``, by its values."""
    kind = _declared(declared)
    if isinstance(kind, Decimal):
        return ForeignColumn(kind, notes=(_ABOUT_FIFTEEN,))
    if kind is not None and not isinstance(kind, _BY_ROWS):
        notes = (_NUMBERS_TOO,) if kind.storage == "text:numbers" else ()
        return ForeignColumn(kind, notes=notes)
    judge = _by_values if kind is None else _BY_KIND[type(kind)]
    found = judge(declared, stored.values)
    if stored.all or found.type is None:
        return found
    note = f"has more values than the {_most(declared):,} that were looked at to tell their form"
    return evolve(found, notes=(*found.notes, note))


def _by_values(declared: str, rows: Sequence[Any]) -> ForeignColumn:
    what = f"the type {declared}, which says nothing" if declared.strip() else "no declared type"
    kinds = {type(value) for value in rows}
    for fitting, kind in (
        ({str}, Text(storage="text")),
        ({int}, Integer(storage="integer")),
        ({int, float}, Float(storage="real")),
        ({bytes}, Binary(storage="bytes")),
    ):
        if kinds and kinds <= fitting:
            return ForeignColumn(kind, notes=(f"has {what}: taken for what its values are",))
    reason = "and its values are of several kinds" if kinds else "and no value that would tell it"
    return ForeignColumn(None, f"it has {what}, {reason}")


def _one_form(forms: set[str | None], usual: str) -> tuple[str, tuple[str, ...]]:
    """The form in which values are written, and what to say where there is not exactly one."""
    if len(forms) == 1 and None not in forms:
        return str(forms.pop()), ()
    if not forms:
        return usual, ()
    note = "its values are written in several ways: they are compared as the texts that they are"
    return usual, (note,)


def _instants(declared: str, rows: Sequence[Any]) -> ForeignColumn:
    numbers = [value for value in rows if isinstance(value, int | float)]
    if not numbers:
        form, notes = _one_form({instant_form(value) for value in rows}, " 0")
        return ForeignColumn(Timestamp(storage=f"instant:{form}"), notes=notes)
    for storage, low, high in (
        ("unix", 1e8, 1e10),
        ("milliseconds", 1e11, 1e13),
        ("julian", 2e6, 3e6),
    ):
        if len(numbers) == len(rows) and all(low <= value < high for value in numbers):
            note = f"kept as numbers, by their size taken for {_CALLED[storage]}"
            return ForeignColumn(Timestamp(storage=storage), notes=(note,))
    return _not_as_declared(declared, rows)


_CALLED: Final = {
    "unix": "seconds since 1970",
    "milliseconds": "milliseconds since 1970",
    "julian": "days of the Julian calendar",
}


def _not_as_declared(declared: str, rows: Sequence[Any]) -> ForeignColumn:
    found = _by_values(declared, rows)
    note = f"is declared {declared}, which its values are not"
    return evolve(found, notes=(note,)) if found.type is not None else found


def _days(declared: str, rows: Sequence[Any]) -> ForeignColumn:
    forms = {instant_form(value) for value in rows}
    if forms <= {"day"}:
        return ForeignColumn(Date(storage="day"))
    return _instants(declared, rows)


def _clocks(declared: str, rows: Sequence[Any]) -> ForeignColumn:
    if any(not isinstance(value, str) for value in rows):
        return _not_as_declared(declared, rows)
    sizes = {5: "minutes", 8: "0"}
    form, notes = _one_form({sizes.get(len(value), "6") for value in rows}, "0")
    return ForeignColumn(Time(storage=f"clock:{form}"), notes=notes)


def _uuids(declared: str, rows: Sequence[Any]) -> ForeignColumn:
    form, notes = _one_form({_uuid_form(value) for value in rows}, "text")
    return ForeignColumn(Uuid(storage=f"uuid:{form}"), notes=notes)


def _uuid_form(value: Any) -> str | None:
    if isinstance(value, bytes):
        return "bytes"
    text = str(value)
    return {32: "hex", 36: "text" if text == text.lower() else "upper"}.get(len(text))


def _booleans(declared: str, rows: Sequence[Any]) -> ForeignColumn:
    texts = {value for value in rows if isinstance(value, str)}
    if not texts and all(value in (0, 1) for value in rows):
        return ForeignColumn(Boolean(storage="boolean"))
    for pair in BOOLEAN_PAIRS:
        if len(texts) == len(set(rows)) and texts <= set(pair.split("/")):
            return ForeignColumn(Boolean(storage=f"boolean:{pair}"))
    return _not_as_declared(declared, rows)


_BY_KIND: Final[dict[type, Callable[[str, Sequence[Any]], ForeignColumn]]] = {
    Timestamp: _instants,
    Date: _days,
    Time: _clocks,
    Uuid: _uuids,
    Boolean: _booleans,
}


# Values of rows


@frozen
class StoredValues:
    """Values of a column, such that every form of them is there.

    ``all`` is False where the column has more values than were looked at.
    """

    values: tuple[Any, ...] = ()
    all: bool = True


_WORD: Final = "CASE typeof(v) WHEN 'text' THEN {} END"
_DIGITS_ALIKE: Final = reduce(
    lambda sql, digit: f"REPLACE({sql}, '{digit}', '0')", "123456789", "v"
)
_FORMS: Final[dict[type, str]] = {
    Timestamp: _WORD.format(_DIGITS_ALIKE),
    Date: _WORD.format(_DIGITS_ALIKE),
    Time: _WORD.format("LENGTH(v)"),
    Uuid: _WORD.format("LENGTH(v) || (v = LOWER(v))"),
    Boolean: "v",
}
"""What is the same of two values of a type only if they are written in the same form."""

Cell = tuple[str, str, str]
Values = dict[Cell, StoredValues | str]


async def stored_values(connection: Connection, wanted: Sequence[Cell]) -> Values:
    """Values of columns, given by table, name and declared type; in the place of some, why not.

    Many columns with one statement.
    """
    found: Values = {}
    for start in range(0, len(wanted), _CELLS):
        part = wanted[start : start + _CELLS]
        try:
            found |= await _values(connection, part)
        except sqlite3.Error:
            # A view that fails when it is read spoils the statement for all.
            for cell in part:
                try:
                    found |= await _values(connection, [cell])
                except sqlite3.Error as error:
                    found[cell] = str(error)
    return found


async def _values(connection: Connection, wanted: Sequence[Cell]) -> Values:
    ((*texts,),) = await connection.fetch(f"SELECT {', '.join(map(_query, wanted))}", ())
    return {cell: _stored(cell, json.loads(text)) for cell, text in zip(wanted, texts, strict=True)}


def _query(cell: Cell) -> str:
    """The least and the greatest value of every form, and how many values there are."""
    table, column, declared = cell
    name = _quoted(column)
    form = _FORMS.get(type(_declared(declared)), "NULL")
    least, greatest = (
        f"json_group_array(CASE typeof(v) WHEN 'blob' THEN json_array()"
        f" WHEN 'text' THEN SUBSTR({end}, 1, {_LONGEST_FORM}) ELSE {end} END)"
        for end in ("least", "greatest")
    )
    return (
        f"(SELECT json_array(SUM(n), {least}, {greatest})"
        " FROM (SELECT COUNT(*) AS n, v, MIN(v) AS least, MAX(v) AS greatest"
        f" FROM (SELECT {name} AS v FROM main.{_quoted(table)} WHERE {name} IS NOT NULL"
        f" LIMIT {_most(declared) + 1}) GROUP BY typeof(v), {form} LIMIT {_MOST_FORMS}))"
    )


def _most(declared: str) -> int:
    """How many values are looked at."""
    return _MOST_VALUES if _declared(declared) is None else _MOST_WRITTEN


def _stored(cell: Cell, found: Sequence[Any]) -> StoredValues:
    number, least, greatest = found
    # Of bytes only matters that they are some.
    values = tuple(b"" if isinstance(value, list) else value for value in (*least, *greatest))
    return StoredValues(values, (number or 0) <= _most(cell[2]))


async def with_nulls(connection: Connection, wanted: Sequence[tuple[str, str]]) -> set[str]:
    """Which tables have a row whose key begins with NULL; given by table and that column."""
    found: set[str] = set()
    for start in range(0, len(wanted), _CELLS):
        part = wanted[start : start + _CELLS]
        cells = ", ".join(
            f"EXISTS (SELECT 1 FROM main.{_quoted(table)} WHERE {_quoted(column)} IS NULL)"
            for table, column in part
        )
        ((*answers,),) = await connection.fetch(f"SELECT {cells}", ())
        found |= {table for (table, _), is_there in zip(part, answers, strict=True) if is_there}
    return found


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
