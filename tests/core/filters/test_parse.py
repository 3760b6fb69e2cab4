from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import (
    DataFlowError,
    InvalidFilter,
    InvalidValue,
    LimitExceeded,
    UnknownField,
    UnknownOperator,
)
from dataflow_core.filters import (
    Always,
    And,
    Bindings,
    Compare,
    ElementMatch,
    ExpressionTest,
    IsNull,
    JsonPath,
    Not,
    Or,
    Scope,
    Slot,
    matches,
    parse_filter,
)
from dataflow_core.filters.leaves import LEAVES
from dataflow_core.limits import Limits
from dataflow_core.types import Integer
from tests.core.language import USER, nested, parsed, quickly

AGE = USER.field("age")
DATA = USER.field("data")
ONE = Compare(AGE, "eq", Slot(0, Integer()))


@pytest.mark.parametrize("document", [{}, {"$comment": "all"}, {"$and": [{}, {}]}])
def test_an_empty_filter_lets_everything_through(document: Any) -> None:
    """No condition is true of every row."""
    tree, values = parsed(document)
    assert matches(tree, {}, values)


def test_fields_and_operators_are_joined_by_and() -> None:
    """Several keys, and several operators under one, all have to hold."""
    tree, values = parsed({"age": {"$gt": 1, "$lt": 9}, "name": "Ada"})
    assert values == [1, 9, "Ada"]
    assert isinstance(tree, And) and isinstance(tree.items[0], And)
    assert (len(tree.items), len(tree.items[0].items)) == (2, 2)


def test_logic() -> None:
    """`$and`, `$or`, `$nor`, `$not` above and under a field."""
    assert (And((ONE,)), [1]) == parsed({"$and": [{"age": 1}]})
    assert (Or((ONE,)), [1]) == parsed({"$or": ({"age": 1},)})
    assert (Not(Or((ONE,))), [1]) == parsed({"$nor": [{"age": 1}]})
    assert (Not(ONE), [1]) == parsed({"$not": {"age": 1}})
    assert (Not(ONE), [1]) == parsed({"age": {"$not": {"$eq": 1}}})
    assert (IsNull(AGE), []) == parsed({"age": None})


def test_an_expression_is_a_condition() -> None:
    """`$expr` compares fields; without a parser of expressions it is unknown."""
    assert isinstance(parsed({"$expr": {"$gt": ["$age", "$short"]}})[0], ExpressionTest)
    with pytest.raises(UnknownOperator):
        parse_filter({"$expr": True}, Scope.of(USER), Bindings())


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("data", ()),
        ("data.a", ("a",)),
        ("data.0", (0,)),
        ("data.a.10.b", ("a", 10, "b")),
        ("data.01", ("01",)),
        ("data.-1", ("-1",)),
        ("data.٣", ("٣",)),
        ("data." + "9" * 5_000, ("9" * 5_000,)),
        ('data.a"b', ('a"b',)),
        ("data.$x", ("$x",)),
        ("data. ", (" ",)),
    ],
)
def test_a_dotted_name_leads_into_json(name: str, steps: tuple[str | int, ...]) -> None:
    """A step written as a position is one; everything else is the name of a member."""
    tree, _ = parsed({name: 1})
    assert isinstance(tree, Compare)
    assert JsonPath(DATA, steps) == tree.target


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("data.", InvalidFilter, "empty step"),
        ("data..a", InvalidFilter, "empty step"),
        ("data.a\0b", InvalidValue, "NUL"),
        ("data.\ud800", InvalidValue, "surrogate"),
        ("age.a", InvalidFilter, "leads into age, which is int and no JSON"),
        ("dta.a", UnknownField, "data"),
        (".a", UnknownField, "no field ''"),
        ("data" + ".a" * 65, LimitExceeded, "longer than 64 steps"),
        ("data" + ".a" * 100_000, LimitExceeded, "longer than 64 steps"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(
    name: str, error: type[DataFlowError], message: str
) -> None:
    """Empty steps, what no database stores in a name, fields that are no JSON, too long."""
    with quickly(), pytest.raises(error, match=message):
        parsed({name: 1})


@pytest.mark.parametrize("document", [None, [], "age", 5, [{"age": 1}], True])
def test_a_filter_is_a_dict(document: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidFilter, match="a filter is a dict, got"):
        parsed(document)


@pytest.mark.parametrize(
    ("document", "nearest"),
    [
        ({"age": {"$gte ": 1}}, "$gte"),
        ({"age": {"$GT": 1}}, "$gt"),
        ({"age": {"$greater": 1}}, "$gte"),
        ({"name": {"$startsWith": "A"}}, "$startswith"),
        ({"name": {"$iStartsWith": "A"}}, "$istartswith"),
        ({"name": {"$regexp": "A"}}, "$regex"),
        ({"tags": {"$elemmatch": {"$eq": "a"}}}, "$elemMatch"),
        ({"$AND": [{}]}, "$and"),
        ({"$Or": [{}]}, "$or"),
        ({"$where": "1"}, None),
        ({"$jsonSchema": {}}, None),
        ({"age": {"$inc": 1}}, "$in"),
        ({"$": 1}, None),
    ],
)
def test_an_unknown_operator_names_the_nearest(document: Any, nearest: str | None) -> None:
    """Operators are exact in case; the error names operator, place and the nearest right one."""
    with pytest.raises(UnknownOperator, match="there is no operator") as caught:
        parsed(document)
    assert nearest == caught.value.suggestion
    assert caught.value.code == "DF-801"


@pytest.mark.parametrize("operator", ["$where", "$text", "$jsonSchema", "$near", "$rand"])
def test_operators_that_are_left_out_are_refused(operator: str) -> None:
    """What only some database could do is no operator, above or under a field."""
    for document in ({operator: "x"}, {"name": {operator: "x"}}):
        with pytest.raises(UnknownOperator):
            parsed(document)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"$and": []}, r"\$and takes a list of at least one filter"),
        ({"$or": []}, r"\$or takes a list of at least one filter"),
        ({"$nor": ()}, r"\$nor takes a list of at least one filter"),
        ({"$or": {"age": 1}}, r"\$or takes a list"),
        ({"$and": "age"}, r"\$and takes a list"),
        ({"$and": [5]}, r"filter\.\$and\[0\]: a filter is a dict"),
        ({"$not": [{}]}, r"filter\.\$not: a filter is a dict"),
        ({"age": {"$not": 5}}, r"\$not: takes a dict of operators"),
        ({"age": {"$not": None}}, r"\$not: takes a dict of operators"),
        ({"age": {"$gt": 1, "b": 2}}, "operators and plain keys are mixed"),
        ({"data": {"a": 1, "$gt": 2}}, "operators and plain keys are mixed"),
        ({"age": {"b": 2}}, "expected a value or operators"),
        ({"age": {}}, "expected a value or operators"),
        ({"age": {1: 2}}, "expected a value or operators"),
        ({1: 2}, "a key is text, got 1"),
        ({None: 2}, "a key is text, got None"),
        ({b"age": 2}, "a key is text"),
        ({"$gt": 5}, r"\$gt stands under a field"),
        ({"$comment": 5}, r"\$comment is text"),
        ({"name": {"$options": "i"}}, r"\$options stands beside \$regex only"),
        ({"age": {"$elemMatch": {"$gt": 1}}}, "is for JSON arrays"),
        ({"tags": {"$elemMatch": "a"}}, "takes a dict of operators on scalar elements"),
        ({"tags": {"$elemMatch": {}}}, "takes a dict of operators"),
        ({"tags": {"$elemMatch": {"a": 1}}}, "takes a dict of operators"),
        ({"$expr": "$age"}, "expected a comparison, got int"),
    ],
)
def test_what_cannot_be_read_is_refused(document: Any, message: str) -> None:
    """The error says where, what was expected, and what was there."""
    with pytest.raises(InvalidFilter, match=message):
        parsed(document)


def test_an_unknown_field_is_refused_wherever_it_stands() -> None:
    """Also inside logic and expressions, with the nearest name."""
    for document in (
        {"nmae": 1},
        {"$or": [{"age": 1}, {"nmae": 1}]},
        {"$not": {"nmae": {"$gt": 1}}},
        {"$expr": {"$eq": ["$nmae", "a"]}},
    ):
        with pytest.raises(UnknownField, match="'nmae'") as caught:
            parsed(document)
        assert caught.value.suggestion == "name"


@pytest.mark.parametrize(
    "document",
    [
        nested(33, lambda inner: {"$and": [inner]}, {"age": 1}),
        nested(100_000, lambda inner: {"$or": [inner]}, {"age": 1}),
        nested(100_000, lambda inner: {"$nor": [inner]}, {"age": 1}),
        nested(100_000, lambda inner: {"$not": inner}, {"age": 1}),
        {"age": nested(100_000, lambda inner: {"$not": inner}, {"$gt": 1})},
        {"tags": nested(100_000, lambda inner: {"$elemMatch": inner}, {"$eq": "a"})},
        {"tags": nested(100_000, lambda inner: {"$elemMatch": {"$not": inner}}, {"$eq": "a"})},
        {"$expr": nested(100_000, lambda inner: {"$not": [inner]}, True)},
    ],
    ids=["33", "or", "nor", "not", "field not", "elemMatch", "elemMatch not", "expr"],
)
def test_deep_filters_are_refused(document: Any) -> None:
    """Nested deeper than 32, however deep: one error, at once, and no RecursionError."""
    with quickly(), pytest.raises(LimitExceeded, match="nested deeper than 32"):
        parsed(document)


def test_a_filter_may_be_as_deep_as_the_limit() -> None:
    """32 levels are allowed, and the limit can be configured."""
    document = nested(32, lambda inner: {"$and": [inner]}, {"age": 1})
    assert parsed(document)[1] == [1]
    with pytest.raises(LimitExceeded, match="deeper than 3"):
        parsed(document, Limits(filter_depth=3))


def test_cyclic_filters_are_refused() -> None:
    """A filter that contains itself is nested too deep."""
    logic: dict[str, Any] = {}
    logic["$and"] = [logic]
    negation: dict[str, Any] = {}
    negation["$not"] = negation
    branching: dict[str, Any] = {}
    branching["$or"] = [branching, branching]
    for document in (logic, negation, {"age": negation}, branching):
        with quickly(), pytest.raises(LimitExceeded):
            parsed(document)


def test_a_filter_has_at_most_1000_conditions() -> None:
    """All branches together; a million are refused as fast as a thousand and one."""
    branches = [{"age": number} for number in range(1_000)]
    assert len(parsed({"$or": branches})[1]) == 1_000
    with pytest.raises(LimitExceeded, match="more than 1000 conditions"):
        parsed({"$or": [{"$or": branches}, {"age": 1}]})
    for count in (1_001, 1_000_000):
        document = {"$or": [{"age": 1}] * count}
        with quickly(), pytest.raises(LimitExceeded, match=f"{count} branches, at most 1000"):
            parsed(document)


def test_huge_dicts_are_refused_at_once() -> None:
    """A million keys where operators, or fields, are expected."""
    plain = {str(number): number for number in range(1_000_000)}
    with quickly(), pytest.raises(InvalidFilter):
        parsed({"age": plain})
    with quickly(), pytest.raises(UnknownField):
        parsed(plain)


def test_elements_of_an_array_meet_all_conditions() -> None:
    """`$elemMatch` holds a tree over one element."""
    tree, values = parsed({"data.list": {"$elemMatch": {"$gt": 1, "$lt": 9}}})
    assert isinstance(tree, ElementMatch)
    assert matches(tree, {"data": {"list": [0, 5]}}, values)
    assert not matches(tree, {"data": {"list": [0, 10]}}, values)


NAMES = st.sampled_from([*USER.by_name, "data.a", "data.0.b", "nope", "$and", "age.x"])
OPERANDS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=5)
    | st.binary(max_size=3)
    | st.datetimes()
    | st.dates()
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$eq", "$not", "$in", "$elemMatch", "$gt", "a", "$or", "$regex"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=6,
)
OPERATORS = st.sampled_from([*LEAVES, "$not", "$elemMatch", "$options", "$x"])
DOCUMENTS = st.recursive(
    st.dictionaries(NAMES, OPERANDS | st.dictionaries(OPERATORS, OPERANDS, max_size=2), max_size=2),
    lambda inner: (
        st.dictionaries(
            st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, max_size=3), max_size=1
        )
        | st.fixed_dictionaries({"$not": inner})
    ),
    max_leaves=4,
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=3),
        "age": st.none() | st.integers(-5, 5),
        "score": st.floats(allow_nan=False, allow_infinity=False),
        "active": st.booleans(),
        "tags": st.none() | st.lists(st.sampled_from(["a", "b"])),
        "data": st.none() | st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3)),
    },
)


@given(DOCUMENTS, ROWS)
def test_any_filter_is_evaluated_or_refused(document: Any, row: dict[str, Any]) -> None:
    """Random documents: a tree that evaluates to a bool, or a DataFlowError; nothing else."""
    try:
        tree, values = parsed(document)
    except DataFlowError as error:
        assert error.code.startswith("DF-")
        return
    assert matches(tree, row, values) in (True, False)


@given(DOCUMENTS, ROWS)
def test_not_is_the_complement(document: Any, row: dict[str, Any]) -> None:
    """Every row passes either a filter or its negation, NULL or not."""
    try:
        tree, values = parsed(document)
    except DataFlowError:
        return
    negation, negated_values = parsed({"$not": document})
    nor, nor_values = parsed({"$nor": [document]})
    found = matches(tree, row, values)
    assert found is not matches(negation, row, negated_values)
    assert found is not matches(nor, row, nor_values)


@given(DOCUMENTS)
def test_equal_documents_have_equal_trees(document: Any) -> None:
    """The tree holds no values: it is hashable, and equal for an equal document."""
    try:
        tree, _ = parsed(document)
    except DataFlowError:
        return
    assert hash(tree) == hash(parsed(document)[0])
    assert tree == parsed(document)[0]


def test_a_tree_does_not_depend_on_values() -> None:
    """Other values of the same kind give the same shape; null and longer lists another one."""
    assert parsed({"age": 1})[0] == parsed({"age": 2})[0]
    assert parsed({"age": 1})[0] != parsed({"age": None})[0]
    assert parsed({"age": {"$in": [1, 2, 3]}})[0] == parsed({"age": {"$in": [4, 5, 6, 7]}})[0]
    assert parsed({"age": {"$in": [1]}})[0] != parsed({"age": {"$in": [1, 2]}})[0]
    assert Always(True) == parsed({})[0]
