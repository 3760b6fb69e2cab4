"""What expressions mean, in plain Python. This is the definition; databases are compared with it.

Rows are dicts of canonical values by field name; ``None`` is NULL. Text compares by code point.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dataflow_core.expressions.ast import Call, Expression, FieldValue, Literal, Null
from dataflow_core.expressions.functions import common_type
from dataflow_core.expressions.numbers import EXACT, as_operand, fitted, remainder
from dataflow_core.filters.text import fold, upper
from dataflow_core.types import Decimal, FieldType

__all__ = ["evaluate", "is_true"]

Row = Mapping[str, Any]
Values = Sequence[Any]


def evaluate(expression: Expression, row: Row, values: Values) -> Any:
    """The value of an expression over a row.

    Parameters:
        expression: a typed tree.
        row: values by field name; a field that is not there is NULL.
        values: the bound values, by the index of their slots.

    Returns:
        A canonical value of ``expression.type``, or ``None``.

    Raises:
        OutOfRange: a result does not fit its type.
    """
    if isinstance(expression, FieldValue):
        return row.get(expression.field.name)
    if isinstance(expression, Literal):
        return values[expression.slot.index]
    if isinstance(expression, Null):
        return None
    lazy = _LAZY.get(expression.function)
    if lazy is not None:
        return lazy(expression, row, values)
    arguments = [evaluate(argument, row, values) for argument in expression.arguments]
    name, _, unit = expression.function.partition(".")
    if unit:
        return None if arguments[0] is None else _start(arguments[0], unit)
    if name in _COMPARISONS:
        kind = common_type(tuple(argument.type for argument in expression.arguments), f"${name}")
        return _COMPARISONS[name](*(_rank(argument, kind) for argument in arguments))
    if name in _OF_NULL:
        return _OF_NULL[name](*arguments)
    if any(argument is None for argument in arguments):
        return None
    if name in _ARITHMETIC:
        return _ARITHMETIC[name](arguments, expression.type, f"${name}")
    return _PLAIN[name](*arguments)


def is_true(value: Any) -> bool:
    """Whether a value counts as true: NULL, False and 0 do not, everything else does."""
    # Empty text is true, so Python's own rule does not do.
    return value is not None and value is not False and value != 0


# Functions that look at some of their arguments only.


def _cond(call: Call, row: Row, values: Values) -> Any:
    condition, then, otherwise = call.arguments
    chosen = then if is_true(evaluate(condition, row, values)) else otherwise
    return _converted(evaluate(chosen, row, values), call)


def _switch(call: Call, row: Row, values: Values) -> Any:
    *branches, default = call.arguments
    chosen = default
    for condition, then in zip(branches[::2], branches[1::2], strict=True):
        if is_true(evaluate(condition, row, values)):
            chosen = then
            break
    return _converted(evaluate(chosen, row, values), call)


def _if_null(call: Call, row: Row, values: Values) -> Any:
    for argument in call.arguments:
        value = evaluate(argument, row, values)
        if value is not None:
            return _converted(value, call)
    return None


def _and(call: Call, row: Row, values: Values) -> bool:
    return all(is_true(evaluate(argument, row, values)) for argument in call.arguments)


def _or(call: Call, row: Row, values: Values) -> bool:
    return any(is_true(evaluate(argument, row, values)) for argument in call.arguments)


_LAZY: Final[dict[str, Callable[[Call, Row, Values], Any]]] = {
    "cond": _cond,
    "switch": _switch,
    "ifNull": _if_null,
    "and": _and,
    "or": _or,
}


def _converted(value: Any, call: Call) -> Any:
    """A value of one of several types as one of their common type."""
    if value is None or not call.type.numeric:
        return value
    return fitted(value, call.type, f"${call.function}")


# Comparisons: NULL equals NULL and is less than everything else, as in an aggregation of MongoDB.


def _rank(value: Any, kind: FieldType) -> tuple[bool, Any]:
    if value is None:
        return (False, 0)
    return (True, as_operand(value, kind) if kind.numeric else value)


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


# Functions that give something for NULL.


def _substring(text: str | None, start: int | None, count: int | None) -> str | None:
    """The characters from ``start``; NULL if start or count is NULL or negative."""
    if text is None:
        return ""
    if start is None or count is None or start < 0 or count < 0:
        return None
    return text[start : start + count]


_OF_NULL: Final[dict[str, Callable[..., Any]]] = {
    "not": lambda value: not is_true(value),
    "toLower": lambda text: fold(text or ""),
    "toUpper": lambda text: upper(text or ""),
    "substrCP": _substring,
}


# Arithmetic: the arguments are neither NULL nor of different kinds.


def _add(numbers: list[Any], kind: FieldType, where: str) -> Any:
    return _folded(numbers, kind, where, EXACT.add, operator.add)


def _multiply(numbers: list[Any], kind: FieldType, where: str) -> Any:
    return _folded(numbers, kind, where, EXACT.multiply, operator.mul)


def _subtract(numbers: list[Any], kind: FieldType, where: str) -> Any:
    return _folded(numbers, kind, where, EXACT.subtract, operator.sub)


def _folded(
    numbers: list[Any],
    kind: FieldType,
    where: str,
    exact: Callable[[Any, Any], Any],
    plain: Callable[[Any, Any], Any],
) -> Any:
    """From left to right. Every step of ints and floats has to fit, of Decimals only the result."""
    first, *rest = (as_operand(number, kind) for number in numbers)
    total = first
    for number in rest:
        if isinstance(kind, Decimal):
            total = exact(total, number)
        else:
            total = fitted(plain(total, number), kind, where)
    return fitted(total, kind, where)


def _divide(numbers: list[Any], kind: FieldType, where: str) -> Any:
    dividend, divisor = (float(number) for number in numbers)
    return None if divisor == 0 else fitted(dividend / divisor, kind, where)


def _mod(numbers: list[Any], kind: FieldType, where: str) -> Any:
    dividend, divisor = (as_operand(number, kind) for number in numbers)
    return None if divisor == 0 else fitted(remainder(dividend, divisor), kind, where)


def _magnitude(number: Any) -> Any:
    # abs() of a Decimal rounds to 28 digits.
    return number.copy_abs() if isinstance(number, decimal.Decimal) else abs(number)


def _of_one(function: Callable[[Any], Any]) -> Callable[[list[Any], FieldType, str], Any]:
    return lambda numbers, kind, where: fitted(function(numbers[0]), kind, where)


_ARITHMETIC: Final[dict[str, Callable[[list[Any], FieldType, str], Any]]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "mod": _mod,
    "abs": _of_one(_magnitude),
    "ceil": _of_one(math.ceil),
    "floor": _of_one(math.floor),
}


# Text and dates: the arguments are not NULL.

_PLAIN: Final[dict[str, Callable[..., Any]]] = {
    "concat": lambda *texts: "".join(texts),
    "strLenCP": len,
    "year": lambda moment: moment.year,
    "month": lambda moment: moment.month,
    "dayOfMonth": lambda moment: moment.day,
    "hour": lambda moment: moment.hour,
}

_FINER: Final = ("hour", "minute", "second", "microsecond")


def _start(moment: Any, unit: str) -> Any:
    """The start of the unit of time that ``moment`` lies in.

    A week starts on Sunday; that of the first days of the calendar starts with them.
    """
    if unit in _FINER:
        finer = _FINER[_FINER.index(unit) + 1 :]
        return moment.replace(**dict.fromkeys(finer, 0))
    if isinstance(moment, dt.datetime):
        moment = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "week":
        days = min(moment.isoweekday() % 7, moment.toordinal() - 1)
        return moment - dt.timedelta(days=days)
    if unit == "month":
        return moment.replace(day=1)
    if unit == "quarter":
        return moment.replace(month=(moment.month - 1) // 3 * 3 + 1, day=1)
    return moment.replace(month=1, day=1) if unit == "year" else moment
