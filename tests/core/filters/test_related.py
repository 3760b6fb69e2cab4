from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import InvalidFilter, LimitExceeded, UnknownField
from dataflow_core.filters import Bindings, Related, Scope, matches, parse_filter, walk
from dataflow_core.filters.plain import PlainFilters
from dataflow_core.schema import Model
from dataflow_core.schema.declare import declare_model, field
from dataflow_core.schema.relation_names import Relations


class Team:
    __dataflow__ = {"timestamps": False}
    id: int
    name: str | None
    size: int | None


class Player:
    __dataflow__ = {"timestamps": False}
    id: int
    age: int | None
    team_id: int | None = field(default=None, references="Team.id")


TEAM, PLAYER = declare_model(Team), declare_model(Player)
RELATIONS = Relations(lambda: (TEAM, PLAYER))
TEAMS: list[dict[str, Any]] = [
    {"id": 1, "name": "a", "size": 1},
    {"id": 2, "name": None, "size": 2},
    {"id": 3, "name": "c", "size": None},
]
PLAYERS: list[dict[str, Any]] = [
    {"id": 1, "age": 10, "team_id": 1},
    {"id": 2, "age": 20, "team_id": 1},
    {"id": 3, "age": None, "team_id": 2},
    {"id": 4, "age": 30, "team_id": None},
]
ROWS = {TEAM: TEAMS, PLAYER: PLAYERS}


def passing(model: Model, document: Any) -> list[int]:
    """The keys of the rows that a filter lets through."""
    bindings = Bindings()
    tree = parse_filter(document, Scope.of(model, RELATIONS), bindings)
    rows = ROWS[model]
    return [row["id"] for row in rows if matches(tree, row, bindings.values, ROWS.__getitem__)]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"team.name": "a"}, [1, 2]),
        ({"team.name": None}, [3, 4]),
        ({"team.name": {"$ne": "a"}}, [3, 4]),
        ({"team.name": {"$exists": True}}, [1, 2]),
        ({"team.size": {"$in": [2, None]}}, [3, 4]),
        ({"team.size": {"$nin": [1]}}, [3, 4]),
        ({"team": None}, [4]),
        ({"team": {"$ne": None}}, [1, 2, 3]),
        ({"team.players.age": 20}, [1, 2]),
    ],
)
def test_a_row_without_a_related_one_has_no_such_field(document: Any, expected: Any) -> None:
    """Null holds of it, nothing else does, and what says *not* is the complement."""
    assert passing(PLAYER, document) == expected
    assert passing(PLAYER, {"$nor": [document]}) == [n for n in (1, 2, 3, 4) if n not in expected]


def test_any_of_many_rows_may_pass() -> None:
    """Each condition is met by any row, those of one `$elemMatch` by the same one."""
    assert passing(TEAM, {"players.age": {"$gt": 5}}) == [1]
    assert passing(TEAM, {"players.age": 10, "players.id": 2}) == [1]
    assert passing(TEAM, {"players": {"$elemMatch": {"age": 10, "id": 2}}}) == []
    assert passing(TEAM, {"players.age": None}) == [2, 3]
    assert passing(TEAM, {"players": {"$exists": False}}) == [3]


@given(st.sampled_from(["team.name", "team.size", "team.players.age"]), st.booleans())
def test_null_and_exists_are_complements(name: str, negated: bool) -> None:
    """`None`, `$exists: False` and not `$exists: True` are the same."""
    document = {name: {"$exists": negated}}
    other = {"$nor": [{name: None}]} if negated else {name: None}
    assert passing(PLAYER, document) == passing(PLAYER, other)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"team": 1}, InvalidFilter),
        ({"team": {}}, InvalidFilter),
        ({"team": {"$in": [1]}}, InvalidFilter),
        ({"team": {"name": "a"}}, InvalidFilter),
        ({"team": {"$elemMatch": {"name": "a"}}}, InvalidFilter),
        ({"team": {"$exists": 1}}, InvalidFilter),
        ({"team.nmae": 1}, UnknownField),
        ({"tem.name": 1}, UnknownField),
        ({"team.players" * 9: 1}, UnknownField),
        ({".".join(["team", "players"] * 40) + ".age": 1}, LimitExceeded),
    ],
)
def test_what_is_not_understood_is_refused(document: Any, error: type[Exception]) -> None:
    """A relation takes few operators, and its fields by dotted names."""
    with pytest.raises(error):
        passing(PLAYER, document)


def test_a_scope_without_relations_has_none() -> None:
    """A check of a table looks at its own fields only."""
    with pytest.raises(UnknownField):
        parse_filter({"team.name": "a"}, Scope.of(PLAYER), Bindings())


def test_a_filter_through_a_relation_is_not_plain() -> None:
    """It is read in full each time, since relations may change."""
    bindings, plain, document = Bindings(), PlainFilters(), {"team.name": "a"}
    tree = parse_filter(document, Scope.of(PLAYER, RELATIONS), bindings)
    plain.keep(document, 0, tree, bindings.leaves)
    assert plain.known(document, Bindings()) is None


def test_a_walk_goes_through_relations() -> None:
    """Every node of the tree is seen."""
    tree = parse_filter({"team.players.age": 1}, Scope.of(PLAYER, RELATIONS), Bindings())
    assert [type(node).__name__ for node in walk(tree)] == ["Related", "Related", "Compare"]
    assert isinstance(tree, Related)
