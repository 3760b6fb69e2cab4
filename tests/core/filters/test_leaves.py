from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import uuid
from typing import Any

import pytest

from dataflow_core.errors import (
    DataFlowError,
    InvalidFilter,
    InvalidType,
    InvalidValue,
    LimitExceeded,
    PatternRefused,
)
from dataflow_core.filters import (
    Always,
    And,
    Compare,
    Contains,
    IsNull,
    JsonPath,
    Membership,
    Modulo,
    Not,
    Or,
    Pattern,
    Slot,
    matches,
)
from dataflow_core.filters.leaves import LEAVES
from dataflow_core.limits import Limits
from dataflow_core.types import Integer, Text
from tests.core.language import USER, parsed, quickly

AGE, NAME = USER.field("age"), USER.field("name")
KEY = uuid.UUID(int=5)
CYCLE: list[Any] = []
CYCLE.append(CYCLE)


def anything(*values: Any) -> tuple[Any, ...]:
    """Values of many types."""
    return values


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize("operator", ["$eq", "$gte", "$lte"])
def test_compared_with_null_is_null(operator: str) -> None:
    """Equal to null, and its closed forms, are the rows without a value; `$ne` the others."""
    assert (IsNull(AGE), []) == parsed({"age": {operator: None}})
    assert (Not(IsNull(AGE)), []) == parsed({"age": {"$ne": None}})


@pytest.mark.parametrize("operator", ["$gt", "$lt"])
def test_nothing_is_beyond_null(operator: str) -> None:
    """Greater or less than null is nothing."""
    assert (Always(False), []) == parsed({"age": {operator: None}})


@pytest.mark.parametrize(
    ("field", "value", "bound"),
    [
        ("age", 5, 5),
        ("age", 5.0, 5),
        ("age", Level.LOW, 1),
        ("score", 5, 5.0),
        ("score", decimal.Decimal("0.5"), 0.5),
        ("price", 5, decimal.Decimal(5)),
        ("price", 0.5, decimal.Decimal("0.5")),
        ("name", Colour.RED, "red"),
        ("colour", Colour.RED, "red"),
        ("active", False, False),
        ("born", "2025-01-17", dt.date(2025, 1, 17)),
        ("seen", "2025-01-17T08:30:00", dt.datetime(2025, 1, 17, 8, 30, tzinfo=dt.UTC)),
        ("seen", dt.datetime(2025, 1, 17), dt.datetime(2025, 1, 17, tzinfo=dt.UTC)),
        ("alarm", "08:30", dt.time(8, 30)),
        ("key", str(KEY), KEY),
        ("photo", b"x", b"x"),
        ("short", 2**40, 2**40),
        ("data.a", True, True),
        ("data.a", {"b": [1]}, {"b": [1]}),
        ("tags", ["a"], ["a"]),
        ("name", "' OR 1=1 --", "' OR 1=1 --"),
    ],
)
def test_an_operand_is_bound_in_the_type_of_the_field(field: str, value: Any, bound: Any) -> None:
    """Numbers of other kinds, ISO 8601 text and enum members are converted; nothing else is."""
    [found] = parsed({field: value})[1]
    assert (bound, type(bound)) == (found, type(found))


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("age", True, InvalidType),
        ("age", "5", InvalidType),
        ("age", b"5", InvalidType),
        ("age", [5], InvalidType),
        ("age", object(), InvalidType),
        ("age", CYCLE, InvalidType),
        ("age", 2**63, InvalidValue),
        ("age", math.nan, InvalidValue),
        ("age", math.inf, InvalidValue),
        ("score", True, InvalidType),
        ("score", math.nan, InvalidValue),
        ("score", 2**53 + 1, InvalidValue),
        ("price", decimal.Decimal("NaN"), InvalidValue),
        ("price", decimal.Decimal("sNaN"), InvalidValue),
        ("price", 0.1, InvalidValue),
        ("name", 5, InvalidType),
        ("name", "a\0b", InvalidValue),
        ("name", "\ud800", InvalidValue),
        ("active", 1, InvalidType),
        ("active", "true", InvalidType),
        ("born", dt.datetime(2025, 1, 17), InvalidType),
        ("born", "2024-02-30", InvalidValue),
        ("seen", dt.date(2025, 1, 17), InvalidType),
        ("seen", 1_700_000_000, InvalidType),
        ("alarm", dt.timedelta(1), InvalidType),
        ("key", "no", InvalidValue),
        ("photo", "x", InvalidType),
        ("data.a", b"x", InvalidType),
        ("data.a", math.nan, InvalidValue),
        ("data", CYCLE, InvalidValue),
    ],
)
def test_an_operand_of_another_kind_is_refused(
    field: str, value: Any, error: type[DataFlowError]
) -> None:
    """Whatever the operator: never coerced, refused at once, the place named."""
    for document in anything({field: value}, {field: {"$ne": value}}, {field: {"$in": [value]}}):
        with quickly(), pytest.raises(error, match=rf"User\.{field}"):
            parsed(document)


@pytest.mark.parametrize("operator", ["$gt", "$gte", "$lt", "$lte"])
@pytest.mark.parametrize("field", ["data", "tags", "data.a"])
def test_documents_have_no_order(operator: str, field: str) -> None:
    """JSON documents, lists and bools inside JSON are equal or not, never less or greater."""
    for value in anything({"a": 1}, [1], True):
        with pytest.raises(InvalidFilter, match="have an order"):
            parsed({field: {operator: value}})


@pytest.mark.parametrize(("operator", "bound"), [("$gt", 1), ("$gte", 2), ("$lt", 2), ("$lte", 1)])
def test_a_number_between_two_ints_moves_to_one(operator: str, bound: int) -> None:
    """An int is above 1.5 if it is above 1, at least 1.5 if it is at least 2."""
    assert [bound] == parsed({"age": {operator: 1.5}})[1]


def test_nothing_equals_a_number_between_two() -> None:
    """No int is 1.5; every row is unequal to it, the NULL rows too."""
    assert (Always(False), []) == parsed({"age": 1.5})
    assert (Not(Always(False)), []) == parsed({"age": {"$ne": 1.5}})
    assert parsed({"age": {"$in": [1.5, 2]}})[1] == [[2]]


def test_a_list_of_values() -> None:
    """Null in a list is a test of its own; an empty list fits nothing; its negation everything."""
    member = Membership(AGE, Slot(0, Integer(), 2))
    assert (member, [[1, 2]]) == parsed({"age": {"$in": (1, 2)}})
    assert (Or((member, IsNull(AGE))), [[1, 2]]) == parsed({"age": {"$in": [1, None, 2]}})
    assert (Not(member), [[1, 2]]) == parsed({"age": {"$nin": [1, 2]}})
    assert (IsNull(AGE), []) == parsed({"age": {"$in": [None]}})
    assert (Always(False), []) == parsed({"age": {"$in": []}})
    assert (Not(Always(False)), []) == parsed({"age": {"$nin": []}})
    assert len(parsed({"age": {"$in": {1, 2}}})[1]) == 1


@pytest.mark.parametrize("value", ["abc", 5, None, {"a": 1}, b"ab", range(3), iter([1])])
def test_in_takes_a_list(value: Any) -> None:
    """Text is no list of letters; a dict, a range or an iterator is none either."""
    for operator in ("$in", "$nin"):
        with pytest.raises(InvalidFilter, match="takes a list"):
            parsed({"age": {operator: value}})


def test_lists_have_at_most_10000_values_together() -> None:
    """All lists of the filter count; a million values are refused at once."""
    assert len(parsed({"age": {"$in": list(range(10_000))}})[1][0]) == 10_000
    for count in (10_001, 1_000_000):
        many = [1] * count
        with quickly(), pytest.raises(LimitExceeded, match="more than 10000 values"):
            parsed({"age": {"$in": many}})
    half = {"age": {"$in": [1] * 5_001}}
    with pytest.raises(LimitExceeded):
        parsed({"$and": [half, half]})
    with pytest.raises(LimitExceeded, match="more than 2 values"):
        parsed({"tags": {"$all": ["a", "b", "c"]}}, Limits(in_values=2))


def test_a_list_in_json_is_split_by_kind() -> None:
    """Inside JSON 1, true and "1" are different: one list for each kind, documents one by one."""
    tree, values = parsed({"data.a": {"$in": [1, "1", 2, True, {"b": 1}, None]}})
    assert isinstance(tree, Or)
    assert len(tree.items) == 5
    assert values == [{"b": 1}, [1, 2], ["1"], [True]]


@pytest.mark.parametrize(
    ("document", "is_null"),
    [
        ({"$exists": True}, False),
        ({"$exists": False}, True),
        ({"$null": True}, True),
        ({"$null": False}, False),
        ({"$type": "null"}, True),
        ({"$type": "int"}, False),
    ],
)
def test_tests_for_null(document: Any, is_null: bool) -> None:
    """`$exists`, `$null` and `$type` ask whether there is a value."""
    expected = IsNull(AGE) if is_null else Not(IsNull(AGE))
    assert expected == parsed({"age": document})[0]


@pytest.mark.parametrize("operator", ["$exists", "$null"])
@pytest.mark.parametrize("value", [1, 0, "true", None, []])
def test_a_flag_is_a_bool(operator: str, value: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidFilter, match="takes True or False"):
        parsed({"age": {operator: value}})


def test_the_type_of_a_column_is_constant() -> None:
    """`$type` is true of all values or of none; several names are any of them."""
    assert Always(False) == parsed({"age": {"$type": "string"}})[0]
    assert Not(IsNull(AGE)) == parsed({"age": {"$type": ["string", "number"]}})[0]
    assert Not(IsNull(USER.field("colour"))) == parsed({"colour": {"$type": "string"}})[0]
    tree, _ = parsed({"age": {"$type": ["int", "null"]}})
    assert isinstance(tree, Or)


@pytest.mark.parametrize("value", ["integer!", 16, [], None, "Int", ["int"] * 1_000_000])
def test_unknown_types_are_refused(value: Any) -> None:
    """Names only, of types that there are; a million of them at once."""
    with quickly(), pytest.raises(InvalidFilter, match=r"no type|takes the name of a type"):
        parsed({"age": {"$type": value}})


def test_between_is_closed() -> None:
    """Both bounds are in; two values are needed, neither of them null."""
    tree, values = parsed({"age": {"$between": [1, 9]}})
    assert [matches(tree, {"age": age}, values) for age in (1, 9, 10)] == [True, True, False]
    for value in anything([1], [1, 2, 3], [None, 1], "ab", 5, {}):
        with pytest.raises(InvalidFilter, match=r"takes \[low, high\]"):
            parsed({"age": {"$between": value}})


@pytest.mark.parametrize(
    ("operator", "kind", "ignore_case"),
    [
        ("$startswith", "prefix", False),
        ("$istartswith", "prefix", True),
        ("$endswith", "suffix", False),
        ("$iendswith", "suffix", True),
        ("$contains", "contains", False),
        ("$icontains", "contains", True),
        ("$like", "like", False),
        ("$ilike", "like", True),
    ],
)
def test_text_operators(operator: str, kind: Any, ignore_case: bool) -> None:
    """Text is bound as it is; its special characters are the compiler's business."""
    expected = Pattern(NAME, kind, Slot(0, Text()), ignore_case)
    assert (expected, ["50%_"]) == parsed({"name": {operator: "50%_"}})


@pytest.mark.parametrize("operator", ["$startswith", "$iendswith", "$like", "$regex", "$icontains"])
def test_text_operators_are_for_text(operator: str) -> None:
    """The field is text, and so is the operand."""
    with pytest.raises(InvalidFilter, match="is for text, the field is int"):
        parsed({"age": {operator: "a"}})
    for value in anything(5, None, ["a"], True):
        with pytest.raises(InvalidType):
            parsed({"name": {operator: value}})
    for value in anything("a\0", "\ud800"):
        with pytest.raises(InvalidValue):
            parsed({"name": {operator: value}})


def test_empty_text_is_in_every_text() -> None:
    """Every text starts with, ends with and contains the empty one; NULL does not."""
    for operator in ("$startswith", "$endswith", "$icontains"):
        assert (Not(IsNull(NAME)), []) == parsed({"name": {operator: ""}})


def test_a_prefix_without_successor() -> None:
    """Nothing is greater than U+10FFFF but what begins with it."""
    assert (Compare(NAME, "gte", Slot(0, Text())), ["\U0010ffff"]) == parsed(
        {"name": {"$startswith": "\U0010ffff"}}
    )


def test_a_like_pattern_escapes_something() -> None:
    """The escape character at the very end escapes nothing."""
    with pytest.raises(InvalidFilter, match="ends with the escape character"):
        parsed({"name": {"$like": "a|"}})


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [("^Jo", "prefix"), ("hn$", "suffix"), ("oh", "contains"), ("J.n", "regex")],
)
def test_a_plain_pattern_is_no_regex(pattern: str, kind: str) -> None:
    """A pattern of plain text becomes the operator that an index serves."""
    tree, _ = parsed({"name": {"$regex": pattern}})
    assert isinstance(tree, Pattern)
    assert kind == tree.kind
    assert isinstance(parsed({"name": {"$regex": "^John$"}})[0], Compare)


@pytest.mark.parametrize("options", ["x", "I", "im", None, 5, ["i"]])
def test_the_only_option_is_i(options: Any) -> None:
    """Other flags are refused."""
    assert isinstance(parsed({"name": {"$regex": "a", "$options": "i"}})[0], Pattern)
    with pytest.raises(InvalidFilter, match=r"\$options is '' or 'i'"):
        parsed({"name": {"$regex": "a", "$options": options}})


@pytest.mark.parametrize("pattern", ["a" * 201, "a" * 1_000_000, "(", r"\bx", "(?P<a>b)"])
def test_patterns_beyond_the_subset_are_refused(pattern: str) -> None:
    """Too long, not valid, or not the same on every database."""
    with quickly(), pytest.raises((PatternRefused, LimitExceeded)):
        parsed({"name": {"$regex": pattern}})


def test_mod_takes_divisor_and_remainder() -> None:
    """Two ints, the divisor not 0, on an int field."""
    assert (Modulo(AGE, Slot(0, Integer()), Slot(1, Integer())), [4, -1]) == parsed(
        {"age": {"$mod": [4, -1]}}
    )
    for value in anything([0, 1], [4], [4, 1, 2], 4, "41"):
        with pytest.raises(InvalidFilter):
            parsed({"age": {"$mod": value}})
    for value in anything([1.5, 1], [True, 1], ["4", 1], [2**63, 1]):
        with pytest.raises((InvalidType, InvalidValue)):
            parsed({"age": {"$mod": value}})
    with pytest.raises(InvalidFilter, match="is for int fields"):
        parsed({"score": {"$mod": [4, 1]}})


@pytest.mark.parametrize(
    "operator", ["$bitsAllSet", "$bitsAnySet", "$bitsAllClear", "$bitsAnyClear"]
)
def test_bits_are_a_mask_or_positions(operator: str) -> None:
    """A mask that is not negative, or positions 0 to 62."""
    assert [parsed({"age": {operator: value}})[1] for value in (5, [0, 2], [62], [])] == [
        [5],
        [5],
        [2**62],
        [0],
    ]
    for value in anything(-1, [63], [-1], [1] * 1_000_000):
        with quickly(), pytest.raises(InvalidFilter):
            parsed({"age": {operator: value}})
    for value in anything(True, "1", [1.0], 2**63):
        with pytest.raises((InvalidType, InvalidValue)):
            parsed({"age": {operator: value}})


def test_operators_of_arrays() -> None:
    """`$all`, `$size` and `$contains` are for JSON arrays and look for scalars."""
    tags = JsonPath(USER.field("tags"), ())
    member = Contains(tags, Slot(0, Text()))
    assert (member, ["a"]) == parsed({"tags": {"$contains": "a"}})
    assert (And((member,)), ["a"]) == parsed({"tags": {"$all": ["a"]}})
    assert (Always(False), []) == parsed({"tags": {"$all": []}})
    for document in anything(
        {"$all": "a"}, {"$contains": {"a": 1}}, {"$size": -1}, {"$all": [["a"]]}
    ):
        with pytest.raises(InvalidFilter):
            parsed({"tags": document})
    for value in anything(True, "1", 1.0, None):
        with pytest.raises(InvalidType):
            parsed({"tags": {"$size": value}})
    for document in anything({"$all": [1]}, {"$size": 1}):
        with pytest.raises(InvalidFilter, match="is for JSON arrays, the field is int"):
            parsed({"age": document})


def test_each_operator_is_in_the_table_once() -> None:
    """Operators are written in one case only, and no two differ by case alone."""
    assert len(LEAVES) == len({name.lower() for name in LEAVES})
    assert all(name.startswith("$") for name in LEAVES)
