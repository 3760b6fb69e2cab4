"""The chain that binds the entries of the log to each other.

Every audited model has a chain, and every tenant one of its own in it. Before a transaction is
committed it seals what it has added to each chain: a seal holds the hash of the seal before it, so
nothing can be changed, removed, added or moved afterwards without that being found. Only this takes
the head of the chain, in the order of their names: writers wait for each other for as long as a
commit takes, and never in a circle.

What an entry says of rows is bound by its digest alone, which has salt: so values can be removed
from it later, while the chain still holds.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import frozen

from dataflow_policies.audit_content import to_json
from dataflow_policies.audit_tables import LONGEST_CHAIN, AuditTables

__all__ = [
    "GENESIS",
    "Log",
    "Noted",
    "Row",
    "chain_name",
    "digest_of",
    "hash_of_entry",
    "hash_of_seal",
    "make_entry",
    "root_of",
    "seal",
]

Row = dict[str, Any]

GENESIS: Final = "0" * 64
"""What stands in the place of the seal before the first."""

_ENTRY: Final = (
    *("id", "transaction_id", "chain", "position", "model", "kind", "key", "rows"),
    *("actor", "tenant", "run_id", "at", "digest"),
)
_SEAL: Final = (
    *("id", "chain", "sequence", "transaction_id", "entries", "root", "previous", "at"),
)
_positions = itertools.count(1)


class Log(Protocol):
    """Where entries and seals go: the scope of a recorder, or the instance itself."""

    async def insert(self, model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows."""
        ...

    async def run(self, node: str, /, **parameters: Any) -> dict[str, Any]:
        """Run a node."""
        ...


@frozen
class Noted:
    """An entry that was written, until its transaction seals it."""

    chain: str
    hash: str


def chain_name(model: str, tenant: str | None) -> str:
    """The chain of a model, or of one tenant's rows of it."""
    name = model if tenant is None else f"{model}/{tenant}"
    if len(name) <= LONGEST_CHAIN:
        return name
    return f"{model}/#{_sha256(name)}"


def make_entry(
    *,
    transaction_id: str,
    chain: str,
    model: str,
    kind: str,
    key: str | None,
    rows: int,
    actor: str | None,
    tenant: str | None,
    run_id: str | None,
    content: str,
) -> Row:
    """An entry, as it is stored."""
    salt = secrets.token_hex(16)
    return {
        "id": uuid.uuid4(),
        "transaction_id": transaction_id,
        "chain": chain,
        "position": next(_positions),
        "model": model,
        "kind": kind,
        "key": key,
        "rows": rows,
        "actor": actor,
        "tenant": tenant,
        "run_id": run_id,
        "at": dt.datetime.now(dt.UTC),
        "salt": salt,
        "digest": digest_of(salt, content),
        "content": content,
    }


def digest_of(salt: str, content: str) -> str:
    """What stands for a content in the chain."""
    return _sha256(salt + content)


def hash_of_entry(entry: Mapping[str, Any]) -> str:
    """The hash over every column of an entry, its content by way of the digest."""
    return _hash(entry, _ENTRY)


def root_of(hashes: Sequence[str]) -> str:
    """The hash over the entries of one transaction, in their order."""
    return _sha256("".join(hashes))


def hash_of_seal(row: Mapping[str, Any]) -> str:
    """The hash over every column of a seal, that of the seal before it among them."""
    return _hash(row, _SEAL)


def _hash(row: Mapping[str, Any], names: Sequence[str]) -> str:
    values = [row[name] for name in names]
    return _sha256(
        to_json(
            [
                value.astimezone(dt.UTC).isoformat(timespec="microseconds")
                if isinstance(value, dt.datetime)
                else value
                for value in values
            ]
        )
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


async def seal(log: Log, tables: AuditTables, transaction_id: str, noted: Sequence[Noted]) -> None:
    """Seal what a transaction has added to each chain; last thing before it is committed."""
    chains: dict[str, list[str]] = {}
    for one in noted:
        chains.setdefault(one.chain, []).append(one.hash)
    for chain in sorted(chains):
        await _seal(log, tables, transaction_id, chain, chains[chain])


async def _seal(
    log: Log, tables: AuditTables, transaction_id: str, chain: str, hashes: Sequence[str]
) -> None:
    head = await _next(log.run, tables.head.name, chain)
    row = {
        "id": uuid.uuid4(),
        "chain": chain,
        "sequence": head["sequence"],
        "transaction_id": transaction_id,
        "entries": len(hashes),
        "root": root_of(hashes),
        "previous": head["hash"],
        "at": dt.datetime.now(dt.UTC),
    }
    row["hash"] = hash_of_seal(row)
    await log.insert(tables.seal, [row])
    await log.run(
        f"{tables.head.name}BulkUpdateNode",
        filter={"chain": chain},
        fields={"hash": row["hash"]},
    )


async def _next(run: Callable[..., Awaitable[Row]], head: str, chain: str) -> Row:
    """Take the head of a chain, which nobody else can until the commit; its next sequence."""
    step = {"chain": chain, "fields": {"$inc": {"sequence": 1}}}
    found = await run(f"{head}UpdateNode", **step)
    if not found["updated"]:
        # Of two that begin a chain the second waits here, and then finds it.
        first = {"chain": chain, "sequence": 0, "hash": GENESIS}
        await run(f"{head}BulkCreateNode", data=[first], conflict="skip")
        found = await run(f"{head}UpdateNode", **step)
    row: Row = found["result"]
    return row
