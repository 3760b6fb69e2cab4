"""Memory does not grow with the number of rows of a stream, of its copy, and of a file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.bars, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
MOST_MEGABYTES = 60

PROGRAM = """
import asyncio
import sys

from dataflow_core import DataFlow

url, count, work, path = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]


def megabytes(name):
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith(name)]
    return int(line.split()[1]) / 1024


async def main():
    async with DataFlow(url) as db:

        @db.model
        class Streamed:
            text: str
            number: int | None
            part: float
            __dataflow__ = {"timestamps": False}

        nodes = db.nodes.Streamed
        if work == "fill":
            rows = ({"text": f"row {n}", "number": n % 7, "part": n / 3} for n in range(count))
            await nodes.bulk_create(data=rows)
            return
        await nodes.list(limit=1)
        start, done = megabytes("VmRSS"), 0
        if work == "stream":
            async for _ in nodes.stream(order_by=["-part"]):
                done += 1
        elif work == "copy":
            read = nodes.stream(select=["text", "part"])
            copied = ({**row, "number": None} async for row in read)
            done = (await nodes.bulk_create(data=copied))["inserted"]
            await nodes.bulk_delete(filter={"number": None})
        else:
            done = (await nodes.export_to(path))["rows"]
            await nodes.bulk_delete(filter={}, allow_all=True)
            await nodes.import_from(path)
        print(done, megabytes("VmHWM") - start)


asyncio.run(main())
"""


@pytest.fixture
def rows(full_bars: bool) -> int:
    """How many rows there are."""
    return 1_000_000 if full_bars else 100_000


@pytest.fixture
def run(database_url: str, rows: int, tmp_path: Path) -> Callable[..., tuple[int, float]]:
    """Works in a process of its own: how many rows, and the most megabytes over the start."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def once(work: str, ending: str = "csv") -> tuple[int, float]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, database_url, str(rows), work,
             str(tmp_path / f"rows.{ending}")],
            cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        number, _, most = done.stdout.partition(" ")
        return int(number or 0), float(most or 0)

    once("fill")
    return once


def test_memory_does_not_grow(run: Callable[..., tuple[int, float]], rows: int) -> None:
    """Streaming many rows, copying them, and writing and reading files takes at most 60 MB."""
    seen = {work: run(*work.split()) for work in ("stream", "copy", "file csv", "file jsonl")}
    print(seen)
    assert {number for number, _ in seen.values()} == {rows}
    assert max(most for _, most in seen.values()) <= MOST_MEGABYTES
