"""How much one call may ask for; every excess is refused before any SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Attribute, field, fields, frozen

from dataflow_core.errors import InvalidOption
from dataflow_core.naming_hints import quoted


def _positive(_: Limits, attribute: Attribute[Any], value: object) -> None:
    # bool is a subclass of int, and True is no limit.
    if type(value) is not int or value < 1:
        raise InvalidOption(
            f"limit '{attribute.name}' must be an integer of at least 1, not {quoted(value)}",
            option=attribute.name,
            expected="an integer of at least 1",
        )


@frozen(kw_only=True)
class Limits:
    """The limits of one instance; each is configurable, each excess raises `LimitExceeded`.

    Attributes:
        filter_depth: how deep filters, expressions and updates may be nested.
        filter_leaves: how many conditions one filter may have, all branches together.
        in_values: how many values the lists of one filter may have, all lists together.
        regex_length: how many characters a regular expression may have.
        order_keys: how many sort keys may be given, the key that is always added not counted.
        group_keys: how many expressions may make up the `_id` of a group.
        pipeline_stages: how many stages an aggregation pipeline may have.

    Raises:
        InvalidOption: a limit is no integer of at least 1.
    """

    filter_depth: int = field(default=32, validator=_positive)
    filter_leaves: int = field(default=1_000, validator=_positive)
    in_values: int = field(default=10_000, validator=_positive)
    regex_length: int = field(default=200, validator=_positive)
    order_keys: int = field(default=8, validator=_positive)
    group_keys: int = field(default=8, validator=_positive)
    pipeline_stages: int = field(default=32, validator=_positive)


LIMIT_NAMES = tuple(attribute.name for attribute in fields(Limits))
"""The names of the limits."""

LIMITS = Limits()
"""The limits where nothing else is configured."""


def are_limits(value: object) -> bool:
    """Whether a value is ``Limits``, or a dict of some of them by name."""
    if isinstance(value, Mapping):
        return all(name in LIMIT_NAMES for name in value)
    return isinstance(value, Limits)


def as_limits(value: Limits | Mapping[str, int]) -> Limits:
    """``Limits`` of a dict by name; what is not named has its default."""
    return value if isinstance(value, Limits) else Limits(**value)
