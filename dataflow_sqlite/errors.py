"""What SQLite raised, as the uniform errors: told apart by the extended result code."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    CheckViolation,
    ConnectionFailed,
    ConnectionLost,
    CorruptDatabase,
    DatabaseError,
    DataFlowError,
    DiskFull,
    ForeignKeyViolation,
    InvalidType,
    InvalidValue,
    LimitExceeded,
    LockTimeout,
    NotNullViolation,
    Outcome,
    OutOfRange,
    ReadOnlyDatabase,
    SerializationFailure,
    StatementTimeout,
    TableMissing,
    UniqueViolation,
    ValueTooLong,
    with_database_code,
)
from dataflow_core.schema import Field, Model
from dataflow_sqlite.alter import NEW_TABLE
from dataflow_sqlite.ddl import LENGTH_CHECK, TYPE_CHECK
from dataflow_sqlite.functions.results import ResultOutOfRange

__all__ = ["translate_error"]

_CLOSED: Final = frozenset(("no active connection", "Connection closed"))
_TOO_COMPLEX: Final = "parser stack overflow"
_NO_TABLE: Final = re.compile(r"no such table: (?:main\.)?(.+)", re.DOTALL)


def translate_error(error: Exception, situation: ErrorSituation) -> DataFlowError | None:
    """The uniform error for what the driver raised, or ``None`` if it is not the driver's."""
    name = getattr(error, "sqlite_errorname", None)
    return with_database_code(_translated(error, situation), name)


def _translated(error: Exception, situation: ErrorSituation) -> DataFlowError | None:
    if isinstance(error, DataFlowError):
        return error
    if isinstance(error, OverflowError):
        return OutOfRange(f"{_place(situation)}: an int exceeds 64 bits")
    if isinstance(error, UnicodeEncodeError):
        return InvalidValue(f"{_place(situation)}: text holds a lone surrogate")
    if isinstance(error, ValueError) and str(error) in _CLOSED:
        return ConnectionLost("the connection is closed", outcome=_not_done(situation))
    if not isinstance(error, sqlite3.Error):
        return None
    reason = error.__cause__
    if isinstance(reason, DataFlowError):
        return reason
    if isinstance(reason, ResultOutOfRange):
        return OutOfRange(f"{_place(situation)}: {reason}", table=_table(situation))
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return _of_the_module(error, situation)
    translate = _BY_CODE.get(code) or _BY_CODE.get(code & 0xFF, _any)
    return translate(error, situation)


def _not_done(situation: ErrorSituation) -> Outcome | None:
    return "not done" if situation.writing else None


def _table(situation: ErrorSituation) -> str | None:
    return situation.model.table if situation.model is not None else None


def _place(situation: ErrorSituation) -> str:
    return situation.model.name if situation.model is not None else "the statement"


def _of_the_module(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    """Errors of Python's module itself have no code."""
    text = str(error)
    if text.startswith("Error binding parameter"):
        return InvalidType(f"{_place(situation)}: a value is of a type that SQLite does not take")
    if text.startswith("Cannot operate on a closed"):
        return ConnectionLost("the connection is closed", outcome=_not_done(situation))
    return DatabaseError(f"SQLite: {text}", outcome=_not_done(situation))


def _any(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    text = str(error)
    missing = _NO_TABLE.fullmatch(text)
    if missing is not None:
        return TableMissing(
            f"the table {missing[1]!r} does not exist",
            table=missing[1],
            outcome=_not_done(situation),
        )
    if text == _TOO_COMPLEX or text.startswith("Expression tree is too large"):
        return LimitExceeded(f"{_place(situation)}: SQLite cannot read so deep an expression")
    if text == "integer overflow":
        return OutOfRange(f"{_place(situation)}: the result exceeds an int of 64 bits")
    return DatabaseError(
        f"SQLite: {text}",
        outcome=_not_done(situation),
    )


def _simple(
    kind: type[DataFlowError], message: str
) -> Callable[[sqlite3.Error, ErrorSituation], DataFlowError]:
    def translate(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
        return kind(message, outcome=_not_done(situation))

    return translate


def _interrupted(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    reason = "command_timeout" if situation.timed_out else "it may, or was ended by somebody else"
    return StatementTimeout(
        f"{_place(situation)}: took longer than {reason}", outcome=_not_done(situation)
    )


def _input_output(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    # Nobody can tell whether a commit reached the disk before it failed.
    outcome: Outcome | None = "unknown" if situation.writing else None
    return DatabaseError(f"SQLite: {error}", outcome=outcome)


def _columns_of(text: str, situation: ErrorSituation) -> tuple[str | None, tuple[str, ...]]:
    """Table and columns of ``... failed: table.a, table.b``."""
    _, _, named = text.partition("failed: ")
    named = named.removeprefix(NEW_TABLE)
    table = _table(situation)
    if table is not None and named.startswith(f"{table}."):
        return table, tuple(named[len(table) + 1 :].split(f", {table}."))
    if named.startswith("index "):
        return table, ()
    pairs = [part.rpartition(".") for part in named.split(", ")]
    return (pairs[0][0] or table), tuple(column for _, _, column in pairs)


def _unique(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    table, columns = _columns_of(str(error), situation)
    names = ", ".join(columns) or "a unique index"
    return UniqueViolation(
        f"{_place(situation)}: a row with the same {names} exists already",
        table=table,
        columns=columns,
    )


def _not_null(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    table, columns = _columns_of(str(error), situation)
    return NotNullViolation(
        f"{_place(situation)}: {', '.join(columns)} needs a value", table=table, columns=columns
    )


def _check(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    _, _, name = str(error).partition("failed: ")
    common: dict[str, Any] = {"table": _table(situation), "constraint": name or None}
    prefix, _, column = name.partition(":")
    if not column or not prefix.startswith("dataflow_"):
        return CheckViolation(f"{_place(situation)}: the check {name!r} failed", **common)
    common["columns"] = (column,)
    place = f"{_place(situation)}: {column}"
    field = _field(situation.model, column)
    if prefix == LENGTH_CHECK:
        return ValueTooLong(f"{place} is longer than its column", **common)
    if prefix == TYPE_CHECK and (field is None or field.type.numeric):
        return OutOfRange(f"{place} is outside of what its column holds", **common)
    return CheckViolation(f"{place} is not one of the values that it may have", **common)


def _field(model: Model | None, column: str) -> Field | None:
    fields = model.fields if model is not None else ()
    return next((field for field in fields if field.column == column), None)


def _foreign_key(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    # SQLite gives no name. Keys never change, so only a delete leaves a reference without its row;
    # otherwise the row at hand refers to none, by its only foreign key if it has just one.
    if situation.deleting:
        return ForeignKeyViolation(
            f"{_place(situation)}: the row is still referred to",
            side="parent",
            table=_table(situation),
        )
    model = situation.model
    keys = set() if model is None else set(model.reference_columns.values())
    columns = next(iter(keys)) if len(keys) == 1 else ()
    named = f" ({', '.join(columns)})" if columns else ""
    return ForeignKeyViolation(
        f"{_place(situation)}: a reference{named} leads to no row",
        side="child",
        table=_table(situation),
        columns=columns,
    )


def _mismatch(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    return CheckViolation(
        f"{_place(situation)}: a value is of a wrong type", table=_table(situation)
    )


def _trigger(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    # ON DELETE RESTRICT is a trigger inside SQLite.
    if str(error).startswith("FOREIGN KEY"):
        return _foreign_key(error, situation)
    return _violation(error, situation)


def _violation(error: sqlite3.Error, situation: ErrorSituation) -> DataFlowError:
    return CheckViolation(f"{_place(situation)}: {error}", table=_table(situation))


_LOCKED: Final = _simple(LockTimeout, "the database is locked by another connection")

_BY_CODE: Final[dict[int, Callable[[sqlite3.Error, ErrorSituation], DataFlowError]]] = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: _unique,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: _unique,
    sqlite3.SQLITE_CONSTRAINT_ROWID: _unique,
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: _not_null,
    sqlite3.SQLITE_CONSTRAINT_CHECK: _check,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: _foreign_key,
    sqlite3.SQLITE_CONSTRAINT_TRIGGER: _trigger,
    sqlite3.SQLITE_CONSTRAINT: _violation,
    sqlite3.SQLITE_MISMATCH: _mismatch,
    sqlite3.SQLITE_BUSY_SNAPSHOT: _simple(
        SerializationFailure, "another connection wrote after this transaction had read"
    ),
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_INTERRUPT: _interrupted,
    sqlite3.SQLITE_FULL: _simple(DiskFull, "the disk is full, or the database may not grow"),
    sqlite3.SQLITE_READONLY: _simple(
        ReadOnlyDatabase, "the file, its folder or the transaction is read-only"
    ),
    sqlite3.SQLITE_CORRUPT: _simple(CorruptDatabase, "the database file is damaged"),
    sqlite3.SQLITE_NOTADB: _simple(CorruptDatabase, "the file is not a SQLite database"),
    sqlite3.SQLITE_CANTOPEN: _simple(ConnectionFailed, "the database file cannot be opened"),
    sqlite3.SQLITE_IOERR: _input_output,
    sqlite3.SQLITE_TOOBIG: _simple(ValueTooLong, "a value or a row is longer than SQLite allows"),
    sqlite3.SQLITE_RANGE: _simple(DatabaseError, "more or fewer values than the statement binds"),
}
