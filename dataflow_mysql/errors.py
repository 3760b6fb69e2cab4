"""What the server or the driver raised, as the uniform errors: told apart by number alone.

The server's texts come in its language and quote values of rows. Only names are taken out of them:
those stand in quotes at the same place in every language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from pymysql.err import MySQLError

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    CheckViolation,
    ConnectionFailed,
    ConnectionLost,
    CorruptDatabase,
    DatabaseError,
    DataFlowError,
    Deadlock,
    DiskFull,
    ForeignKeyViolation,
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
    UniqueViolation,
    ValueTooLong,
    with_database_code,
)
from dataflow_core.schema import Model
from dataflow_mysql.ddl import (
    ENUM_CHECK,
    LENGTH_CHECK,
    TYPE_CHECK,
)
from dataflow_mysql.indexes import UNIQUE_INDEX, constraint_name, index_name
from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from dataflow_mysql.protocol.plain import server_error

__all__ = ["translate_error"]

_SIMPLE_QUOTED: Final = re.compile(r"'([^']*)'")
_NAME: Final = re.compile(r"`((?:[^`]|``)+)`")
# MariaDB doubles a backtick in a name, MySQL does not.
# A server may cut its text short, in the middle of a column.
_REFERENCE: Final = re.compile(r"CONSTRAINT `(.+)` FOREIGN KEY \(`(.+?)(`\)|$)", re.DOTALL)
_MADE_OF_COLUMNS: Final = re.compile(
    UNIQUE_INDEX + r":[^:]*:(.+?)(?<!~[0-9a-f]{10})(?:\?[0-9a-f]{10})?"
)
_NEAR: Final = re.compile(r"[^']*'([^'\"]{1,60})")

Translate = Callable[[ServerError, ErrorSituation], DataFlowError]


def translate_error(error: Exception, situation: ErrorSituation) -> DataFlowError | None:
    """The uniform error for what the driver raised, or ``None`` if it is not the driver's."""
    if isinstance(error, MySQLError):
        error = server_error(error)
    return with_database_code(_translated(error, situation), getattr(error, "number", None))


def _translated(error: Exception, situation: ErrorSituation) -> DataFlowError | None:
    if isinstance(error, DataFlowError):
        return error
    if isinstance(error, ServerError):
        return _BY_NUMBER.get(error.number, _any)(error, situation)
    if isinstance(error, ConnectionGone):
        return _lost(error, situation)
    if isinstance(error, UnicodeEncodeError):
        return InvalidValue(f"{_place(situation)}: text holds a lone surrogate")
    if isinstance(error, OverflowError):
        return OutOfRange(f"{_place(situation)}: an int exceeds 64 bits", table=_table(situation))
    if isinstance(error, OSError):
        return ConnectionFailed("the server cannot be reached", outcome=_not_done(situation))
    return None


def _lost(error: ConnectionGone, situation: ErrorSituation) -> DataFlowError:
    outcome: Outcome | None = None
    if situation.writing:
        outcome = "unknown" if error.sent and not error.undone else "not done"
    return ConnectionLost("the connection to the server was lost", outcome=outcome)


def _not_done(situation: ErrorSituation) -> Outcome | None:
    return "not done" if situation.writing else None


def _table(situation: ErrorSituation) -> str | None:
    return situation.model.table if situation.model is not None else None


def _place(situation: ErrorSituation) -> str:
    return situation.model.name if situation.model is not None else "the statement"


def _any(error: ServerError, situation: ErrorSituation) -> DataFlowError:
    # Values stand in quotes, or as plain numbers where the statement itself is repeated.
    text = _SIMPLE_QUOTED.sub("'...'", error.text)
    if situation.model is not None or text.count("'") % 2:
        text = f"the server refused the statement (error {error.number})"
    return DatabaseError(f"{_place(situation)}: {text}", outcome=_not_done(situation))


def _syntax(error: ServerError, situation: ErrorSituation) -> DataFlowError:
    near = _NEAR.match(error.text)
    # What follows may be values: they have been written into the statement.
    word = near[1].split()[:1] if near is not None else []
    shown = f" at {word[0]!r}" if word and not any(letter.isdigit() for letter in word[0]) else ""
    return DatabaseError(
        f"{_place(situation)}: the server cannot read the statement{shown}",
        outcome=_not_done(situation),
    )


def _named(message: str) -> Translate:
    """Errors whose first quoted text is a name of the statement, never a value."""

    def translate(error: ServerError, situation: ErrorSituation) -> DataFlowError:
        found = _SIMPLE_QUOTED.search(error.text)
        shown = f" {found[1]!r}" if found is not None else ""
        return DatabaseError(f"{_place(situation)}: {message}{shown}", outcome=_not_done(situation))

    return translate


def _simple(kind: type[DataFlowError], message: str, outcome: Outcome = "not done") -> Translate:
    def translate(error: ServerError, situation: ErrorSituation) -> DataFlowError:
        return kind(message, outcome=outcome if situation.writing else None)

    return translate


def _about_value(kind: type[DataFlowError], message: str) -> Translate:
    def translate(error: ServerError, situation: ErrorSituation) -> DataFlowError:
        return kind(f"{_place(situation)}: {message}")

    return translate


# Broken constraints


def _quoted_names(error: ServerError, situation: ErrorSituation) -> tuple[str, ...]:
    """The quoted name that is a column of the model, or the last one without a model."""
    found = [name.rpartition(".")[2].strip("`") for name in _SIMPLE_QUOTED.findall(error.text)]
    found += [name.replace("``", "`") for name in _NAME.findall(error.text)]
    if situation.model is None:
        return tuple(found[-1:])
    columns = {field.column for field in situation.model.fields}
    return tuple(name for name in found if name in columns)[-1:]


def _of_column(kind: type[DataFlowError], message: str) -> Translate:
    def translate(error: ServerError, situation: ErrorSituation) -> DataFlowError:
        columns = _quoted_names(error, situation)
        place = f"{_place(situation)}: {columns[0] if columns else 'a value'}"
        return kind(f"{place} {message}", table=_table(situation), columns=columns)

    return translate


def _unique(error: ServerError, situation: ErrorSituation) -> DataFlowError:
    table, (name, columns) = _table(situation), _unique_key(error.text, situation.model)
    if name is None and (quoted := _SIMPLE_QUOTED.findall(error.text[error.text.rfind(" '") :])):
        name = quoted[-1]
        if table is not None:
            name = name.removeprefix(f"{table}.")
        elif "." in name:
            table, _, name = name.partition(".")
        columns = _named_columns(name)
    names = ", ".join(columns) or "a unique index"
    return UniqueViolation(
        f"{_place(situation)}: a row with the same {names} exists already",
        table=table,
        constraint=name,
        columns=columns,
    )


def _unique_key(text: str, model: Model | None) -> tuple[str | None, tuple[str, ...]]:
    """Name and columns of the model's unique key that the text names last."""
    last = -1
    found: tuple[str | None, tuple[str, ...]] = (None, ())
    for columns, names in () if model is None else _unique_keys(model):
        for name in names:
            at = max(text.rfind(f"'{name}'"), text.rfind(f".{name}'"))
            if at > last:
                last, found = at, (name, columns)
    return found


def _named_columns(name: str) -> tuple[str, ...]:
    """The columns in a name that was made of them, unless it was cut."""
    found = _MADE_OF_COLUMNS.fullmatch(name)
    return () if found is None else tuple(found[1].split(","))


def _unique_keys(model: Model) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """What is unique in a model: the columns, and the names that the index may have."""
    column_of = {field.name: field.column for field in model.fields}
    yield tuple(field.column for field in model.primary_key), ("PRIMARY",)
    for index in model.indexes:
        if index.unique:
            columns = tuple(column_of.get(name, name) for name in index.columns)
            name = index_name(model, index)
            yield columns, (index.name or name, name)
    for field in model.fields:
        if field.unique:
            # A table that somebody else made: the server calls the index like its first column.
            derived = constraint_name(UNIQUE_INDEX, model.table, field.column)
            yield (field.column,), (derived, field.column)


def _not_null(error: ServerError, situation: ErrorSituation) -> DataFlowError:
    columns = _quoted_names(error, situation)
    return NotNullViolation(
        f"{_place(situation)}: {', '.join(columns) or 'a column'} needs a value",
        table=_table(situation),
        columns=columns,
    )


def _without_value(error: ServerError, situation: ErrorSituation) -> DataFlowError:
    """A subquery gave rows: before a column is added that none of them has a value for."""
    if situation.model is None or not situation.writing:
        return _any(error, situation)
    return NotNullViolation(
        f"{_place(situation)}: there are rows, and a column that is added without a default needs"
        " a value in each",
        table=_table(situation),
    )


def _check(error: ServerError, situation: ErrorSituation) -> DataFlowError:
    found = _NAME.search(error.text) or _SIMPLE_QUOTED.search(error.text)
    name = found[1].replace("``", "`") if found is not None else None
    common: dict[str, Any] = {
        "table": _table(situation),
        "constraint": _given_name(name, situation.model),
    }
    rule, column = _rule_of(name, situation.model)
    if column is None:
        return CheckViolation(
            f"{_place(situation)}: the check {common['constraint']!r} failed", **common
        )
    common["columns"] = (column,)
    place = f"{_place(situation)}: {column}"
    if rule == LENGTH_CHECK:
        return ValueTooLong(f"{place} is longer than its column", **common)
    if rule == TYPE_CHECK and _is_numeric(column, situation.model):
        return OutOfRange(f"{place} is outside of what its column holds", **common)
    return CheckViolation(f"{place} is not one of the values that it may have", **common)


def _given_name(name: str | None, model: Model | None) -> str | None:
    """The name that the model gave to a check or a reference, without the table's before it."""
    if model is not None:
        own = [check.name for check in model.checks]
        own += [key.name for key in model.foreign_keys if key.name is not None]
        own += [f"{model.table}_{field.column}_check" for field in model.fields]
        return next((text for text in own if constraint_name(model.table, text) == name), name)
    return name


def _rule_of(name: str | None, model: Model | None) -> tuple[str, str | None]:
    """The rule and the column of a check that comes from the type of a column."""
    rule, _, rest = (name or "").partition(":")
    if rule not in (LENGTH_CHECK, TYPE_CHECK, ENUM_CHECK):
        return rule, None
    if model is None:
        return rule, rest.partition(":")[2] or None
    columns = (field.column for field in model.fields)
    return rule, next((c for c in columns if constraint_name(rule, model.table, c) == name), None)


def _is_numeric(column: str, model: Model | None) -> bool:
    fields = model.fields if model is not None else ()
    return all(field.type.numeric for field in fields if field.column == column)


def _child(error: ServerError, situation: ErrorSituation) -> DataFlowError:
    found = _REFERENCE.search(error.text)
    columns = _referring(found, situation.model)
    named = f" ({', '.join(columns)})" if columns else ""
    return ForeignKeyViolation(
        f"{_place(situation)}: a reference{named} leads to no row",
        side="child",
        table=_table(situation),
        constraint=_reference_name(found, situation.model),
        columns=columns,
    )


def _referring(found: re.Match[str] | None, model: Model | None) -> tuple[str, ...]:
    if found is None or found[3]:
        named = () if found is None else _listed(found[2])
        return named if model is None else model.reference_columns.get(frozenset(named), named)
    fields = () if model is None else model.fields
    told = [item.column for item in fields if item.references and item.column.startswith(found[2])]
    return tuple(told) if len(told) == 1 else ()


def _reference_name(found: re.Match[str] | None, model: Model | None) -> str | None:
    return None if found is None else _given_name(found[1].replace("``", "`"), model)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.replace("``", "`") for name in text.split("`, `"))


def _parent(error: ServerError, situation: ErrorSituation) -> DataFlowError:
    found = _REFERENCE.search(error.text)
    return ForeignKeyViolation(
        f"{_place(situation)}: the row is still referred to",
        side="parent",
        table=_table(situation),
        constraint=_reference_name(found, situation.model),
    )


# Others with more to tell


def _table_missing(error: ServerError, situation: ErrorSituation) -> DataFlowError:
    found = _SIMPLE_QUOTED.search(error.text)
    name = found[1].partition(".")[2] if found is not None else _table(situation)
    shown = "a table" if name is None else f"the table {name!r}"
    return TableMissing(f"{shown} does not exist", table=name, outcome=_not_done(situation))


def _interrupted(error: ServerError, situation: ErrorSituation) -> DataFlowError:
    reason = "command_timeout" if situation.timed_out else "it may, or was ended by somebody else"
    return StatementTimeout(
        f"{_place(situation)}: took longer than {reason}", outcome=_not_done(situation)
    )


_TOO_LONG: Final = _of_column(ValueTooLong, "is longer than its column")
_OUT_OF_RANGE: Final = _of_column(OutOfRange, "is outside of what its column holds")
_WRONG_TYPE: Final = _of_column(CheckViolation, "is of a wrong type")
_ENDED: Final = _simple(ConnectionLost, "the server ended the connection")
_READ_ONLY: Final = _simple(ReadOnlyDatabase, "the server, or the transaction, is read-only")
_FULL: Final = _simple(DiskFull, "the disk of the server, or the table, is full")
_LOCKED: Final = _simple(LockTimeout, "another transaction holds a lock")
_TIMED_OUT: Final = _simple(StatementTimeout, "the statement took longer than the server allows")
_PATTERN: Final = _about_value(PatternRefused, "the server cannot read the pattern")
_PATTERN_COST: Final = _about_value(PatternRefused, "the pattern takes too much time or memory")
_TOO_COMPLEX: Final = _about_value(LimitExceeded, "more than the server takes in one statement")
_DOCUMENT: Final = _about_value(InvalidValue, "the server cannot read a JSON document or path")
_CORRUPT: Final = _simple(CorruptDatabase, "files of the database are damaged", "unknown")
_NOT_ALLOWED: Final = _simple(DatabaseError, "the user has not the right to do that")

_BY_NUMBER: Final[dict[int, Translate]] = {
    **dict.fromkeys((1062, 1586, 1022, 1859), _unique),
    **dict.fromkeys((1048, 1138, 1364, 1263, 1566), _not_null),
    1242: _without_value,
    **dict.fromkeys((1452, 1216), _child),
    **dict.fromkeys((1451, 1217), _parent),
    **dict.fromkeys((4025, 3819), _check),
    1406: _TOO_LONG,
    **dict.fromkeys((1264, 1690, 1441, 1916), _OUT_OF_RANGE),
    **dict.fromkeys((1366, 1265, 1292, 1367, 1411, 1525), _WRONG_TYPE),
    1213: _simple(Deadlock, "two transactions waited for each other"),
    **dict.fromkeys((1205, 3572, 1614), _LOCKED),
    1020: _simple(SerializationFailure, "another transaction changed what this one had read"),
    **dict.fromkeys((1969, 3024), _TIMED_OUT),
    1317: _interrupted,
    **dict.fromkeys((1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927), _ENDED),
    **dict.fromkeys((3169, 4031), _ENDED),
    **dict.fromkeys((1290, 1792, 1836, 3100, 3101), _READ_ONLY),
    **dict.fromkeys((1021, 1041, 1114, 3675), _FULL),
    **dict.fromkeys((1153, 1301, 1436, 1038, 3170, 1116, 1119, 3008, 6575), _TOO_COMPLEX),
    **dict.fromkeys((1146, 1051), _table_missing),
    1054: _named("there is no column"),
    1305: _named("there is no function or savepoint"),
    1064: _syntax,
    1149: _syntax,
    **dict.fromkeys((1139, 3685, 3686, 3687, 3688, 3689, 3690, 3691, 3692), _PATTERN),
    **dict.fromkeys((3693, 3694, 3695, 3696, 3697, 3698, 3887), _PATTERN),
    3699: _PATTERN_COST,
    **dict.fromkeys((*range(3140, 3159), *range(4037, 4046)), _DOCUMENT),
    **dict.fromkeys((1034, 1035, 1712, 1194, 1195), _CORRUPT),
    **dict.fromkeys((1044, 1045, 1142, 1143, 1227, 1370), _NOT_ALLOWED),
    1040: _simple(ConnectionFailed, "the server has too many connections"),
}
