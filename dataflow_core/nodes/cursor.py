"""Cursors: where a page ended, as opaque text; the next page begins behind it.

A cursor names the last row by the values of its sort keys, so inserting and deleting rows between
two pages neither repeats nor skips others. It belongs to the list that gave it: same model, same
filter, same order.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import attrs

from dataflow_core.errors import DataFlowError, InvalidCursor
from dataflow_core.filters.ast import Predicate
from dataflow_core.order import SortKey
from dataflow_core.schema import Field, Model
from dataflow_core.schema.relation_names import Relation

__all__ = ["decode_cursor", "encode_cursor", "origin_of"]

_DIGEST = 8


def encode_cursor(origin: str, values: Sequence[Any]) -> str:
    """The cursor behind a row with these values of the sort keys, in the list called ``origin``."""
    body = json.dumps([_plain(value) for value in values], separators=(",", ":")).encode()
    return _as_text(_digest(origin, body) + body)


def _as_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(text: Any, origin: str, keys: Sequence[SortKey], where: str) -> list[Any]:
    """The values in a cursor. ``InvalidCursor`` for one that was changed or is of another list."""
    refusal = InvalidCursor(f"{where}: the cursor was changed, or is of another list")
    if not isinstance(text, str) or len(text) > 100_000:
        raise refusal
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        digest, body = raw[:_DIGEST], raw[_DIGEST:]
        # Base64 may say the same in several ways; only the way that was given out is taken.
        if digest != _digest(origin, body) or _as_text(raw) != text:
            raise refusal
        plain = json.loads(body)
        return [_restored(value, key, where) for value, key in zip(plain, keys, strict=True)]
    except (ValueError, DataFlowError):
        raise refusal from None


def origin_of(
    model: Model, keys: Sequence[SortKey], predicate: Predicate, values: Sequence[Any]
) -> Callable[[], str]:
    """What a cursor belongs to: the model, the order and the filter with its values.

    A function, because most lists neither take nor give a cursor.
    """
    own = tuple(values)

    def origin() -> str:
        order = [(key.field.name, key.descending) for key in keys]
        return repr((model.name, order, _shape(predicate), own))

    return origin


@lru_cache(maxsize=1_024)
def _shape(predicate: Predicate) -> str:
    return repr(_described(predicate))


def _described(node: Any) -> Any:
    """A filter as plain values that are the same in every process: a field is its name."""
    if isinstance(node, Field):
        return node.name
    if isinstance(node, Relation):
        return (node.source.name, node.name)
    if isinstance(node, tuple):
        return tuple(_described(item) for item in node)
    if attrs.has(type(node)):
        parts = (getattr(node, attribute.name) for attribute in attrs.fields(type(node)))
        return (type(node).__name__, *(_described(part) for part in parts))
    return node


def _digest(origin: str, body: bytes) -> bytes:
    return hashlib.blake2b(
        body, digest_size=_DIGEST, key=hashlib.sha256(origin.encode()).digest()
    ).digest()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return str(value)
    return value


def _restored(value: Any, key: SortKey, where: str) -> Any:
    if value is None:
        return None
    convert = {"bytes": bytes.fromhex, "float": float.fromhex, "Decimal": decimal.Decimal}.get(
        key.field.type.name
    )
    return key.field.type.check(value if convert is None else convert(value), where)
