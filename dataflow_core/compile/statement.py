"""A compiled statement: its text, what is bound to it, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from dataflow_core.types import FieldType

__all__ = ["PLAIN", "Codec", "Encode", "Parameter", "ResultColumn", "Statement"]

Encode = Callable[[Any], Any]


@frozen
class Codec:
    """How a type travels between Python and the driver. ``None`` means: as it is.

    Attributes:
        encode: turns a canonical value into what the driver takes; never called with ``None``.
        decode: turns what the driver gives into the canonical value; never called with ``None``.
        decode_source: may give the same as ``decode`` as an expression over the name ``value``,
            which is then compiled into the row function and saves a call per cell.
        encode_source: likewise for ``encode``.
        restore: turns what ``encode`` gives into the canonical value, as it is read once it was
            stored; never called with ``None``. Without it, and with ``encode``, that is unknown.
    """

    encode: Encode | None = None
    decode: Encode | None = None
    decode_source: str | None = None
    encode_source: str | None = None
    restore: Encode | None = None

    @property
    def restores(self) -> bool:
        """Whether the value that is stored is known from what the driver is given."""
        return self.encode is None or self.restore is not None


PLAIN = Codec()
"""The codec of a type that the driver takes and gives as it is."""


@frozen
class Parameter:
    """A bound value: its position in the operation's values and how it is encoded.

    ``kind`` is the type that the text around it takes it for; ``None`` leaves that to the text.
    ``read`` gives the value where the operation's values do not hold it.
    """

    index: int
    encode: Encode | None = None
    kind: FieldType | None = None
    read: Callable[[], Any] | None = None

    def value(self, values: Sequence[Any]) -> Any:
        """What is bound, encoded."""
        value = values[self.index] if self.read is None else self.read()
        return value if self.encode is None else self.encode(value)


@frozen
class ResultColumn:
    """A column that comes back: the name in the result, its type and its codec."""

    name: str
    type: FieldType
    codec: Codec
    nullable: bool = True


@frozen(eq=False)
class Statement:
    """SQL text with the values that go in and the columns that come out.

    ``bind(values)`` gives the driver's parameters from an operation's values;
    ``decode(rows)`` gives a list of dicts from the driver's rows.
    """

    sql: str
    parameters: tuple[Parameter, ...]
    columns: tuple[ResultColumn, ...]
    bind: Callable[[Sequence[Any]], tuple[Any, ...]]
    decode: Callable[[Sequence[Sequence[Any]]], list[dict[str, Any]]]
