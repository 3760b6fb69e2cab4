"""The formats: what they are called, and how they are told from a file's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from attrs import frozen

from dataflow_core.errors import InvalidValue
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Field
from dataflow_core.transfer import comma_separated, json_lines
from dataflow_core.transfer.columns import Columns

__all__ = ["FORMATS", "Format", "FormatReader", "FormatWriter", "format_of"]

Row = dict[str, Any]


class FormatWriter(Protocol):
    """Writes rows into a file that is open for binary writing."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, in order."""
        ...

    def finish(self) -> None:
        """Write what is still missing; the file stays open."""
        ...

    def give_up(self) -> None:
        """Let go of what is held; the file is of no use any more, and still open."""
        ...


class FormatReader(Protocol):
    """Reads a file. ``position`` is the word for what ``positions`` counts: ``line`` or ``row``."""

    position: str

    def batches(self) -> Iterator[list[Row]]:
        """The rows, some at a time, by names of fields."""
        ...

    def positions(self) -> Iterator[int]:
        """Where each row begins, read anew: for the message about a row that was refused."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


@frozen
class Format:
    """A format of files.

    Attributes:
        name: what ``format=`` calls it.
        suffixes: the endings of its files.
        writer: makes a writer of the given fields for an open file.
        reader: opens a file whose columns are understood in this way.
    """

    name: str
    suffixes: tuple[str, ...]
    writer: Callable[[BinaryIO, Sequence[Field]], FormatWriter]
    reader: Callable[[Path, Columns], FormatReader]


def _arrow_writer(kind: str) -> Callable[[BinaryIO, Sequence[Field]], FormatWriter]:
    def make(file: BinaryIO, fields: Sequence[Field]) -> FormatWriter:
        # Late: it is an extra, and takes long to load.
        from dataflow_core.transfer.arrow import ArrowWriter

        return ArrowWriter(kind, file, fields)

    return make


def _arrow_reader(kind: str) -> Callable[[Path, Columns], FormatReader]:
    def make(path: Path, columns: Columns) -> FormatReader:
        from dataflow_core.transfer.arrow import ArrowReader

        return ArrowReader(kind, path, columns)

    return make


FORMATS: Final[dict[str, Format]] = {
    item.name: item
    for item in (
        Format("csv", (".csv",), comma_separated.CsvWriter, comma_separated.CsvReader),
        Format(
            "jsonl", (".jsonl", ".ndjson"), json_lines.JsonLinesWriter, json_lines.JsonLinesReader
        ),
        Format("parquet", (".parquet",), _arrow_writer("parquet"), _arrow_reader("parquet")),
        Format("arrow", (".arrow", ".feather"), _arrow_writer("arrow"), _arrow_reader("arrow")),
    )
}
"""Every format by name."""


def format_of(node: str, path: Path, name: Any) -> Format:
    """The format that is named, or that the ending of the file tells."""
    if name is not None:
        found = FORMATS.get(name) if isinstance(name, str) else None
        if found is None:
            raise InvalidValue(
                f"{node}: format is one of {', '.join(FORMATS)}, got {quoted(name)}",
                suggestion=nearest(name, FORMATS) if isinstance(name, str) else None,
                parameter="format",
            )
        return found
    suffix = path.suffix.lower()
    for item in FORMATS.values():
        if suffix in item.suffixes:
            return item
    known = [suffix for item in FORMATS.values() for suffix in item.suffixes]
    raise InvalidValue(
        f"{node}: the ending of {quoted(path.name)} tells no format ({', '.join(known)});"
        f" give format, one of {', '.join(FORMATS)}",
        suggestion=nearest(suffix, known),
        parameter="format",
    )
