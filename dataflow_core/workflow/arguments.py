"""The arguments that builder and runtime take, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from dataflow_core.errors import InvalidType, InvalidValue
from dataflow_core.naming_hints import quoted
from dataflow_core.workflow.graph import OnError

__all__ = [
    "checked_ids",
    "checked_names",
    "checked_on_error",
    "checked_parameters",
    "checked_retries",
    "checked_seconds",
]

_MAX_RETRIES: Final = 100
_MAX_SECONDS: Final = 10**9


def checked_on_error(value: object, where: str) -> OnError | None:
    """Return one of the words for ``on_error``, or ``None``."""
    if value is None:
        return None
    if isinstance(value, str):
        if value == "raise":
            return "raise"
        if value == "continue":
            return "continue"
    raise InvalidValue(
        f"{where} must be 'raise' or 'continue', not {quoted(value)}",
        where=where,
        expected=["raise", "continue"],
    )


def checked_seconds(value: object, where: str, *, zero: bool = False) -> float | None:
    """Return a time in seconds, or ``None``."""
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidType(
            f"{where} must be a number of seconds, not {type(value).__name__} {quoted(value)}",
            where=where,
            expected="seconds",
        )
    if not (0 < value <= _MAX_SECONDS or (zero and value == 0)):
        least = "from" if zero else "above"
        raise InvalidValue(
            f"{where} must be a number of seconds {least} 0 to {_MAX_SECONDS}, not {quoted(value)}",
            where=where,
            expected="seconds",
        )
    return value


def checked_retries(value: object, where: str) -> int:
    """Return a number of further tries."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidType(
            f"{where} must be a whole number, not {type(value).__name__} {quoted(value)}",
            where=where,
            expected="int",
        )
    if not 0 <= value <= _MAX_RETRIES:
        raise InvalidValue(
            f"{where} must be 0 to {_MAX_RETRIES}, not {quoted(value)}",
            where=where,
            expected=f"0 to {_MAX_RETRIES}",
        )
    return value


def checked_parameters(value: object, where: str) -> dict[str, Any]:
    """Return a copy of a mapping of parameters; ``None`` is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidType(
            f"{where}: parameters must be a dict, not {type(value).__name__} {quoted(value)}",
            where=where,
            expected="dict",
        )
    checked_names(value, f"{where}: parameters")
    return dict(value)


def checked_ids(value: object, where: str) -> tuple[str, ...]:
    """Return a collection of ids of nodes in its order, each once."""
    checked_names(value, where)
    assert isinstance(value, Collection)
    ids = tuple(value)
    for number, node_id in enumerate(ids):
        if node_id in ids[:number]:
            raise InvalidValue(
                f"{where} names {quoted(node_id)} twice", where=where, expected="each once"
            )
    return ids


def checked_names(value: object, where: str) -> frozenset[str]:
    """Return a collection of parameters' names as a set."""
    if isinstance(value, str) or not isinstance(value, Collection):
        raise InvalidType(
            f"{where} must be a collection of names, not {type(value).__name__} {quoted(value)}",
            where=where,
            expected="names",
        )
    for name in value:
        if not isinstance(name, str):
            raise InvalidType(
                f"{where}: a parameter's name is text, not {type(name).__name__} {quoted(name)}",
                where=where,
                expected="str",
            )
    return frozenset(value)
