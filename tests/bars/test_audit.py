"""The audit log beside triggers of the database itself: both saw the same changes."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve

from dataflow_core import DataFlow
from dataflow_core.conformance import Session
from dataflow_core.conformance.equality import first_difference
from dataflow_core.conformance.everything import Everything
from dataflow_core.conformance.oracle import Oracle
from dataflow_core.conformance.random_calls import Call, RandomCalls
from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import DataFlowError
from dataflow_core.schema import Field, Model
from dataflow_core.types import Integer, Text

FULL = 10_000
SLICE = 120
UNDONE = 0.15
"""How many of the operations are in a transaction that is rolled back."""
WITHOUT_DATABASES = ("pgbouncer",)
pytestmark = pytest.mark.bars

Change = tuple[str, Any, Any]


class Triggers:
    """Triggers that write every change of a table into another one."""

    def __init__(self, db: DataFlow, model: Model) -> None:
        self.db, self.model = db, model
        table = f"triggered_{model.table}"
        twins = [
            evolve(
                item,
                name=f"{which}_{item.name}",
                column=f"{which}_{item.column}",
                nullable=True,
                primary_key=False,
                generated=None,
                unique=False,
                index=False,
            )
            for which in ("old", "new")
            for item in model.fields
        ]
        number = Field("number", Integer(), "number", primary_key=True, generated="database")
        fields = (number, Field("what", Text(8), "what"), *twins)
        self.log = Model("Triggered", table, fields, database=model.database)
        db._registry.add_model(self.log)

    async def install(self) -> None:
        """Make the table and the triggers."""
        await self.db.run("TriggeredCountNode")
        async with self.db.engine().borrowed(writes=True) as runner:
            for sql in self._statements():
                await runner.execute(sql, (), ErrorSituation())

    def _statements(self) -> list[str]:
        scheme = self.db.url.scheme
        quote = self.db.engine().dialect.compiler.quote
        table, log = quote(self.model.table), quote(self.log.table)

        def insert(what: str, *whose: str) -> str:
            names = [quote(f"{one}_{item.column}") for one in whose for item in self.model.fields]
            values = [f"{one}.{quote(item.column)}" for one in whose for item in self.model.fields]
            return (
                f"INSERT INTO {log} (what, {', '.join(names)})"
                f" VALUES ('{what}', {', '.join(values)})"
            )

        kinds = {"insert": ("new",), "update": ("old", "new"), "delete": ("old",)}
        if scheme.startswith("postgres"):
            tests = " ".join(
                f"IF TG_OP = '{kind.upper()}' THEN {insert(kind, *whose)}; END IF;"
                for kind, whose in kinds.items()
            )
            return [
                "CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN {tests} RETURN NULL; END $$",
                f"CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION note_change()",
            ]
        begin, end = ("BEGIN ", "; END") if scheme.startswith("sqlite") else ("", "")
        return [
            f"CREATE TRIGGER note_{kind} AFTER {kind.upper()} ON {table} FOR EACH ROW"
            f" {begin}{insert(kind, *whose)}{end}"
            for kind, whose in kinds.items()
        ]

    async def changes(self) -> dict[int, list[Change]]:
        """What they saw, by key; without updates that changed nothing."""
        found: dict[int, list[Change]] = {}
        cursor = None
        while True:
            page = await self.db.run(
                "TriggeredListNode", order_by=["number"], limit=1_000, cursor=cursor
            )
            for row in page["records"]:
                before, after = (
                    {item.name: row[f"{which}_{item.name}"] for item in self.model.fields}
                    for which in ("old", "new")
                )
                change = (
                    row["what"],
                    None if row["what"] == "insert" else before,
                    None if row["what"] == "delete" else after,
                )
                if row["what"] != "update" or first_difference(before, after) is not None:
                    key = (before if row["what"] == "delete" else after)["id"]
                    found.setdefault(key, []).append(change)
            cursor = page["next_cursor"]
            if cursor is None:
                return found


class Undone(Exception):
    """The transaction is to be rolled back."""


async def run(session: Session, oracle: Oracle, call: Call, *, undo: bool) -> None:
    """Run one call on both sides; an error leaves both as they were."""
    before = dict(oracle.rows)
    try:
        call.expected()
    except DataFlowError:
        oracle.rows = before
    with suppress(DataFlowError, Undone):
        if not undo:
            await session.run(oracle.model, call.node, **call.parameters)
            return
        async with session.database.db.transaction():
            await session.run(oracle.model, call.node, **call.parameters)
            oracle.rows = before
            raise Undone
    if undo:
        oracle.rows = before


@pytest.mark.timeout(3_600)
async def test_the_log_is_what_triggers_see(
    database_url: str, seed: int, full_bars: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 random writes, of which some are rolled back: the same changes of every row, in the
    same order, with the same values before and after; and the chain holds.
    """
    monkeypatch.setattr(Everything, "__dataflow__", {"audit_log": True}, raising=False)
    rng, session = random.Random(seed), Session(database_url)
    try:
        model = session.model(Everything)
        twin = session.model(type("Twin", (Everything,), {"__dataflow__": {}}))
        oracle, other = Oracle(model), Oracle(twin)
        oracle.others[twin.name] = other
        operations = RandomCalls(rng, oracle, other)
        db = session.database.db
        await session.run(model, "Count", filter={})
        triggers = Triggers(db, model)
        await triggers.install()
        done: Counter[str] = Counter()
        while done.total() < (FULL if full_bars else SLICE):
            call = operations.any()
            if call.writes:
                done[call.node] += 1
                await run(session, oracle, call, undo=rng.random() < UNDONE)
        expected = await triggers.changes()
        got: dict[int, list[Change]] = {}
        for change in await db.aaudit(model=model.name):
            told = (change["kind"], change["before"], change["after"])
            got.setdefault(change["key"], []).append(told)
        found = await db.averify_audit()
        assert found["valid"], found["problems"]
        assert got.keys() == expected.keys()
        for key, changes in expected.items():
            difference = first_difference(got[key], changes)
            assert difference is None, f"seed {seed}, key {key}: {difference}"
        total = sum(map(len, expected.values()))
        print(f"{done.total()} random writes, {total} changes, 0 differences: {dict(done)}")
    finally:
        await session.close()
