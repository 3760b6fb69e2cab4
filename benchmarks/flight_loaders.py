"""The raw drivers' bulk paths for the flights, written by hand for that one table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import chain, islice
from typing import Any, Final

import aiomysql
import aiosqlite
import asyncpg

from benchmarks.contestants.raw_mysql import connection_arguments, file_in_memory

__all__ = ["LOADERS", "NAMES", "NUMBERS", "Record"]

Record = tuple[Any, ...]
Load = Callable[[Iterator[Record]], Awaitable[None]]

NAMES: Final = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time"),
    *("sched_arr_time", "arr_delay", "carrier", "flight", "tailnum", "origin", "dest"),
    *("air_time", "distance", "hour", "minute", "time_hour"),
)
"""The columns of the file."""

NUMBERS: Final = tuple(
    name for name in NAMES if name not in ("carrier", "tailnum", "origin", "dest", "time_hour")
)

_COLUMNS: Final = ", ".join(NAMES)
_ROWS_AT_ONCE: Final = 500
_LINES_AT_ONCE: Final = 5_000
_ROWS_OF_FILE: Final = 50_000


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Load]:
    """Binary COPY."""
    connection = await asyncpg.connect(url)

    async def load(rows: Iterator[Record]) -> None:
        await connection.copy_records_to_table("flights", records=rows, columns=NAMES)

    try:
        yield load
    finally:
        await connection.close()


@asynccontextmanager
async def _mysql(url: str) -> AsyncIterator[Load]:
    """LOAD DATA from memory; no text of the file needs an escape.

    Several loads in one transaction: aiomysql breaks the connection at a file of 16 MB.
    """
    connection = await aiomysql.connect(**connection_arguments(url), local_infile=True)

    async def load(rows: Iterator[Record]) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("BEGIN")
            while part := list(islice(rows, _ROWS_OF_FILE)):
                with file_in_memory(_lines(iter(part))) as name:
                    await cursor.execute(
                        f"LOAD DATA LOCAL INFILE '{name}' INTO TABLE flights"
                        f" CHARACTER SET utf8mb4 ({_COLUMNS})"
                    )
            await cursor.execute("COMMIT")

    try:
        yield load
    finally:
        await connection.ensure_closed()


def _lines(rows: Iterator[Record]) -> Iterator[str]:
    while part := list(islice(rows, _LINES_AT_ONCE)):
        yield "".join(
            [
                "\t".join(["\\N" if value is None else str(value) for value in values])
                + f"\t{str(moment)[:19]}\n"
                for *values, moment in part
            ]
        )


@asynccontextmanager
async def _sqlite(url: str) -> AsyncIterator[Load]:
    """500 rows per statement, all in one transaction."""
    connection = await aiosqlite.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    await connection.execute_fetchall("PRAGMA synchronous = FULL")
    marks = f"({', '.join('?' * len(NAMES))})"

    async def load(rows: Iterator[Record]) -> None:
        await connection.execute_fetchall("BEGIN IMMEDIATE")
        encoded = ((*values, moment.isoformat(" ", "microseconds")) for *values, moment in rows)
        while part := list(islice(encoded, _ROWS_AT_ONCE)):
            await connection.execute_fetchall(
                f"INSERT INTO flights ({_COLUMNS}) VALUES {', '.join([marks] * len(part))}",
                list(chain.from_iterable(part)),
            )
        await connection.execute_fetchall("COMMIT")

    try:
        yield load
    finally:
        await connection.close()


LOADERS: Final[dict[str, Callable[[str], AbstractAsyncContextManager[Load]]]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "mysql": _mysql,
}
"""By database: gives the function that loads the rows, on a connection that is open."""
