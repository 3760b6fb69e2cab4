"""``db.verify_audit()``: whether the log is what was written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from dataflow_core.errors import InvalidValue
from dataflow_core.naming_hints import quoted
from dataflow_policies.audit_access import InstanceLog, audited_databases, tenant_texts
from dataflow_policies.audit_chain import (
    GENESIS,
    chain_name,
    digest_of,
    hash_of_entry,
    hash_of_seal,
    root_of,
)

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["Verification", "PRUNE", "TOMBSTONE", "averify_audit"]

Row = dict[str, Any]

TOMBSTONE: Final = "tombstone"
"""The kind of an entry that says from which entries values were removed."""
PRUNE: Final = "prune"
"""The kind of an entry that says up to where the front of its chain was removed."""
_SEALS: Final = 100
_ENTRIES: Final = 200


class Verification(dict[str, Any]):
    """What a check of the audit log has found; true only if it is ``valid``."""

    def __bool__(self) -> bool:
        return bool(self["valid"])


async def averify_audit(
    db: DataFlow, *, database: str | None = None, anchor: Mapping[str, Any] | None = None
) -> Verification:
    """Check every chain of the audit log, from its start to its head.

    Where a tenant is in force, only the chains of its rows.

    The answer is true only if everything holds. It has ``valid``; ``problems``, a list of dicts
    with ``database``, ``chain``, ``what`` and, where known, ``sequence`` and ``entry``; how many
    ``chains`` and ``entries`` there are; and the ``anchor``: how far each chain goes, as a dict
    that JSON can write. Whoever can write to the database can also make all hashes anew: an anchor
    that is kept elsewhere, and given here later, finds that too: the chains have to hold it.

    Parameters:
        database: a database of the instance; else all that have audited models.
        anchor: that of an earlier check.

    Raises ``InvalidValue`` for an anchor that is none, or is about a database without a log.
    """
    if anchor is not None:
        _check_form(anchor, audited_databases(db, None))
    tenant = db.current_tenant
    tenants = None if tenant is None else tenant_texts(db, tenant, None)
    problems: list[Row] = []
    anchors: dict[str, Any] = {}
    entries = chains = 0
    for name in audited_databases(db, database):
        log = InstanceLog(db, name)
        known = dict((anchor or {}).get(name, {}))
        anchors[name] = {}
        async with db.transaction(name, isolation="repeatable read", read_only=True):
            found = {*await log.chains(), *known}
            names = [chain for chain in found if _may_be_told(chain, tenants)]
            for chain in sorted(names):
                check = _Check(log, chain, known.get(chain))
                await check.run()
                problems += check.problems
                entries += check.entries
                if check.last is not None:
                    anchors[name][chain] = {
                        "sequence": check.last["sequence"],
                        "hash": check.last["hash"],
                    }
            chains += len(names)
    return Verification(
        valid=not problems, problems=problems, chains=chains, entries=entries, anchor=anchors
    )


def _may_be_told(chain: str, tenants: Sequence[str] | None) -> bool:
    """Whether a chain is of the rows of the tenant in force, if there is one."""
    model = chain.partition("/")[0]
    return tenants is None or any(chain == chain_name(model, tenant) for tenant in tenants)


def _check_form(anchor: Any, databases: Sequence[str]) -> None:
    """Refuse an anchor that would be left unread."""
    chains = list(anchor.values()) if isinstance(anchor, Mapping) else [None]
    if not all(isinstance(one, Mapping) and _are_ends(one) for one in chains):
        raise InvalidValue(
            "the anchor is what an earlier check gave under 'anchor': by database, by chain, its"
            " sequence and hash"
        )
    for name in anchor:
        if name not in databases:
            raise InvalidValue(
                f"the anchor is about the database {quoted(name)}, which has no audited model here"
            )


def _are_ends(chains: Mapping[str, Any]) -> bool:
    return all(
        isinstance(one, Mapping) and {"sequence", "hash"} <= set(one) for one in chains.values()
    )


@define(eq=False)
class _Check:
    """The check of one chain. ``known`` is where it was by the anchor."""

    log: InstanceLog
    chain: str
    known: Mapping[str, Any] | None
    problems: list[Row] = field(factory=list)
    entries: int = 0
    last: Row | None = None
    _digests: dict[str, str] = field(factory=dict)
    _pruned: Row | None = None
    _anchored: bool = False

    async def run(self) -> None:
        """Walk the chain."""
        await self._read_notices()
        tables = self.log.tables
        async for page in self.log.pages(
            tables.seal, {"chain": self.chain}, ["sequence", "id"], _SEALS
        ):
            own = await self._entries_of(page)
            for one in page:
                self._check_seal(one)
                self._check_entries(one, own.get(one["transaction_id"], []))
        stored = await self.log.count(tables.entry, {"chain": self.chain})
        if stored > self.entries:
            self._found(f"{stored - self.entries} entries belong to no seal")
        await self._check_head()
        self._check_anchor()

    async def _read_notices(self) -> None:
        """What was removed from entries, and from the front of the chain, by the chain itself."""
        filter = {"chain": self.chain, "kind": {"$in": [TOMBSTONE, PRUNE]}}
        async for page in self.log.pages(self.log.tables.entry, filter, ["at", "id"], _ENTRIES):
            for entry in page:
                content = self._content(entry)
                if entry["kind"] == TOMBSTONE:
                    for one, digest in content.get("digests", {}).items():
                        self._digests[one] = digest
                elif self._pruned is None or content.get("sequence", 0) > self._pruned["sequence"]:
                    self._pruned = {"sequence": 0, "hash": GENESIS, **content}

    def _content(self, entry: Row) -> Row:
        try:
            content = json.loads(entry["content"])
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    async def _entries_of(self, seals: Sequence[Row]) -> dict[str, list[Row]]:
        """The entries of these seals, by transaction, without their content once it is checked."""
        ids = list(dict.fromkeys(one["transaction_id"] for one in seals))
        filter = {"chain": self.chain, "transaction_id": {"$in": ids}}
        found: dict[str, list[Row]] = {}
        order = ["transaction_id", "position", "id"]
        async for page in self.log.pages(self.log.tables.entry, filter, order, _ENTRIES):
            for entry in page:
                expected = self._digests.get(str(entry["id"]), entry["digest"])
                if digest_of(entry["salt"], entry.pop("content")) != expected:
                    self._found("the content of an entry is not what was written", None, entry)
                found.setdefault(entry["transaction_id"], []).append(entry)
        return found

    def _check_seal(self, one: Row) -> None:
        if self.last is None:
            start = self._pruned or {"sequence": 0, "hash": GENESIS}
            before, behind = start["hash"], start["sequence"]
        else:
            before, behind = self.last["hash"], self.last["sequence"]
        if one["sequence"] != behind + 1:
            missing = f"{behind + 1} to {one['sequence'] - 1}"
            what = f"seals {missing} are missing" if one["sequence"] > behind else "a seal is twice"
            self._found(what, one)
        elif one["previous"] != before:
            self._found("a seal does not follow the one before it", one)
        if hash_of_seal(one) != one["hash"]:
            self._found("a seal is not what was written", one)
        if self.known is not None and one["sequence"] == self.known.get("sequence"):
            self._anchored = one["hash"] == self.known.get("hash")
        self.last = one

    def _check_entries(self, one: Row, entries: Sequence[Row]) -> None:
        self.entries += len(entries)
        if len(entries) != one["entries"]:
            self._found(f"a seal is about {one['entries']} entries, {len(entries)} are there", one)
        elif root_of([hash_of_entry(entry) for entry in entries]) != one["root"]:
            self._found("the entries of a seal are not what was written", one)

    async def _check_head(self) -> None:
        found = await self.log.run(
            f"{self.log.tables.head.name}ListNode", filter={"chain": self.chain}, limit=2
        )
        head = next(iter(found["records"]), None)
        last = self.last or self._pruned
        if head is None:
            if last is not None or self.entries:
                self._found("the head of the chain is missing")
        elif last is None or (head["sequence"], head["hash"]) != (last["sequence"], last["hash"]):
            self._found(f"the chain goes to {head['sequence']} by its head, and does not end there")

    def _check_anchor(self) -> None:
        """The chain holds the seal of the anchor, unless its front was removed beyond it."""
        if self.known is None or self._anchored:
            return
        pruned = self._pruned
        if pruned is not None and pruned["sequence"] >= self.known.get("sequence", 0):
            return
        self._found("the chain does not hold the seal that the anchor names")

    def _found(self, what: str, one: Row | None = None, entry: Row | None = None) -> None:
        problem: Row = {"database": self.log.database, "chain": self.chain, "what": what}
        if one is not None:
            problem["sequence"] = one["sequence"]
        if entry is not None:
            problem["entry"] = str(entry["id"])
        self.problems.append(problem)
