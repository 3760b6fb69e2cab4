from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import UnknownField
from dataflow_core.schema import Model
from dataflow_core.schema.declare import declare_model, field
from dataflow_core.schema.relation_names import Relations


def model(name: str, *references: tuple[str, str], **options: Any) -> Model:
    """A model with an ``id`` and fields that refer to others."""
    names = {"id": int} | {column: int for column, _ in references}
    values = {column: field(references=target) for column, target in references}
    settings = {"__dataflow__": {"timestamps": False, **options}}
    return declare_model(type(name, (), {"__annotations__": names, **values, **settings}))


def names(of: Model, *others: Model) -> list[str]:
    """The names of the relations of a model."""
    return sorted(Relations(lambda: (of, *others)).of(of))


def test_a_key_is_named_by_its_field_and_the_way_back_by_the_class() -> None:
    """`user_id` leads to `user`; the users have `order_items`."""
    user, item = model("User"), model("OrderItem", ("user_id", "User.id"))
    assert names(item, user) == ["user"]
    assert names(user, item) == ["order_items"]
    relation = Relations(lambda: (user, item)).of(user)["order_items"]
    assert relation.many and relation.target is item
    assert [part.name for part in relation.target_fields] == ["user_id"]


def test_a_table_is_as_good_as_a_class() -> None:
    """A reference by the name of the table leads to the same model."""
    user, item = model("User", table="people"), model("Item", ("user_id", "people.id"))
    assert names(item, user) == ["user"]


def test_another_field_is_named_by_the_class() -> None:
    """A field that does not end with `_id` does not say what it leads to."""
    plane, flight = model("Plane"), model("Flight", ("tail", "Plane.id"))
    assert names(flight, plane) == ["plane"]


def test_two_keys_to_one_model_have_longer_names() -> None:
    """The field stands in the name, in both directions; the short name is refused."""
    airport = model("Airport")
    flight = model("Flight", ("origin", "Airport.id"), ("dest", "Airport.id"))
    assert names(flight, airport) == ["dest_airport", "origin_airport"]
    assert names(airport, flight) == ["flights_by_dest", "flights_by_origin"]
    with pytest.raises(UnknownField, match="several relations 'airport'; it has origin_airport"):
        Relations(lambda: (airport, flight)).relation(flight, "airport", "include")


def test_two_keys_with_names_of_their_own_keep_them() -> None:
    """`author_id` and `editor_id` need nothing longer."""
    user, post = model("User"), model("Post", ("author_id", "User.id"), ("editor_id", "User.id"))
    assert names(post, user) == ["author", "editor"]
    assert names(user, post) == ["posts_by_author", "posts_by_editor"]


def test_a_name_by_the_field_goes_before_one_by_the_class() -> None:
    """Of `user_id` and `boss`, both to User, the first one is `user`."""
    user, team = model("User"), model("Team", ("boss", "User.id"), ("user_id", "User.id"))
    assert names(team, user) == ["boss_user", "user"]


def test_a_field_wins() -> None:
    """A relation that would have the name of a field has the longer one."""
    plane = model("Plane")
    flight = model("Flight", ("plane", "Plane.id"))
    assert names(flight, plane) == ["plane_plane"]


def test_a_model_may_refer_to_itself() -> None:
    """One relation up, one down."""
    assert names(model("Employee", ("manager_id", "Employee.id"))) == ["employees", "manager"]


def test_keys_of_several_columns_are_relations() -> None:
    """They are named by the classes."""
    line = model("Line")
    key = {"columns": ["a", "b"], "references": "lines", "target_columns": ["id", "id"]}
    part = declare_model(
        type(
            "Part",
            (),
            {
                "__annotations__": {"id": int, "a": int, "b": int},
                "__dataflow__": {"timestamps": False, "foreign_keys": [key]},
            },
        )
    )
    assert names(part, line) == ["line"]
    assert names(line, part) == ["parts"]


def test_models_may_come_later() -> None:
    """A key to a model that is not known is no relation until it is."""
    item, known = model("Item", ("user_id", "User.id")), []
    known.append(item)
    relations = Relations(lambda: known)
    assert not relations.of(item)
    known.append(model("User"))
    assert list(relations.of(item)) == ["user"]
    assert relations.connected(item) == known


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """The error says what relations there are."""
    user, item = model("User"), model("Item", ("user_id", "User.id"))
    with pytest.raises(UnknownField, match="has no relation 'usr'; it has user") as caught:
        Relations(lambda: (user, item)).relation(item, "usr", "include")
    assert caught.value.suggestion == "user"
