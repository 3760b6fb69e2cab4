from __future__ import annotations

import datetime as dt
import decimal
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import (
    DataFlowError,
    InvalidFilter,
    InvalidType,
    InvalidUpdate,
    InvalidValue,
    LimitExceeded,
    ManagedField,
    UnknownField,
    UnknownOperator,
)
from dataflow_core.filters import Bindings
from dataflow_core.updates import (
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
from dataflow_core.updates.parse import OPERATORS, parse_update
from tests.core.language import NOW, USER, nested, quickly


def parsed(document: Any, **options: Any) -> tuple[dict[str, Change], list[Any]]:
    """The last change of each field, without the automatic timestamp, and the values bound."""
    bindings = Bindings()
    update = parse_update(document, USER, bindings, now=NOW, **options)
    changes = {item.field.name: item.change for item in update.assignments}
    stamp = changes.pop("updated_at")
    assert isinstance(stamp, SetTo)
    assert bindings.values[stamp.slot.index] == NOW
    return changes, [value for at, value in enumerate(bindings.values) if at != stamp.slot.index]


@pytest.mark.parametrize(
    ("document", "kind", "values"),
    [
        ({"age": 5}, SetTo, [5]),
        ({"$set": {"age": 5}}, SetTo, [5]),
        ({"age": None}, Clear, []),
        ({"$unset": {"age": ""}}, Clear, []),
        ({"$inc": {"age": -1}}, Increment, [-1]),
        ({"$mul": {"score": 2}}, Multiply, [2.0]),
        ({"$min": {"born": "2025-01-17"}}, AtMost, [dt.date(2025, 1, 17)]),
        ({"$max": {"age": 9}}, AtLeast, [9]),
        ({"$bit": {"age": {"xor": 5}}}, BitChange, [5]),
        ({"age": {"$add": ["$age", 1]}}, Compute, [1]),
        ({"data": {"$add": 1}}, SetTo, [{"$add": 1}]),
        ({"data.a.0": None}, SetMember, [None]),
        ({"$set": {"data.a": {"b": 1}}}, SetMember, [{"b": 1}]),
        ({"$unset": {"data.a": 1}}, UnsetMember, []),
        ({"$currentDate": {"seen": True}}, SetTo, [NOW]),
        ({"$currentDate": {"born": {"$type": "date"}}}, SetTo, [NOW.date()]),
        ({"$currentDate": {"alarm": True}}, SetTo, [NOW.time()]),
    ],
)
def test_each_operator_is_a_change(document: Any, kind: type, values: list[Any]) -> None:
    """Each operator is one change with its value bound; `updated_at` is set with every update."""
    changes, bound = parsed(document)
    assert (1, values) == (len(changes), bound)
    assert all(isinstance(change, kind) for change in changes.values())


def test_plain_values_and_operators_mix() -> None:
    """Fields of one document may be changed in different ways."""
    changes, values = parsed({"name": "Ada", "$inc": {"age": 1}, "$unset": {"born": 1}})
    assert list(changes) == ["name", "age", "born"]
    assert values == ["Ada", 1]


def test_rename_moves_and_clears() -> None:
    """`$rename` is a move into the one field and clears the other."""
    changes, values = parsed({"$rename": {"title": "name"}})
    assert ({"name": MoveFrom(USER.field("title")), "title": Clear()}, []) == (changes, values)
    with pytest.raises(InvalidUpdate, match="name is not nullable"):
        parsed({"$rename": {"name": "title"}})
    for document, message in (
        ({"score": "price"}, "of another type"),
        ({"name": "name"}, "two operators change"),
        ({"data.a": "tags"}, "whole fields"),
    ):
        with pytest.raises(InvalidUpdate, match=message):
            parsed({"$rename": document})
    for target in (5, None, "nope", ["age"]):
        with pytest.raises(UnknownField):
            parsed({"$rename": {"age": target}})


@pytest.mark.parametrize(
    "document",
    [
        {"age": 1, "$set": {"age": 2}},
        {"$set": {"age": 2}, "$inc": {"age": 1}},
        {"$inc": {"age": 1}, "$unset": {"age": 1}},
        {"data": {}, "$set": {"data.a": 1}},
        {"data.a": 1, "$set": {"data": {}}},
        {"data.a": 1, "data.a.b": 2},
        {"data.a.b": 1, "$unset": {"data.a": 1}},
        {"$push": {"tags": "a"}, "$pull": {"tags": "a"}},
        {"$push": {"data.a": 1}, "data.a": [1]},
    ],
)
def test_a_place_is_changed_once(document: Any) -> None:
    """Two operators on one field, or on a place and one inside it, are refused."""
    with pytest.raises(InvalidUpdate, match="two operators change"):
        parsed(document)


def test_places_beside_each_other_are_changed_together() -> None:
    """Different members of one document are no conflict; `1` and `10` are different."""
    bindings = Bindings()
    document = {"data.a": 1, "data.b.1": 2, "data.b.10": 3}
    update = parse_update(document, USER, bindings, now=NOW)
    assert len(update.assignments) == 4


@pytest.mark.parametrize(
    ("operator", "nearest"),
    [("$INC", "$inc"), ("$incr", "$inc"), ("$add_to_set", "$addToSet"), ("$eq", None), ("$", None)],
)
def test_an_unknown_operator_names_the_nearest(operator: str, nearest: str | None) -> None:
    """Operators are exact in case; those of filters are none here."""
    with pytest.raises(UnknownOperator, match="there is no update operator") as caught:
        parsed({operator: {"age": 1}})
    assert nearest == caught.value.suggestion


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "fields is a dict"),
        ([], "fields is a dict"),
        ("age", "fields is a dict"),
        ({}, "changes nothing"),
        ({"$set": {}}, "changes nothing"),
        ({1: 2}, "a key of fields is text, got 1"),
        ({"$inc": 5}, r"\$inc takes a dict of fields"),
        ({"$unset": "age"}, r"\$unset takes a dict of fields"),
        ({"$unset": ["age"]}, r"\$unset takes a dict of fields"),
        ({"name": None}, "name is not nullable"),
        ({"$unset": {"name": 1}}, "name is not nullable"),
        ({"$inc": {"name": 1}}, r"\$inc is for numbers"),
        ({"$mul": {"active": 1}}, r"\$mul is for numbers"),
        ({"$inc": {"data.a": 1}}, r"\$inc is for numbers"),
        ({"$min": {"data": {}}}, "needs a field with an order"),
        ({"$max": {"data.a": 1}}, "needs a field with an order"),
        ({"$bit": {"score": {"and": 1}}}, r"\$bit is for int fields"),
        ({"$bit": {"age": {"nand": 1}}}, r"\$bit takes"),
        ({"$bit": {"age": {"and": 1, "or": 2}}}, r"\$bit takes"),
        ({"$bit": {"age": 5}}, r"\$bit takes"),
        ({"$currentDate": {"age": True}}, "for dates and times"),
        ({"$currentDate": {"seen": 1}}, r"\$currentDate takes True"),
        ({"$currentDate": {"seen": {"$type": "time"}}}, r"\$currentDate takes True"),
        ({"$currentDate": {"data.a": True}}, r"\$currentDate takes True"),
        ({"$setOnInsert": {"age": 1}}, r"\$setOnInsert is for upserts"),
        ({"age": {"$concat": ["a"]}}, "the expression gives str, the field is int"),
        ({"age": {"$divide": ["$age", 2]}}, "the expression gives float, the field is int"),
    ],
)
def test_what_cannot_be_read_is_refused(document: Any, message: str) -> None:
    """The error names model or field and says what was expected."""
    with pytest.raises(InvalidUpdate, match=message):
        parsed(document)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"age": True}, InvalidType),
        ({"age": "5"}, InvalidType),
        ({"age": 1.0}, InvalidType),
        ({"age": {"a": 1}}, InvalidType),
        ({"age": 2**63}, InvalidValue),
        ({"short": 2**31}, InvalidValue),
        ({"$inc": {"age": 0.5}}, InvalidType),
        ({"$inc": {"age": None}}, InvalidType),
        ({"$inc": {"score": math.nan}}, InvalidValue),
        ({"$mul": {"price": decimal.Decimal("0.00001")}}, InvalidValue),
        ({"$min": {"seen": dt.date(2025, 1, 1)}}, InvalidType),
        ({"$bit": {"age": {"and": True}}}, InvalidType),
        ({"data": []}, InvalidType),
        ({"data": {1: 2}}, InvalidType),
        ({"data.a": math.inf}, InvalidValue),
        ({"data.a": nested(100_000, lambda inner: [inner], 1)}, InvalidValue),
        ({"data.a\0": 1}, InvalidValue),
        ({"data.\ud800": 1}, InvalidValue),
        ({"name": "a\0"}, InvalidValue),
        ({"nmae": 1}, UnknownField),
        ({"$inc": {5: 1}}, UnknownField),
        ({"$inc": {None: 1}}, UnknownField),
        ({"age.a": 1}, InvalidFilter),
        ({"id": 5}, ManagedField),
        ({"$inc": {"id": 1}}, ManagedField),
        ({"updated_at": NOW}, ManagedField),
        ({"data" + ".a" * 100_000: 1}, LimitExceeded),
        ({f"data.a{number}": 1 for number in range(1_001)}, LimitExceeded),
        ({"$set": {f"data.a{number}": 1 for number in range(100_000)}}, LimitExceeded),
        ({"age": nested(100_000, lambda inner: {"$add": [inner, 1]}, 1)}, LimitExceeded),
        ({"age": nested(100_000, lambda inner: {"a": inner}, 1)}, InvalidType),
    ],
)
def test_values_and_names_are_checked(document: Any, error: type[DataFlowError]) -> None:
    """As for a create: never coerced, never rounded, refused at once."""
    with quickly(), pytest.raises(error):
        parsed(document)


def test_an_upsert_may_set_on_insert() -> None:
    """`$setOnInsert` gives plain values, for whole fields, keys included."""
    bindings = Bindings()
    document = {"$setOnInsert": {"id": 7, "age": 1}}
    update = parse_update(document, USER, bindings, now=NOW, upserting=True)
    assert update.on_insert == {"id": 7, "age": 1}
    with pytest.raises(InvalidUpdate, match="whole fields"):
        parse_update({"$setOnInsert": {"data.a": 1}}, USER, Bindings(), now=NOW, upserting=True)


def test_null_and_iso_text_in_an_expression_have_the_type_of_the_field() -> None:
    """A literal result of a choice is read as what the field holds."""
    choice = {"$cond": ["$active", "2025-01-17", None]}
    changes, values = parsed({"born": choice})
    assert isinstance(changes["born"], Compute)
    assert [dt.date(2025, 1, 17)] == values


def test_cyclic_updates_are_refused() -> None:
    """A document that contains itself is refused, as a value and as an expression."""
    value: dict[str, Any] = {}
    value["a"] = value
    call: dict[str, Any] = {}
    call["$add"] = [call]
    for document in ({"data": value}, {"data.a": value}, {"age": call}, {"$push": {"tags": value}}):
        with quickly(), pytest.raises(DataFlowError):
            parsed(document)


OPERANDS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["$each", "$add", "a", "and", "$in"]), inner, max_size=2)
    ),
    max_leaves=4,
)
FIELDS = st.dictionaries(
    st.sampled_from([*USER.by_name, "data.a", "data.a.0", "tags.0", "x"]), OPERANDS, max_size=2
)


@given(st.dictionaries(st.sampled_from([*OPERATORS, "age", "name"]), FIELDS | OPERANDS, max_size=3))
def test_any_update_is_read_or_refused(document: Any) -> None:
    """Random documents: assignments, or a DataFlowError; nothing else."""
    try:
        bindings = Bindings()
        update = parse_update(document, USER, bindings, now=NOW)
    except DataFlowError as error:
        assert error.code.startswith("DF-")
        return
    assert update.assignments
    assert all(hash(item) for item in update.assignments)
