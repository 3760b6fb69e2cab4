"""``db.audit(...)``: the log, change by change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.errors import TenantMismatch, TenantRequired
from dataflow_policies.audit_access import (
    InstanceLog,
    audited_databases,
    model_name,
    registered,
    tenant_texts,
)
from dataflow_policies.audit_content import unpack, wanted_key

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["CHANGES", "aaudit"]

Row = dict[str, Any]

CHANGES: Final = ("insert", "update", "delete")
"""The kinds of entries that tell of rows."""
_PAGE: Final = 50


async def aaudit(
    db: DataFlow,
    *,
    model: Any = None,
    key: Any = None,
    database: str | None = None,
    tenant_id: Any = None,
    all_tenants: bool = False,
) -> list[Row]:
    """The changes that the audit log has, in the order in which they were committed.

    Each is a dict: ``model``, ``kind`` (``insert``, ``update``, ``delete``), ``key``, ``before``
    and ``after`` (rows as dicts, or None), ``redacted`` (fields that changed and whose values were
    never written down), ``removed`` (fields whose values were removed later), ``actor``,
    ``tenant_id``, ``run_id``, ``at``.

    Parameters:
        model: the name of a model, or its class; else of all models.
        key: that of one row: the value, or a dict or tuple where it has several fields.
        database: a database of the instance; else all that have audited models.
        tenant_id: the tenant whose rows are meant, where none is in force.
        all_tenants: whatever tenant the rows belong to; otherwise those of the tenant, and without
            one those that belong to none. Refused where one is in force.

    Raises ``InvalidValue`` where no model is audited, ``TenantMismatch``, and ``TenantRequired``
    for a multi-tenant model where nothing says whose rows are meant.
    """
    filter: Row = {"kind": {"$in": list(CHANGES)}}
    name = None if model is None else model_name(model)
    if name is not None:
        filter["model"] = name
    tenants = _tenants(db, name, tenant_id, all_tenants=all_tenants)
    if tenants is not None or not all_tenants:
        filter["tenant"] = None if tenants is None else {"$in": tenants}
    wanted = None if key is None else wanted_key(registered(db, name), key)
    if wanted is not None:
        filter["key"] = {"$in": [wanted.text, None]}
    found: list[tuple[Any, Row]] = []
    for place in audited_databases(db, database):
        log = InstanceLog(db, place)
        async for page in log.pages(log.tables.entry, filter, ["at"], _PAGE):
            sealed = await _sequences(log, page)
            for entry in page:
                order = sealed.get((entry["chain"], entry["transaction_id"]))
                if order is not None:
                    found += [
                        ((order, entry["position"]), row)
                        for row in _changes(entry)
                        if wanted is None or wanted.is_that_of(_values(row["key"]))
                    ]
    one_chain = len({(row["model"], row["tenant_id"]) for _, row in found}) <= 1
    found.sort(key=lambda pair: (pair[0][0][0 if one_chain else 1], pair[0][0], pair[0][1]))
    return [row for _, row in found]


def _tenants(db: DataFlow, name: str | None, given: Any, *, all_tenants: bool) -> list[str] | None:
    """How entries name the tenant whose are read; ``None``: those of no tenant, or of all."""
    model, tenant = registered(db, name), db.current_tenant
    texts = None if tenant is None else tenant_texts(db, tenant, model)
    asked = None if given is None else tenant_texts(db, given, model)
    if texts is not None and (all_tenants or asked not in (None, texts)):
        raise TenantMismatch(
            "a tenant is in force, so only its entries of the audit log can be read"
        )
    if asked is not None or texts is not None:
        return texts if asked is None else asked
    if model is not None and model.context_fields and not all_tenants:
        raise TenantRequired(
            f"{name} is multi-tenant: read its audit log within db.tenant(...), with tenant_id, or"
            " with all_tenants=True"
        )
    return None


def _values(key: Any) -> list[Any]:
    return list(key.values()) if isinstance(key, dict) else [key]


async def _sequences(log: InstanceLog, entries: Sequence[Row]) -> dict[tuple[str, str], Any]:
    """Where the transactions of these entries stand in their chains, and when they were sealed."""
    ids = list(dict.fromkeys(entry["transaction_id"] for entry in entries))
    sealed = {}
    filter = {"transaction_id": {"$in": ids}}
    async for page in log.pages(log.tables.seal, filter, ["sequence"], 1_000):
        for one in page:
            sealed[one["chain"], one["transaction_id"]] = (one["sequence"], one["at"])
    return sealed


def _changes(entry: Row) -> list[Row]:
    """The changes of an entry."""
    content = json.loads(entry["content"])
    about = {
        "actor": entry["actor"],
        "tenant_id": entry["tenant"],
        "run_id": entry["run_id"],
        "at": entry["at"],
    }
    return [
        {"model": entry["model"], "kind": entry["kind"], **row, **about}
        for row in unpack(content, entry["rows"])
    ]
