"""The audit trail, as far as an instance has one: all that this plugin knows of it is here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from dataflow_core.errors import InvalidValue
from dataflow_core.schema import Model
from dataflow_governance.graph import Key

__all__ = [
    "AuditTrail",
    "audit_trail",
    "check_reachable",
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


def check_reachable(db: Any, models: Iterable[Model]) -> None:
    """Refuse where values would stay in entries that nobody sees while a tenant is in force.

    Raises:
        InvalidValue: a model that is audited has no tenants.
    """
    for model in models:
        if not _is_reachable(db, model):
            raise InvalidValue(
                f"{model.name} is audited and has no tenants, so its entries are out of reach while"
                " a tenant is in force: leave that, and give tenant_id",
                model=model.name,
            )


def _is_reachable(db: Any, model: Model) -> bool:
    own = bool(model.options.get("multi_tenant"))
    return own or not is_audited(model) or db.current_tenant is None


def _in_tenant(db: Any, model: Model, tenant_id: Any) -> AbstractContextManager[None]:
    """The tenant of a model's rows in force, where the call gives it."""
    if tenant_id is None or not model.options.get("multi_tenant"):
        return nullcontext()
    entered: AbstractContextManager[None] = db.tenant(tenant_id)
    return entered


async def tombstone(
    trail: AuditTrail | None,
    model: Model,
    keys: Sequence[Key],
    fields: Sequence[str] | None,
    tenant_id: Any,
) -> None:
    """Take values out of the entries of rows: all, or those of some fields."""
    if trail is None or not is_audited(model):
        return
    with _in_tenant(trail, model, tenant_id):
        for key in keys:
            await trail.atombstone_audit(model=model.name, key=_plain(key), fields=fields)


async def read_trail(
    db: Any, keys: Mapping[Model, Sequence[Key]], tenant_id: Any
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
        elif not _is_reachable(db, model):
            notes.append(f"{model.name} has no tenants: its entries are not read within one")
        else:
            with _in_tenant(db, model, tenant_id):
                entries = [await trail.aaudit(model=model.name, key=_plain(key)) for key in some]
            found[model.name] = [entry for own in entries for entry in own]
    return found, notes


def _plain(key: Key) -> Any:
    """A key as nodes take it: the value of a single field, else a tuple."""
    return key[0] if len(key) == 1 else key
