"""Text, bytes, bools, UUIDs, and closed sets of values."""

from __future__ import annotations

import enum
import uuid
from typing import Any, ClassVar

from attrs import frozen

from dataflow_core.errors import InvalidValue
from dataflow_core.naming_hints import quoted
from dataflow_core.types.base import NEVER, FieldType, parsed

__all__ = ["Binary", "Boolean", "Enumeration", "Text", "Uuid", "check_text"]


@frozen
class Boolean(FieldType):
    """True or False; never 0 or 1."""

    name: ClassVar[str] = "bool"

    def check(self, value: Any, where: str) -> bool:
        if value is True or value is False:
            return value
        raise self.refuse(value, where)


@frozen
class Text(FieldType):
    """Text, compared by code point. ``max_length`` counts code points; ``None`` is unbounded."""

    name: ClassVar[str] = "str"
    max_length: int | None = None

    def check(self, value: Any, where: str) -> str:
        text = self.operand(value, where)
        if self.max_length is not None and len(text) > self.max_length:
            raise InvalidValue(
                f"{where}: has {len(text)} characters, at most {self.max_length} fit",
                where=where,
                expected=f"at most {self.max_length} characters",
            )
        return text

    def operand(self, value: Any, where: str, rounding: str = "exact") -> str:
        if isinstance(value, enum.Enum):
            value = value.value
        if not isinstance(value, str):
            raise self.refuse(value, where)
        return check_text(value, where)


@frozen
class Binary(FieldType):
    """Bytes."""

    name: ClassVar[str] = "bytes"

    def check(self, value: Any, where: str) -> bytes:
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        raise self.refuse(value, where)


@frozen
class Uuid(FieldType):
    """A UUID."""

    name: ClassVar[str] = "UUID"

    def check(self, value: Any, where: str) -> uuid.UUID:
        if isinstance(value, uuid.UUID):
            return value if type(value) is uuid.UUID else uuid.UUID(int=value.int)
        if isinstance(value, str):
            return parsed(_uuid_of, value, where, "8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10")
        raise self.refuse(value, where, "UUID or its text")


def _uuid_of(text: str) -> uuid.UUID:
    value = uuid.UUID(text)
    # The parser of the standard library takes signs, underscores and digits of every script too.
    if value.hex not in text.replace("-", "").lower():
        raise ValueError(text)
    return value


@frozen
class Enumeration(FieldType):
    """One of a closed set of values of the type ``base``."""

    name: ClassVar[str] = "enum"
    values: tuple[Any, ...] = ()
    base: FieldType = Text()

    def check(self, value: Any, where: str) -> Any:
        plain = self.base.check(value, where)
        if plain not in self.values:
            raise InvalidValue(
                f"{where}: {quoted(plain)} is not one of {', '.join(map(repr, self.values))}",
                where=where,
                expected=list(self.values),
            )
        return plain

    def operand(self, value: Any, where: str, rounding: str = "exact") -> Any:
        operand = self.base.operand(value, where, rounding)
        if self.base.storage is not None and rounding == "exact" and operand not in self.values:
            # The database may know no more values than these, and would refuse to compare.
            return NEVER
        return operand


def check_text(value: str, where: str) -> str:
    """Return ``value`` as a plain ``str``.

    Raises ``InvalidValue`` for NUL and lone surrogates, which not every database stores.
    """
    if "\0" in value:
        raise InvalidValue(f"{where}: text must not contain NUL", where=where)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValue(f"{where}: text holds a lone surrogate", where=where) from None
    return value if type(value) is str else str.__str__(value)
