"""Registering models and nodes. No database is needed for it."""

from __future__ import annotations

import gc
import weakref
from typing import Any, ClassVar

import pytest

from dataflow_core import Context, DataFlow, field
from dataflow_core.errors import (
    DuplicateModel,
    DuplicateNode,
    InvalidModel,
    InvalidType,
    MissingParameter,
    ModelCheckFailed,
    ModelNotInstantiable,
    UnknownModelOption,
    UnknownNode,
    UnknownParameter,
)
from dataflow_core.schema.checks import ModelCheckWarning
from tests.core.app.fakes import instance

KINDS = [
    "bulk_create", "bulk_delete", "bulk_update", "bulk_upsert", "count", "create", "delete",
    "export_to", "import_from", "list", "read", "stream", "update", "upsert",
]  # fmt: skip


@pytest.fixture
def db() -> DataFlow:
    """An instance without a database behind it."""
    return instance()


def test_a_model_is_the_class_itself(db):
    """The decorator gives back the very class, with and without arguments, so that it stacks."""
    other = instance()

    class User:
        name: str

    assert db.model(User) is User
    assert other.model(validation="off")(User) is User
    assert db.list_models() == other.list_models() == ["User"]


def test_stacked_decorators_register_with_both(db):
    """One class may be a model of two instances, each with nodes of its own."""
    other = instance()

    @db.model
    @other.model
    class User:
        name: str

    assert db.node_type("UserCreateNode").owner is db
    assert other.node_type("UserCreateNode").owner is other
    assert User.__name__ == "User"


def test_a_model_has_no_instances(db):
    """Calling the class is refused with DF-603 and the node to use, whatever it is called with."""

    @db.model
    class User:
        name: str

    for arguments, named in (((), {}), ((1,), {}), ((), {"name": "Ada"})):
        with pytest.raises(ModelNotInstantiable, match="UserCreateNode") as caught:
            User(*arguments, **named)
        assert caught.value.code == "DF-603"


def test_the_nodes_of_a_model(db):
    """Nine nodes and the four beside them appear, all named after the class."""

    @db.model
    class User:
        name: str

    assert {name for name in db.node_names() if name.startswith("User")} == {
        f"User{kind}Node"
        for kind in (
            "Create", "Read", "Update", "Delete", "List", "BulkCreate", "BulkUpdate", "BulkDelete",
            "BulkUpsert", "Count", "Upsert", "Export", "Import",
        )
    }  # fmt: skip


def test_an_editor_completes_models_and_nodes(db):
    """``dir`` knows the models of ``db.nodes`` and the nodes of a model."""

    @db.model
    class User:
        name: str

    assert dir(db.nodes) == ["User"]
    assert [name for name in dir(db.nodes.User) if not name.startswith("_")] == KINDS
    assert db.nodes.User is db.nodes.User
    assert "User" in repr(db.nodes.User)


def test_an_unknown_name_suggests_the_nearest(db):
    """A misspelt model or node is refused with the nearest; special names are just missing."""

    @db.model
    class User:
        name: str

    with pytest.raises(UnknownNode) as caught:
        _ = db.nodes.Usr
    assert caught.value.suggestion == "User"
    with pytest.raises(UnknownNode) as node:
        db.node_type("UserCraeteNode")
    assert node.value.suggestion == "UserCreateNode"
    with pytest.raises(UnknownNode):
        db.node_type(5)
    assert not hasattr(db.nodes, "__wrapped__")


def test_the_same_declaration_again_changes_nothing(db):
    """A cell of a notebook may run twice."""
    for _ in range(2):

        @db.model
        class User:
            name: str = "Ada"

        assert db.list_models() == ["User"]
        assert User is not None


@pytest.mark.parametrize("same", ["name", "table", "nodes"])
def test_models_that_meet_are_refused(db, same):
    """Two models with one name, one table (in any case) or meeting node names are refused."""

    @db.model
    class User:
        name: str

    names = {"name": "User", "table": "Person", "nodes": "UserBulk"}
    body: dict[str, Any] = {"__annotations__": {"other": int}}
    if same == "table":
        body["__tablename__"] = "USERS"
    second = type(names[same], (), body)
    with pytest.raises(DuplicateModel) as caught:
        db.model(second)
    assert caught.value.code == "DF-602"
    assert db.list_models() == ["User"]
    assert db.node_type("UserCreateNode").parameters["name"].required


def test_two_indexes_with_one_name_are_refused(db):
    """An index's own name (in any case) is taken once in a database: many have one namespace."""

    @db.model
    class User:
        name: str
        age: int
        __dataflow__ = {"indexes": [{"fields": ["name"], "name": "by_name"}]}

    class Person:
        name: str
        __dataflow__ = {"unique": [{"fields": ["name"], "name": "BY_NAME"}]}

    class Twice:
        a: int
        b: int
        __dataflow__ = {
            "indexes": [{"fields": ["a"], "name": "one"}, {"fields": ["b"], "name": "one"}]
        }

    for cls, owner in ((Person, "User"), (Twice, "Twice")):
        with pytest.raises(InvalidModel, match=f"{owner} has an index called"):
            db.model(cls)
    assert db.list_models() == ["User"]
    db.model(User)


def test_a_model_cannot_take_the_name_of_a_node(db):
    """A node of the user's own keeps its name."""

    @db.node("UserCreateNode")
    def mine(context: Any) -> dict[str, Any]:
        return {}

    class User:
        name: str

    with pytest.raises(DuplicateModel, match="UserCreateNode"):
        db.model(User)
    assert db.list_models() == []


@pytest.mark.parametrize("thing", [5, "User", None.__class__.__call__, lambda: None])
def test_only_a_class_is_a_model(db, thing):
    """Decorating anything else is refused."""
    with pytest.raises(InvalidModel):
        db.model(thing)


@pytest.mark.parametrize("option", ["multi_tenant", "soft_delete", "audit_log", "versioned"])
def test_the_options_of_missing_plugins_are_refused(db, option):
    """A policy that no installed plugin brings is an error that says so; False asks for nothing."""
    with pytest.raises(UnknownModelOption, match="plugin"):
        db.model(type("User", (), {"__annotations__": {"n": int}, "__dataflow__": {option: True}}))
    db.model(type("Other", (), {"__annotations__": {"n": int}, "__dataflow__": {option: False}}))


async def test_a_node_of_ones_own(db):
    """A function, asynchronous or not, is a node; a result without ``result`` gets one."""

    @db.node("DoubleNode")
    def double(context: Any, number: int, *, times: int = 2) -> dict[str, Any]:
        return {"number": number * times, "owner": context.db is db}

    @db.node("HalfNode")
    async def half(context: Any, number: int) -> dict[str, Any]:
        return {"result": number // 2}

    assert await db.run("DoubleNode", number=4) == {
        "number": 8, "owner": True, "result": {"number": 8, "owner": True},
    }  # fmt: skip
    assert await db.run("HalfNode", number=8) == {"result": 4}
    assert db.run_sync("DoubleNode", number=1, times=5)["number"] == 5
    assert double(type("C", (), {"db": None}), 1)["number"] == 2
    parameters = db.node_type("DoubleNode").parameters
    assert {name: item.required for name, item in parameters.items()} == {
        "number": True, "times": False,
    }  # fmt: skip


async def test_a_node_takes_what_its_signature_says(db):
    """An unknown parameter is refused; ``**anything`` takes any; the context comes first."""

    @db.node("StrictNode")
    def strict(context: Any, number: int = 0) -> dict[str, Any]:
        return {}

    @db.node("OpenNode")
    def open_node(context: Any, **anything: Any) -> dict[str, Any]:
        return anything

    with pytest.raises(UnknownParameter) as caught:
        await db.run("StrictNode", nummer=1)
    assert caught.value.suggestion == "number"
    assert (await db.run("OpenNode", x=1))["x"] == 1
    with pytest.raises(UnknownParameter):
        await db.node_type("StrictNode").run(Context(db), {"nummer": 1})

    def nothing() -> dict[str, Any]:
        return {}

    without: list[Any] = [nothing, lambda *, context: {}, lambda **anything: {}]
    for wrong in without:
        with pytest.raises(InvalidModel, match="context"):
            db.node("NoneNode")(wrong)
    with pytest.raises(InvalidModel, match="number"):
        db.node("NoneNode")(lambda context, number, /: {})
    with pytest.raises(InvalidModel):
        db.node("NotAFunctionNode")(5)


async def test_a_node_gets_what_it_requires(db):
    """A parameter without a default that is not given is refused by name."""
    db.node("NeedsNode")(lambda context, number: {})
    with pytest.raises(MissingParameter, match="NeedsNode: number"):
        await db.run("NeedsNode")
    with pytest.raises(MissingParameter):
        await Context(db).run("NeedsNode")


async def test_a_parameter_may_be_called_name(db):
    """Inside and outside of nodes a parameter may have the name of any argument of ``run``."""
    db.node("NameNode")(lambda context, name, self: {"name": name, "self": self})
    for run in (db.run, Context(db).run):
        result = await run("NameNode", name="Ada", self=1)
        assert (result["name"], result["self"]) == ("Ada", 1)


@pytest.mark.parametrize("name", ["", "a b", 5, None, "a.b"])
def test_a_node_has_a_name(db, name):
    """The name of a node is an identifier."""
    with pytest.raises(InvalidModel):
        db.node(name)(lambda context: {})


async def test_a_node_name_is_given_once(db):
    """A second node of a name is refused; the first stays."""
    db.node("OneNode")(lambda context: {"n": 1})
    with pytest.raises(DuplicateNode):
        db.node("OneNode")(lambda context: {"n": 2})
    assert (await db.run("OneNode"))["n"] == 1


@pytest.mark.parametrize("value", [None, 5, [1], "text"])
async def test_a_node_returns_a_dict(db, value):
    """Another result is refused with the name of the node."""
    db.node("WrongNode")(lambda context: value)
    with pytest.raises(InvalidType, match="WrongNode"):
        await db.run("WrongNode")


def test_a_field_named_like_an_output_is_reported(db):
    """Such a field is read under ``result`` only: a warning says so, or an error if strict."""

    class Job:
        result: str
        count: int = field(default=0)

    with pytest.raises(ModelCheckFailed, match=r"Job\.result(.|\n)*Job\.count"):
        db.model(validation="strict")(Job)
    assert db.list_models() == []
    with pytest.warns(ModelCheckWarning) as warned:
        db.model(Job)
    assert {str(item.message).split()[1] for item in warned} == {"Job.result", "Job.count"}
    assert db.model(validation="off")(Job) is Job


def test_an_instance_that_nobody_holds_is_gone():
    """Nothing but its users keeps an instance alive, not even its models."""

    def use() -> weakref.ref[DataFlow]:
        db = instance()

        @db.model
        class User:
            name: str

        assert db.workflow() is not None
        return weakref.ref(db)

    gone = use()
    gc.collect()
    assert gone() is None


def test_a_check_is_about_what_every_database_checks(db):
    """A counted key and a reference that a deletion clears are checked by no rule."""
    with pytest.raises(InvalidModel, match="which the database counts"):

        @db.model(validation="off")
        class Counted:
            id: int

            __dataflow__: ClassVar = {"checks": {"small": {"id": {"$lt": 9}}}}

    with pytest.raises(InvalidModel, match="a deletion elsewhere may clear"):

        @db.model(validation="off")
        class Child:
            parent_id: int | None = field(
                None, references="Child.id", on_delete="set_null", check={"$gt": 0}
            )


def test_the_table_of_the_registry_is_no_models(db: DataFlow) -> None:
    """A model that would change the table of the registry is refused when it is declared."""

    class Kept:
        name: str
        __tablename__ = "dataflow_models"

    with pytest.raises(DuplicateModel, match="registry"):
        db.model(Kept)
