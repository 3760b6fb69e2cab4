"""What the audit log costs: a bulk create of 10,000 rows with and without it, on each database.

``python -m benchmarks.audit``. The two models take turns, so that a busy machine slows both alike;
the median of the rounds counts. Keys are made by the database, or by the client (UUIDv7), which
then knows them without reading anything back.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import uuid
from statistics import median
from time import perf_counter
from typing import Any, Final

from dataflow_core import DataFlow
from dataflow_core.contract.manager import Plugins

__all__ = ["main", "measured"]

ROWS: Final = 10_000
DATABASES: Final = ("sqlite", "postgres", "mysql")
KEYS: Final[dict[str, type]] = {"counted": int, "UUIDv7": uuid.UUID}


def _model(db: DataFlow, name: str, key: type, *, audited: bool) -> None:
    body: dict[str, Any] = {
        "__module__": __name__,
        "__annotations__": {"id": key, "name": str, "email": str, "age": int, "active": bool},
        "__dataflow__": {"audit_log": audited},
    }
    db.model(type(name, (), body), validation="off")


def _rows() -> list[dict[str, Any]]:
    return [
        {
            "name": f"name {at}",
            "email": f"user{at}@example.com",
            "age": at % 90,
            "active": at % 3 == 0,
        }
        for at in range(ROWS)
    ]


async def measured(url: str, key: type, rounds: int) -> dict[str, float]:
    """Milliseconds of a bulk create, ``plain`` and ``audited``."""
    taken: dict[str, list[float]] = {"plain": [], "audited": []}
    async with DataFlow(url, disabled_plugins=["monitoring"]) as db:
        for name in taken:
            _model(db, f"{name}{key.__name__}".title(), key, audited=name == "audited")
        rows = _rows()
        for number in range(rounds + 1):
            for name, times in taken.items():
                gc.collect()
                began = perf_counter()
                await db.run(f"{name}{key.__name__}".title() + "BulkCreateNode", data=rows)
                if number:
                    times.append((perf_counter() - began) * 1e3)
    return {name: median(times) for name, times in taken.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--database", action="append", choices=DATABASES)
    given = parser.parse_args()
    servers = {server.name: server for server in Plugins().test_servers()}
    print("| database | keys | plain, ms | audited, ms | more |\n| --- | --- | --- | --- | --- |")
    for name in given.database or DATABASES:
        server = servers[name]
        server.start()
        try:
            for keys, key in KEYS.items():
                found = asyncio.run(measured(server.new_database(), key, given.rounds))
                more = found["audited"] / found["plain"] - 1
                print(
                    f"| {name} | {keys} | {found['plain']:.1f} | {found['audited']:.1f} |"
                    f" {more:+.0%} |"
                )
        finally:
            server.stop()


if __name__ == "__main__":
    main()
