"""What every field type is, and the refusals that they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

from attrs import field, frozen

from dataflow_core.errors import InvalidType, InvalidValue
from dataflow_core.naming_hints import quoted

__all__ = ["NEVER", "FieldType", "out_of_range", "parsed"]

Parsed = TypeVar("Parsed")


class _Never:
    """An operand that no stored value can equal, such as 1.5 for a column of integers."""

    def __repr__(self) -> str:
        return "NEVER"


NEVER: Final = _Never()


@frozen
class FieldType:
    """What a column may hold.

    ``check(value, where)`` returns the canonical value or raises ``InvalidType`` or
    ``InvalidValue``; ``where`` names the place, such as ``User.age``. ``None`` is never passed in:
    nullability belongs to the field. ``storage`` is a dialect's own word for how the values of a
    column are kept that this project did not make; what a model declares has none.
    """

    name: ClassVar[str] = "value"
    ordered: ClassVar[bool] = True
    numeric: ClassVar[bool] = False
    storage: str | None = field(default=None, kw_only=True, repr=False)

    def check(self, value: Any, where: str) -> Any:
        """Return the canonical form of ``value`` or refuse it."""
        raise NotImplementedError

    def operand(self, value: Any, where: str, rounding: str = "exact") -> Any:
        """Return ``value`` as something this type can be compared with.

        Numbers of different kinds may be compared: ``rounding`` (``exact``, ``down``, ``up``) says
        where a number between two storable ones goes; ``exact`` gives ``NEVER`` for it.
        """
        return self.check(value, where)

    def refuse(self, value: Any, where: str, expected: str | None = None) -> InvalidType:
        """The error for a value of a wrong kind."""
        return InvalidType(
            f"{where}: expected {expected or self.name},"
            f" got {type(value).__name__} {quoted(value)}",
            where=where,
            expected=expected or self.name,
            got=type(value).__name__,
        )


def out_of_range(where: str, expected: str) -> InvalidValue:
    """The error for a value of the right kind that is too large or too small."""
    return InvalidValue(
        f"{where}: out of range, expected {expected}", where=where, expected=expected
    )


def parsed(parse: Callable[[str], Parsed], text: str, where: str, example: str) -> Parsed:
    """Return what ``parse`` makes of a text; ``InvalidValue`` if it is not like ``example``."""
    if len(text) > 64:
        raise InvalidValue(f"{where}: {quoted(text)} is not like {example!r}", where=where)
    try:
        return parse(text)
    except ValueError:
        raise InvalidValue(
            f"{where}: {quoted(text)} is not like {example!r}", where=where, expected=example
        ) from None
