"""What observing costs: a read by key on SQLite with the monitoring plugin off, on, and with more.

``python -m benchmarks.monitoring``. The instances take turns, so that a busy machine slows all of
them alike; of each the quickest round counts.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Final

from dataflow_core import DataFlow

__all__ = ["main", "measured"]

# Whatever the environment says.
_ON: Final[Mapping[str, Any]] = {"disabled_plugins": ()}
INSTANCES: Final[Mapping[str, Mapping[str, Any]]] = {
    "off": {"disabled_plugins": ["monitoring"]},
    "on, no spans": {**_ON, "enable_tracing": False},
    "on, with OpenTelemetry but no SDK": {**_ON, "enable_tracing": True},
    "on, with Prometheus": {**_ON, "enable_tracing": False, "enable_metrics": True},
}
_ROWS: Final = 1_000


class Item:
    __dataflow__: ClassVar = {"timestamps": False}

    name: str
    price: int = 0


async def _opened(url: str, options: Mapping[str, Any]) -> DataFlow:
    db = DataFlow(url, **options)
    db.model(
        type("Item", (Item,), {"__module__": __name__, "__annotations__": Item.__annotations__})
    )
    if (await db.run("ItemCountNode"))["count"] == 0:
        await db.run("ItemBulkCreateNode", data=[{"name": f"n{at}"} for at in range(_ROWS)])
    return db


async def _round(db: DataFlow, reads: int) -> float:
    """Microseconds of a read, one after the other."""
    read = db.nodes.Item.read
    gc.collect()
    began = perf_counter()
    for at in range(reads):
        await read(id=at % _ROWS + 1)
    return (perf_counter() - began) / reads * 1e6


async def measured(
    instances: Mapping[str, Mapping[str, Any]] = INSTANCES, rounds: int = 40, reads: int = 1_000
) -> dict[str, float]:
    """Microseconds of a read by key, by instance."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'items.db'}"
        opened = {name: await _opened(url, options) for name, options in instances.items()}
        best = dict.fromkeys(instances, float("inf"))
        for _ in range(rounds):
            for name, db in opened.items():
                best[name] = min(best[name], await _round(db, reads))
        for db in opened.values():
            await db.aclose()
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    found = asyncio.run(measured(rounds=parser.parse_args().rounds))
    print("| monitoring | µs per read | more |\n| --- | --- | --- |")
    for name, microseconds in found.items():
        more = microseconds / found["off"] - 1
        print(f"| {name} | {microseconds:.1f} | {more:+.0%} |")


if __name__ == "__main__":
    main()
