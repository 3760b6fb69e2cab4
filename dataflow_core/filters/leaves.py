"""The operators under a field: each turns its operand into a leaf of the tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field

from dataflow_core.errors import InvalidFilter, InvalidType
from dataflow_core.filters.ast import (
    Always,
    And,
    ArraySize,
    Bits,
    Compare,
    Comparison,
    Contains,
    IsNull,
    JsonPath,
    Membership,
    Modulo,
    Not,
    Or,
    Pattern,
    PatternKind,
    Predicate,
    Target,
)
from dataflow_core.filters.like import check_like
from dataflow_core.filters.regex import parse_regex
from dataflow_core.filters.scope import Bindings
from dataflow_core.filters.text import next_prefix
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Field
from dataflow_core.types import NEVER, Boolean, Enumeration, FieldType, Float, Integer, Json, Text

__all__ = ["LEAVES", "ONLY_WITH", "ROUNDING", "Leaf", "equality"]

ONLY_WITH: Final = {"$options": "$regex"}
"""Operators that only say more of another one."""

ROUNDING: Final[dict[str, str]] = {"gt": "down", "gte": "up", "lt": "up", "lte": "down"}

_TYPE_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "int": ("int",),
    "long": ("int",),
    "double": ("float",),
    "float": ("float",),
    "decimal": ("Decimal",),
    "number": ("int", "float", "Decimal"),
    "string": ("str", "enum"),
    "str": ("str", "enum"),
    "bool": ("bool",),
    "date": ("datetime", "date"),
    "datetime": ("datetime",),
    "time": ("time",),
    "uuid": ("UUID",),
    "binData": ("bytes",),
    "bytes": ("bytes",),
    "object": ("JSON",),
    "array": ("JSON",),
}


@define
class Leaf:
    """Where an operand stands: what it is about, and where its values are bound."""

    target: Target
    where: str
    bindings: Bindings
    siblings: Mapping[str, Any] = field(factory=dict)

    @property
    def type(self) -> FieldType:
        """The type of a plain target."""
        assert not isinstance(self.target, JsonPath)
        return self.target.type


def equality(leaf: Leaf, value: Any) -> Predicate:
    """``target`` equals ``value``; of null: is null."""
    return _compare(leaf, "eq", value)


def _compare(leaf: Leaf, operator: Comparison, value: Any) -> Predicate:
    if value is None:
        return IsNull(leaf.target) if operator in ("eq", "gte", "lte") else Always(False)
    if isinstance(leaf.target, JsonPath):
        kind, checked = json_operand(value, leaf.where)
        if operator != "eq" and isinstance(kind, Json | Boolean):
            raise InvalidFilter(f"{leaf.where}: only numbers and text in JSON have an order")
        return Compare(leaf.target, operator, leaf.bindings.slot(checked, kind))
    if operator != "eq" and not leaf.type.ordered:
        raise InvalidFilter(f"{leaf.where}: {leaf.type.name} has no order")
    checked = leaf.type.operand(value, leaf.where, ROUNDING.get(operator, "exact"))
    if checked is NEVER:
        return Always(False)
    return Compare(leaf.target, operator, leaf.bindings.slot(checked, leaf.type))


def json_operand(value: Any, where: str) -> tuple[FieldType, Any]:
    """The type of a value to compare with something inside JSON, and the value checked."""
    kind: FieldType
    if isinstance(value, bool):
        kind = Boolean()
    elif isinstance(value, int):
        kind = Integer()
    elif isinstance(value, float):
        kind = Float()
    elif isinstance(value, str):
        kind = Text()
    elif isinstance(value, dict | list):
        kind = Json()
    else:
        raise InvalidType(
            f"{where}: {type(value).__name__} {quoted(value)} is no JSON value", where=where
        )
    return kind, kind.check(value, where)


def _comparison(operator: Comparison) -> Callable[[Leaf, Any], Predicate]:
    return lambda leaf, value: _compare(leaf, operator, value)


def _not_equal(leaf: Leaf, value: Any) -> Predicate:
    return Not(equality(leaf, value))


def _membership(leaf: Leaf, value: Any) -> Predicate:
    if not isinstance(value, list | tuple | set | frozenset):
        raise InvalidFilter(
            f"{leaf.where}: takes a list, got {type(value).__name__} {quoted(value)}"
        )
    leaf.bindings.count_list(len(value), leaf.where)
    items: list[Predicate] = []
    plain = [item for item in value if item is not None]
    if isinstance(leaf.target, JsonPath):
        items.extend(_json_memberships(leaf, plain))
    elif plain:
        kind = leaf.type
        checked = [kind.operand(item, leaf.where) for item in plain]
        checked = [item for item in checked if item is not NEVER]
        if checked:
            items.append(Membership(leaf.target, leaf.bindings.list_slot(checked, kind)))
    if len(plain) < len(value):
        items.append(IsNull(leaf.target))
    if not items:
        return Always(False)
    return items[0] if len(items) == 1 else Or(tuple(items))


def _json_memberships(leaf: Leaf, values: list[Any]) -> list[Predicate]:
    """One membership for each kind of value; documents and lists are compared one by one."""
    result: list[Predicate] = []
    groups: dict[FieldType, list[Any]] = {}
    for value in values:
        kind, checked = json_operand(value, leaf.where)
        if isinstance(kind, Json):
            leaf.bindings.count_leaf(leaf.where)
            result.append(Compare(leaf.target, "eq", leaf.bindings.slot(checked, kind)))
        else:
            groups.setdefault(kind, []).append(checked)
    result.extend(
        Membership(leaf.target, leaf.bindings.list_slot(items, kind))
        for kind, items in groups.items()
    )
    return result


def _flag(meaning: bool) -> Callable[[Leaf, Any], Predicate]:
    def make(leaf: Leaf, value: Any) -> Predicate:
        if not isinstance(value, bool):
            raise InvalidFilter(f"{leaf.where}: takes True or False, got {quoted(value)}")
        is_null = IsNull(leaf.target)
        return is_null if value is meaning else Not(is_null)

    return make


def _type(leaf: Leaf, value: Any) -> Predicate:
    names = value if isinstance(value, list | tuple) else [value]
    if not names or len(names) > len(_TYPE_NAMES) + 1:
        raise InvalidFilter(f"{leaf.where}: takes the name of a type, or a list of such names")
    matches = False
    for name in names:
        if not isinstance(name, str) or name not in (*_TYPE_NAMES, "null"):
            raise InvalidFilter(
                f"{leaf.where}: there is no type {quoted(name)}",
                suggestion=nearest(name, _TYPE_NAMES) if isinstance(name, str) else None,
            )
        if isinstance(leaf.target, JsonPath) and leaf.target.steps:
            raise InvalidFilter(f"{leaf.where}: is for fields, not for places inside JSON")
        kind = leaf.target.field.type if isinstance(leaf.target, JsonPath) else leaf.type
        matches = matches or kind.name in _TYPE_NAMES.get(name, ())
    items: list[Predicate] = [Not(IsNull(leaf.target))] if matches else []
    if "null" in names:
        items.append(IsNull(leaf.target))
    if not items:
        return Always(False)
    return items[0] if len(items) == 1 else Or(tuple(items))


def _between(leaf: Leaf, value: Any) -> Predicate:
    if not isinstance(value, list | tuple) or len(value) != 2 or None in value:
        raise InvalidFilter(f"{leaf.where}: takes [low, high], got {quoted(value)}")
    low, high = value
    return And((_compare(leaf, "gte", low), _compare(leaf, "lte", high)))


def _text_operand(leaf: Leaf, value: Any) -> str:
    if not isinstance(leaf.target, JsonPath):
        kind = leaf.type.base if isinstance(leaf.type, Enumeration) else leaf.type
        if not isinstance(kind, Text):
            raise InvalidFilter(f"{leaf.where}: is for text, the field is {kind.name}")
    text: str = Text().operand(value, leaf.where)
    return text


def _literal_pattern(kind: PatternKind, *, ignore_case: bool) -> Callable[[Leaf, Any], Predicate]:
    def make(leaf: Leaf, value: Any) -> Predicate:
        if kind == "contains" and isinstance(leaf.target, JsonPath) and not ignore_case:
            return _contains(leaf, value)
        return _pattern(leaf, kind, _text_operand(leaf, value), ignore_case)

    return make


def _pattern(leaf: Leaf, kind: PatternKind, text: str, ignore_case: bool) -> Predicate:
    if kind == "prefix" and not ignore_case and text and next_prefix(text) is None:
        # Nothing is greater than such a prefix but what begins with it.
        return Compare(leaf.target, "gte", leaf.bindings.slot(text, Text()))
    if (
        not text
        and kind in ("prefix", "suffix", "contains")
        and not isinstance(leaf.target, JsonPath)
    ):
        return Not(IsNull(leaf.target))
    return Pattern(leaf.target, kind, leaf.bindings.slot(text, Text()), ignore_case)


def _like(*, ignore_case: bool) -> Callable[[Leaf, Any], Predicate]:
    def make(leaf: Leaf, value: Any) -> Predicate:
        pattern = _text_operand(leaf, value)
        check_like(pattern, leaf.where)
        return _pattern(leaf, "like", pattern, ignore_case)

    return make


def _regex(leaf: Leaf, value: Any) -> Predicate:
    options = leaf.siblings.get("$options", "")
    if options not in ("", "i"):
        raise InvalidFilter(f"{leaf.where}: $options is '' or 'i', got {quoted(options)}")
    regex = parse_regex(_text_operand(leaf, value), leaf.where, leaf.bindings.limits)
    ignore_case = options == "i"
    if regex.literal is None:
        return _pattern(leaf, "regex", regex.pattern, ignore_case)
    kind, text = regex.literal
    if kind == "equals":
        if ignore_case:
            return _pattern(leaf, "regex", regex.pattern, ignore_case)
        return Compare(leaf.target, "eq", leaf.bindings.slot(text, Text()))
    return _pattern(leaf, kind, text, ignore_case)


def _integer_field(leaf: Leaf) -> Field:
    if isinstance(leaf.target, JsonPath) or not isinstance(leaf.type, Integer):
        raise InvalidFilter(f"{leaf.where}: is for int fields")
    return leaf.target


def _modulo(leaf: Leaf, value: Any) -> Predicate:
    target = _integer_field(leaf)
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise InvalidFilter(f"{leaf.where}: takes [divisor, remainder], got {quoted(value)}")
    divisor, remainder = (Integer().check(item, leaf.where) for item in value)
    if divisor == 0:
        raise InvalidFilter(f"{leaf.where}: the divisor is 0")
    slots = (leaf.bindings.slot(divisor, Integer()), leaf.bindings.slot(remainder, Integer()))
    return Modulo(target, *slots)


_MOST_BITS: Final = 63


def _bits(kind: Any) -> Callable[[Leaf, Any], Predicate]:
    def make(leaf: Leaf, value: Any) -> Predicate:
        target = _integer_field(leaf)
        if isinstance(value, list | tuple):
            if len(value) > _MOST_BITS:
                raise InvalidFilter(f"{leaf.where}: takes at most {_MOST_BITS} positions of bits")
            positions = [Integer().check(item, leaf.where) for item in value]
            if any(not 0 <= position < _MOST_BITS for position in positions):
                raise InvalidFilter(f"{leaf.where}: positions of bits are 0 to 62")
            mask = 0
            for position in positions:
                mask |= 1 << position
        else:
            mask = Integer().check(value, leaf.where)
            if mask < 0:
                raise InvalidFilter(f"{leaf.where}: a mask is not negative")
        return Bits(target, kind, leaf.bindings.slot(mask, Integer()))

    return make


def _array_target(leaf: Leaf) -> JsonPath:
    if not isinstance(leaf.target, JsonPath):
        raise InvalidFilter(f"{leaf.where}: is for JSON arrays, the field is {leaf.type.name}")
    return leaf.target


def _contains(leaf: Leaf, value: Any) -> Predicate:
    target = _array_target(leaf)
    kind, checked = json_operand(value, leaf.where)
    if isinstance(kind, Json):
        raise InvalidFilter(f"{leaf.where}: looks for a scalar in an array, got {quoted(value)}")
    return Contains(target, leaf.bindings.slot(checked, kind))


def _all(leaf: Leaf, value: Any) -> Predicate:
    _array_target(leaf)
    if not isinstance(value, list | tuple):
        raise InvalidFilter(f"{leaf.where}: takes a list, got {quoted(value)}")
    if not value:
        return Always(False)
    leaf.bindings.count_list(len(value), leaf.where)
    for _ in value[1:]:
        leaf.bindings.count_leaf(leaf.where)
    return And(tuple(_contains(leaf, item) for item in value))


def _size(leaf: Leaf, value: Any) -> Predicate:
    size = Integer().check(value, leaf.where)
    if size < 0:
        raise InvalidFilter(f"{leaf.where}: a size is not negative")
    return ArraySize(_array_target(leaf), leaf.bindings.slot(size, Integer()))


def _negated(make: Callable[[Leaf, Any], Predicate]) -> Callable[[Leaf, Any], Predicate]:
    return lambda leaf, value: Not(make(leaf, value))


LEAVES: Final[dict[str, Callable[[Leaf, Any], Predicate]]] = {
    "$eq": equality,
    "$ne": _not_equal,
    "$gt": _comparison("gt"),
    "$gte": _comparison("gte"),
    "$lt": _comparison("lt"),
    "$lte": _comparison("lte"),
    "$in": _membership,
    "$nin": _negated(_membership),
    "$exists": _flag(False),
    "$null": _flag(True),
    "$type": _type,
    "$between": _between,
    "$startswith": _literal_pattern("prefix", ignore_case=False),
    "$istartswith": _literal_pattern("prefix", ignore_case=True),
    "$endswith": _literal_pattern("suffix", ignore_case=False),
    "$iendswith": _literal_pattern("suffix", ignore_case=True),
    "$contains": _literal_pattern("contains", ignore_case=False),
    "$icontains": _literal_pattern("contains", ignore_case=True),
    "$like": _like(ignore_case=False),
    "$ilike": _like(ignore_case=True),
    "$regex": _regex,
    "$mod": _modulo,
    "$bitsAllSet": _bits("all_set"),
    "$bitsAnySet": _bits("any_set"),
    "$bitsAllClear": _bits("all_clear"),
    "$bitsAnyClear": _bits("any_clear"),
    "$all": _all,
    "$size": _size,
}
"""Every operator that stands under a field, beside ``$not`` and ``$elemMatch``, which nest."""
