"""Updates of one row to plain values: read once, then known by the names of their fields."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from dataflow_core.operations import Update
from dataflow_core.updates import SetTo

__all__ = ["PlainUpdates"]

_MOST_KEPT: Final = 256

Check = Callable[[Any, str], Any]


@define(eq=False)
class PlainUpdates:
    """The updates of one model by its key, by the names of the fields that they set.

    What is kept was read in full once, so that only the values are new.
    """

    _kept: dict[tuple[str, ...], _Kept] = field(factory=dict)

    def known(self, fields: Any, values: list[Any], now: dt.datetime) -> Update | None:
        """The update, its values appended to those of the key; ``None``: read it in full."""
        if type(fields) is not dict:
            return None
        kept = self._kept.get(tuple(fields))
        if kept is None:
            return None
        # None clears a field, and a dict may be an expression.
        for value in fields.values():
            if value is None or type(value) is dict:
                return None
        values += [
            check(value, where)
            for (check, where), value in zip(kept.checks, fields.values(), strict=True)
        ]
        values += [now] * kept.moments
        return kept.operation

    def keep(self, fields: Any, operation: Update, first: int) -> None:
        """Keep an update that was read in full, if all that it does is to set fields.

        ``first`` is how many values the key has.
        """
        if type(fields) is not dict:
            return
        names = tuple(fields)
        for place, item in enumerate(operation.assignments):
            if not isinstance(item.change, SetTo) or item.change.slot.index != first + place:
                return
            given = place < len(names) and item.field.name == names[place]
            if not given and item.field.managed is None:
                return
        model = operation.model
        if any(item.name in names for item in model.context_fields):
            return
        checks: list[tuple[Check, str]] = [
            (item.field.type.check, f"{model.name}.{item.field.name}")
            for item in operation.assignments[: len(names)]
        ]
        if len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[names] = _Kept(operation, checks, len(operation.assignments) - len(names))


@define
class _Kept:
    """An update, how the values that it sets are checked, and how many moments it sets beside."""

    operation: Update
    checks: list[tuple[Check, str]]
    moments: int
