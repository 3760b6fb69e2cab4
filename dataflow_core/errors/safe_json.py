"""Any object as plain JSON values, bounded in size, for the context of an error."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from itertools import islice
from typing import Any

from dataflow_core.naming_hints import quoted

_DEPTH = 5
_ITEMS = 50
_TEXT = 500
_SECRET_WORDS = ("password", "passwd", "secret", "token", "credential", "api_key", "apikey")
_LARGEST_INTEGER = 2**63
HIDDEN = "***"


def printable(text: str) -> str:
    """Return the text with lone surrogates escaped, so that it can be encoded and printed."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_secret(key: object) -> bool:
    """Tell whether what is stored under this key must never be shown."""
    if not isinstance(key, str):
        return False
    lowered = key[:200].lower()
    return any(word in lowered for word in _SECRET_WORDS)


def safe_json(value: object, depth: int = _DEPTH) -> Any:
    """Return `value` as values that the json module accepts; never raises.

    Collections are cut at 50 items and 5 levels, text at 500 characters; what sits under a key
    that names a secret is hidden; other objects become their bounded representation.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return safe_json(value.value, depth - 1) if depth > 0 else quoted(value)
    if isinstance(value, str):
        text = printable(str.__getitem__(value, slice(0, _TEXT + 1)))
        return text if len(value) <= _TEXT else text[:_TEXT] + "..."
    if isinstance(value, int):
        return int(value) if -_LARGEST_INTEGER <= value < _LARGEST_INTEGER else quoted(int(value))
    if isinstance(value, float):
        # NaN and the infinities are no JSON.
        return float(value) if value - value == 0 else repr(float(value))
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _collection(value, depth)
    return quoted(value)


def _collection(value: Any, depth: int) -> Any:
    if depth <= 0:
        return quoted(value)
    try:
        shown = list(islice(value.items() if isinstance(value, Mapping) else value, _ITEMS))
        size = len(value)
    except Exception:  # a foreign collection may break its own protocol
        return quoted(value)
    if isinstance(value, Mapping):
        return {
            (printable(key[:_TEXT]) if isinstance(key, str) else quoted(key)): (
                HIDDEN if is_secret(key) else safe_json(item, depth - 1)
            )
            for key, item in shown
        }
    items = [safe_json(item, depth - 1) for item in shown]
    if size > len(shown):
        items.append("...")
    return items
