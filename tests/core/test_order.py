from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import DataFlowError, InvalidOrder, LimitExceeded, UnknownField
from dataflow_core.limits import Limits
from dataflow_core.order import parse_order, with_key
from dataflow_core.schema.declare import declare_model, field
from tests.core.language import USER, quickly


class Pair:
    a: int = field(primary_key=True)
    b: int = field(primary_key=True)


def order(document: Any) -> list[tuple[str, bool]]:
    """The keys by name, and whether each descends."""
    return [(key.field.name, key.descending) for key in parse_order(document, USER)]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, []),
        ([], []),
        ("name", [("name", False)]),
        ("-name", [("name", True)]),
        (["-age", "+name"], [("age", True), ("name", False)]),
        ({"age": -1, "name": 1}, [("age", True), ("name", False)]),
        ([{"age": 1}, "-name"], [("age", False), ("name", True)]),
        (("age",), [("age", False)]),
    ],
)
def test_the_key_is_always_the_last(document: Any, expected: list[tuple[str, bool]]) -> None:
    """Names and directions in all forms; the primary key, ascending, makes pages repeatable."""
    assert [*expected, ("id", False)] == order(document)


def test_a_key_that_is_named_is_not_added() -> None:
    """The key in its own direction; of several fields only those that are not named."""
    assert order(["-id", "name"]) == [("id", True), ("name", False)]
    pair = declare_model(Pair)
    keys = with_key(parse_order(["-b"], pair)[:1], pair)
    assert [(key.field.name, key.descending) for key in keys] == [("b", True), ("a", False)]


@pytest.mark.parametrize(
    ("document", "error", "message"),
    [
        (5, InvalidOrder, "a list of field names, got 5"),
        ({"name"}, InvalidOrder, "a list of field names"),
        (True, InvalidOrder, "a list of field names"),
        ([5], InvalidOrder, "an item of order_by is"),
        ([None], InvalidOrder, "an item of order_by is"),
        ([["name", "desc"]], InvalidOrder, "an item of order_by is"),
        ([{"name": "desc"}], InvalidOrder, "1 or -1, got 'desc'"),
        ([{"name": True}], InvalidOrder, "1 or -1, got True"),
        ([{"name": 0}], InvalidOrder, "1 or -1, got 0"),
        (["name", "-name"], InvalidOrder, "names a field twice"),
        (["data"], InvalidOrder, "JSON has no order"),
        (["nmae"], UnknownField, "'nmae'"),
        ([""], UnknownField, "''"),
        (["-"], UnknownField, "''"),
        (["--name"], UnknownField, "'-name'"),
        (["name; DROP TABLE users"], UnknownField, "no field"),
        ([{5: 1}], UnknownField, "no field 5"),
        (["data.a"], UnknownField, "'data.a'"),
    ],
)
def test_a_wrong_order_is_refused(document: Any, error: type[DataFlowError], message: str) -> None:
    """The error names the item and what was expected."""
    with pytest.raises(error, match=message):
        parse_order(document, USER)


def test_at_most_eight_keys() -> None:
    """The key that is added does not count; a million are refused at once."""
    names = ["name", "age", "score", "price", "active", "born", "seen", "alarm"]
    assert len(parse_order(names, USER)) == 9
    many = {str(number): 1 for number in range(1_000_000)}
    for document in ([*names, "key"], ["age"] * 1_000_000, many, [many]):
        with quickly(), pytest.raises(LimitExceeded, match="more than 8 keys"):
            parse_order(document, USER)
    with pytest.raises(LimitExceeded, match="more than 1 keys"):
        parse_order(["name", "age"], USER, Limits(order_keys=1))
