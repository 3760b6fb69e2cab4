"""The limits, their defaults, and what may be configured."""

from __future__ import annotations

import attrs
import pytest

from dataflow_core.errors import InvalidOption
from dataflow_core.limits import LIMITS, Limits


def test_defaults() -> None:
    """The limits that hold where nothing is configured."""
    assert attrs.asdict(LIMITS) == {
        "filter_depth": 32,
        "filter_leaves": 1_000,
        "in_values": 10_000,
        "regex_length": 200,
        "order_keys": 8,
        "group_keys": 8,
        "pipeline_stages": 32,
    }


def test_every_limit_is_described() -> None:
    """The docstring says what each limit means."""
    assert all(f"{name}: " in (Limits.__doc__ or "") for name in attrs.asdict(LIMITS))


def test_a_limit_can_be_configured() -> None:
    """A limit is set by name, the others keep their defaults, and a value never changes."""
    limits = Limits(order_keys=3)
    assert (limits.order_keys, limits.group_keys) == (3, 8)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        limits.order_keys = 4  # type: ignore[misc]


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "8", None])
def test_a_limit_is_a_positive_integer(value: object) -> None:
    """Anything else is refused, naming the limit and what was expected."""
    with pytest.raises(InvalidOption, match="'regex_length' must be an integer of at least 1"):
        Limits(regex_length=value)  # type: ignore[arg-type]
