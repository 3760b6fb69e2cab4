"""The audit trail, as far as an instance has one: all that this plugin knows of it is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dataflow_core.errors import InvalidValue
from dataflow_core.schema import Model
from dataflow_governance.graph import Key

__all__ = [
    "AuditTrail",
    "audit_trail",
    "is_audited",
    "read_trail",
    "tombstone",
    "trail_for_erasing",
]


class AuditTrail(Protocol):
    """What a plugin that keeps an audit trail offers on the instance."""

    async def aaudit(self, *, model: str, key: Any) -> list[dict[str, Any]]:
        """The entries of a row, the oldest first."""
        ...

    async def atombstone_audit(
        self, *, model: str, key: Any, fields: Sequence[str] | None = None
    ) -> Any:
        """Take the values of a row, or of some of its fields, out of its entries.

        Part of the transaction in force. What proves that no entry was changed still does.
        """
        ...


def audit_trail(db: Any) -> AuditTrail | None:
    """The audit trail of an instance, if it has one."""
    offered = all(callable(getattr(db, name, None)) for name in ("aaudit", "atombstone_audit"))
    return db if offered else None


def is_audited(model: Model) -> bool:
    """Whether changes of a model's rows are recorded."""
    return bool(model.options.get("audit_log", model.options.get("multi_tenant", False)))


def trail_for_erasing(db: Any, models: Sequence[Model]) -> AuditTrail | None:
    """The audit trail from which personal values have to be taken, too.

    Raises:
        InvalidValue: a model has the option ``audit_log``, and nobody can take values out of it.
    """
    trail = audit_trail(db)
    if trail is None:
        for model in models:
            if model.options.get("audit_log"):
                raise InvalidValue(
                    f"{model.name} has an audit log, in which personal values would stay: no"
                    " installed plugin takes them out of it",
                    model=model.name,
                )
    return trail


async def tombstone(
    trail: AuditTrail | None, model: Model, keys: Sequence[Key], fields: Sequence[str] | None
) -> None:
    """Take values out of the entries of rows: all, or those of some fields."""
    if trail is None or not is_audited(model):
        return
    for key in keys:
        await trail.atombstone_audit(model=model.name, key=_plain(key), fields=fields)


async def read_trail(
    db: Any, keys: Mapping[Model, Sequence[Key]]
) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """The entries of rows by model, and a sentence for what has none."""
    trail = audit_trail(db)
    if trail is None:
        return {}, ["there is no audit trail: no plugin of this instance keeps one"]
    found: dict[str, list[dict[str, Any]]] = {}
    notes = []
    for model, some in keys.items():
        if not is_audited(model):
            notes.append(f"{model.name} has no audit trail: its model has no audit_log")
            continue
        entries = [await trail.aaudit(model=model.name, key=_plain(key)) for key in some]
        found[model.name] = [entry for own in entries for entry in own]
    return found, notes


def _plain(key: Key) -> Any:
    """A key as nodes take it: the value of a single field, else a tuple."""
    return key[0] if len(key) == 1 else key
