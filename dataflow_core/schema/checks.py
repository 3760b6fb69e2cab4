"""Registration checks: what works, but will hurt. Modes ``off``, ``warn`` (default), ``strict``."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from dataflow_core.errors import InvalidModel, ModelCheckFailed
from dataflow_core.naming_hints import quoted
from dataflow_core.schema.model import Field, Model
from dataflow_core.types import Float, Json

__all__ = ["CHECKS", "Finding", "ModelCheckWarning", "check_model", "findings"]

MODES: Final = ("off", "warn", "strict")


class ModelCheckWarning(UserWarning):
    """A registration check found something in a model."""


@frozen
class Finding:
    """What a check found: its id, the field if it is about one, and the message."""

    id: str
    field: str | None
    message: str


_WORDS: Final = frozenset(
    """
    all and any as asc between by case check column constraint create cross current_date
    current_time current_timestamp default delete desc distinct drop else end except exists
    false fetch for foreign from full grant group having in index inner insert intersect into is
    join key left like limit not null offset on or order outer primary references right select
    set table then to true union unique update user using values when where with
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
_CAMEL: Final = re.compile(r"[a-z][A-Z]|^[A-Z]")
_AUTOMATIC: Final = ("created_at", "updated_at")


def _reserved_output(model: Model, item: Field, reserved: frozenset[str]) -> str | None:
    if item.name in reserved:
        return (
            "is also a parameter or output of its nodes:"
            " read it under 'result', write it in 'values'"
        )
    return None


def _managed(model: Model, item: Field, reserved: frozenset[str]) -> str | None:
    if item.name in _AUTOMATIC and item.managed is None:
        return "replaces the automatic timestamp of that name"
    return None


def _float_key(model: Model, item: Field, reserved: frozenset[str]) -> str | None:
    if item.primary_key and isinstance(item.type, Float):
        return "is a key of type float, and floats that look equal may differ"
    return None


def _camel_case(model: Model, item: Field, reserved: frozenset[str]) -> str | None:
    if _CAMEL.search(item.name):
        return "is not in snake case"
    return None


def _sql_word(model: Model, item: Field, reserved: frozenset[str]) -> str | None:
    if item.name.lower() in _WORDS:
        return "is a word of SQL: other tools will have to quote it"
    return None


def _unique_json(model: Model, item: Field, reserved: frozenset[str]) -> str | None:
    if isinstance(item.type, Json) and item.unique:
        return "is unique JSON, which compares as text on some databases"
    return None


Check = Callable[[Model, Field, frozenset[str]], str | None]

CHECKS: Final[dict[str, Check]] = {
    "VAL-001": _reserved_output,
    "VAL-002": _managed,
    "VAL-003": _float_key,
    "VAL-004": _camel_case,
    "VAL-005": _sql_word,
    "VAL-006": _unique_json,
}
"""The checks by id; each says of a field what is wrong, or ``None``."""


def findings(model: Model, reserved: frozenset[str]) -> Iterator[Finding]:
    """What the checks find in a model. ``reserved`` are names of parameters and outputs."""
    for item in model.fields:
        for identifier, check in CHECKS.items():
            text = check(model, item, reserved)
            if text is not None:
                yield Finding(identifier, item.name, f"{model.name}.{item.name} {text}")


def check_model(cls: type, model: Model, instance_mode: str, reserved: frozenset[str]) -> None:
    """Run the checks in the mode of the model, else of the instance.

    ``__dataflow__["validation"]`` is a mode, or ``{"mode": ..., "ignore": [ids]}``. ``warn`` warns
    with ``ModelCheckWarning``; ``strict`` raises ``ModelCheckFailed`` with all that was found.
    """
    mode, ignored = _mode(cls, instance_mode)
    if mode == "off":
        return
    found = [item for item in findings(model, reserved) if item.id not in ignored]
    if not found:
        return
    if mode == "strict":
        raise ModelCheckFailed(
            "; ".join(f"{item.id}: {item.message}" for item in found),
            model=model.name,
            checks=[item.id for item in found],
        )
    for item in found:
        warnings.warn(f"{item.id}: {item.message}", ModelCheckWarning, stacklevel=5)


def _mode(cls: type, instance_mode: str) -> tuple[str, tuple[str, ...]]:
    declared: Any = getattr(cls, "__dataflow__", {}).get("validation", instance_mode)
    ignored: Any = ()
    if isinstance(declared, Mapping):
        ignored = declared.get("ignore", ())
        if not set(declared) <= {"mode", "ignore"} or not isinstance(ignored, list | tuple):
            raise InvalidModel(
                f"{cls.__name__}: validation is a mode, or {{'mode': ..., 'ignore': [ids]}},"
                f" got {quoted(declared)}"
            )
        declared = declared.get("mode", instance_mode)
    mode = declared.lower() if isinstance(declared, str) else declared
    if mode not in MODES:
        raise InvalidModel(
            f"{cls.__name__}: validation is one of {', '.join(MODES)}, got {quoted(declared)}"
        )
    for identifier in ignored:
        if not isinstance(identifier, str) or identifier not in CHECKS:
            raise InvalidModel(f"{cls.__name__}: there is no check {quoted(identifier)} to ignore")
    return mode, tuple(ignored)
