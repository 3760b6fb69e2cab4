"""The audit log: every kind of tampering is found, on every database."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from dataflow_core import DataFlow, field

WITHOUT_DATABASES = ("pgbouncer",)

Row = dict[str, Any]
TABLES = ("dataflow_audit", "dataflow_audit_seals", "dataflow_audit_heads")


class Account:
    __dataflow__ = {"audit_log": True}

    id: int = field(primary_key=True)
    balance: int = 0


class Invoice:
    __dataflow__ = {"audit_log": True}

    id: int = field(primary_key=True)
    total: int = 0


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """An instance with a log: four transactions on accounts, of which one has several entries."""
    handle = DataFlow(database_url, pool_size=3)
    for cls in (Account, Invoice):
        handle.model(type(cls.__name__, (cls,), {"__module__": __name__}), validation="off")
    with handle.acting("ann"):
        await handle.run("AccountBulkCreateNode", data=[{"id": 1}, {"id": 2}])
    async with handle.transaction():
        await handle.run("AccountUpdateNode", id=1, fields={"balance": 5})
        await handle.run("AccountUpdateNode", id=2, fields={"balance": 6})
        await handle.run("InvoiceCreateNode", id=1)
    await handle.run("AccountUpdateNode", id=1, fields={"balance": 7})
    await handle.run("AccountDeleteNode", id=2)
    yield handle
    await handle.aclose()


class Intruder:
    """Somebody who writes to the database itself."""

    def __init__(self, db: DataFlow) -> None:
        self.db = db

    async def rows(self, table: str, order: str, chain: str = "Account") -> list[Row]:
        """The rows of a table of the log, as the driver gives them."""
        sql = f"SELECT * FROM {table} WHERE chain = :chain ORDER BY {order}"
        found = await self.db.run("SQLNode", sql=sql, parameters={"chain": chain})
        records: list[Row] = found["records"]
        return records

    async def entries(self, chain: str = "Account") -> list[Row]:
        """The entries of a chain, in their order."""
        return await self.rows("dataflow_audit", "position", chain)

    async def seals(self) -> list[Row]:
        """The seals of the accounts' chain, in their order."""
        return await self.rows("dataflow_audit_seals", "sequence")

    async def send(self, sql: str, **parameters: Any) -> None:
        """Change something; it has to be there."""
        done = await self.db.run("SQLNode", sql=sql, parameters=parameters, fetch="none")
        assert done["count"]

    def quoted(self, name: str) -> str:
        """A name that is a word of some database's own."""
        return f"`{name}`" if "mysql" in self.db.url.scheme else f'"{name}"'

    async def set(self, row: Row, name: str, value: Any, table: str = "dataflow_audit") -> None:
        """Change one column of one row."""
        sql = f"UPDATE {table} SET {self.quoted(name)} = :value WHERE id = :id"
        await self.send(sql, value=value, id=row["id"])

    async def remove(self, row: Row, table: str = "dataflow_audit") -> None:
        """Remove one row."""
        await self.send(f"DELETE FROM {table} WHERE id = :id", id=row["id"])

    async def copy(self, row: Row, table: str = "dataflow_audit", **changes: Any) -> None:
        """Insert a row like another."""
        made = {**row, **changes}
        names = ", ".join(map(self.quoted, made))
        marks = ", ".join(f":{name}" for name in made)
        await self.send(f"INSERT INTO {table} ({names}) VALUES ({marks})", **made)

    async def saved(self) -> dict[str, list[Row]]:
        """Everything that the log holds."""
        found = {}
        for table in TABLES:
            rows = await self.db.run("SQLNode", sql=f"SELECT * FROM {table}")
            found[table] = rows["records"]
        return found

    async def restore(self, saved: dict[str, list[Row]]) -> None:
        """Put everything back."""
        async with self.db.transaction():
            for table, rows in saved.items():
                await self.db.run("SQLNode", sql=f"DELETE FROM {table}", fetch="none")
                for row in rows:
                    await self.copy(row, table)

    def new_id(self, like: Any) -> Any:
        """Another id, as the driver takes them."""
        return uuid.uuid4() if isinstance(like, uuid.UUID) else str(uuid.uuid4())


Tampering = Callable[[Intruder], Coroutine[Any, Any, None]]


def column(name: str, value: Any) -> Tampering:
    """Changes a column of an entry in the middle."""

    async def change(intruder: Intruder) -> None:
        entry = (await intruder.entries())[1]
        assert entry[name] != value
        await intruder.set(entry, name, value)

    return change


async def remove_from_the_middle(intruder: Intruder) -> None:
    """Removes an entry that others follow."""
    await intruder.remove((await intruder.entries())[1])


async def remove_a_transaction(intruder: Intruder) -> None:
    """Removes a seal with all its entries."""
    seal = (await intruder.seals())[1]
    for entry in await intruder.entries():
        if entry["transaction_id"] == seal["transaction_id"]:
            await intruder.remove(entry)
    await intruder.remove(seal, "dataflow_audit_seals")


async def truncate(intruder: Intruder) -> None:
    """Removes the last transaction."""
    await intruder.remove((await intruder.entries())[-1])
    await intruder.remove((await intruder.seals())[-1], "dataflow_audit_seals")


async def truncate_with_head(intruder: Intruder) -> None:
    """Removes the last transaction and moves the head back to an older sequence."""
    await truncate(intruder)
    await intruder.send("UPDATE dataflow_audit_heads SET sequence = sequence - 1")


async def remove_the_head(intruder: Intruder) -> None:
    """Removes the head."""
    await intruder.send("DELETE FROM dataflow_audit_heads WHERE chain = 'Account'")


async def remove_the_front(intruder: Intruder) -> None:
    """Removes the first transaction, as pruning would."""
    await intruder.remove((await intruder.entries())[0])
    await intruder.remove((await intruder.seals())[0], "dataflow_audit_seals")


async def reorder_within(intruder: Intruder) -> None:
    """Gives two entries of a transaction each other's places."""
    one, other = (await intruder.entries())[1:3]
    await intruder.set(one, "position", other["position"])
    await intruder.set(other, "position", one["position"])


async def reorder_seals(intruder: Intruder) -> None:
    """Gives two transactions each other's places."""
    table = "dataflow_audit_seals"
    _, one, other, _ = await intruder.seals()
    await intruder.set(one, "sequence", 1_000, table)
    await intruder.set(other, "sequence", one["sequence"], table)
    await intruder.set(one, "sequence", other["sequence"], table)


async def swap_contents(intruder: Intruder) -> None:
    """Gives two entries each other's contents, with salt and digest."""
    one, other = (await intruder.entries())[1:3]
    for name in ("content", "salt", "digest"):
        await intruder.set(one, name, other[name])
        await intruder.set(other, name, one[name])


async def insert(intruder: Intruder) -> None:
    """Adds an entry to a transaction that is sealed."""
    entry = (await intruder.entries())[1]
    await intruder.copy(entry, id=intruder.new_id(entry["id"]), position=entry["position"] + 1)


async def insert_alone(intruder: Intruder) -> None:
    """Adds an entry of a transaction that there never was."""
    entry = (await intruder.entries())[1]
    other = str(uuid.uuid4())
    await intruder.copy(entry, id=intruder.new_id(entry["id"]), transaction_id=other)


async def replace(intruder: Intruder) -> None:
    """Puts a copy of an entry, with another content, in its place."""
    from dataflow_policies.audit_chain import digest_of

    entry = (await intruder.entries())[1]
    content = entry["content"].replace("5", "9")
    await intruder.remove(entry)
    digest = digest_of(entry["salt"], content)
    await intruder.copy(entry, content=content, digest=digest)


async def move(intruder: Intruder) -> None:
    """Moves an entry to another chain."""
    await intruder.set((await intruder.entries())[1], "chain", "Invoice")


async def forge_a_removal(intruder: Intruder) -> None:
    """Claims that values were removed, to put others in their place."""
    entry = (await intruder.entries())[1]
    content = '{"digests": {"' + str(entry["id"]) + '": "x"}}'
    await intruder.copy(entry, id=intruder.new_id(entry["id"]), kind="tombstone", content=content)


async def seal_anew(intruder: Intruder) -> None:
    """Changes an entry and the seal over it, which nothing else is computed anew for."""
    entry = (await intruder.entries())[1]
    await intruder.set(entry, "actor", "eve")
    seal = (await intruder.seals())[1]
    await intruder.set(seal, "root", "0" * 64, "dataflow_audit_seals")


TAMPERINGS: dict[str, Tampering] = {
    "the content": column("content", "{}"),
    "the model": column("model", "Invoice"),
    "the kind": column("kind", "delete"),
    "the key": column("key", "99"),
    "the actor": column("actor", "eve"),
    "the tenant": column("tenant", "other"),
    "the run": column("run_id", "r"),
    "the number of rows": column("rows", 7),
    "the salt": column("salt", "0" * 32),
    "the digest": column("digest", "0" * 64),
    "the transaction": column("transaction_id", "x"),
    "an entry of the middle removed": remove_from_the_middle,
    "a transaction removed": remove_a_transaction,
    "the end removed": truncate,
    "the end removed, the head moved": truncate_with_head,
    "the head removed": remove_the_head,
    "the front removed": remove_the_front,
    "entries reordered": reorder_within,
    "transactions reordered": reorder_seals,
    "contents swapped": swap_contents,
    "an entry added": insert,
    "an entry of no transaction added": insert_alone,
    "an entry replaced": replace,
    "an entry moved to another chain": move,
    "a removal of values forged": forge_a_removal,
    "an entry and its seal changed": seal_anew,
}


@pytest.mark.timeout(120)
async def test_every_tampering_is_found(db: DataFlow) -> None:
    """A log that nobody touched is valid, and one that somebody did is not, in that very chain."""
    intruder = Intruder(db)
    saved, missed = await intruder.saved(), []
    for what, tamper in TAMPERINGS.items():
        await tamper(intruder)
        found = await db.averify_audit()
        if "Account" not in {problem["chain"] for problem in found["problems"]} or found:
            missed.append(what)
        await intruder.restore(saved)
        found = await db.averify_audit()
        assert found["valid"], found["problems"]
    assert not missed


async def test_the_time_is_bound(db: DataFlow) -> None:
    """When an entry was made cannot be changed."""
    entry = (await Intruder(db).entries())[1]
    at = entry["at"]
    other = at.replace("20", "19", 1) if isinstance(at, str) else at.replace(year=1999)
    await Intruder(db).set(entry, "at", other)
    assert not (await db.averify_audit())["valid"]


async def test_an_anchor_finds_what_was_computed_anew(db: DataFlow) -> None:
    """Who removes a whole chain leaves nothing to find: the anchor that is kept elsewhere does."""
    anchor = (await db.averify_audit())["anchor"]
    assert (await db.averify_audit(anchor=anchor))["valid"]
    for table in TABLES:
        await Intruder(db).send(f"DELETE FROM {table} WHERE chain = 'Account'")
    assert (await db.averify_audit())["valid"]
    found = await db.averify_audit(anchor=anchor)
    assert [problem["chain"] for problem in found["problems"]] == ["Account"]
