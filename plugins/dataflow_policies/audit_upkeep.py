"""What may go from the log: old entries, and values that nobody may keep any longer.

Both are entries of the chain themselves, so the rest of it still holds, and who did it is known.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from dataflow_core.errors import InvalidValue, TenantMismatch
from dataflow_core.naming_hints import quoted
from dataflow_policies.audit_access import (
    InstanceLog,
    audited_databases,
    model_name,
    registered,
    tenant_texts,
)
from dataflow_policies.audit_chain import Noted, digest_of, hash_of_entry, make_entry, seal
from dataflow_policies.audit_content import WantedKey, key_at, to_json, wanted_key
from dataflow_policies.audit_log import current_actor, retention_of
from dataflow_policies.audit_reading import CHANGES
from dataflow_policies.audit_tables import inside
from dataflow_policies.audit_verify import PRUNE, TOMBSTONE

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["aprune_audit", "atombstone_audit"]

Row = dict[str, Any]
_PAGE: Final = 100


async def aprune_audit(
    db: DataFlow,
    *,
    model: Any = None,
    before: dt.datetime | None = None,
    database: str | None = None,
) -> dict[str, int]:
    """Remove old entries from the audit log; how many, by chain.

    They go from the front of each chain, transaction by transaction, up to the first that is young
    enough; an entry that says so is added, by which the rest can still be checked.

    Parameters:
        model: the name of a model, or its class; else all models.
        before: entries of earlier transactions go; by default what ``retention_days`` of the model
            says, and nothing where it says nothing.
        database: a database of the instance; else all that have audited models.

    Raises ``TenantMismatch`` where a tenant is in force: it is about the entries of all.
    """
    if db.current_tenant is not None:
        raise TenantMismatch("a tenant is in force, and pruning removes the entries of all tenants")
    if before is not None and (not isinstance(before, dt.datetime) or before.tzinfo is None):
        raise InvalidValue(f"before is a datetime with a time zone, got {quoted(before)}")
    name = None if model is None else model_name(model)
    removed: dict[str, int] = {}
    for place in audited_databases(db, database):
        log = InstanceLog(db, place)
        for chain in await log.chains():
            of_chain = chain.partition("/")[0]
            if name not in (None, of_chain):
                continue
            limit = before or retention_of(db.models_of(place), of_chain)
            if limit is None:
                continue
            async with db.transaction(place):
                count = await _prune(log, chain, of_chain, limit)
            if count:
                removed[chain] = count
    return removed


async def _prune(log: InstanceLog, chain: str, model: str, limit: dt.datetime) -> int:
    seals, entries = log.tables.seal, log.tables.entry
    last: Row | None = None
    ids: list[str] = []
    async for page in log.pages(seals, {"chain": chain}, ["sequence"], _PAGE):
        old = []
        for one in page:
            if one["at"] >= limit:
                break
            old.append(one)
        ids += [one["transaction_id"] for one in old]
        last = old[-1] if old else last
        if len(old) < len(page):
            break
    if last is None:
        return 0
    count = 0
    for at in range(0, len(ids), _PAGE):
        part = {"chain": chain, "transaction_id": {"$in": ids[at : at + _PAGE]}}
        done = await log.run(f"{entries.name}BulkDeleteNode", filter=part)
        count += done["deleted"]
    front = {"chain": chain, "sequence": {"$lte": last["sequence"]}}
    await log.run(f"{seals.name}BulkDeleteNode", filter=front)
    content = {"sequence": last["sequence"], "hash": last["hash"], "entries": count}
    await _add(log, chain, model, _tenant(chain), PRUNE, None, content)
    return count


def _tenant(chain: str) -> str | None:
    return chain.partition("/")[2] or None


async def atombstone_audit(
    db: DataFlow,
    *,
    model: Any,
    key: Any,
    fields: Sequence[str] | None = None,
    database: str | None = None,
    all_tenants: bool = False,
) -> int:
    """Remove the values of a row from the audit log; from how many entries.

    What happened to the row, when and by whom, stays, and the chain still holds: the removal is an
    entry of its own.

    Parameters:
        model: the name of the model, or its class.
        key: that of the row.
        fields: the names of the fields whose values go; by default all but those of the key.
        database: a database of the instance; else all that have audited models.
        all_tenants: as of ``audit``.
    """
    name, tenant = model_name(model), db.current_tenant
    about = registered(db, name)
    wanted = wanted_key(about, key)
    filter: Row = {"kind": {"$in": list(CHANGES)}, "model": name}
    filter["key"] = {"$in": [wanted.text, None]}
    if tenant is not None or not all_tenants:
        filter["tenant"] = None if tenant is None else {"$in": tenant_texts(db, tenant, about)}
    changed = 0
    for place in audited_databases(db, database):
        log = InstanceLog(db, place)
        async with db.transaction(place):
            digests: dict[tuple[str, str | None], dict[str, str]] = {}
            async for page in log.pages(log.tables.entry, filter, ["at", "id"], _PAGE):
                for entry in page:
                    content = json.loads(entry["content"])
                    if not _remove(content, entry["rows"], wanted, fields):
                        continue
                    digest = await _rewrite(log, entry, content)
                    place_of = (entry["chain"], entry["tenant"])
                    digests.setdefault(place_of, {})[str(entry["id"])] = digest
            for (chain, owner), own in sorted(digests.items(), key=lambda item: item[0][0]):
                changed += len(own)
                content = {"fields": None if fields is None else list(fields), "digests": own}
                await _add(log, chain, name, owner, TOMBSTONE, wanted.text, content)
    return changed


def _remove(content: Row, rows: int, key: WantedKey, fields: Sequence[str] | None) -> bool:
    """Take the values of a row out of a content; whether there were any."""
    names = content["names"]
    going = [
        at
        for at, name in enumerate(names)
        if name not in content["key"] and (fields is None or name in fields)
    ]
    found = [at for at in range(rows) if key.is_that_of(key_at(content, at))]
    gone = [names[at] for at in going]
    done = False
    for row in found:
        removed = content.setdefault("removed", {}).setdefault(str(row), [])
        new = [name for name in gone if name not in removed]
        done = done or bool(new)
        removed += new
        for which in ("before", "after"):
            for at in going if which in content else ():
                column = content[which][at]
                if isinstance(column, dict):
                    column = content[which][at] = [column["all"]] * rows
                column[row] = None
    return done


async def _rewrite(log: InstanceLog, entry: Row, content: Row) -> str:
    """Store another content, under other salt: the old digest says nothing of the old one."""
    salt, text = secrets.token_hex(16), to_json(content)
    await log.run(
        f"{log.tables.entry.name}BulkUpdateNode",
        filter={"id": entry["id"]},
        fields={"salt": salt, "content": text},
    )
    return digest_of(salt, text)


async def _add(
    log: InstanceLog,
    chain: str,
    model: str,
    tenant: str | None,
    kind: str,
    key: str | None,
    content: Row,
) -> None:
    """Add an entry that is about the log itself, and seal it, in the transaction in force."""
    entry = make_entry(
        transaction_id=str(uuid4()),
        chain=chain,
        model=model,
        kind=kind,
        key=key,
        rows=0,
        actor=current_actor(),
        tenant=tenant,
        run_id=None,
        content=to_json(content),
    )
    await log.insert(log.tables.entry, [entry])
    with inside():
        noted = [Noted(chain, hash_of_entry(entry))]
        await seal(log, log.tables, entry["transaction_id"], noted)
