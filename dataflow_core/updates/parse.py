"""From the ``fields`` of an update to assignments: plain values and update operators, mixed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field

from dataflow_core.errors import InvalidUpdate, LimitExceeded, ManagedField, UnknownOperator
from dataflow_core.expressions.parse import is_expression, parse_expression
from dataflow_core.filters.ast import JsonPath
from dataflow_core.filters.parse import target_of
from dataflow_core.filters.scope import Bindings, Scope
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Field, Model
from dataflow_core.types import Date, FieldType, Integer, Json, Time, Timestamp, fits
from dataflow_core.updates.ast import (
    Assignment,
    AtLeast,
    AtMost,
    BitChange,
    Change,
    Clear,
    Compute,
    Increment,
    MoveFrom,
    Multiply,
    SetMember,
    SetTo,
    UnsetMember,
)

__all__ = ["OPERATORS", "ParsedUpdate", "parse_update"]


@define
class ParsedUpdate:
    """The assignments of an update; ``on_insert`` are plain values for a row that is inserted."""

    assignments: list[Assignment] = field(factory=list)
    on_insert: dict[str, Any] = field(factory=dict)


def parse_update(
    document: Any, model: Model, bindings: Bindings, *, now: dt.datetime, upserting: bool = False
) -> ParsedUpdate:
    """Parse ``{"age": 26, "$inc": {"visits": 1}}``; ``now`` is bound for automatic timestamps.

    Raises ``InvalidUpdate``, ``UnknownField``, ``UnknownOperator``, ``ManagedField``,
    ``InvalidType``, ``InvalidValue``.
    """
    if not isinstance(document, Mapping):
        raise InvalidUpdate(f"{model.name}: fields is a dict, got {type(document).__name__}")
    _refuse_too_many(document, model, bindings)
    parser = _Parser(model, bindings, now, upserting)
    for key, value in document.items():
        if not isinstance(key, str):
            raise InvalidUpdate(f"{model.name}: a key of fields is text, got {quoted(key)}")
        if not key.startswith("$"):
            parser.set(key, value)
            continue
        operator = OPERATORS.get(key)
        if operator is None:
            raise UnknownOperator(
                f"{model.name}: there is no update operator {quoted(key)}",
                suggestion=nearest(key, OPERATORS),
                operator=quoted(key),
            )
        if not isinstance(value, Mapping):
            raise InvalidUpdate(f"{model.name}: {key} takes a dict of fields, got {quoted(value)}")
        for name, operand in value.items():
            operator(parser, name, operand)
    return parser.finish()


def _refuse_too_many(document: Mapping[Any, Any], model: Model, bindings: Bindings) -> None:
    most = bindings.limits.filter_leaves
    count = len(document)
    if count <= most:
        operands = (value for key, value in document.items() if key in OPERATORS)
        count += sum(len(value) for value in operands if isinstance(value, Mapping))
    if count > most:
        raise LimitExceeded(f"{model.name}: fields has more than {most} changes", limit=most)


@define
class _Parser:
    model: Model
    bindings: Bindings
    now: dt.datetime
    upserting: bool
    result: ParsedUpdate = field(factory=ParsedUpdate)
    seen: dict[str, list[tuple[str | int, ...]]] = field(factory=dict)

    def target(self, name: Any, operator: str) -> tuple[Field, tuple[str | int, ...]]:
        """The field, and the place inside its JSON; a place is changed by one operator only."""
        target = target_of(name, Scope.of(self.model), f"{self.model.name}.{operator}")
        found, steps = (
            (target.field, target.steps) if isinstance(target, JsonPath) else (target, ())
        )
        if found.generated == "computed":
            raise InvalidUpdate(f"{self.model.name}.{found.name} is computed by the database")
        if found.managed == "updated" or (found.primary_key and not self.upserting):
            kind = "is set by every update" if found.managed else "is the key and never changes"
            raise ManagedField(f"{self.model.name}.{found.name} {kind}", field=found.name)
        kept = found.protected
        if found.context is not None:
            kept = f"is the {found.context.name} and never changes"
        if kept:
            raise ManagedField(f"{self.model.name}.{found.name} {kept}", field=found.name)
        for other in self.seen.get(found.name, []):
            shorter = min(len(other), len(steps))
            if other[:shorter] == steps[:shorter]:
                raise InvalidUpdate(f"{self.model.name}: two operators change {quoted(name)}")
        self.seen.setdefault(found.name, []).append(steps)
        return found, steps

    def where(self, name: str) -> str:
        return f"{self.model.name}.{name}"

    def assign(self, target: Field, change: Change) -> None:
        self.result.assignments.append(Assignment(target, change))

    def clear(self, target: Field) -> None:
        if not target.nullable:
            raise InvalidUpdate(f"{self.where(target.name)} is not nullable")
        self.assign(target, Clear())

    def set(self, name: Any, value: Any, operator: str = "$set") -> None:
        known = self.model.by_name.get(name) if isinstance(name, str) else None
        if known is not None and known.context is not None:
            # What a row was read with may be given again; nothing else is ever assigned.
            known.context.check(known.type.check(value, self.where(known.name)))
            return
        target, steps = self.target(name, operator)
        if steps:
            kind = Json()
            slot = self.bindings.slot(kind.check(value, self.where(name)), kind)
            self.assign(target, SetMember(steps, slot))
        elif value is None:
            self.clear(target)
        elif is_expression(value) and not isinstance(target.type, Json):
            self.compute(target, value)
        else:
            checked = target.type.check(value, self.where(target.name))
            self.assign(target, SetTo(self.bindings.slot(checked, target.type)))

    def compute(self, target: Field, document: Any) -> None:
        where = self.where(target.name)
        expression = parse_expression(
            document, Scope.of(self.model), self.bindings, where, expected=target.type
        )
        if expression.type != target.type and not _assignable(expression.type, target.type):
            raise InvalidUpdate(
                f"{where}: the expression gives {expression.type.name},"
                f" the field is {target.type.name}"
            )
        self.assign(target, Compute(expression))

    def number(self, name: Any, operand: Any, operator: str) -> tuple[Field, FieldType, Any]:
        target, steps = self.target(name, operator)
        if steps or not target.type.numeric:
            raise InvalidUpdate(f"{self.where(str(name))}: {operator} is for numbers")
        return target, target.type, target.type.check(operand, self.where(target.name))

    def finish(self) -> ParsedUpdate:
        if not self.result.assignments and not self.result.on_insert:
            raise InvalidUpdate(f"{self.model.name}: fields changes nothing")
        for found in self.model.fields:
            if found.managed == "updated":
                slot = self.bindings.slot(self.now, found.type)
                self.assign(found, SetTo(slot))
            elif found.managed == "counted":
                self.assign(found, Increment(self.bindings.slot(1, found.type)))
        return self.result


def _assignable(source: FieldType, target: FieldType) -> bool:
    return type(source) is type(target) or (fits(source, target) and source.numeric)


def _set(parser: _Parser, name: Any, value: Any) -> None:
    parser.set(name, value)


def _unset(parser: _Parser, name: Any, value: Any) -> None:
    del value  # MongoDB gives it no meaning
    target, steps = parser.target(name, "$unset")
    if steps:
        parser.assign(target, UnsetMember(steps))
    else:
        parser.clear(target)


def _arithmetic(
    operator: str, change: Callable[[Any], Change]
) -> Callable[[_Parser, Any, Any], None]:
    def apply(parser: _Parser, name: Any, operand: Any) -> None:
        target, kind, amount = parser.number(name, operand, operator)
        parser.assign(target, change(parser.bindings.slot(amount, kind)))

    return apply


def _extreme(operator: str, change: Callable[[Any], Change]) -> Callable[[_Parser, Any, Any], None]:
    def apply(parser: _Parser, name: Any, operand: Any) -> None:
        target, steps = parser.target(name, operator)
        if steps or not target.type.ordered:
            raise InvalidUpdate(
                f"{parser.where(str(name))}: {operator} needs a field with an order"
            )
        value = target.type.check(operand, parser.where(target.name))
        parser.assign(target, change(parser.bindings.slot(value, target.type)))

    return apply


def _rename(parser: _Parser, name: Any, new_name: Any) -> None:
    source, steps = parser.target(name, "$rename")
    target, target_steps = parser.target(new_name, "$rename")
    if steps or target_steps:
        raise InvalidUpdate(f"{parser.where(str(name))}: $rename is for whole fields")
    if source.type != target.type:
        raise InvalidUpdate(
            f"{parser.where(source.name)}: $rename to {target.name} of another type"
            f" ({target.type.name})"
        )
    parser.assign(target, MoveFrom(source))
    parser.clear(source)


def _set_on_insert(parser: _Parser, name: Any, value: Any) -> None:
    if not parser.upserting:
        raise InvalidUpdate(f"{parser.model.name}: $setOnInsert is for upserts")
    target, steps = parser.target(name, "$setOnInsert")
    if steps:
        raise InvalidUpdate(f"{parser.where(str(name))}: $setOnInsert is for whole fields")
    parser.result.on_insert[target.name] = value


def _current_date(parser: _Parser, name: Any, operand: Any) -> None:
    kinds = ({"$type": "date"}, {"$type": "timestamp"})
    target, steps = parser.target(name, "$currentDate")
    if (operand is not True and operand not in kinds) or steps:
        raise InvalidUpdate(f"{parser.where(str(name))}: $currentDate takes True")
    value: Any = parser.now
    if isinstance(target.type, Date):
        value = parser.now.date()
    elif isinstance(target.type, Time):
        value = parser.now.time()
    elif not isinstance(target.type, Timestamp):
        raise InvalidUpdate(f"{parser.where(target.name)}: $currentDate is for dates and times")
    parser.assign(target, SetTo(parser.bindings.slot(value, target.type)))


def _bit(parser: _Parser, name: Any, operand: Any) -> None:
    target, steps = parser.target(name, "$bit")
    if steps or not isinstance(target.type, Integer):
        raise InvalidUpdate(f"{parser.where(str(name))}: $bit is for int fields")
    if (
        not isinstance(operand, Mapping)
        or len(operand) != 1
        or not set(operand) <= {"and", "or", "xor"}
    ):
        raise InvalidUpdate(
            f"{parser.where(target.name)}: $bit takes {{'and' or 'or' or 'xor': mask}},"
            f" got {quoted(operand)}"
        )
    [(operator, mask)] = operand.items()
    slot = parser.bindings.slot(target.type.check(mask, parser.where(target.name)), target.type)
    parser.assign(target, BitChange(operator, slot))


def _json(operator: str) -> Callable[[_Parser, Any, Any], None]:
    def apply(parser: _Parser, name: Any, operand: Any) -> None:
        from dataflow_core.updates.parse_json import JSON_CHANGES

        target, steps = parser.target(name, operator)
        if not isinstance(target.type, Json):
            raise InvalidUpdate(f"{parser.where(str(name))}: {operator} is for JSON arrays")
        make = JSON_CHANGES[operator]
        parser.assign(
            target, make(target, steps, operand, parser.bindings, parser.where(str(name)))
        )

    return apply


OPERATORS: Final[dict[str, Callable[[_Parser, Any, Any], None]]] = {
    "$set": _set,
    "$unset": _unset,
    "$inc": _arithmetic("$inc", Increment),
    "$mul": _arithmetic("$mul", Multiply),
    "$min": _extreme("$min", AtMost),
    "$max": _extreme("$max", AtLeast),
    "$rename": _rename,
    "$setOnInsert": _set_on_insert,
    "$currentDate": _current_date,
    "$bit": _bit,
    "$push": _json("$push"),
    "$addToSet": _json("$addToSet"),
    "$pull": _json("$pull"),
    "$pullAll": _json("$pullAll"),
    "$pop": _json("$pop"),
}
"""The update operators, by name."""
