"""Parquet and Arrow, through pyarrow."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from dataflow_core.errors import ExtraNotInstalled, InvalidFileContent
from dataflow_core.schema import Field
from dataflow_core.transfer.cells import base_type, json_of, json_text
from dataflow_core.transfer.columns import Columns
from dataflow_core.transfer.text import content_error, unreadable
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

__all__ = ["ArrowReader", "ArrowWriter"]

Row = dict[str, Any]

_GROUP_ROWS: Final = 65_536
_BATCH: Final = 1_000


def _load(name: str = "pyarrow") -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExtraNotInstalled(
            'Parquet and Arrow files need pyarrow: pip install "dataflow-db[arrow]"',
            outcome="not done",
        ) from error


def _arrow_types(pa: Any) -> dict[type[FieldType], Callable[[Any], Any]]:
    return {
        Integer: lambda kind: pa.int64() if kind.bits == 64 else pa.int32(),
        Float: lambda _: pa.float64(),
        Decimal: lambda kind: pa.decimal128(kind.precision, kind.scale),
        Boolean: lambda _: pa.bool_(),
        Text: lambda _: pa.string(),
        Binary: lambda _: pa.binary(),
        Timestamp: lambda _: pa.timestamp("us", "UTC"),
        Date: lambda _: pa.date32(),
        Time: lambda _: pa.time64("us"),
        Uuid: lambda _: pa.string(),
        Json: lambda _: pa.string(),
    }


class ArrowWriter:
    """Writes rows as Parquet or as an Arrow file, so many at a time that the file is a good one."""

    def __init__(self, kind: str, file: BinaryIO, fields: Sequence[Field]) -> None:
        self._pa = pa = _load()
        kinds = _arrow_types(pa)
        columns = []
        self._columns: list[tuple[str, Any, Callable[[Any], Any] | None]] = []
        for item in fields:
            base = base_type(item.type)
            arrow = kinds[type(base)](base)
            columns.append(pa.field(item.name, arrow, nullable=item.nullable))
            self._columns.append((item.name, arrow, _TO_ARROW.get(type(base))))
        self._schema = pa.schema(columns)
        if kind == "parquet":
            self._writer = _load("pyarrow.parquet").ParquetWriter(file, self._schema)
        else:
            self._writer = _load("pyarrow.ipc").new_file(file, self._schema)
        self._waiting: list[Any] = []
        self._rows = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, in order."""
        pa, arrays = self._pa, []
        for name, arrow, convert in self._columns:
            values = [row[name] for row in rows]
            if convert is not None:
                values = [None if value is None else convert(value) for value in values]
            arrays.append(pa.array(values, arrow))
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows += len(rows)
        if self._rows >= _GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        table = self._pa.Table.from_batches(self._waiting, self._schema).combine_chunks()
        self._waiting, self._rows = [], 0
        self._writer.write_table(table)

    def finish(self) -> None:
        """Write the rows that wait, and the end of the file."""
        if self._waiting:
            self._write_group()
        self._writer.close()

    def give_up(self) -> None:
        """Drop the rows that wait, and close: forgotten, it would write into a closed file."""
        self._waiting = []
        with suppress(self._pa.ArrowException, OSError):
            self._writer.close()


_TO_ARROW: Final[dict[type[FieldType], Callable[[Any], Any]]] = {Uuid: str, Json: json_text}


class ArrowReader:
    """Reads a Parquet or an Arrow file by the names of its columns."""

    position = "row"

    def __init__(self, kind: str, path: Path, columns: Columns) -> None:
        self._pa = pa = _load()
        self._path = path
        self._file: Any = None
        try:
            if kind == "parquet":
                self._file = _load("pyarrow.parquet").ParquetFile(path)
                schema = self._file.schema_arrow
            else:
                self._source = pa.OSFile(str(path))
                self._file = _load("pyarrow.ipc").open_file(self._source)
                schema = self._file.schema
        except FileNotFoundError as error:
            raise unreadable(path, error) from error
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, PermissionError | IsADirectoryError):
                raise unreadable(path, error) from error
            raise InvalidFileContent(
                f"{path.name}: is no {kind} file that can be read", path=str(path), expected=kind
            ) from error
        self._kind = kind
        try:
            columns.check(schema.names, path)
            self._fields = columns.fields(schema.names, path)
        except BaseException:
            self.close()
            raise

    def _record_batches(self) -> Iterator[Any]:
        if self._kind == "parquet":
            names = [
                name
                for name, item in zip(self._file.schema_arrow.names, self._fields, strict=True)
                if item is not None
            ]
            # A name with a dot would mean a part of a column.
            whole = any("." in name for name in names)
            yield from self._file.iter_batches(_BATCH, columns=None if whole else names)
            return
        for number in range(self._file.num_record_batches):
            batch = self._file.get_batch(number)
            for at in range(0, batch.num_rows, _BATCH):
                yield batch.slice(at, _BATCH)

    def batches(self) -> Iterator[list[Row]]:
        """The rows, some at a time."""
        by_column = {
            name: item
            for name, item in zip(self._names, self._fields, strict=True)
            if item is not None
        }
        done = 0
        try:
            for batch in self._record_batches():
                columns = [
                    (item.name, self._values(batch.column(name), name, item, done))
                    for name, item in by_column.items()
                ]
                names = [name for name, _ in columns]
                rows = zip(*(values for _, values in columns), strict=True)
                yield [dict(zip(names, row, strict=True)) for row in rows]
                done += batch.num_rows
        except (self._pa.ArrowException, OSError) as error:
            raise InvalidFileContent(
                f"{self._path.name}: is damaged behind row {done}", path=str(self._path), row=done
            ) from error

    @property
    def _names(self) -> list[str]:
        schema = self._file.schema_arrow if self._kind == "parquet" else self._file.schema
        names: list[str] = schema.names
        return names

    def _values(self, array: Any, column: str, item: Field, done: int) -> list[Any]:
        pa, kind = self._pa, array.type
        if pa.types.is_timestamp(kind) and kind.unit == "ns":
            array = self._in_microseconds(array, pa.timestamp("us", kind.tz), column, done)
        elif pa.types.is_time64(kind) and kind.unit == "ns":
            array = self._in_microseconds(array, pa.time64("us"), column, done)
        try:
            values: list[Any] = array.to_pylist()
        except (ValueError, OverflowError) as error:
            raise content_error(
                self._path,
                done + 1,
                "or one behind it is out of range",
                column=column,
                position="row",
            ) from error
        if isinstance(base_type(item.type), Json):
            for at, value in enumerate(values):
                if isinstance(value, str):
                    values[at] = self._document(value, column, done + at + 1)
        return values

    def _in_microseconds(self, array: Any, kind: Any, column: str, done: int) -> Any:
        try:
            return array.cast(kind)
        except self._pa.ArrowInvalid as error:
            for at in range(len(array)):
                try:
                    array.slice(at, 1).cast(kind)
                except self._pa.ArrowInvalid:
                    raise content_error(
                        self._path,
                        done + at + 1,
                        "nanoseconds would be lost",
                        column=column,
                        expected="microseconds",
                        position="row",
                    ) from None
            raise InvalidFileContent(f"{self._path.name}: {error}") from error

    def _document(self, text: str, column: str, row: int) -> Any:
        try:
            return json_of(text)
        except ValueError:
            raise content_error(
                self._path, row, "is no JSON", column=column, expected="JSON", position="row"
            ) from None

    def positions(self) -> Iterator[int]:
        """Rows count from 1."""
        number = 0
        while True:
            number += 1
            yield number

    def close(self) -> None:
        """Close the file."""
        if self._kind == "arrow":
            self._source.close()
        elif self._file is not None:
            self._file.close()
