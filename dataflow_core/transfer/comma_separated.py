"""CSV: a header of field names; an empty cell is None, and two quotes are the empty text.

The module ``csv`` of Python cannot tell the two apart, so cells are cut here, as RFC 4180 says. A
quote inside a cell that is not quoted, and anything behind a quoted cell, is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from dataflow_core.compile.codegen import function_from
from dataflow_core.errors import InvalidFileContent
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import Field
from dataflow_core.transfer.cells import EXPECTED, base_type, reader_of, writer_of
from dataflow_core.transfer.columns import Columns
from dataflow_core.transfer.text import TextLines, content_error
from dataflow_core.types import Binary, Integer, Json, Text

__all__ = ["CsvReader", "CsvWriter"]

Row = dict[str, Any]
Cells = list[str | None]

_QUOTED_WHERE: Final = re.compile(r'[",\r\n]|^\s|\s$|^$')
_CELL: Final = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\Z)')
_BATCH: Final = 500
_MOST_LINES: Final = 100_000
"""Beyond, a quote that is not closed would read the whole file into one cell."""


class CsvWriter:
    """Writes rows as CSV."""

    def __init__(self, file: BinaryIO, fields: Sequence[Field]) -> None:
        self._file = file
        self._lines = _line_writer(fields)
        file.write((",".join(item.name for item in fields) + "\n").encode())

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, in order."""
        self._file.write("".join(self._lines(rows)).encode())

    def finish(self) -> None:
        """Nothing is missing."""

    def give_up(self) -> None:
        """Nothing is held."""


def _line_writer(fields: Sequence[Field]) -> Callable[[Sequence[Row]], list[str]]:
    """What makes the lines of rows, generated for these fields."""
    namespace: dict[str, Any] = {}
    cells = []
    for number, item in enumerate(fields):
        write = writer_of(item.type)
        if isinstance(base_type(item.type), Binary | Json | Text):
            write = _quoting(write)
        namespace[f"write{number}"] = write
        cells.append(f"'' if (v := row[{item.name!r}]) is None else write{number}(v)")
    joined = f"','.join(({', '.join(cells)},)) + '\\n'"
    source = f"def lines(rows):\n    return [{joined} for row in rows]"
    lines: Callable[[Sequence[Row]], list[str]] = function_from(source, "lines", namespace)
    return lines


def _quoting(write: Callable[[Any], str]) -> Callable[[Any], str]:
    must_be = _QUOTED_WHERE.search

    def quote(value: Any) -> str:
        text = write(value)
        if must_be(text) is None:
            return text
        return '"' + text.replace('"', '""') + '"'

    return quote


class CsvReader:
    """Reads CSV by the names in its first line."""

    position = "line"

    def __init__(self, path: Path, columns: Columns) -> None:
        self._path = path
        self._lines = TextLines(path, "")
        self._records = _records(self._lines, path)
        try:
            names = self._header()
            columns.check(names, path)
            self._names = names
            self._fields = columns.fields(names, path)
            self._read = _row_reader(self._fields)
        except BaseException:
            self._lines.close()
            raise

    def _header(self) -> list[str]:
        first = next(self._records, None)
        if first is None:
            raise InvalidFileContent(
                f"{self._path.name}: is empty, expected a line of column names",
                path=str(self._path),
            )
        line, cells = first
        names = ["" if cell is None else cell for cell in cells]
        for name in names:
            if not name or names.count(name) > 1:
                what = f"names the column {quoted(name)} twice" if name else "has an empty name"
                raise content_error(self._path, line, what)
        return names

    def batches(self) -> Iterator[list[Row]]:
        """The rows, some at a time."""
        read, rows = self._read, []
        alone = len(self._names) == 1
        for line, cells in self._records:
            try:
                rows.append(read(cells))
            except ValueError:
                if cells == [None] and not alone:
                    continue
                raise self._refused(line, cells) from None
            if len(rows) == _BATCH:
                yield rows
                rows = []
        if rows:
            yield rows

    def _refused(self, line: int, cells: Cells) -> InvalidFileContent:
        """What is wrong with a record."""
        if len(cells) != len(self._names):
            what = f"has {len(cells)} cells, expected {len(self._names)} as in the header"
            return content_error(self._path, line, what, expected=f"{len(self._names)} cells")
        for name, item, cell in zip(self._names, self._fields, cells, strict=True):
            if item is None:
                continue
            expected = EXPECTED[type(base_type(item.type))]
            try:
                _cell_reader(item)(cell)
            except ValueError:
                got = "is empty" if cell is None else f"got {quoted(cell)}"
                what = f"{got}, expected {expected}"
                return content_error(self._path, line, what, column=name, expected=expected)
        raise AssertionError("the record can be read")

    def positions(self) -> Iterator[int]:
        """The line on which each record begins."""
        lines = TextLines(self._path, "")
        try:
            records = _records(lines, self._path)
            next(records, None)
            for line, cells in records:
                if cells != [None] or len(self._names) == 1:
                    yield line
        finally:
            lines.close()

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def _records(lines: TextLines, path: Path) -> Iterator[tuple[int, Cells]]:
    """The records with the lines on which they begin."""
    number = 0
    begun: list[str] = []
    quotes = 0
    for line in lines:
        number += 1
        if not begun and '"' not in line:
            yield number, [cell or None for cell in line.rstrip("\r\n").split(",")]
            continue
        begun.append(line)
        quotes += line.count('"')
        if quotes % 2 and len(begun) < _MOST_LINES:
            continue
        start, text = number - len(begun) + 1, "".join(begun)
        if quotes % 2:
            raise content_error(path, start, "has a quote that is never closed")
        begun, quotes = [], 0
        yield start, _cut(text.rstrip("\r\n"), path, start)
    if begun:
        start = number - len(begun) + 1
        raise content_error(path, start, "has a quote that is never closed")


def _cut(text: str, path: Path, line: int) -> Cells:
    """The cells of a record that has quotes."""
    cells: Cells = []
    at, more = 0, True
    while more:
        found = _CELL.match(text, at)
        if found is None:
            raise content_error(path, line, f"cell {len(cells) + 1} has a quote where none may be")
        inside, plain, end = found.groups()
        cells.append(plain or None if inside is None else inside.replace('""', '"'))
        at, more = found.end(), bool(end)
    return cells


def _cell_reader(item: Field) -> Callable[[str | None], Any]:
    """What makes a value of a cell; an empty one is None or, where that cannot be, empty text."""
    read = reader_of(item.type)
    empty_text = isinstance(base_type(item.type), Text)

    def read_cell(cell: str | None) -> Any:
        if cell is not None:
            return read(cell)
        if item.nullable:
            return None
        if empty_text:
            return ""
        raise ValueError

    return read_cell


def _row_reader(fields: Sequence[Field | None]) -> Callable[[Cells], Row]:
    """What makes a row of the cells, generated for these columns; it raises ``ValueError``."""
    namespace: dict[str, Any] = {}
    parts = []
    for number, item in enumerate(fields):
        if item is None:
            continue
        cell = f"c{number}"
        kind = base_type(item.type)
        namespace[f"read{number}"] = _cell_reader(item)
        value = f"read{number}({cell})"
        if isinstance(kind, Text):
            value = f"{cell} if {cell} is not None else {value}"
        elif isinstance(kind, Integer):
            plain = f"{cell} and {cell}.isascii() and {cell}.isdigit() and len({cell}) < 20"
            value = f"int({cell}) if {plain} else {value}"
        parts.append(f"{item.name!r}: {value}")
    names = "".join(f"c{number}, " for number in range(len(fields)))
    source = f"def read(cells):\n    {names}= cells\n    return {{{', '.join(parts)}}}"
    read: Callable[[Cells], Row] = function_from(source, "read", namespace)
    return read
