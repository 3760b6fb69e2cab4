"""What policies cost: a read by key of a model without any, and with all that confine reads.

``python -m benchmarks.policies [--database sqlite|postgres|mysql]``. The models take turns, so that
a busy machine slows all of them alike; of each the median of the rounds counts, and that of the
ratios of neighbouring rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import gc
from collections.abc import Mapping
from contextlib import nullcontext
from statistics import median
from time import perf_counter
from typing import Any, Final

from benchmarks.databases import durable
from dataflow_core import DataFlow

__all__ = ["MODELS", "main", "measured"]

_PLAIN: Final[Mapping[str, Any]] = {"name": str, "price": int}
_COLUMNS: Final[Mapping[str, Any]] = {
    **_PLAIN,
    "tenant_id": str,
    "deleted_at": dt.datetime | None,
    "version": int,
}
_OFF: Final[Mapping[str, Any]] = {"timestamps": False, "validation": "off", "coalesce": False}
MODELS: Final[Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]]] = {
    "no policy": ("Plain", _PLAIN, {}),
    "no policy, the same columns": ("Wide", _COLUMNS, {}),
    "tenant": ("Tenant", _PLAIN, {"multi_tenant": True, "audit_log": False}),
    "tenant, soft delete, version": (
        "Confined",
        _PLAIN,
        {"multi_tenant": True, "soft_delete": True, "versioned": True, "audit_log": False},
    ),
}
"""What is measured: the name of the model, its fields, its options."""
_ROWS: Final = 1_000


async def _filled(db: DataFlow, name: str) -> None:
    model, fields, options = MODELS[name]
    body = {"__annotations__": dict(fields), "__dataflow__": {**_OFF, **options}}
    db.model(type(model, (), {"__module__": __name__, **body}))
    row: dict[str, Any] = {"name": "n", "price": 1}
    if "tenant_id" in fields:
        row |= {"tenant_id": "a", "deleted_at": None, "version": 1}
    with db.tenant("a"):
        await db.run(
            f"{model}BulkCreateNode", data=[{**row, "name": f"n{at}"} for at in range(_ROWS)]
        )


async def _round(db: DataFlow, name: str, reads: int) -> float:
    """Microseconds of a read, one after the other."""
    read = getattr(db.nodes, MODELS[name][0]).read
    gc.collect()
    with db.tenant("a") if MODELS[name][2] else nullcontext():
        began = perf_counter()
        for at in range(reads):
            await read(id=at % _ROWS + 1)
        return (perf_counter() - began) / reads * 1e6


async def measured(url: str, rounds: int = 41, reads: int = 500) -> dict[str, list[float]]:
    """Microseconds of a read by key in each round, by model."""
    async with DataFlow(url, disabled_plugins=["monitoring"]) as db:
        for name in MODELS:
            await _filled(db, name)
            await _round(db, name, reads)
        found: dict[str, list[float]] = {name: [] for name in MODELS}
        for number in range(rounds):
            # In turn from either end, so that no model always comes after the same one.
            for name in list(MODELS)[:: 1 if number % 2 else -1]:
                found[name].append(await _round(db, name, reads))
        return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--database", choices=("sqlite", "postgres", "mysql"), default="sqlite")
    given = parser.parse_args()
    with durable(given.database) as place:
        found = asyncio.run(measured(place.new(), given.rounds))
    print(f"| {given.database} | µs per read | beside no policy | beside the same columns |")
    print("| --- | --- | --- | --- |")
    plain, wide = list(found.values())[:2]
    for name, times in found.items():
        beside, columns = (
            median(own / other for own, other in zip(times, others, strict=True)) - 1
            for others in (plain, wide)
        )
        print(f"| {name} | {median(times):.1f} | {beside:+.1%} | {columns:+.1%} |")


if __name__ == "__main__":
    main()
