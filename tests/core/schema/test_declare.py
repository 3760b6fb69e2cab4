from __future__ import annotations

import datetime as dt
import decimal
from typing import Any, ClassVar, Literal
from uuid import UUID

import pytest

from dataflow_core.errors import (
    DataFlowError,
    InvalidModel,
    InvalidType,
    UnknownModelOption,
    UnsupportedType,
)
from dataflow_core.schema import MISSING, Model
from dataflow_core.schema.declare import declare_model, field
from dataflow_core.types import Decimal, Integer, Text, Timestamp

# With arguments that a type checker would refuse.
loose: Any = field


def declared(annotations: dict[str, Any], name: str = "User", **attributes: Any) -> Model:
    """The model of a class with these annotations and attributes."""
    return declare_model(type(name, (), {"__annotations__": annotations, **attributes}))


def with_options(**options: Any) -> Model:
    """The model of a class of two fields with these options."""
    return declared({"a": int, "b": str | None}, __dataflow__=options)


def test_a_class_becomes_a_model() -> None:
    """Annotations in order, between a generated key and the automatic timestamps."""
    model = declared({"name": str, "age": int}, age=0)
    assert (model.name, model.table, model.database) == ("User", "users", "primary")
    assert [f.name for f in model.fields] == ["id", "name", "age", "created_at", "updated_at"]
    assert [f.generated for f in model.fields] == ["database", None, None, None, None]
    assert [f.managed for f in model.fields] == [None, None, None, "created", "updated"]
    assert [f.name for f in model.fields if f.required] == ["name"]
    assert (Integer(), Text()) == (model.field("id").type, model.field("name").type)


@pytest.mark.parametrize(
    ("annotation", "default", "generated"),
    [
        (int, MISSING, "database"),
        (str, MISSING, "uuid7"),
        (UUID, MISSING, "uuid7"),
        (str, "x", None),
        (dt.date, MISSING, None),
        (Literal["a"], MISSING, None),
    ],
)
def test_a_declared_key_is_kept(annotation: Any, default: Any, generated: str | None) -> None:
    """`id` keeps its type; an int is made by the database, text and UUID by the client."""
    given = {} if default is MISSING else {"id": default}
    model = declared({"id": annotation}, **given)
    assert (("id",), generated) == (model.key_names, model.field("id").generated)


def test_other_fields_may_be_the_key() -> None:
    """`field(primary_key=True)` or the option; then there is no `id`; several make one key."""
    assert declared({"code": str}, code=field(primary_key=True)).key_names == ("code",)
    both = declared({"a": int, "b": str}, __dataflow__={"primary_key": ["a", "b"]})
    assert both.key_names == ("a", "b")
    assert [item.generated for item in both.primary_key] == [None, None]
    assert with_options(primary_key="a").key_names == ("a",)


def test_a_key_that_refers_to_another_is_not_generated() -> None:
    """A key that is a foreign key comes from the other row."""
    model = declared({"id": int}, id=field(references="User.id"))
    assert model.field("id").generated is None


def test_timestamps_may_be_off_or_declared() -> None:
    """Off, nothing is added; one of another type is the user's own."""
    assert [item.name for item in with_options(timestamps=False).fields] == ["id", "a", "b"]
    own = declared({"created_at": str, "updated_at": dt.datetime})
    assert [own.field(n).managed for n in ("created_at", "updated_at")] == [None, "updated"]
    assert Timestamp() == own.field("updated_at").type


@pytest.mark.parametrize(
    ("declaration", "length"),
    [
        (field(unique=True), 768),
        (field(index=True), 768),
        (field(primary_key=True), 768),
        (field(references="Other.id"), 768),
        (field(unique=True, max_length=50), 50),
        (field(max_length=2_000), 2_000),
        (field(), None),
    ],
)
def test_keyed_text_is_bounded_everywhere(declaration: Any, length: int | None) -> None:
    """Text in a key or an index has 768 characters unless it says otherwise."""
    assert Text(length) == declared({"code": str}, code=declaration).field("code").type


def test_text_in_indexes_and_foreign_keys_is_bounded() -> None:
    """Also where the options name the field."""
    key = {"columns": ["b"], "references": "others", "target_columns": ["code"]}
    for options in ({"indexes": [["b"]]}, {"unique": ["b"]}, {"foreign_keys": [key]}):
        assert Text(768) == with_options(**options).field("b").type


def test_defaults_are_canonical_values_or_factories() -> None:
    """A default is checked like a value; a mutable one is copied for each row."""
    model = declared({"a": Literal["x"], "tags": list, "made": int}, a="x", tags=[], made=lambda: 5)
    assert (model.field("a").default_value(), model.field("made").default_value()) == ("x", 5)
    first, second = (model.field("tags").default_value() for _ in range(2))
    assert (first, second) == ([], [])
    assert first is not second


def test_the_same_class_again_is_the_same_model() -> None:
    """A notebook cell that runs twice declares the same, also with mutable defaults."""
    one, other = (declared({"a": int, "tags": list}, tags=[1]) for _ in range(2))
    assert one.same_as(other)
    assert not one.same_as(declared({"a": int, "tags": list}, tags=[2]))
    assert hash(one.field("tags")) == hash(other.field("tags"))


def test_a_name_that_every_class_has_is_no_default() -> None:
    """A field may be called `mro`; what `type` has under that name is not its default."""
    assert declared({"mro": str}).field("mro").required


def test_fields_are_inherited_and_class_variables_are_none() -> None:
    """Fields and defaults of base classes count; `ClassVar` and dunders are no fields."""

    class Base:
        name: str = "x"
        shared: ClassVar[int] = 3

    class User(Base):
        __hidden__: int = 1
        age: int

    fields = declare_model(User, namespace=locals()).by_name
    assert list(fields) == ["id", "name", "age", "created_at", "updated_at"]
    assert fields["name"].default == "x"


def test_text_annotations_see_local_names() -> None:
    """An annotation written as text may use the names of the namespace."""
    model = declare_model(
        type("User", (), {"__annotations__": {"a": "Money"}}), namespace={"Money": int}
    )
    assert Integer() == model.field("a").type


def test_sizes_and_notes_reach_the_field() -> None:
    """What `field(...)` says is on the field; a check becomes a filter over the model."""
    model = declared(
        {"price": decimal.Decimal},
        price=field(precision=9, scale=2, check={"$gte": 0}, comment="net", personal=True),
    )
    price = model.field("price")
    assert (Decimal(9, 2), {"price": {"$gte": 0}}, "net", True) == (
        price.type,
        price.check,
        price.comment,
        price.personal,
    )


@pytest.mark.parametrize(
    ("annotations", "attributes", "message"),
    [
        ({"a": "Nowhere"}, {}, r"User: an annotation cannot be read: .*Nowhere"),
        ({"a": "int |"}, {}, "an annotation cannot be read"),
        ({"a": "1/0"}, {}, "an annotation cannot be read"),
        ({"a b ": int}, {}, "space"),
        ({"$a": int}, {}, r"no '\$' in front"),
        ({"a.b": int}, {}, "no '.'"),
        ({"": int}, {}, "empty"),
        ({"a\0": int}, {}, "control"),
        ({"n" * 64: int}, {}, "63 bytes"),
        ({"😀": int}, {}, "basic plane"),
        ({"name": str, "Name": str}, {}, "'name' and 'Name' differ only by case"),
        ({"Created_At": str}, {}, "differ only by case"),
        ({"ID": int}, {}, "differ only by case"),
        ({"a": int}, {"a": None}, "default is None but the field is not nullable"),
        ({"id": int | None}, {}, "a primary key is never null"),
        ({"id": dict}, {}, "is ordered"),
        ({"a": int}, {"a": loose(unique="yes")}, "unique is a bool, got 'yes'"),
        ({"a": int}, {"a": loose(comment=5)}, "comment is a str"),
        ({"a": int}, {"a": loose(references=int)}, "references is a str"),
        ({"a": int}, {"a": loose(check="a > 0")}, "check is a Mapping"),
        ({"a": int}, {"a": loose(nullable=1)}, "nullable is a bool"),
        (
            {"a": int},
            {"a": loose(references="User.id", on_delete="cascad")},
            r"on_delete is one of .*got 'cascad'[\s\S]*'?cascade",
        ),
        ({"a": int}, {"a": field(on_delete="cascade")}, "what a deletion does to 'references'"),
        (
            {"a": int},
            {"a": field(references="User.id", on_delete="set_null")},
            "'set_null' but the field is not nullable",
        ),
        (
            {"a": int, "b": int},
            {"a": field(renamed_from="x"), "b": field(renamed_from="x")},
            "several are renamed_from 'x'",
        ),
    ],
)
def test_a_wrong_declaration_is_refused(
    annotations: dict[str, Any], attributes: dict[str, Any], message: str
) -> None:
    """The error names the class or the field and says what is wrong."""
    with pytest.raises(InvalidModel, match=message):
        declared(annotations, **attributes)


def test_wrong_types_and_defaults_have_their_own_errors() -> None:
    """An unsupported annotation, a default of another type."""
    with pytest.raises(UnsupportedType, match=r"User\.a"):
        declared({"a": complex})
    with pytest.raises(InvalidType, match=r"User\.a \(default\): expected int"):
        declared({"a": int}, a="x")
    with pytest.raises(InvalidType, match=r"\(default\)"):
        declared({"a": int}, a=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"databse": "x"}, UnknownModelOption, "'databse'[^$]*database"),
        ({"timestamp": False}, UnknownModelOption, "timestamps"),
        ({"multi_tenant": True}, UnknownModelOption, "policies plugin"),
        ({5: 1}, UnknownModelOption, "option 5"),
        ({"database": 5}, InvalidModel, "'database' is a str"),
        ({"timestamps": "no"}, InvalidModel, "'timestamps' is a bool"),
        ({"table": ""}, InvalidModel, "empty"),
        ({"table": "a\0"}, InvalidModel, "control"),
        ({"table": None}, InvalidModel, "'table' is a str"),
        ({"primary_key": 5}, InvalidModel, "primary_key names fields, got 5"),
        ({"primary_key": ["c"]}, InvalidModel, "'c', which is no field"),
        ({"primary_key": "b"}, InvalidModel, "never null"),
        ({"indexes": "a"}, InvalidModel, "'indexes' is a list"),
        ({"indexes": [["c"]]}, InvalidModel, "names 'c', which is no field"),
        ({"indexes": [["a", "-a"]]}, InvalidModel, "names a field twice"),
        ({"indexes": [[]]}, InvalidModel, "an index names its fields"),
        ({"indexes": [5]}, InvalidModel, "an index names its fields, got 5"),
        ({"indexes": [{"fields": ["a"], "uniqe": True}]}, InvalidModel, "no 'uniqe'"),
        ({"indexes": [{"fields": ["a"], "name": "x\0"}]}, InvalidModel, "control"),
        ({"unique": [["a", "x"]]}, InvalidModel, "names 'x'"),
        ({"checks": ["a"]}, InvalidModel, "dict of name to filter"),
        ({"checks": {"": {}}}, InvalidModel, "empty"),
        ({"foreign_keys": None}, InvalidModel, "'foreign_keys' is a list"),
        ({"foreign_keys": [5]}, InvalidModel, "a foreign key is"),
        ({"foreign_keys": [{"columns": ["a"]}]}, InvalidModel, "a foreign key is"),
    ],
)
def test_wrong_options_are_refused(
    options: dict[Any, Any], error: type[DataFlowError], message: str
) -> None:
    """An option that nobody knows, or of a wrong form, is refused and never ignored."""
    with pytest.raises(error, match=message):
        declared({"a": int, "b": str | None}, __dataflow__=options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": "a"}, "a list of names"),
        ({"columns": ["x"]}, "names 'x', which is no field"),
        ({"columns": []}, "a list of names"),
        ({"target_columns": ["a", "b"]}, "1 columns and 2 target"),
        ({"references": ""}, "empty"),
        ({"on_delete": "drop"}, "on_delete is one of"),
        ({"on_delete": "set_null"}, "not nullable"),
        ({"name": "n" * 64}, "63 bytes"),
        ({"onDelete": "cascade"}, "a foreign key is"),
    ],
)
def test_wrong_foreign_keys_are_refused(change: dict[str, Any], message: str) -> None:
    """A foreign key of the options is checked whole."""
    key = {"columns": ["a"], "references": "others", "target_columns": ["id"]}
    assert with_options(foreign_keys=[key]).foreign_keys[0].reference.table == "others"
    with pytest.raises(InvalidModel, match=message):
        with_options(foreign_keys=[{**key, **change}])


def test_policies_that_are_off_need_no_plugin() -> None:
    """`soft_delete: False` asks for nothing; what a plugin claims is kept for it."""
    assert with_options(soft_delete=False).options == {"soft_delete": False}
    cls = type("User", (), {"__annotations__": {}, "__dataflow__": {"audit_log": True}})
    assert declare_model(cls, claimed_options=frozenset(["audit_log"])).options == {
        "audit_log": True
    }


def test_one_name_for_the_table() -> None:
    """`__tablename__` or the option names the table; two different names are refused."""
    assert declared({"a": int}, __tablename__="people").table == "people"
    assert with_options(table="people").table == "people"
    with pytest.raises(InvalidModel, match="__tablename__ is 'people', the option 'table' 'men'"):
        declared({"a": int}, __tablename__="people", __dataflow__={"table": "men"})
    with pytest.raises(InvalidModel, match="a name is text"):
        declared({"a": int}, __tablename__=5)


def test_one_way_to_mark_the_key() -> None:
    """The option and the marks on fields may not name different keys."""
    with pytest.raises(InvalidModel, match="primary_key names 'b', and field"):
        declared({"a": int, "b": int}, a=field(primary_key=True), __dataflow__={"primary_key": "b"})


def test_indexes_in_all_their_forms() -> None:
    """A name, a list, or a dict; `-` in front sorts downwards."""
    model = with_options(
        indexes=["a", ["-a", "b"], {"fields": ["b"], "unique": True, "name": "i"}], unique=["a"]
    )
    assert [
        (("a",), False, None, frozenset()),
        (("a", "b"), False, None, frozenset(["a"])),
        (("b",), True, "i", frozenset()),
        (("a",), True, None, frozenset()),
    ] == [(i.columns, i.unique, i.name, i.descending) for i in model.indexes]
    assert model.unique_keys == (("id",), ("b",), ("a",))
