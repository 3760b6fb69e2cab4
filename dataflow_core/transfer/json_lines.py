"""JSON Lines: one object on every line. What JSON has no type for is text, as in CSV."""

from __future__ import annotations

import decimal
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from dataflow_core.errors import DataFlowError
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import Field
from dataflow_core.transfer.cells import (
    EXPECTED,
    base_type,
    bytes_of,
    json_of,
    json_text,
    reader_of,
    writer_of,
)
from dataflow_core.transfer.columns import Columns
from dataflow_core.transfer.text import TextLines, content_error
from dataflow_core.types import Binary, Boolean, Decimal, Float, Integer, Json, Text

__all__ = ["JsonLinesReader", "JsonLinesWriter", "json_rows"]

Row = dict[str, Any]

_NATIVE: Final = (Integer, Float, Boolean, Text, Json)
_BATCH: Final = 500


def json_rows(fields: Sequence[Field]) -> Callable[[Iterable[Row]], Iterator[Row]]:
    """What turns rows of these fields into rows that JSON has types for, each in its place."""
    written_as_text = [
        (item.name, writer_of(item.type))
        for item in fields
        if not isinstance(base_type(item.type), _NATIVE)
    ]

    def convert(rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            for name, write in written_as_text:
                if row[name] is not None:
                    row[name] = write(row[name])
            yield row

    return convert


class JsonLinesWriter:
    """Writes rows as JSON Lines."""

    def __init__(self, file: BinaryIO, fields: Sequence[Field]) -> None:
        self._file = file
        self._rows = json_rows(fields)

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, in order."""
        lines = [json_text(row) for row in self._rows(rows)]
        lines.append("")
        self._file.write("\n".join(lines).encode())

    def finish(self) -> None:
        """Nothing is missing."""

    def give_up(self) -> None:
        """Nothing is held."""


class JsonLinesReader:
    """Reads JSON Lines; each line says which fields it gives."""

    position = "line"

    def __init__(self, path: Path, columns: Columns) -> None:
        self._path = path
        self._columns = columns
        self._lines = TextLines(path, "\n")
        self._known: dict[tuple[str, ...], list[tuple[str, Field]]] = {}

    def batches(self) -> Iterator[list[Row]]:
        """The rows, some at a time."""
        rows: list[Row] = []
        for number, line in enumerate(self._lines, 1):
            if not line.isspace():
                rows.append(self._row(line, number))
            if len(rows) == _BATCH:
                yield rows
                rows = []
        if rows:
            yield rows

    def _row(self, line: str, number: int) -> Row:
        try:
            given = json_of(line)
        except ValueError as error:
            detail = ""
            if isinstance(error, json.JSONDecodeError):
                detail = f" ({error.msg}, at character {error.colno})"
            what = f"is no JSON{detail}, expected an object"
            raise content_error(self._path, number, what, expected="an object") from None
        if not isinstance(given, dict):
            what = f"got {quoted(given)}, expected an object"
            raise content_error(self._path, number, what, expected="an object")
        row: Row = {}
        for key, item in self._fields(tuple(given), number):
            value = given[key]
            read = _SPECIAL.get(type(base_type(item.type)))
            if read is not None and value is not None:
                try:
                    value = read(value, key, line)
                except (ValueError, TypeError):
                    expected = EXPECTED[type(base_type(item.type))]
                    what = f"got {quoted(value)}, expected {expected}"
                    raise content_error(
                        self._path, number, what, column=key, expected=expected
                    ) from None
            row[item.name] = value
        return row

    def _fields(self, keys: tuple[str, ...], number: int) -> list[tuple[str, Field]]:
        found = self._known.get(keys)
        if found is not None:
            return found
        try:
            fields = self._columns.fields(keys, self._path)
        except DataFlowError as error:
            error.message = error.message.replace(":", f", line {number}:", 1)
            error.context["line"] = number
            error.args = (error.message,)
            raise
        found = [(key, item) for key, item in zip(keys, fields, strict=True) if item is not None]
        if len(self._known) < 256:
            self._known[keys] = found
        return found

    def positions(self) -> Iterator[int]:
        """The line of each row."""
        lines = TextLines(self._path, "\n")
        try:
            for number, line in enumerate(lines, 1):
                if not line.isspace():
                    yield number
        finally:
            lines.close()

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def _decimal(value: Any, key: str, line: str) -> Any:
    if isinstance(value, float):
        # Once more, and exactly: a float would have lost digits.
        value = json.loads(line, parse_float=decimal.Decimal)[key]
    return reader_of(Decimal())(value) if isinstance(value, str) else value


def _binary(value: Any, key: str, line: str) -> Any:
    if not isinstance(value, str):
        raise TypeError
    return bytes_of(value)


_SPECIAL: Final[dict[type, Callable[[Any, str, str], Any]]] = {Decimal: _decimal, Binary: _binary}
"""What is not simply passed on; moments, days and UUIDs are read by their fields' types."""
