"""The DuckDB dialect: what it offers, how it is opened, and what its errors mean."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from dataflow_core.contract import ConnectOptions, DatabaseURL, Driver, ErrorSituation
from dataflow_core.dialect import BaseDialect, ErrorRule
from dataflow_core.errors import (
    CheckViolation,
    ConnectionFailed,
    DatabaseError,
    DataFlowError,
    ForeignKeyViolation,
    InvalidURL,
    LockTimeout,
    NotNullViolation,
    OutOfRange,
    SerializationFailure,
    TableMissing,
    UniqueViolation,
    UnknownOption,
    ValueTooLong,
)
from dataflow_core.schema import Model
from dataflow_core.types import Integer
from dataflow_duckdb.compiler import DuckDBCompiler
from dataflow_duckdb.ddl import DuckDBDDLCompiler
from dataflow_duckdb.driver import DuckDBDriver
from dataflow_duckdb.features import FEATURES

__all__ = ["DuckDBDialect"]

_BROKEN = "ConstraintException"
_RULES = (
    ErrorRule(NotNullViolation, "a value is missing", _BROKEN,
              r"NOT NULL constraint failed: (?P<table>.+)\.(?P<columns>[^.]+)$"),
    ErrorRule(ForeignKeyViolation, "a reference leads to no row", _BROKEN,
              r"does not exist in the referenced table", side="child"),
    ErrorRule(ForeignKeyViolation, "the row is still referred to", _BROKEN,
              r"is still referenced by a foreign key", side="parent"),
    ErrorRule(ValueTooLong, "text is longer than its column", _BROKEN,
              r"""CHECK\(+length\((?P<columns>"(?:[^"]|"")*"|\w+)\) <= .*_length' IS NULL\)+$"""),
    ErrorRule(CheckViolation, "a check failed", _BROKEN,
              r"OR \('(?P<constraint>(?:[^']|'')*)' IS NULL\)+$"),
    ErrorRule(UniqueViolation, "a row with the same key exists already", _BROKEN),
    ErrorRule(OutOfRange, "a number is out of range", "OutOfRangeException"),
    ErrorRule(OutOfRange, "a number is out of range", "ConversionException", "out of range"),
    ErrorRule(OutOfRange, "a number is out of range", "ConversionException", "Could not cast"),
    ErrorRule(OutOfRange, "a number is out of range", "InvalidInputException", "out of range"),
    ErrorRule(TableMissing, "", "CatalogException", r"Table with name (?P<table>.+?) does not"),
    ErrorRule(SerializationFailure, "another connection changed the row", "TransactionException",
              r"[Cc]onflict"),
    ErrorRule(DatabaseError, "the statement was interrupted", "InterruptException"),
    ErrorRule(LockTimeout, "another process has the file", "IOException", "lock on file"),
    ErrorRule(ConnectionFailed, "the file cannot be opened", "IOException"),
)  # fmt: skip


class DuckDBDialect(BaseDialect):
    """DuckDB from 2.0."""

    name = "duckdb"
    features = FEATURES
    compiler_class = DuckDBCompiler
    ddl_class = DuckDBDDLCompiler
    driver_errors = duckdb.Error
    error_rules = _RULES

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        """Check URL and options and return a driver.

        Raises ``InvalidURL``, ``UnknownOption`` and ``ConnectionFailed``.
        """
        if url.host is not None or url.username is not None:
            raise InvalidURL("a duckdb:// URL names a file: duckdb:///folder/a.duckdb", part="host")
        if url.query:
            raise UnknownOption("a duckdb:// URL has no options; give threads= as an argument")
        database = url.database or ":memory:"
        if database != ":memory:" and not Path(database).absolute().parent.is_dir():
            raise ConnectionFailed(f"the folder of {database} does not exist", path=database)
        return DuckDBDriver(database, dict(options.options))

    def translate_error(self, error: Exception, situation: ErrorSituation) -> DataFlowError | None:
        """By the rules; DuckDB names the columns of a key together with their values."""
        found = super().translate_error(error, situation)
        if isinstance(found, UniqueViolation) and situation.model is not None:
            found.columns = _key_columns(str(error), situation.model)
        return found


def _key_columns(text: str, model: Model) -> tuple[str, ...]:
    """The columns of the key that a message is about: it names them, or shows their values only."""
    keys = [tuple(model.by_name[name] for name in names) for names in model.unique_keys]
    fitting = []
    for key in keys:
        pattern = ", ".join(f"{re.escape(item.column)}: .*" for item in key)
        if re.search(f'"{pattern}"', text, re.DOTALL):
            fitting.append(key)
    if not fitting:
        shown = text.rpartition('key "')[2].rstrip('".')
        is_number = re.fullmatch(r"-?[0-9]+", shown) is not None
        single = [key for key in keys if len(key) == 1]
        fitting = [key for key in single if is_number or not isinstance(key[0].type, Integer)]
        fitting = fitting if len(fitting) == 1 else []
    found = max(fitting, key=len, default=())
    return tuple(item.column for item in found)
