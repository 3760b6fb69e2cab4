"""Tables that only a plugin's own calls reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dataflow_core.errors import InvalidValue
from dataflow_core.schema import ContextValue, Field
from dataflow_core.types import Integer

__all__ = ["ReservedTables"]


class ReservedTables:
    """Confines every operation on some models, by whichever node, to the calls of their owner.

    Attributes:
        field: is to be a field of each of the models.

    Parameters:
        name: what the tables are.
        refusal: what everybody else is told: how they are read, and by what they are written.
    """

    def __init__(self, name: str, refusal: str) -> None:
        self._refusal = refusal
        self._inside: ContextVar[bool] = ContextVar(name, default=False)
        value = ContextValue(name, self._area, self._same_area, "area", self._given)
        # The default is for rows from before the column.
        self.field = Field("area", Integer(32), "area", default=1, context=value)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Within: the tables can be used."""
        token = self._inside.set(True)
        try:
            yield
        finally:
            self._inside.reset(token)

    def _area(self) -> int:
        if not self._inside.get():
            raise InvalidValue(self._refusal)
        return 1

    def _same_area(self, value: Any) -> int:
        return self._area()

    @contextmanager
    def _given(self, value: Any) -> Iterator[None]:
        self._area()
        yield
