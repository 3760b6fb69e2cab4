"""Calls that are made at the same moment share a statement, and nobody can tell by the results."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from dataflow_core import AsyncLocalRuntime, WorkflowBuilder, field
from dataflow_core.conformance.registry import case
from dataflow_core.errors import CheckViolation, RecordNotFound, UniqueViolation
from dataflow_core.run.observing import EachStatement

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_CONCURRENCY: Final = "concurrency"
_FEW: Final = 8
"""At most so many statements: the first call's, those of all others, what is read back, spare."""


class Note:
    """A text, a unique code, and a document."""

    id: int
    text: str = ""
    code: str | None = field(default=None, unique=True)
    n: int = field(default=0, check={"$gte": 0})
    document: dict | None = None  # type: ignore[type-arg]


async def _notes(session: Session, count: int = 0, **options: Any) -> Any:
    """The model, with so many rows; whatever is called for the first time has been called."""
    model = session.model(Note, **options)
    data = [{"id": n, "text": f"note {n}", "document": {"list": [n]}} for n in range(1, count + 1)]
    await session.run(model, "BulkCreate", data=data)
    await session.run(model, "Read", id=0, raise_on_not_found=False)
    return model


async def _together(*calls: Any) -> list[Any]:
    """What calls give that are made in one turn of the loop, errors included."""
    return await asyncio.gather(*calls, return_exceptions=True)


@case("coalescing.reads", feature=_CONCURRENCY, since="0.2")
async def reads(session: Session) -> None:
    """Reads by key that are made at the same moment need few statements, each its own row."""
    model = await _notes(session, 40)
    before = session.database.statements
    found = await _together(*(session.run(model, "Read", id=n) for n in range(40, 0, -1)))
    sent = session.database.statements - before
    session.equal([row["text"] for row in found], [f"note {n}" for n in range(40, 0, -1)])
    session.equal(
        [row["result"]["document"] for row in found][:2], [{"list": [40]}, {"list": [39]}]
    )
    session.true(sent <= _FEW, f"40 reads sent {sent} statements")
    session.equal(session.database.pool_in_use(), 0, "connections in use")


@case("coalescing.lone", feature=_CONCURRENCY, since="0.2")
async def lone(session: Session) -> None:
    """Calls one after the other send a statement each, with one key or one row."""
    model = await _notes(session, 3)
    for number in (1, 2, 3):
        before = session.database.statements
        found = await session.run(model, "Read", id=number)
        session.equal((found["id"], session.database.statements - before), (number, 1))
    made = [(await session.run(model, "Create", text=f"{n}"))["text"] for n in range(3)]
    session.equal(made, ["0", "1", "2"])


@case("coalescing.missing", feature=_CONCURRENCY, since="0.2")
async def missing(session: Session) -> None:
    """A key that is not there is RecordNotFound for who asked for it, and for nobody else."""
    model = await _notes(session, 3)
    keys = [1, 99, 2, 98, 3]
    found = await _together(
        *(session.run(model, "Read", id=key) for key in keys),
        session.run(model, "Read", id=97, raise_on_not_found=False),
    )
    session.equal([row["id"] for row in found[:5:2]], [1, 2, 3])
    session.true(
        all(type(error) is RecordNotFound for error in found[1:4:2]), f"they are {found[1:4:2]}"
    )
    session.equal(found[5], {"found": False, "result": None})


@case("coalescing.same_key", feature=_CONCURRENCY, since="0.2")
async def same_key(session: Session) -> None:
    """Who asks for the same row at the same moment gets a dict of its own, all the way down."""
    model = await _notes(session, 2)
    found = await _together(*(session.run(model, "Read", id=1 + n // 5) for n in range(10)))
    for row in found:
        row["result"]["document"]["list"].append("mine")
        row["result"]["text"] = "mine"
    session.equal(
        [row["document"] for row in found], [{"list": [1 + n // 5, "mine"]} for n in range(10)]
    )
    session.equal((await session.run(model, "Read", id=1))["document"], {"list": [1]})


@case("coalescing.select", feature=_CONCURRENCY, since="0.2")
async def select(session: Session) -> None:
    """Reads of different fields at the same moment give just those, also without the key."""
    model = await _notes(session, 6)
    await session.run(model, "Read", id=1, select=["text"])
    await session.run(model, "Read", id=1, select=["n", "id"])
    found = await _together(
        *(session.run(model, "Read", id=n, select=["text"]) for n in range(1, 6)),
        *(session.run(model, "Read", id=n, select=["n", "id"]) for n in range(1, 6)),
    )
    texts, numbers = (
        [{"text": f"note {n}"} for n in range(1, 6)],
        [{"n": 0, "id": n} for n in range(1, 6)],
    )
    session.equal([row["result"] for row in found], [*texts, *numbers])


class Word:
    """Text as a key."""

    id: str
    n: int = 0


class Token:
    """A UUID as a key."""

    id: UUID
    n: int = 0


class Day:
    """A date as a key."""

    day: dt.date = field(primary_key=True)
    n: int = 0


@case("coalescing.keys", feature=_CONCURRENCY, since="0.2")
async def keys(session: Session) -> None:
    """Keys of every kind find their own row: texts by code point, trailing spaces included."""
    words = ["a", "A", "a ", "ä", "a\u0308", "é", "\U0001f600", "10", "1e1"]
    tokens = [UUID(int=2**127 + n) for n in range(9)]
    days = [dt.date(2024, 2, 21 + n) for n in range(9)]
    for cls, name, values in ((Word, "id", words), (Token, "id", tokens), (Day, "day", days)):
        model = session.model(cls)
        stored = values[:-1]
        await session.load(model, [{name: value, "n": n} for n, value in enumerate(stored)])
        read = partial(session.run, model, "Read", raise_on_not_found=False)
        found = await _together(*(read(**{name: value}) for value in (*values, *values)))
        expected = [*range(len(stored)), None] * 2
        session.equal([row.get("n") for row in found], expected, f"{cls.__name__} by {name}")


@case("coalescing.creates", feature=_CONCURRENCY, since="0.2")
async def creates(session: Session) -> None:
    """Creates at the same moment need few statements; each gives its row, and all are stored."""
    model = await _notes(session)
    await session.run(model, "Create", text="first", n=0)
    before = session.database.statements
    made = await _together(*(session.run(model, "Create", text=f"{n}", n=n) for n in range(40)))
    sent = session.database.statements - before
    session.true(sent <= _FEW, f"40 creates sent {sent} statements")
    session.equal(
        [(row["text"], row["n"], row["created"]) for row in made],
        [(f"{n}", n, True) for n in range(40)],
    )
    session.equal(len({row["id"] for row in made}), 40, "different keys")
    stored = await session.rows(model, {"text": {"$ne": "first"}})
    session.equal(stored, sorted((row["result"] for row in made), key=lambda row: row["id"]))


@case("coalescing.columns", feature=_CONCURRENCY, since="0.2")
async def columns(session: Session) -> None:
    """Creates with different fields at the same moment each get their own and the defaults."""
    model = await _notes(session)
    made = await _together(
        *(session.run(model, "Create", text=f"{n}") for n in range(5)),
        *(session.run(model, "Create", n=n) for n in range(5)),
        *(session.run(model, "Create", values={"document": {"n": n}}) for n in range(5)),
    )
    told = [(row["text"], row["n"], row["document"]) for row in made]
    session.equal(told[:5], [(f"{n}", 0, None) for n in range(5)])
    session.equal(told[5:10], [("", n, None) for n in range(5)])
    session.equal(told[10:], [("", 0, {"n": n}) for n in range(5)])
    made = await _together(*(session.run(model, "Create", id=1_000 + n, n=n) for n in range(5)))
    session.equal([(row["id"], row["n"]) for row in made], [(1_000 + n, n) for n in range(5)])


@case("coalescing.violation", feature=_CONCURRENCY, since="0.2")
async def violation(session: Session) -> None:
    """Of creates at the same moment those that break a rule fail, each with its own error."""
    model = await _notes(session, 1)
    await session.run(model, "Create", code="taken", n=1)
    values = [{"code": f"c{n}", "n": n} for n in range(12)]
    values[4]["code"], values[9]["n"] = "taken", -1
    made = await _together(*(session.run(model, "Create", values=row) for row in values))
    session.true(type(made[4]) is UniqueViolation, f"the fifth is {made[4]!r}")
    session.true(type(made[9]) is CheckViolation, f"the tenth is {made[9]!r}")
    session.equal((made[4].columns, made[4].index, made[4].outcome), (("code",), None, "not done"))
    good = [n for n in range(12) if n not in (4, 9)]
    session.equal([made[n]["code"] for n in good], [f"c{n}" for n in good])
    stored = await session.rows(model, {"code": {"$startswith": "c"}})
    session.equal(sorted(row["n"] for row in stored), good)
    session.equal(session.database.pool_in_use(), 0, "connections in use")


@case("coalescing.same_new_key", feature=_CONCURRENCY, since="0.2")
async def same_new_key(session: Session) -> None:
    """Of creates of one key at the same moment exactly one succeeds; the others are unharmed."""
    model = await _notes(session)
    made = await _together(*(session.run(model, "Create", id=n // 3, n=n) for n in range(3, 15)))
    failed = [one for one in made if isinstance(one, BaseException)]
    session.true(all(type(one) is UniqueViolation for one in failed), f"they are {failed}")
    session.equal(len(failed), 8)
    won = {one["id"]: one["n"] for one in made if isinstance(one, dict)}
    session.equal({row["id"]: row["n"] for row in await session.rows(model)}, won)


@case("coalescing.cancelled", feature=_CONCURRENCY, also=("cancellation",), since="0.2")
async def one_cancelled(session: Session) -> None:
    """Who is cancelled leaves its own place only: before it is sent, its row is not stored."""
    model = await _notes(session)
    await session.run(model, "Create", text="first", n=0)

    async def create(number: int) -> Any:
        return await session.run(model, "Create", text="mine", n=number)

    tasks = [asyncio.ensure_future(create(n)) for n in range(10)]
    # Within the turn in which they are made, behind their calls and before its end.
    asyncio.get_running_loop().call_soon(tasks[5].cancel)
    made = await _together(*tasks)
    session.true(isinstance(made[5], asyncio.CancelledError), f"the sixth is {made[5]!r}")
    others = [n for n in range(10) if n != 5]
    session.equal([made[n]["n"] for n in others], others)
    stored = await session.rows(model, {"text": "mine"})
    session.equal(sorted(row["n"] for row in stored), others)
    session.equal(session.database.pool_in_use(), 0, "connections in use")


@case("coalescing.all_cancelled", feature=_CONCURRENCY, also=("cancellation",), since="0.2")
async def all_cancelled(session: Session) -> None:
    """Where all are cancelled no connection stays in use, and later calls have right answers."""
    model = await _notes(session, 20)
    for number in range(12):
        calls = [session.run(model, "Read", id=n) for n in range(1, 21)]
        calls += [session.run(model, "Create", text=f"{number}") for n in range(20)]
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0.0004 * number)
        for task in tasks:
            task.cancel()
        await _together(*tasks)
        session.equal(session.database.pool_in_use(), 0, "connections in use")
        found = await _together(*(session.run(model, "Read", id=n) for n in range(1, 21)))
        session.equal([row["id"] for row in found], list(range(1, 21)))


@case("coalescing.timeout", feature=_CONCURRENCY, also=("cancellation",), since="0.2")
async def one_timed_out(session: Session) -> None:
    """A limit of time around one call ends that call, and the others go on."""
    model = await _notes(session, 10)

    async def read(number: int) -> Any:
        async with asyncio.timeout(0 if number == 7 else 30):
            return await session.run(model, "Read", id=number)

    found = await _together(*(read(n) for n in range(1, 11)))
    session.true(isinstance(found[6], TimeoutError), f"the seventh is {found[6]!r}")
    session.equal(
        [row["id"] for row in found if isinstance(row, dict)], [1, 2, 3, 4, 5, 6, 8, 9, 10]
    )


@case("coalescing.transaction", feature=_CONCURRENCY, also=("transactions",), since="0.2")
async def in_a_transaction(session: Session) -> None:
    """In a transaction each call is a statement of its own, and is undone with it."""
    model = await _notes(session, 10)
    await session.run(model, "Create", id=50, n=1)
    with suppress(LookupError):
        async with session.db.transaction():
            before = session.database.statements
            await asyncio.gather(*(session.run(model, "Read", id=n) for n in range(1, 11)))
            session.equal(session.database.statements - before, 10, "statements of ten reads")
            await asyncio.gather(*(session.run(model, "Create", id=60 + n, n=1) for n in range(5)))
            raise LookupError
    session.equal(len(await session.rows(model)), 11)


@case("coalescing.beside_transactions", feature=_CONCURRENCY, also=("transactions",), since="0.2")
async def beside_transactions(session: Session) -> None:
    """What is called at the same moment outside a transaction is stored when that is undone."""
    model = await _notes(session)
    await session.run(model, "Create", id=1, n=0)
    may_end = asyncio.Event()

    async def undone() -> None:
        with suppress(LookupError):
            async with session.db.transaction(read_only=True):
                await may_end.wait()
                # Tasks of a transaction inherit it; their calls must not carry others along.
                await asyncio.gather(*(session.run(model, "Read", id=1) for _ in range(3)))
                raise LookupError

    async def create(number: int) -> Any:
        await may_end.wait()
        return await session.run(model, "Create", id=number, n=1)

    tasks: list[Any] = [asyncio.ensure_future(undone())]
    tasks += [asyncio.ensure_future(create(n)) for n in range(2, 12)]
    await asyncio.sleep(0.05)
    may_end.set()
    made = await asyncio.gather(*tasks)
    session.equal([row["id"] for row in made[1:]], list(range(2, 12)))
    session.equal(len(await session.rows(model)), 11)


@case("coalescing.off", feature=_CONCURRENCY, since="0.2")
async def switched_off(session: Session) -> None:
    """With coalesce=False, of a call, a model or an instance, each call is its own statement."""
    model = await _notes(session, 5)
    before = session.database.statements
    await asyncio.gather(*(session.run(model, "Read", id=n, coalesce=False) for n in range(1, 6)))
    session.equal(session.database.statements - before, 5, "of five reads, by the call")
    made = await asyncio.gather(
        *(session.run(model, "Create", n=n, coalesce=False) for n in range(5))
    )
    session.equal([row["n"] for row in made], [0, 1, 2, 3, 4])
    loner = session.model(_Loner)
    await session.load(loner, [{"id": n} for n in range(1, 6)])
    await session.run(loner, "Read", id=1)
    before = session.database.statements
    await asyncio.gather(*(session.run(loner, "Read", id=n) for n in range(1, 6)))
    session.equal(session.database.statements - before, 5, "of five reads, by the model")
    handle = session.another(coalesce=False)
    session.model(Note, on=handle)
    await handle.run("NoteBulkCreateNode", data=[{"id": n} for n in range(1, 6)])
    sent: list[str] = []
    handle.engine().observe(EachStatement(lambda sql, _: sent.append(sql)))
    await asyncio.gather(*(handle.run("NoteReadNode", id=n) for n in range(1, 6)))
    session.equal(len(sent), 5, "of five reads, by the instance")


class _Loner:
    """Each call goes alone."""

    id: int
    n: int = 0

    __dataflow__: Final = {"coalesce": False}


@case("coalescing.workflow", feature=_CONCURRENCY, since="0.2")
async def workflow(session: Session) -> None:
    """Reads of a workflow that do not wait for each other need few statements."""
    model = await _notes(session, 10)
    builder = WorkflowBuilder(session.db)
    for number in range(1, 11):
        builder.add_node(f"{model.name}ReadNode", f"n{number}", {"id": number})
    before = session.database.statements
    results, _ = await AsyncLocalRuntime().execute(builder.build())
    sent = session.database.statements - before
    session.equal(
        [results[f"n{n}"]["text"] for n in range(1, 11)], [f"note {n}" for n in range(1, 11)]
    )
    session.true(sent <= _FEW, f"10 reads sent {sent} statements")


@case("coalescing.many", feature=_CONCURRENCY, since="0.2")
async def many(session: Session) -> None:
    """More calls at the same moment than one statement takes all get their answer."""
    model = await _notes(session)
    await session.run(model, "Create", n=0)
    made = await _together(*(session.run(model, "Create", n=n) for n in range(1_300)))
    session.equal([row["n"] for row in made], list(range(1_300)))
    found = await _together(*(session.run(model, "Read", id=row["id"]) for row in made))
    session.equal([row["n"] for row in found], list(range(1_300)))
    session.equal(session.database.pool_in_use(), 0, "connections in use")
