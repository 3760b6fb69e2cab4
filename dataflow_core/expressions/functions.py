"""The functions of expressions: how many arguments each takes, of which types, and what it gives.

An Integer beside a Float is turned into a Float first, beside a Decimal into a Decimal. Decimal and
Float do not mix: the result would be exact on no database. JSON is no argument of any function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from dataflow_core.errors import InvalidType, InvalidValue
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.types import (
    MAX_PRECISION,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
)

__all__ = ["CALLS", "FUNCTIONS", "TRUNCATION_UNITS", "FunctionInfo", "common_type", "truncation"]

Types = tuple[FieldType, ...]
Rule = Callable[[Types, str], FieldType]

INTEGER: Final = Integer()
FLOAT: Final = Float()
BOOLEAN: Final = Boolean()
TEXT: Final = Text()


@frozen
class FunctionInfo:
    """One function.

    ``name`` is what a ``Call`` names; ``maximum`` is ``None`` where any number of arguments is
    taken; ``feature`` is the feature id that a dialect declares for it.
    """

    name: str
    minimum: int
    maximum: int | None
    feature: str
    rule: Rule

    @property
    def written(self) -> str:
        """The name as a user writes it."""
        return f"${self.name.partition('.')[0]}"

    @property
    def arguments(self) -> str:
        """The number of arguments in words, for messages."""
        if self.maximum is None:
            return f"at least {self.minimum}"
        if self.minimum == self.maximum:
            return f"exactly {self.minimum}"
        return f"{self.minimum} to {self.maximum}"

    def takes(self, count: int) -> bool:
        """Whether the function takes so many arguments."""
        if self.name == "switch" and count % 2 == 0:
            return False
        return self.minimum <= count and (self.maximum is None or count <= self.maximum)

    def values(self, count: int) -> tuple[int, ...]:
        """The positions, among so many arguments, of those that share one type.

        The others are conditions, of any type: a literal or a null beside them learns nothing.
        """
        if self.name == "cond":
            return (1, 2)
        if self.name == "switch":
            return (*range(1, count, 2), count - 1)
        return tuple(range(count))

    def result_type(self, argument_types: Types, where: str) -> FieldType:
        """The type of the result.

        Parameters:
            argument_types: as many as the function takes.
            where: the place, for the message.

        Raises:
            InvalidType: an argument is of a type that the function does not take.
        """
        plain = tuple(_plain(kind) for kind in argument_types)
        return self.rule(plain, f"{where}: {self.written}")


def common_type(types: Types, where: str) -> FieldType:
    """The one type that values of all ``types`` are turned into.

    Raises:
        InvalidType: the types are of different families, Decimal and Float, or JSON.
    """
    plain = tuple(_plain(kind) for kind in types)
    if all(kind.numeric for kind in plain):
        return _number(plain, where)
    first = plain[0]
    for kind in plain:
        if isinstance(kind, Json):
            raise _refused(where, "values that are no JSON", kind)
        if type(kind) is not type(first):
            raise _refused(where, f"values of one type, such as {first.name}", kind)
    return TEXT if isinstance(first, Text) else first


def truncation(unit: object, where: str) -> FunctionInfo:
    """The function that ``$dateTrunc`` with this unit is: ``dateTrunc.day`` and the like.

    Raises:
        InvalidValue: the unit is none of ``TRUNCATION_UNITS``.
    """
    if not isinstance(unit, str) or unit not in TRUNCATION_UNITS:
        raise InvalidValue(
            f"{where}: $dateTrunc takes one of {', '.join(TRUNCATION_UNITS)}, got {quoted(unit)}",
            suggestion=nearest(unit, TRUNCATION_UNITS) if isinstance(unit, str) else None,
            where=where,
            expected=list(TRUNCATION_UNITS),
        )
    return CALLS[f"dateTrunc.{unit}"]


def _plain(kind: FieldType) -> FieldType:
    return kind.base if isinstance(kind, Enumeration) else kind


def _refused(where: str, expected: str, got: FieldType) -> InvalidType:
    return InvalidType(
        f"{where} takes {expected}, got {got.name}", where=where, expected=expected, got=got.name
    )


def _number(types: Types, where: str) -> FieldType:
    """Integer, Float or Decimal: what numbers of ``types`` become beside each other."""
    for kind in types:
        if not kind.numeric:
            raise _refused(where, "numbers", kind)
    scales = [kind.scale for kind in types if isinstance(kind, Decimal)]
    if any(isinstance(kind, Float) for kind in types):
        if scales:
            raise InvalidType(
                f"{where} does not mix Decimal and float, which would lose exactness; write the"
                ' number as Decimal("1.1"), or make the Decimal a float with {"$divide": [..., 1]}',
                where=where,
                expected="Decimal with Decimal or int",
                got="float",
            )
        return FLOAT
    return Decimal(precision=MAX_PRECISION, scale=max(scales)) if scales else INTEGER


def _product(types: Types, where: str) -> FieldType:
    kind = _number(types, where)
    if not isinstance(kind, Decimal):
        return kind
    scale = sum(item.scale for item in types if isinstance(item, Decimal))
    if scale > MAX_PRECISION:
        raise InvalidType(
            f"{where}: the product has {scale} digits after the point, at most {MAX_PRECISION}",
            where=where,
            expected=f"at most {MAX_PRECISION} digits after the point",
        )
    return Decimal(precision=MAX_PRECISION, scale=scale)


def _quotient(types: Types, where: str) -> FieldType:
    for kind in types:
        if not kind.numeric:
            raise _refused(where, "numbers", kind)
    return FLOAT


def _whole(types: Types, where: str) -> FieldType:
    kind = _number(types, where)
    return Decimal(precision=MAX_PRECISION, scale=0) if isinstance(kind, Decimal) else kind


def _text(types: Types, where: str) -> FieldType:
    for kind in types:
        if not isinstance(kind, Text):
            raise _refused(where, "text", kind)
    return TEXT


def _substring(types: Types, where: str) -> FieldType:
    _text(types[:1], where)
    for kind in types[1:]:
        if not isinstance(kind, Integer):
            raise _refused(where, "text, then two ints", kind)
    return TEXT


def _length(types: Types, where: str) -> FieldType:
    _text(types, where)
    return INTEGER


def _truth(types: Types, where: str) -> FieldType:
    for kind in types:
        if isinstance(kind, Json):
            raise _refused(where, "values that are no JSON", kind)
    return BOOLEAN


def _choice(types: Types, where: str) -> FieldType:
    _truth(types[:1], where)
    return common_type(types[1:], where)


def _switch(types: Types, where: str) -> FieldType:
    _truth(types[:-1:2], where)
    return common_type((*types[1::2], types[-1]), where)


def _comparison(types: Types, where: str) -> FieldType:
    common_type(types, where)
    return BOOLEAN


def _part_of_day(types: Types, where: str) -> FieldType:
    if not isinstance(types[0], Timestamp | Time):
        raise _refused(where, "a datetime or a time", types[0])
    return INTEGER


def _part_of_date(types: Types, where: str) -> FieldType:
    if not isinstance(types[0], Timestamp | Date):
        raise _refused(where, "a datetime or a date", types[0])
    return INTEGER


def _start_of_days(types: Types, where: str) -> FieldType:
    _part_of_date(types, where)
    return types[0]


def _start_within_day(types: Types, where: str) -> FieldType:
    if not isinstance(types[0], Timestamp):
        raise _refused(where, "a datetime for a unit below a day", types[0])
    return types[0]


_DAYS: Final = ("year", "quarter", "month", "week", "day")
_WITHIN_DAY: Final = ("hour", "minute", "second")
TRUNCATION_UNITS: Final = (*_DAYS, *_WITHIN_DAY)
"""The units of ``$dateTrunc``; a week starts on Sunday."""

_ARITHMETIC: Final = "expressions.arithmetic"
_TEXT: Final = "expressions.text"
_LOGIC: Final = "expressions.logic"
_DATE: Final = "expressions.date"

_INFOS: Final = (
    FunctionInfo("add", 1, None, _ARITHMETIC, _number),
    FunctionInfo("subtract", 2, 2, _ARITHMETIC, _number),
    FunctionInfo("multiply", 1, None, _ARITHMETIC, _product),
    FunctionInfo("divide", 2, 2, _ARITHMETIC, _quotient),
    FunctionInfo("mod", 2, 2, _ARITHMETIC, _number),
    FunctionInfo("abs", 1, 1, _ARITHMETIC, _number),
    FunctionInfo("ceil", 1, 1, _ARITHMETIC, _whole),
    FunctionInfo("floor", 1, 1, _ARITHMETIC, _whole),
    FunctionInfo("concat", 1, None, _TEXT, _text),
    FunctionInfo("toLower", 1, 1, _TEXT, _text),
    FunctionInfo("toUpper", 1, 1, _TEXT, _text),
    FunctionInfo("substrCP", 3, 3, _TEXT, _substring),
    FunctionInfo("strLenCP", 1, 1, _TEXT, _length),
    FunctionInfo("cond", 3, 3, _LOGIC, _choice),
    FunctionInfo("ifNull", 2, None, _LOGIC, common_type),
    FunctionInfo("switch", 3, None, _LOGIC, _switch),
    *(
        FunctionInfo(name, 2, 2, _LOGIC, _comparison)
        for name in ("eq", "ne", "gt", "gte", "lt", "lte")
    ),
    FunctionInfo("and", 1, None, _LOGIC, _truth),
    FunctionInfo("or", 1, None, _LOGIC, _truth),
    FunctionInfo("not", 1, 1, _LOGIC, _truth),
    FunctionInfo("year", 1, 1, _DATE, _part_of_date),
    FunctionInfo("month", 1, 1, _DATE, _part_of_date),
    FunctionInfo("dayOfMonth", 1, 1, _DATE, _part_of_date),
    FunctionInfo("hour", 1, 1, _DATE, _part_of_day),
)
_TRUNCATIONS: Final = (
    *(FunctionInfo(f"dateTrunc.{unit}", 1, 1, _DATE, _start_of_days) for unit in _DAYS),
    *(FunctionInfo(f"dateTrunc.{unit}", 1, 1, _DATE, _start_within_day) for unit in _WITHIN_DAY),
)

CALLS: Final[dict[str, FunctionInfo]] = {info.name: info for info in (*_INFOS, *_TRUNCATIONS)}
"""Every function that a ``Call`` may name. The unit of ``dateTrunc`` is part of the name, because
databases need it in the text of the statement."""

FUNCTIONS: Final[dict[str, FunctionInfo]] = {
    **{info.name: info for info in _INFOS},
    "dateTrunc": FunctionInfo("dateTrunc", 2, 2, _DATE, _start_of_days),
}
"""Every function that a user may write, without the ``$``. ``cond`` and ``switch`` are flat here:
``switch`` takes case, value, case, value, ..., default. ``dateTrunc`` is written with a date and a
unit; the ``Call`` that it becomes takes the date only and is named by ``truncation``."""
