from __future__ import annotations

import asyncio
import datetime as dt
import math
import uuid
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.conformance.equality import first_difference
from dataflow_core.conformance.servers import SharedServer

PAIRS = [
    pytest.param(*pair, marks=pytest.mark.databases(*pair))
    for pair in permutations(("sqlite", "postgres", "mysql"), 2)
]


class Sample:
    """A column of every type, under a key of text."""

    __dataflow__ = {"timestamps": False}

    id: str = field(primary_key=True)
    text: str | None
    whole: int | None
    real: float | None
    exact: Decimal | None = field(precision=38, scale=18)
    yes: bool | None
    raw: bytes | None
    moment: dt.datetime | None
    day: dt.date | None
    time: dt.time | None
    unique: uuid.UUID | None
    document: dict | None
    items: list | None


NESTED = {
    "a": {"b": [1, 2.5, "x", None, True, {"c": []}], "": 0},
    "key with spaces": "é",
    "number": 2**63 - 1,
    "small": -(2**63),
    "deep": {"one": {"two": {"three": ["😀"]}}},
}
VALUES: dict[str, list[Any]] = {
    "text": [
        "", "a", "a ", " a", "A", "ß", "ss", "ẞ", "é", "e\u0301", "😀", "🏴\u200d☠️", "\u202eabc",
        "'", '"', "\\", "%", "_", "\n\r\t\x01", "x" * 5_000, "null", "0", "İi", "\U0010ffff",
    ],
    "whole": [0, -1, 2**63 - 1, -(2**63), 2**53 + 1],
    "real": [0.0, 0.1, -1e300, 5e-324, 1.7976931348623157e308, 2.5, math.pi],
    "exact": [
        Decimal(0), Decimal("0.000000000000000001"),
        Decimal("-12345678901234567890.123456789012345678"),
        Decimal("99999999999999999999.999999999999999999"), Decimal("1.5"),
    ],
    "yes": [True, False],
    "raw": [b"", b"\x00\xff", bytes(range(256)), b"a'b\\c\n", b"\x00" * 1_000],
    "moment": [
        dt.datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(1900, 1, 1, tzinfo=dt.UTC),
        dt.datetime(9998, 12, 31, 1, 2, 3, 4, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 31, 2, 30, tzinfo=dt.timezone(dt.timedelta(hours=-5))),
    ],
    "day": [dt.date(2024, 2, 29), dt.date(1, 1, 1), dt.date(9999, 12, 31)],
    "time": [dt.time(0), dt.time(23, 59, 59, 999_999), dt.time(12, 0, 0, 1)],
    "unique": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.UUID(int=2**64 + 5)],
    "document": [{}, NESTED, {"x": None}, {"1": [[1], [2, [3]]]}],
    "items": [[], [1, "1", 1.5, None, True], [NESTED]],
}  # fmt: skip
KEYS = ["k", "K", "k ", "ключ", "😀", "e\u0301", "é", "ß", "a" * 200, 'it\'s "so" \\ % _']


def rows() -> list[dict[str, Any]]:
    """Rows that hold every value once, under keys that differ by little."""
    names = [name for name in Sample.__annotations__ if name != "id"]
    empty = dict.fromkeys(names)
    found = [{"id": key, **empty} for key in KEYS]
    for name, values in VALUES.items():
        found += [{"id": f"{name} {at}", **empty, name: value} for at, value in enumerate(values)]
    return found


def open_on(server: SharedServer) -> tuple[DataFlow, str]:
    """A new database with the table of samples."""
    url = server.new_database()
    db = DataFlow(url)
    db.model(type("Sample", (Sample,), {"__module__": __name__}), validation="off")
    return db, url


async def stored(db: DataFlow) -> list[dict[str, Any]]:
    """All rows, by key."""
    return list((await db.run("SampleListNode", order_by=["id"]))["records"])


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.timeout(120)
async def test_values_read_equal_everywhere(
    source: str, target: str, servers: dict[str, SharedServer]
) -> None:
    """What was written on one database is read there, and equal where it is passed on to."""
    pair = [servers[source], servers[target]]
    opened = [await asyncio.to_thread(open_on, server) for server in pair]
    (first, _), (second, _) = opened
    try:
        for at, row in enumerate(rows()):
            if at % 2:
                await first.run("SampleCreateNode", values=row)
            else:
                await first.run("SampleBulkCreateNode", data=[row])
        written = await stored(first)
        given = sorted(rows(), key=lambda row: row["id"])
        meant = [
            {
                name: value.astimezone(dt.UTC) if isinstance(value, dt.datetime) else value
                for name, value in row.items()
            }
            for row in given
        ]
        assert first_difference(written, meant) is None, first_difference(written, meant)
        await second.run("SampleBulkCreateNode", data=written)
        passed_on = await stored(second)
        assert first_difference(passed_on, written) is None, first_difference(passed_on, written)
    finally:
        for (db, url), server in zip(opened, pair, strict=True):
            await db.aclose()
            await asyncio.to_thread(server.drop_database, url)
