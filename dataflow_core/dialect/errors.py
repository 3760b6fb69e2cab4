"""What a driver raised, as the uniform errors, by a table of rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from attrs import field, frozen

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    ConnectionFailed,
    ConnectionLost,
    ConstraintViolation,
    DatabaseError,
    DataFlowError,
    ForeignKeyViolation,
    InvalidValue,
    Outcome,
    OutOfRange,
    TableMissing,
)
from dataflow_core.schema import Model

__all__ = ["ErrorRule", "error_by_rules", "error_of_python"]

_ITEMS: Final = re.compile(r"\s*,\s*")
_PAIRS: Final = ('""', "''", "``", "[]")


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return None if pattern is None else re.compile(pattern, re.DOTALL)


@frozen
class ErrorRule:
    """Which errors of a driver are which error of DataFlow.

    Attributes:
        error: the class to raise.
        message: what went wrong, without any value of a row; the model's name is put before it.
        code: what ``error_code`` of the dialect gives for these errors; ``None`` is any.
        pattern: found in the driver's message. Its named groups ``table``, ``constraint`` and
            ``columns`` (with commas between them, perhaps each behind its table) become fields of
            a broken constraint.
        side: of a broken reference: ``"child"`` or ``"parent"``.
        outcome: whether a write was carried out, if it is not ``"not done"``.
    """

    error: type[DataFlowError]
    message: str
    code: object = None
    pattern: re.Pattern[str] | None = field(default=None, converter=_compiled)
    side: str | None = None
    outcome: Outcome = "not done"


def error_by_rules(
    rules: Iterable[ErrorRule], code: object, text: str, situation: ErrorSituation
) -> DataFlowError | None:
    """The error of the first rule that fits, or ``None``.

    Parameters:
        rules: the rules, in order.
        code: the code of the driver's error.
        text: its message.
        situation: what was being done.
    """
    for rule in rules:
        if rule.code is not None and rule.code != code:
            continue
        found = None if rule.pattern is None else rule.pattern.search(text)
        if rule.pattern is not None and found is None:
            continue
        groups = {} if found is None else found.groupdict()
        return _made(rule, groups, situation)
    return None


def _made(rule: ErrorRule, groups: dict[str, Any], situation: ErrorSituation) -> DataFlowError:
    model = situation.model
    place = "the statement" if model is None else model.name
    table = _name(groups.get("table")) or (None if model is None else model.table)
    outcome: Outcome | None = rule.outcome if situation.writing else None
    if issubclass(rule.error, TableMissing):
        missing = _name(groups.get("table"))
        shown = "a table" if missing is None else f"the table {missing!r}"
        return rule.error(f"{shown} does not exist", table=missing, outcome=outcome)
    if not issubclass(rule.error, ConstraintViolation):
        if issubclass(rule.error, ConnectionFailed | ConnectionLost):
            return rule.error(rule.message, outcome=outcome)
        return rule.error(f"{place}: {rule.message}", outcome=outcome)
    listed = _ITEMS.split(groups.get("columns") or "")
    columns = tuple(_name(item.rpartition(".")[2]) or "" for item in listed if item)
    side = rule.side or ("parent" if situation.deleting else "child")
    if issubclass(rule.error, ForeignKeyViolation) and side == "child" and not columns:
        columns = _only_reference(model)
    named = f" ({', '.join(columns)})" if columns else ""
    fields: dict[str, Any] = {
        "table": table,
        "constraint": _name(groups.get("constraint")),
        "columns": columns,
    }
    if issubclass(rule.error, ForeignKeyViolation):
        fields["side"] = side
    return rule.error(f"{place}: {rule.message}{named}", **fields)


def _only_reference(model: Model | None) -> tuple[str, ...]:
    """The columns of a model's foreign key, if it has just one."""
    keys: set[tuple[str, ...]] = set()
    if model is not None:
        keys = {key.columns for key in model.foreign_keys}
        keys |= {(item.column,) for item in model.fields if item.references is not None}
    return next(iter(keys)) if len(keys) == 1 else ()


def _name(text: str | None) -> str | None:
    """A name without the quotes around it; quotes that belong to the name stay."""
    if text is None:
        return None
    name = text.strip()
    quoted = len(name) > 2 and name[0] + name[-1] in _PAIRS
    return name[1:-1] if quoted else name


def error_of_python(error: Exception, situation: ErrorSituation) -> DataFlowError | None:
    """What Python raises for a value that no driver can send, or ``None``."""
    place = "the statement" if situation.model is None else situation.model.name
    if isinstance(error, DataFlowError):
        return error
    if isinstance(error, OverflowError):
        return OutOfRange(f"{place}: a number exceeds what the driver takes")
    if isinstance(error, UnicodeEncodeError):
        return InvalidValue(f"{place}: text holds a lone surrogate")
    return None


def unknown_error(name: str, error: Exception, situation: ErrorSituation) -> DatabaseError:
    """An error of the driver that no rule knows."""
    outcome: Outcome | None = "not done" if situation.writing else None
    return DatabaseError(f"{name}: {error}", outcome=outcome)
