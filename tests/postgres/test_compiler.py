from __future__ import annotations

import asyncio
import itertools
import math
import random
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.contract import Server
from dataflow_core.errors import LimitExceeded, PatternRefused
from dataflow_core.filters import fold, upper
from dataflow_core.schema.declare import field
from dataflow_core.types import Date, Float, Integer, Text
from dataflow_postgres.compiler import FOLDING_COLLATIONS, PostgresCompiler
from dataflow_postgres.connection import PostgresConnection
from dataflow_postgres.dialect import PostgresDialect
from dataflow_postgres.expressions import once
from tests.postgres.support import value


class Ticket:
    __dataflow__ = {"table": "tickets", "timestamps": False}
    status: str = field(default="open", index=True)
    owner: int | None = field(default=None, index=True)


@pytest.fixture
async def db(url: str) -> AsyncIterator[DataFlow]:
    """A handle with one model; its table is there."""
    handle = DataFlow(url, pool_size=8)
    handle.model(Ticket)
    await handle.run("TicketCountNode", filter={})
    yield handle
    await handle.aclose()


# Texts


@pytest.mark.parametrize("folding", [None, *FOLDING_COLLATIONS])
async def test_every_letter_changes_its_case_as_in_python(
    connection: PostgresConnection, folding: str | None
) -> None:
    """lower and upper are those of the core for every character, with and without a collation."""
    sql = "SELECT count(*) FROM pg_collation WHERE collname = $1::text"
    if folding is not None and not await value(connection, sql, folding):
        # It comes with another version; the server of this run has others of the list.
        folding = None
    compiler = PostgresCompiler({}, folding)
    # Every character of the planes that have letters, and some of those that have none yet.
    codes = [*range(1, 0xD800), *range(0xE000, 0x20000), *range(0x20000, 0x110000, 997), 0x10FFFF]
    letters = list(map(chr, codes))
    rows = await connection.fetch(
        f"SELECT t, {compiler.folded('t')}, {compiler.uppered('t')} FROM unnest($1::text[]) AS t",
        (letters,),
    )
    assert len(rows) == len(letters)
    assert [t for t, low, high in rows if (low, high) != (fold(t), upper(t))] == []


def test_the_collation_is_that_of_the_server() -> None:
    """The dialect uses the first collation that a server has, and a table where it has none."""
    dialect = PostgresDialect()
    old = Server("PostgreSQL", (14, 1), {"collations": "und-x-icu C.utf8"})
    assert dialect.adapt(old).compiler.folding == "C.utf8"  # type: ignore[attr-defined]
    assert dialect.adapt(Server("PostgreSQL", (15, 0))) is dialect
    assert dialect.compiler.folding is None  # type: ignore[attr-defined]


async def test_the_driver_finds_a_collation(connection: PostgresConnection) -> None:
    """What the driver found out about collations is there on the server."""
    sql = "SELECT count(*) FROM pg_collation WHERE collname = $1::text"
    name = connection.server.details.get("collations", "")
    known = [await value(connection, sql, item) for item in FOLDING_COLLATIONS]
    assert bool(name) is any(known)
    assert not name or await value(connection, sql, name) > 0


async def test_a_pattern_too_large_for_the_server(db: DataFlow) -> None:
    """A pattern that PostgreSQL cannot hold is refused as such."""
    with pytest.raises((PatternRefused, LimitExceeded)):
        await db.run("TicketListNode", filter={"status": {"$regex": "(a{255}b){255}"}})


# Floats


def _finite(rng: random.Random) -> float:
    while True:
        number: float = struct.unpack("d", struct.pack("Q", rng.getrandbits(64)))[0]
        if math.isfinite(number):
            return number


_SPECIAL = (
    *(0.0, -0.0, 1.0, -1.0, 0.1, 0.3, -7.5, 5.5, 2.0, 1e22, 9007199254740992.0, 5e-324, 1e-323),
    *(2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308, 1e-160, 1e160),
    *(3e-162, 2.0**-537, 2.0**-538, 2.0**-536, 1 - 2.0**-53),
)


def _quotient(one: float, other: float) -> float | None:
    return None if other == 0 else one / other


def _remainder(one: float, other: float) -> float | None:
    return None if other == 0 else math.fmod(one, other)


_FUNCTIONS: dict[str, Callable[[float, float], float | None]] = {
    "multiply": lambda one, other: one * other,
    "divide": _quotient,
    "mod": _remainder,
}


@pytest.mark.parametrize("name", _FUNCTIONS)
async def test_floats_are_computed_as_in_python(
    connection: PostgresConnection, name: str, seed: int
) -> None:
    """Products, quotients and remainders have every bit of Python's, down to the least float."""
    rng = random.Random(seed)
    pairs = [*itertools.product(_SPECIAL, _SPECIAL)]
    pairs += [(_finite(rng), _finite(rng)) for _ in range(3_000)]
    expected = []
    for pair in pairs:
        try:
            expected.append(_FUNCTIONS[name](*pair))
        except OverflowError:
            expected.append(math.inf)
    known = [
        (pair, result)
        for pair, result in zip(pairs, expected, strict=True)
        if result is None or math.isfinite(result)
    ]
    compiler = PostgresCompiler({})
    sql = {
        "multiply": compiler.multiply([("a", Float()), ("b", Float())], Float()),
        "divide": compiler.quotient("a", "b"),
        "mod": compiler.arithmetic("mod", ["a", "b"], Float()),
    }[name]
    rows = await connection.fetch(
        f"SELECT {sql} FROM unnest($1::float8[], $2::float8[]) AS t (a, b)",
        ([pair[0] for pair, _ in known], [pair[1] for pair, _ in known]),
    )
    wrong = [
        (pair, row[0], result)
        for row, (pair, result) in zip(rows, known, strict=True)
        if row[0] != result
    ]
    assert wrong == []


def test_a_long_operand_is_written_once() -> None:
    """What a function needs several times is computed once if it is long."""
    assert once("{a} + {a}", a="x") == "(x + x)"
    assert once("{a} + {a}", a="x" * 300).count("x" * 300) == 1


# Parameters and literals


def test_parameters_have_types() -> None:
    """The text says the type of every value; days travel as text."""
    compiler = PostgresCompiler({})
    assert compiler.parameter(1, Integer(32)) == "$1::bigint"
    assert compiler.parameter(2, Date()) == "$2::text::date"
    assert compiler.parameter(3, None) == "$3"


@pytest.mark.parametrize("standard", ["on", "off"])
async def test_literals_are_read_alike(connection: PostgresConnection, standard: str) -> None:
    """A literal means the same text however the server reads backslashes."""
    await connection.execute(f"SET standard_conforming_strings = {standard}", ())
    for text in ("", "a'b", "\\", "\\'", "'; --", "ü\\n'"):
        literal = PostgresCompiler({}).literal(text, Text())
        assert await value(connection, f"SELECT {literal}::text") == text


async def test_a_list_is_one_value(db: DataFlow) -> None:
    """Lists of any length make the same statement."""
    texts = set()
    for length in (1, 3, 50):
        shown = db.explain("TicketListNode", filter={"owner": {"$in": list(range(length))}})
        texts.add(shown[-1].sql)
    [text] = texts
    assert '"owner" = ANY ($1::bigint[])' in text


# Indexes

INDEXED = (
    {"owner": 5},
    {"owner": {"$in": [1, 2, 3]}},
    {"owner": {"$gt": 5, "$lt": 9}},
    {"owner": None},
    {"status": {"$startswith": "op"}},
    {"status": {"$regex": "^op"}},
    {"status": {"$in": ["a", "b"]}},
)


@pytest.mark.parametrize("document", INDEXED)
async def test_filters_use_indexes(
    db: DataFlow, connection: PostgresConnection, document: dict[str, Any]
) -> None:
    """Equality, lists, ranges, NULL and prefixes of indexed fields need no look at every row."""
    rows = [{"status": f"s{n}", "owner": n} for n in range(3_000)]
    await db.run("TicketBulkCreateNode", data=rows)
    await connection.execute("ANALYZE tickets", ())
    statement = db.explain("TicketListNode", filter=document)[-1]
    plan = await connection.fetch(f"EXPLAIN {statement.sql}", statement.parameters)
    text = "\n".join(row[0] for row in plan)
    assert "Index" in text
    assert "Seq Scan" not in text


# The counter of a key


async def _next_id(db: DataFlow) -> int:
    made = await db.run("TicketCreateNode", values={})
    return int(made["result"]["id"])


async def test_the_counter_follows_given_ids(db: DataFlow) -> None:
    """After ids that were given, near or far, single or many, the next one is free."""
    await db.run("TicketCreateNode", values={"id": 1})
    assert await _next_id(db) == 2
    await db.run("TicketCreateNode", values={"id": 5_000_000})
    assert await _next_id(db) == 5_000_001
    await db.run("TicketBulkCreateNode", data=[{"id": 5_000_010 - n} for n in range(3)])
    assert await _next_id(db) == 5_000_011
    await db.run("TicketBulkUpsertNode", data=[{"id": 6_000_000, "status": "x"}])
    assert await _next_id(db) == 6_000_001


async def test_the_counter_never_goes_back(db: DataFlow) -> None:
    """A small, or negative, id that is given does not move the counter."""
    await db.run("TicketCreateNode", values={"id": 2_000})
    await db.run("TicketCreateNode", values={"id": 50})
    await db.run("TicketCreateNode", values={"id": -7})
    assert await _next_id(db) == 2_001


async def test_skipped_rows_are_counted_right(db: DataFlow) -> None:
    """Where the counter moves, the statement still tells how many rows it wrote."""
    await db.run("TicketCreateNode", values={"id": 3})
    result = await db.run(
        "TicketBulkCreateNode", data=[{"id": 2}, {"id": 3}, {"id": 4}], conflict="skip"
    )
    assert (result["inserted"], result["skipped"]) == (2, 1)
    assert await _next_id(db) == 5


async def test_given_and_counted_ids_at_once(db: DataFlow) -> None:
    """Many writers with and without ids, near and far: afterwards every counted id is free."""

    async def given(start: int) -> None:
        for step in range(15):
            await db.run("TicketCreateNode", values={"id": start + step * 1_777})

    # 7 and 1,777 have no common factor, so no two of these ids are the same.
    await asyncio.gather(*(given(10_000_000 + worker * 7) for worker in range(8)))
    found = await db.run("TicketListNode", filter={}, order_by=["-id"], limit=1)
    greatest = found["records"][0]["id"]
    ids = await asyncio.gather(*(_next_id(db) for _ in range(20)))
    assert min(ids) > greatest
    assert len(set(ids)) == 20


# Claims


async def test_a_row_is_claimed_once(db: DataFlow) -> None:
    """Eight tasks that claim the open rows one by one never get the same row."""
    for _ in range(20):
        made = await db.run("TicketCreateNode", values={})
        claims = await asyncio.gather(
            *(
                db.run("TicketUpdateNode", filter={"status": "open"}, fields=_taken(owner))
                for owner in range(8)
            ),
            return_exceptions=True,
        )
        owners = [_result(claim)["owner"] for claim in claims if _got(claim)]
        stored = await db.run("TicketReadNode", id=made["result"]["id"])
        assert owners == [stored["result"]["owner"]]


def _taken(owner: int) -> dict[str, Any]:
    return {"status": "taken", "owner": owner}


def _result(claim: Any) -> Any:
    return claim["result"]


def _got(claim: Any) -> bool:
    if isinstance(claim, BaseException):
        # Those that came too late say that there is no such row.
        assert type(claim).__name__ == "RecordNotFound"
        return False
    return claim.get("result") is not None


async def test_a_row_is_deleted_once(db: DataFlow) -> None:
    """Eight tasks that remove the open row: one of them gets it."""
    for _ in range(10):
        await db.run("TicketCreateNode", values={})
        removed = await asyncio.gather(
            *(db.run("TicketDeleteNode", filter={"status": "open"}) for _ in range(8)),
            return_exceptions=True,
        )
        assert sum(_got(claim) for claim in removed) == 1
