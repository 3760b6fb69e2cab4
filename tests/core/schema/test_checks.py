from __future__ import annotations

import warnings
from typing import Any

import pytest

from dataflow_core.errors import InvalidModel, ModelCheckFailed
from dataflow_core.schema.checks import CHECKS, ModelCheckWarning, check_model, findings
from dataflow_core.schema.declare import declare_model, field

RESERVED = frozenset(["filter", "result"])


def made(annotations: dict[str, Any], validation: Any = None, **attributes: Any) -> type:
    """A class with these annotations and this mode."""
    options = {} if validation is None else {"__dataflow__": {"validation": validation}}
    return type("User", (), {"__annotations__": annotations, **options, **attributes})


def check(cls: type, mode: str = "warn") -> None:
    """Run the checks on a class."""
    check_model(cls, declare_model(cls), mode, RESERVED)


@pytest.mark.parametrize(
    ("annotations", "attributes", "identifier"),
    [
        ({"result": str}, {}, "VAL-001"),
        ({"created_at": str}, {}, "VAL-002"),
        ({"x": float}, {"x": field(primary_key=True)}, "VAL-003"),
        ({"firstName": str}, {}, "VAL-004"),
        ({"Name": str}, {}, "VAL-004"),
        ({"order": int}, {}, "VAL-005"),
        ({"data": dict}, {"data": field(unique=True)}, "VAL-006"),
    ],
)
def test_each_check_finds_its_fault(
    annotations: dict[str, Any], attributes: dict[str, Any], identifier: str
) -> None:
    """Each check finds what it is for and nothing else, and names the field."""
    model = declare_model(made(annotations, **attributes))
    [name] = annotations
    assert [(identifier, name)] == [(item.id, item.field) for item in findings(model, RESERVED)]


def test_every_check_is_tried() -> None:
    """The table of checks and these tests name the same checks."""
    tried = test_each_check_finds_its_fault.pytestmark[0].args[1]
    assert set(CHECKS) == {case[2] for case in tried}


def test_a_clean_model_is_silent() -> None:
    """Nothing is found in an ordinary model."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(made({"name": str, "user_id": int}), "strict")


def test_the_modes() -> None:
    """`off` says nothing, `warn` warns of each fault, `strict` raises with all of them."""
    faulty = {"order": int, "firstName": str}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(made(faulty), "off")
    with pytest.warns(ModelCheckWarning) as caught:
        check(made(faulty), "warn")
    assert [str(item.message)[:7] for item in caught] == ["VAL-005", "VAL-004"]
    with pytest.raises(ModelCheckFailed, match=r"VAL-005: User\.order.*; VAL-004"):
        check(made(faulty), "strict")


@pytest.mark.parametrize("validation", ["off", "OFF", {"mode": "off"}, {"ignore": ["VAL-005"]}])
def test_the_model_decides_before_the_instance(validation: Any) -> None:
    """The mode of the model wins; single checks can be ignored."""
    cls = made({"order": int}, validation)
    assert "VAL-005" in [item.id for item in findings(declare_model(cls), RESERVED)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(cls, "strict")


@pytest.mark.parametrize(
    "validation",
    [
        "strickt",
        5,
        None,
        ["off"],
        {"mode": "loud"},
        {"mod": "off"},
        {"ignore": "VAL-005"},
        {"ignore": ["VAL-999"]},
        {"ignore": [[]]},
        {"ignore": 5},
    ],
)
def test_wrong_modes_are_refused(validation: Any) -> None:
    """A mode or a check that there is not, or a wrong form, is refused and never ignored."""
    cls = type(
        "User", (), {"__annotations__": {"a": int}, "__dataflow__": {"validation": validation}}
    )
    with pytest.raises(InvalidModel, match="User"):
        check(cls)
