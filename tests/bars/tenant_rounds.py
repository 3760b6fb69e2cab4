"""One tenant's random calls on a database of several, beside one that has nothing but its rows.

What the other tenants have makes no difference: results, counts and errors are the same on both.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from dataflow_core import AsyncLocalRuntime, DataFlow, WorkflowBuilder
from dataflow_core.conformance.equality import first_difference
from dataflow_core.errors import DataFlowError, UniqueViolation
from tests.bars.tenant_attacks import ATTACKS
from tests.bars.tenant_calls import KEY, Call, TenantCalls
from tests.bars.tenant_world import (
    MARKED,
    OURS,
    THEIRS,
    THIRD,
    declare,
    fill,
    models,
    rows_of_others,
)

Outcome = dict[str, Any]
_SEEN: Final = 20
"""After so many rounds all of our rows are compared, deleted ones too."""
_TRIED: Final = ("failed", "processed")
_STORED: Final = 100
"""After so many rounds the rows of the others are compared as they are stored."""


class Leak(AssertionError):
    """Something of another tenant was returned, counted, changed or told."""


class _Undo(Exception):
    """Leaves a transaction, or what is nested in it, without its changes."""


@define(eq=False)
class Rounds:
    """Runs the calls. ``mixed`` has the rows of all tenants, ``alone`` ours only.

    ``above`` sees the rows of ``mixed`` that it keeps apart itself, if it does.
    """

    mixed: DataFlow
    alone: DataFlow
    folder: Path
    seed: int
    kinds: Counter[str] = field(factory=Counter)
    errors: Counter[str] = field(factory=Counter)
    above: DataFlow | None = None
    calls: TenantCalls = field(init=False)
    rng: random.Random = field(init=False)
    before: dict[str, Any] = field(init=False)
    theirs: Outcome = field(init=False)
    done: int = 0

    async def prepare(self) -> None:
        """Declare the models and store the first rows."""
        for db, tenants in ((self.mixed, (OURS, THEIRS, THIRD)), (self.alone, (OURS,))):
            declare(db, secured=self.above is not None)
            await fill(db, tenants, self.seed)
        self.rng = random.Random(self.seed)
        self.calls = TenantCalls(self.rng, models(self.mixed))
        self.before = await rows_of_others(self.above or self.mixed)
        self.theirs = await self._of_theirs()
        await self._look()

    async def run(self, count: int) -> None:
        """So many calls."""
        rounds = 0
        while self.done < count:
            try:
                await self._round()
                rounds += 1
                if rounds % _SEEN == 0:
                    await self._look()
                if rounds % _STORED == 0:
                    await self._stored()
            except Leak as leak:
                raise Leak(f"seed {self.seed}, call {self.done}: {leak}") from leak.__cause__
        await self._look()
        await self._stored()

    async def _round(self) -> None:
        roll, calls = self.rng.random(), self.calls
        if roll < 0.14:
            [make] = self.rng.choices(list(ATTACKS), list(ATTACKS.values()))
            attack = make(calls)
            ways = [self._within, self._together]
            if not attack.foreign:
                ways.append(self._workflow)
            await self._compared([attack], self.rng.choice(ways))
        elif roll < 0.20:
            await self._compared([calls.any()], self._without)
        elif roll < 0.26:
            many = [calls.any() for _ in range(self.rng.randint(1, 4))]
            await self._compared(many, self._transaction)
        elif roll < 0.31:
            many = [calls.any() for _ in range(self.rng.randint(1, 3))]
            await self._compared(many, self._workflow)
        elif roll < 0.36:
            await self._compared([calls.reading(), calls.any(), calls.reading()], self._together)
        elif roll < 0.40:
            await self._compared([calls.find()], self._streamed)
        elif roll < 0.41:
            await self._compared([calls.find()], self._files)
        elif roll < 0.44:
            await self._compared([calls.find()], self._pages)
        elif roll < 0.60:
            await self._compared([calls.any()], self._by_parameter)
        else:
            await self._compared([calls.any()], self._within)

    async def _compared(self, calls: Sequence[Call], way: Any) -> None:
        """The same on both databases, and nothing of the others in it."""
        self.done += len(calls)
        state = self.rng.getstate()
        got = await way(self.mixed, calls)
        for call in calls:
            self.kinds[f"{way.__name__.strip('_')}: {kind_of(call)}"] += 1
        for at, outcome in enumerate(got):
            self._searched(calls[min(at, len(calls) - 1)], outcome)
        if calls[0].foreign:
            self._collided(calls[0], got[0])
            return
        self.rng.setstate(state)
        expected = await way(self.alone, calls)
        for outcome in expected:
            outcome.pop("raised", None)
        found = first_difference(got, expected, close=True)
        if found is not None:
            shown = "\n".join(f"{call.node} {call.parameters}" for call in calls)
            raise Leak(f"{way.__name__}: {found}\n{shown}")

    def _searched(self, call: Call, outcome: Outcome) -> None:
        error = outcome.get("raised")
        if call.refused and error is None:
            raise Leak(f"not refused: {call}, but {outcome}")
        told = [repr(outcome.get("result"))]
        while error is not None:
            if isinstance(error, DataFlowError):
                told.append(repr(error.to_dict()))
                self.errors[type(error).__name__] += 1
            told += [str(error), repr(error)]
            error = error.__cause__ or error.__context__
        for text in told:
            if mark := MARKED.search(text):
                raise Leak(f"{mark[0]} of another tenant is told: {call}: {text}")
        outcome.pop("raised", None)

    def _collided(self, call: Call, outcome: Outcome) -> None:
        """Counted keys are common to all: that one is taken is told, and nothing more."""
        if call.refused and outcome["error"]["error"] != UniqueViolation.__name__:
            raise Leak(f"{call} gives {outcome}")
        if not call.refused:
            counts = {name: outcome["result"][name] for name in ("inserted", "skipped")}
            if counts != {"inserted": 0, "skipped": len(call.parameters["data"])}:
                raise Leak(f"{call} gives {outcome}")
            if outcome["result"].get("ids"):
                raise Leak(f"keys of others are returned: {call} gives {outcome}")

    # Ways to make calls

    async def _within(self, db: DataFlow, calls: Sequence[Call]) -> list[Outcome]:
        with db.tenant(OURS):
            return [await outcome(db, call) for call in calls]

    async def _by_parameter(self, db: DataFlow, calls: Sequence[Call]) -> list[Outcome]:
        return [await outcome(db, call, tenant_id=OURS) for call in calls if _has_tenant(call)]

    async def _without(self, db: DataFlow, calls: Sequence[Call]) -> list[Outcome]:
        """Without any tenant: no row is found, and none is written."""
        done = [await outcome(db, call) for call in calls]
        for call, one in zip(calls, done, strict=True):
            # Where the database keeps them apart itself, an empty answer says nothing.
            refused = self.above is None and _has_tenant(call)
            if refused and _says_something(one.get("result")):
                raise Leak(f"without a tenant: {call} gives {one}")
        return done

    async def _transaction(self, db: DataFlow, calls: Sequence[Call]) -> list[Outcome]:
        rng, done = self.rng, list[Outcome]()
        kept, each = rng.random() < 0.6, rng.random() < 0.5
        with db.tenant(OURS):
            try:
                async with db.transaction(statement_savepoints=each):
                    for call in calls:
                        nested = rng.random()
                        try:
                            async with db.transaction() if nested < 0.4 else nullcontext():
                                done.append(await outcome(db, call, again=nested < 0.4))
                                if nested < 0.15:
                                    raise _Undo
                        except _Undo:
                            pass
                    if not kept:
                        raise _Undo
            except (_Undo, DataFlowError) as error:
                done.append({"left": type(error).__name__})
        return done

    async def _workflow(self, db: DataFlow, calls: Sequence[Call]) -> list[Outcome]:
        builder = WorkflowBuilder(db)
        for at, call in enumerate(calls):
            builder.add_node(call.node, f"n{at}", call.parameters)
        try:
            # One node after the other, else what is done beside one that fails is left to chance.
            runtime = AsyncLocalRuntime(concurrency=1)
            results, _ = await runtime.execute(builder.build(), tenant_id=OURS)
        except DataFlowError as error:
            return [failed(error)]
        return [{"result": plain(results)}]

    async def _together(self, db: DataFlow, calls: Sequence[Call]) -> list[Outcome]:
        """Beside other tenants, whose tasks share the loop and the connections."""
        async with asyncio.TaskGroup() as group:
            ours = group.create_task(self._within(db, calls))
            if db is self.mixed:
                theirs = [group.create_task(self._of_theirs()) for _ in range(2)]
                third = group.create_task(self._of_third())
        if db is self.mixed:
            for task in theirs:
                if task.result() != self.theirs:
                    raise Leak(f"beside {calls}, theirs gave {task.result()}")
            if third.result():
                raise Leak(f"beside {calls}, the third gave {third.result()}")
        return ours.result()

    async def _streamed(self, db: DataFlow, calls: Sequence[Call]) -> list[Outcome]:
        """As a stream, whose rows are asked for while another tenant is in force."""
        [call] = calls
        name = call.node.removesuffix("ListNode")
        known = ("filter", "order_by", "limit", "select", "distinct", "include_deleted")
        given = {key: value for key, value in call.parameters.items() if key in known}
        try:
            with db.tenant(OURS):
                stream = getattr(db.nodes, name).stream(**given)
            with db.tenant(THEIRS) if self.rng.random() < 0.5 else nullcontext():
                return [{"result": plain([row async for row in stream])}]
        except DataFlowError as error:
            return [failed(error)]

    async def _files(self, db: DataFlow, calls: Sequence[Call]) -> list[Outcome]:
        """Rows into a file, and from there again."""
        [call] = calls
        name = call.node.removesuffix("ListNode")
        path = self.folder / "rows.jsonl"
        model = self.calls.models[name]
        select = [item.name for item in model.fields if item.required or item.name == KEY.get(name)]
        asked = {"filter": call.parameters["filter"], "select": select}
        with db.tenant(OURS):
            out = Call(f"{name}ExportNode", {"path": path, "overwrite": True, **asked})
            done = [await outcome(db, out)]
            if "result" in done[0]:
                done[0]["text"] = path.read_text(encoding="utf-8")
                done[0]["result"]["text"] = done[0]["text"]
                into = {"path": path, "conflict": self.rng.choice(("skip", "error"))}
                done.append(await outcome(db, Call(f"{name}ImportNode", into)))
        return done

    async def _pages(self, db: DataFlow, calls: Sequence[Call]) -> list[Outcome]:
        """Page by page; now and then after a cursor that another tenant was given."""
        [call] = calls
        known = ("filter", "order_by", "include_deleted")
        given = {key: value for key, value in call.parameters.items() if key in known}
        given["limit"] = self.rng.randint(1, 4)
        cursor, done = None, list[Outcome]()
        if self.rng.random() < 0.5:
            with self.mixed.tenant(THEIRS):
                taken = await outcome(self.mixed, Call(call.node, given))
            cursor = taken.get("cursor")
        with db.tenant(OURS):
            while True:
                done.append(await outcome(db, Call(call.node, {**given, "cursor": cursor})))
                cursor = done[-1].pop("cursor", None)
                if cursor is None:
                    return done

    # What others do

    async def _of_theirs(self) -> Outcome:
        with self.mixed.tenant(THEIRS):
            people = Call("PersonListNode", {"include": ["team", "tasks"]})
            tags = Call("TagListNode", {"aggregate": [{"$sortByCount": "$note"}]})
            found = [await outcome(self.mixed, call) for call in (people, tags)]
        if "of-us" in repr(found) or "of-third" in repr(found):
            raise Leak(f"they see others' rows: {found}")
        return {"found": found}

    async def _of_third(self) -> list[Any]:
        """Rows that come and go; what is wrong with them."""
        db = self.mixed
        with db.tenant(THIRD):
            await db.run("TagCreateNode", code="passing", slug="passing", note="of-third-99")
            await db.run("TagUpdateNode", code="passing", fields={"$inc": {"amount": 1}})
            row = (await db.run("TagReadNode", code="passing"))["result"]
            gone = await db.run("TagDeleteNode", code="passing")
            number = (await db.run("TagCountNode"))["count"]
        expected = ("passing", 1, THIRD, True, 12)
        got = (row["code"], row["amount"], row["tenant_id"], gone["deleted"], number)
        return [] if got == expected else [row, gone, number]

    # What is stored

    async def _look(self) -> None:
        """All of our rows on both databases, and what the calls know of them."""
        for name in (*KEY, "Region"):
            rows = []
            for db in (self.mixed, self.alone):
                lifted = {"include_deleted": True} if name in ("Team", "Person", "Task") else {}
                with db.tenant(OURS):
                    rows.append((await db.run(f"{name}ListNode", **lifted))["records"])
            found = first_difference(plain(rows[0]), plain(rows[1]))
            if found is not None:
                raise Leak(f"the rows of {name} differ: {found}")
            self.calls.rows[name] = rows[1]

    async def _stored(self) -> None:
        """The rows of others are as they were."""
        found = first_difference(await rows_of_others(self.above or self.mixed), self.before)
        if found is not None:
            raise Leak(f"rows of others were changed: {found}")


def kind_of(call: Call) -> str:
    """The kind of its node, without the name of the model."""
    return next(
        call.node.removeprefix(name).removesuffix("Node")
        for name in (*KEY, "Region")
        if call.node.startswith(name)
    )


def _says_something(value: Any) -> bool:
    """Whether a result has anything in it but nought, that all went well, and what failed."""
    if isinstance(value, Mapping):
        return any(_says_something(item) for key, item in value.items() if key not in _TRIED)
    if isinstance(value, list):
        return any(map(_says_something, value))
    return value is not True and bool(value)


def _has_tenant(call: Call) -> bool:
    return not call.node.startswith("Region")


async def outcome(db: DataFlow, call: Call, *, again: bool = False, **further: Any) -> Outcome:
    """What a call gives, or raises; ``again``: raise it on as well."""
    try:
        result = await db.run(call.node, **{**call.parameters, **further})
    except DataFlowError as error:
        if again:
            raise
        return failed(error)
    done: Outcome = {"result": plain(result)}
    if "next_cursor" in result:
        done["cursor"] = result["next_cursor"]
        done["result"]["next_cursor"] = result["next_cursor"] is not None
    return done


def failed(error: DataFlowError) -> Outcome:
    """What an error tells, and the error."""
    told = error.to_dict()
    told["context"].pop("run_id", None)
    # What else of a workflow came to its end is a matter of time.
    told.pop("finished", None)
    return {"error": plain(told), "message": str(error), "raised": error}


def plain(value: Any) -> Any:
    """A result without the moments of the two runs."""
    if isinstance(value, dt.datetime) and value.year in (2025, 2026, 2027):
        return "now"
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
