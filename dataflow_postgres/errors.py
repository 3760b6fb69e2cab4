"""What PostgreSQL raised, as the uniform errors: told apart by SQLSTATE alone.

Messages of the server come in its language and hold values of rows, so they are neither read nor
shown where a statement of a model failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import asyncpg

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    CheckViolation,
    ConnectionLost,
    CorruptDatabase,
    DatabaseError,
    DataFlowError,
    Deadlock,
    DiskFull,
    ForeignKeyViolation,
    InvalidType,
    InvalidValue,
    LimitExceeded,
    LockTimeout,
    NotNullViolation,
    Outcome,
    OutOfRange,
    PatternRefused,
    ReadOnlyDatabase,
    SerializationFailure,
    StatementTimeout,
    TableMissing,
    TransactionFailed,
    UniqueViolation,
    ValueTooLong,
    with_database_code,
)
from dataflow_core.schema import Field, Model
from dataflow_postgres.ddl import constraint_name

__all__ = ["DRIVER_ERRORS", "note_lost", "translate_error", "was_lost"]

DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""Whatever the driver raises on purpose."""

Translate = Callable[[Any, ErrorSituation], DataFlowError]

_PARENT: Final = "23001"
_LOST_CODES: Final = frozenset(("57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"))
_LOST: Final = "dataflow_lost"


def was_lost(error: BaseException) -> bool:
    """Whether the error alone tells that the connection broke."""
    if isinstance(error, asyncpg.PostgresError):
        code = error.sqlstate or ""
        return code.startswith("08") or code in _LOST_CODES
    if isinstance(error, asyncpg.InternalClientError):
        # The server's last words came between two statements, and the driver has not closed yet.
        return "cannot switch to state" in str(error)
    return isinstance(error, OSError)


def note_lost(error: BaseException, *, nothing_done: bool) -> None:
    """Note that the connection broke, and whether it is certain that nothing was written."""
    setattr(error, _LOST, nothing_done)


def translate_error(error: Exception, situation: ErrorSituation) -> DataFlowError | None:
    """The uniform error for what the driver raised, or ``None`` if it is not the driver's."""
    return with_database_code(_translated(error, situation), getattr(error, "sqlstate", None))


def _translated(error: Exception, situation: ErrorSituation) -> DataFlowError | None:
    if isinstance(error, DataFlowError):
        return error
    if hasattr(error, _LOST) or was_lost(error):
        return _lost(error, situation)
    if isinstance(error, asyncpg.PostgresError):
        code = error.sqlstate or ""
        translate = _BY_CODE.get(code) or _BY_CLASS.get(code[:2], _any)
        return translate(error, situation)
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return _of_client(error, situation)
    if isinstance(error, OverflowError):
        return OutOfRange(f"{_place(situation)}: an int exceeds 64 bits", table=_table(situation))
    if isinstance(error, UnicodeEncodeError):
        return InvalidValue(f"{_place(situation)}: text holds a lone surrogate")
    return None


def _of_client(error: Exception, situation: ErrorSituation) -> DataFlowError:
    """What the driver raises by itself, before it sends anything."""
    if isinstance(error, asyncpg.ProtocolError | asyncpg.OutdatedSchemaCacheError):
        return DatabaseError(
            f"{_place(situation)}: the answer of the server was not understood; was the type of"
            " a column changed?",
            outcome="unknown" if situation.writing else None,
        )
    # What is left of it concerns the number of values, or what cannot be done on a connection.
    return DatabaseError(f"PostgreSQL: {error.args[0]}", outcome=_not_done(situation))


def _value_refused(error: Any, situation: ErrorSituation) -> DataFlowError:
    """A value that the driver could not send; its message shows the value."""
    reason = error.__cause__
    place = f"{_place(situation)}: a value"
    if isinstance(reason, OverflowError):
        return OutOfRange(f"{place} is outside of what its column holds", table=_table(situation))
    if reason is None or isinstance(reason, ValueError):
        lone = isinstance(reason, UnicodeEncodeError)
        return InvalidValue(f"{place} {'holds a lone surrogate' if lone else 'cannot be sent'}")
    return InvalidType(f"{place} is of a type that PostgreSQL does not take there")


def _lost(error: BaseException, situation: ErrorSituation) -> DataFlowError:
    outcome: Outcome | None = None
    if situation.writing:
        outcome = "not done" if getattr(error, _LOST, False) else "unknown"
    return ConnectionLost("the connection to the server was lost", outcome=outcome)


def _not_done(situation: ErrorSituation) -> Outcome | None:
    return "not done" if situation.writing else None


def _table(situation: ErrorSituation) -> str | None:
    return situation.model.table if situation.model is not None else None


def _place(situation: ErrorSituation) -> str:
    return situation.model.name if situation.model is not None else "the statement"


def _any(error: Any, situation: ErrorSituation) -> DataFlowError:
    # A message may repeat a value of the row; of a user's own statement it is the best there is.
    text = f"PostgreSQL: {error.args[0]}"
    if situation.model is not None:
        text = f"{_place(situation)}: the server refused the statement"
    return DatabaseError(text, outcome=_not_done(situation))


def _simple(kind: type[DataFlowError], message: str, outcome: Outcome = "not done") -> Translate:
    def translate(error: Any, situation: ErrorSituation) -> DataFlowError:
        return kind(message, outcome=outcome if situation.writing else None)

    return translate


def _of_row(kind: type[DataFlowError], message: str) -> Translate:
    def translate(error: Any, situation: ErrorSituation) -> DataFlowError:
        column = error.column_name
        return kind(
            f"{_place(situation)}: {message}",
            table=error.table_name or _table(situation),
            constraint=error.constraint_name,
            columns=() if column is None else (column,),
        )

    return translate


def _about_value(kind: type[DataFlowError], message: str) -> Translate:
    def translate(error: Any, situation: ErrorSituation) -> DataFlowError:
        return kind(f"{_place(situation)}: {message}")

    return translate


# Broken constraints


def _unique(error: Any, situation: ErrorSituation) -> DataFlowError:
    columns = _index_columns(error.constraint_name, situation.model) or _listed(error.detail)
    names = ", ".join(columns) or "a unique index"
    return UniqueViolation(
        f"{_place(situation)}: a row with the same {names} exists already",
        table=error.table_name or _table(situation),
        constraint=error.constraint_name,
        columns=columns,
    )


def _index_columns(name: str | None, model: Model | None) -> tuple[str, ...]:
    """The columns of an index that the model names itself."""
    if model is None or name is None:
        return ()
    column_of = {field.name: field.column for field in model.fields}
    for index in model.indexes:
        if index.name == name:
            return tuple(column_of.get(column, column) for column in index.columns)
    return ()


_NAME: Final = re.compile(r'"((?:[^"]|"")+)"|([^\W\d][\w$]*)')


def _listed(detail: str | None) -> tuple[str, ...]:
    """The columns of ``Key (a, "b c")=(values) ...``, whatever the language is."""
    columns: list[str] = []
    text = detail or ""
    place = text.find("(") + 1
    while place > 0 and (found := _NAME.match(text, place)) is not None:
        columns.append(found[1].replace('""', '"') if found[1] is not None else found[2])
        place = found.end()
        if text.startswith(")=(", place):
            return tuple(columns)
        if not text.startswith(", ", place):
            break
        place += 2
    # An expression, or a name that is not quoted as it should be.
    return ()


def _not_null(error: Any, situation: ErrorSituation) -> DataFlowError:
    column = error.column_name
    return NotNullViolation(
        f"{_place(situation)}: {column} needs a value",
        table=error.table_name or _table(situation),
        columns=() if column is None else (column,),
    )


def _check(error: Any, situation: ErrorSituation) -> DataFlowError:
    name = error.constraint_name
    common: dict[str, Any] = {
        "table": error.table_name or _table(situation),
        "constraint": name,
    }
    field, rule = _checked_field(name, situation.model)
    if field is None:
        return CheckViolation(f"{_place(situation)}: the check {name!r} failed", **common)
    common["columns"] = (field.column,)
    place = f"{_place(situation)}: {field.column}"
    if rule == "length":
        return ValueTooLong(f"{place} is longer than its column", **common)
    if rule in ("type", "range") and field.type.numeric:
        return OutOfRange(f"{place} is outside of what its column holds", **common)
    return CheckViolation(f"{place} is not one of the values that it may have", **common)


def _checked_field(name: str | None, model: Model | None) -> tuple[Field | None, str]:
    """The field and the rule of a check that comes from the type of a column."""
    if model is not None and name is not None:
        for field in model.fields:
            for rule in ("length", "type", "range", "enum"):
                if name == constraint_name(f"{model.table}_{field.column}_{rule}"):
                    return field, rule
    return None, ""


def _foreign_key(error: Any, situation: ErrorSituation) -> DataFlowError:
    side = _side(error, situation)
    if side == "parent":
        return ForeignKeyViolation(
            f"{_place(situation)}: the row is still referred to",
            side="parent",
            table=_table(situation),
            constraint=error.constraint_name,
        )
    columns = _reference_columns(error, situation.model)
    named = f" ({', '.join(columns)})" if columns else ""
    return ForeignKeyViolation(
        f"{_place(situation)}: a reference{named} leads to no row",
        side=side,
        table=error.table_name or _table(situation),
        constraint=error.constraint_name,
        columns=columns,
    )


def _side(error: Any, situation: ErrorSituation) -> Any:
    """Which side broke: the server names the referring table in both cases.

    Keys never change, so a write to the referring table is on the child's side. Without a model
    the end of the detail tells, which names the other table.
    """
    if error.sqlstate == _PARENT or situation.deleting:
        return "parent"
    if situation.model is not None:
        return "child" if situation.model.table == error.table_name else "parent"
    detail, table = error.detail or "", error.table_name or ""
    if not detail or not table:
        return None
    _, _, end = detail.rpartition(")")
    named = re.search(rf"(?<!\w){re.escape(table)}(?!\w)", end) is not None
    return "parent" if named else "child"


def _reference_columns(error: Any, model: Model | None) -> tuple[str, ...]:
    """The columns of the reference; the detail does not quote their names."""
    detail = error.detail or ""
    if model is None:
        return _listed(detail)
    keys = model.reference_columns
    named = [columns for columns in keys.values() if f"({', '.join(columns)})=(" in detail]
    if not named:
        told = set(detail.partition("(")[2].partition(")=(")[0].split(", "))
        named = [keys[names] for names in keys if set(", ".join(names).split(", ")) == told]
    return named[0] if named else ()


# Other errors with more to tell


def _table_missing(error: Any, situation: ErrorSituation) -> DataFlowError:
    table = _name_at(getattr(error, "query", None), error.position) or _table(situation)
    shown = "a table" if table is None else f"the table {table!r}"
    return TableMissing(f"{shown} does not exist", table=table, outcome=_not_done(situation))


def _name_at(query: str | None, position: str | None) -> str | None:
    """The name that stands where the server points to in the statement."""
    if query is None or position is None or not position.isdigit():
        return None
    found = _NAME.match(query, int(position) - 1)
    while found is not None and query.startswith(".", found.end()):
        further = _NAME.match(query, found.end() + 1)
        if further is None:
            break
        found = further
    if found is None:
        return None
    return found[1].replace('""', '"') if found[1] is not None else found[2].lower()


def _feature(error: Any, situation: ErrorSituation) -> DataFlowError:
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return SerializationFailure(
            f"{_place(situation)}: a table was changed since the statement was prepared;"
            " the transaction has to be run again",
            outcome=_not_done(situation),
        )
    return _any(error, situation)


def _cancelled(error: Any, situation: ErrorSituation) -> DataFlowError:
    reason = "command_timeout" if situation.timed_out else "it may, or was ended by somebody else"
    return StatementTimeout(
        f"{_place(situation)}: took longer than {reason}",
        outcome=_not_done(situation),
    )


_OUT_OF_RANGE: Final = _of_row(OutOfRange, "a value is outside of what its column holds")
_TOO_COMPLEX: Final = _about_value(LimitExceeded, "more than PostgreSQL takes in one statement")
_CORRUPT: Final = _simple(CorruptDatabase, "files of the database are damaged", "unknown")
_REFUSED_VALUE: Final = _about_value(InvalidValue, "a value cannot be taken by PostgreSQL")

_BY_CODE: Final[dict[str, Translate]] = {
    "0A000": _feature,
    "22000": _value_refused,
    "22001": _of_row(ValueTooLong, "a value is longer than its column"),
    "22003": _OUT_OF_RANGE,
    "22008": _OUT_OF_RANGE,
    "22012": _any,
    "22023": _any,
    "2201B": _about_value(PatternRefused, "PostgreSQL cannot read the pattern"),
    "23001": _foreign_key,
    "23502": _not_null,
    "23503": _foreign_key,
    "23505": _unique,
    "23514": _check,
    "23P01": _of_row(CheckViolation, "another row excludes this one"),
    "25006": _simple(ReadOnlyDatabase, "the server, or the transaction, is read-only"),
    "25P02": _simple(TransactionFailed, "an earlier error left the transaction to be rolled back"),
    "26000": _simple(
        SerializationFailure,
        "the server does not know a prepared statement any more: a pooler is in between;"
        " pooler=True tells so from the start",
    ),
    "40001": _simple(SerializationFailure, "another transaction changed what this one had read"),
    "40003": _simple(
        SerializationFailure, "nobody can tell whether the statement was done", "unknown"
    ),
    "40P01": _simple(Deadlock, "two transactions waited for each other"),
    "42P01": _table_missing,
    "53100": _simple(DiskFull, "the disk of the server is full"),
    "55P03": _simple(LockTimeout, "another transaction holds a lock"),
    "57014": _cancelled,
    "58030": _simple(DatabaseError, "the server cannot read or write its files", "unknown"),
    "XX001": _CORRUPT,
    "XX002": _CORRUPT,
}
_BY_CLASS: Final[dict[str, Translate]] = {
    "22": _REFUSED_VALUE,
    "23": _of_row(CheckViolation, "a rule of the table is broken"),
    "40": _simple(SerializationFailure, "the server rolled the transaction back"),
    "54": _TOO_COMPLEX,
}
