"""What every error offers: text for a terminal, values for JSON, copies, and no secrets."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import DataFlowError, Outcome, Solution, UnknownField, all_errors

Error = TypeVar("Error", bound=DataFlowError)


class Colour(Enum):
    RED = "red"


def travelled(error: Error) -> Error:
    """The error as it arrives in another process."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - what was just written
    assert type(again) is type(error)
    return again


def nested(depth: int) -> list[Any]:
    """A list in a list, so many times."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_text_says_code_message_suggestion_solution_and_link() -> None:
    """The first line is code and message; suggestion, solutions and the link follow."""
    error = UnknownField("User has no field 'emial'", suggestion="email", model="User")
    lines = str(error).splitlines()
    assert lines[0] == "DF-106: User has no field 'emial'"
    assert lines[1] == "  did you mean 'email'?"
    assert any(line.startswith("  try: ") for line in lines)
    assert lines[-1] == "  docs: docs/reference/errors.md#df-106"


def test_outcome_is_shown_only_where_there_is_one() -> None:
    """A failed write says what became of it; other errors do not mention it."""
    assert "outcome" not in str(UnknownField("no such field"))
    assert "  outcome: unknown" in str(UnknownField("no such field", outcome="unknown"))


def test_outcome_is_one_of_three() -> None:
    """An outcome that nobody knows is refused where the error is made."""
    with pytest.raises(ValueError, match="outcome must be one of"):
        UnknownField("no such field", outcome=cast("Outcome", "perhaps"))


def test_context_may_use_any_name() -> None:
    """A context key called `message` or `self` does not collide with the parameters."""
    error = UnknownField("no such field", message="m", self="s", field="emial")
    assert error.context == {"message": "m", "self": "s", "field": "emial"}


def test_secrets_in_the_context_are_hidden() -> None:
    """What is stored under a name that means a secret appears in no rendering, at any depth."""
    error = UnknownField(
        "no such field",
        password="hunter2hunter2",
        options={"api_key": "hunter2hunter2", "nested": [{"Token": "hunter2hunter2"}]},
    )
    rendered = [str(error), repr(error), json.dumps(error.to_dict())]
    assert all("hunter2" not in text for text in rendered)
    assert error.to_dict()["context"]["password"] == "***"
    assert b"hunter2" not in pickle.dumps(error)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**63, "9223372036854775808"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (Decimal("1.50"), "Decimal('1.50')"),
        (Colour.RED, "red"),
        (int, "int"),
        (("a", "b"), ["a", "b"]),
        ({1: "a"}, {"1": "a"}),
        (b"ab", "b'ab'"),
        ("\ud800", "\\ud800"),
        ("x" * 501, "x" * 500 + "..."),
        (list(range(60)), [*range(50), "..."]),
        (nested(9), [[[[["[[[<list>]]]"]]]]]),
    ],
)
def test_context_becomes_plain_values(value: object, expected: object) -> None:
    """Every context value has a bounded form that JSON can hold."""
    context = UnknownField("no such field", value=value).to_dict()["context"]
    assert context["value"] == expected
    json.dumps(context, allow_nan=False).encode("utf-8")


def test_hostile_context_is_no_obstacle() -> None:
    """Cyclic, very deep and broken objects end up as bounded text, never in another error."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no representation")

    class BrokenList(list[Any]):
        def __len__(self) -> int:
            raise RuntimeError("no length")

    cyclic: dict[str, Any] = {}
    cyclic["self"] = cyclic
    error = UnknownField(
        "no such field",
        cyclic=cyclic,
        deep=nested(100_000),
        huge=10**5_000,
        broken=Broken(),
        lists=BrokenList([1]),
        million=dict.fromkeys(range(100_000)),
    )
    text = json.dumps(error.to_dict(), allow_nan=False)
    assert len(text) < 10_000
    assert error.to_dict()["context"]["broken"] == "<Broken>"
    assert error.to_dict()["context"]["huge"] == "<integer of 16610 bits>"
    assert len(pickle.dumps(error)) < 10_000


def test_lone_surrogates_can_be_printed() -> None:
    """A message with a lone surrogate is rendered so that it can be encoded."""
    error = UnknownField("no field \ud800", suggestion="\udfff")
    assert "no field \\ud800" in str(error).encode("utf-8").decode("utf-8")
    json.dumps(error.to_dict(), ensure_ascii=False).encode("utf-8")


def test_pickle_keeps_what_matters() -> None:
    """An error survives a process boundary with code, message, context, notes and outcome."""
    error = UnknownField("no such field", suggestion="email", outcome="not done", field="emial")
    error.add_note("while loading")
    again = travelled(error)
    assert type(again) is UnknownField
    assert (str(again), again.args) == (str(error), error.args)
    assert (again.context, again.outcome) == ({"field": "emial"}, "not done")
    assert again.__notes__ == ["while loading"]


def test_pickle_does_not_depend_on_the_context() -> None:
    """A context value that cannot be pickled does not stop the error from being pickled."""
    error = UnknownField("no such field", source=(number for number in (1, 2)))
    assert "generator" in travelled(error).context["source"]


def test_copies_are_equal_in_content_and_apart() -> None:
    """A copy has the same content, and changing its context leaves the original alone."""
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    error = UnknownField("no such field", suggestion="email", moment=moment)
    shallow = copy.copy(error)
    shallow.context["more"] = 1
    assert shallow.context["moment"] is moment
    assert str(shallow) == str(error) == str(copy.deepcopy(error))
    assert "more" not in error.context


def test_solutions_can_be_set_on_one_error() -> None:
    """A raiser that knows a better way out replaces the solutions of that error only."""
    error = UnknownField(
        "no such field", solutions=[Solution("Do this.", "this()")], causes=["So."]
    )
    assert error.causes == ("So.",)
    assert travelled(error).solutions == error.solutions
    assert "  try: Do this.\n       this()" in str(error)
    assert error.to_dict()["solutions"] == [
        {"text": "Do this.", "snippet": "this()", "language": "python"}
    ]
    assert UnknownField("other").solutions != error.solutions


@given(
    st.sampled_from([kind for kind in all_errors() if kind.code not in ("DF-501", "DF-901")]),
    st.text(),
    st.dictionaries(
        st.text(min_size=1).filter(
            lambda key: key not in ("suggestion", "outcome", "causes", "solutions", "side")
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=6,
        ),
        max_size=3,
    ),
)
def test_any_context_renders_and_travels(
    kind: type[DataFlowError], message: str, context: dict[str, Any]
) -> None:
    """Whatever message and context, an error prints, becomes JSON and survives pickling."""
    for name in ("table", "constraint", "columns", "index"):
        context.pop(name, None)
    error = kind(message, **context)
    str(error).encode("utf-8")
    json.dumps(error.to_dict(), allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert travelled(error).to_dict()["message"] == error.to_dict()["message"]
