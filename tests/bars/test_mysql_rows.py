"""Reading rows from MySQL, beside the driver's own cursor."""

from __future__ import annotations

import datetime as dt
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiomysql
import pytest

from dataflow_core.url import parse_url
from tests.mysql.support import connected, driver_of

ROWS = 10_000
LEAST = 1.3
SQL = "SELECT * FROM sales ORDER BY id"
COLUMNS = """
    CREATE TABLE sales (
      id BIGINT PRIMARY KEY, customer VARCHAR(100), note LONGTEXT, amount BIGINT, weight DOUBLE,
      price DECIMAL(18, 4), paid TINYINT, sold DATETIME(6)
    ) CHARACTER SET utf8mb4
"""
FILL = f"""
    INSERT INTO sales SELECT n, CONCAT('customer ', n), IF(n % 3, 'a note of some length: é', NULL),
      n * 1000003, n / 7, n / 16, n % 2, '2025-01-02 03:04:05.678901' + INTERVAL n MINUTE
    FROM (WITH RECURSIVE counted AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM counted
      WHERE n < {ROWS}) SELECT n FROM counted) AS numbers
"""

Read = Callable[[], Awaitable[Any]]


def without_zone(value: Any) -> Any:
    """A moment as the cursor gives it: it says nothing of its zone."""
    return value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value


async def seconds(read: Read) -> float:
    """How long a read takes."""
    started = time.perf_counter()
    await read()
    return time.perf_counter() - started


@pytest.mark.bars
@pytest.mark.timeout(300)
async def test_rows_are_read_faster_than_by_the_drivers_cursor(
    mysql_url: str, full_bars: bool
) -> None:
    """10,000 rows come, with equal values, at least 1.3 times as fast as through aiomysql's cursor;
    the two read in turn, and the median of the rounds counts, in full size only."""
    ours: Any = await connected(driver_of(mysql_url))
    url = parse_url(mysql_url)
    driver = await aiomysql.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password or "",
        db=url.database,
        charset="utf8mb4",
        autocommit=True,
    )
    await ours.fetch(COLUMNS, ())
    # As many steps of the recursion as there are rows; the two products call it differently.
    name = (
        "max_recursive_iterations" if ours.server.name == "MariaDB" else "cte_max_recursion_depth"
    )
    await ours.fetch(f"SET {name} = {ROWS}", ())
    await ours.fetch(FILL, ())

    async def by_us() -> Any:
        return await ours.fetch(SQL, ())

    async def by_the_driver() -> Any:
        async with driver.cursor() as cursor:
            await cursor.execute(SQL)
            return await cursor.fetchall()

    try:
        rows = [tuple(map(without_zone, row)) for row in await by_us()]
        assert len(rows) == ROWS
        assert rows == list(await by_the_driver())
        ratios = []
        for turn in range(31 if full_bars else 1):
            first, second = (by_us, by_the_driver) if turn % 2 else (by_the_driver, by_us)
            taken = {first: await seconds(first), second: await seconds(second)}
            ratios.append(taken[by_the_driver] / taken[by_us])
        middle = statistics.median(ratios)
        print(
            f"{ours.server}: {ROWS} rows {middle:.2f} times as fast as through the cursor"
            f" ({min(ratios):.2f}-{max(ratios):.2f})"
        )
        assert not full_bars or middle > LEAST
    finally:
        driver.close()
        await ours.close()
