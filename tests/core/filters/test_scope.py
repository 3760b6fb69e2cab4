from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import LimitExceeded, UnknownField
from dataflow_core.filters import Bindings, Scope, Slot
from dataflow_core.limits import Limits
from dataflow_core.types import Integer
from tests.core.language import USER


def test_slots_count_the_values() -> None:
    """Each value has the next place; a list also has the class of its length."""
    bindings = Bindings()
    assert Slot(0, Integer()) == bindings.slot(5, Integer())
    assert Slot(1, Integer(), 4) == bindings.list_slot([1, 2, 3], Integer())
    assert bindings.values == [5, [1, 2, 3]]


@pytest.mark.parametrize(
    ("count", "length"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (1_000, 1_024)]
)
def test_the_class_of_a_length_is_the_next_power_of_two(count: int, length: int) -> None:
    """So lists of all lengths make few statements."""
    assert length == Bindings().list_slot([0] * count, Integer()).length


def test_conditions_and_values_of_lists_are_counted() -> None:
    """One beyond the limit is refused, with the place and the limit."""
    bindings = Bindings(limits=Limits(filter_leaves=2, in_values=3))
    for _ in range(2):
        bindings.count_leaf("here")
    bindings.count_list(3, "here")
    with pytest.raises(LimitExceeded, match="here: the filter has more than 2 conditions"):
        bindings.count_leaf("here")
    with pytest.raises(LimitExceeded, match="here: the lists of the filter hold more than 3"):
        bindings.count_list(1, "here")


@pytest.mark.parametrize("name", ["nmae", "NAME", 5, None, ["name"], "name\0", ""])
def test_a_name_that_is_no_field(name: Any) -> None:
    """The error names what has the fields, and all of them."""
    with pytest.raises(UnknownField, match="User has no field") as caught:
        Scope.of(USER).field(name)
    assert list(USER.by_name) == caught.value.context["fields"]
