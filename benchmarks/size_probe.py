"""One measurement in a process of its own: ``python -m benchmarks.size_probe URL WHAT ROWS``.

Prints seconds and memory as JSON. Fresh processes, because memory that was asked for once is kept.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.data import declare_user, users_one_by_one
from dataflow_core import DataFlow

__all__ = ["KINDS", "available"]

KINDS: Final = ("bulk create", "list", "stream")

_STATUS: Final = Path("/proc/self/status")


def available(kind: str) -> bool:
    """Whether this version can do it; the one place that knows."""
    if kind != "stream":
        return True
    with DataFlow() as db:
        declare_user(db)
        return hasattr(db.nodes.User, "stream")


async def _bulk_create(db: DataFlow, rows: int) -> int:
    answer = await db.nodes.User.bulk_create(data=users_one_by_one(rows))
    return int(answer["inserted"])


async def _list(db: DataFlow, rows: int) -> int:
    return len((await db.nodes.User.list(limit=rows))["records"])


async def _stream(db: DataFlow, rows: int) -> int:
    seen = 0
    handle: Any = db.nodes.User
    async for _ in handle.stream(filter={"id": {"$lte": rows}}, order_by=["id"]):
        seen += 1
    return seen


_RUN: Final = dict(zip(KINDS, (_bulk_create, _list, _stream), strict=True))


def _forget_peak() -> None:
    """Let VmHWM begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _kilobytes(name: str) -> int:
    found = re.search(rf"{name}:\s*(\d+) kB", _STATUS.read_text(encoding="ascii"))
    assert found is not None
    return int(found[1])


async def _measure(url: str, kind: str, rows: int) -> dict[str, float]:
    db = DataFlow(url)
    declare_user(db)
    try:
        # Connected, the table made, a statement run: what comes after that is counted.
        await db.nodes.User.count()
        _forget_peak()
        before = _kilobytes("VmRSS")
        start = time.perf_counter()
        done = await _RUN[kind](db, rows)
        seconds = time.perf_counter() - start
        peak = _kilobytes("VmHWM")
    finally:
        await db.aclose()
    if done != rows:
        raise SystemExit(f"{kind}: {done} rows instead of {rows}")
    return {"seconds": seconds, "before": before / 1024, "peak": peak / 1024}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
