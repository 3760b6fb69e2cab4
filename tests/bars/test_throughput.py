"""Speed beside code written by hand on the driver, and what a killed process leaves behind."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.databases import durable, place_on
from benchmarks.rounds import OURS, RAW_AGAIN, RAW_NAME, measure
from benchmarks.workloads import WORKLOADS, Workload
from dataflow_core.conformance.servers import SharedServer

pytestmark = pytest.mark.bars

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_DATABASES = ("pgbouncer",)

BULK = """
import sys
from dataflow_core import DataFlow

db = DataFlow(sys.argv[1])


@db.model
class Item:
    name: str
    amount: int


db.run_sync("ItemCreateNode", name="before", amount=1)


def rows():
    for number in range(int(sys.argv[2])):
        if number % 1_000 == 0:
            print(number, flush=True)
        yield {"name": f"item {number}", "amount": number}


db.run_sync("ItemBulkCreateNode", data=rows())
print("stored", flush=True)
sys.stdin.read()
"""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_ratio_to_hand_written_code(
    workload: Workload, database: SharedServer, full_bars: bool
) -> None:
    """Each workload gives the answers of hand-written code and, in full size, reaches its ratio."""
    if not full_bars:
        # It is refused where the answers differ; a ratio is no matter of a shared machine.
        measured = measure(workload.quick(), 1, place_on(database))
        assert measured.rates.keys() == {OURS, RAW_NAME, RAW_AGAIN}
        return
    with durable(database.name) as place:
        measured = measure(workload, 15, place)
    assert measured.ratio.median >= workload.bars[database.name], (measured.ratio, measured.noise)


def test_a_killed_bulk_create_leaves_all_or_nothing(
    tmp_path: Path, full_bars: bool, seed: int
) -> None:
    """SIGKILL at any moment of a bulk create leaves no or every row of it, and a sound file."""
    rows = 100_000 if full_bars else 20_000
    moments = 25 if full_bars else 4
    chance = random.Random(seed)
    for attempt in range(moments):
        file = tmp_path / f"{attempt}.db"
        # The last one is killed as late as can be: when the rows are all on their way.
        line = rows - 1_000 if attempt == 0 else chance.randrange(0, rows, 1_000)
        stored = _kill_at(file, rows, line, chance.random() * 0.02)
        assert stored in (1, rows + 1), f"killed at row {line}: {stored} rows"


def test_a_bulk_create_that_ended_survives_a_kill(tmp_path: Path) -> None:
    """What a bulk create has reported as stored is there after SIGKILL."""
    rows = 5_000
    assert _kill_at(tmp_path / "ended.db", rows, None, 0) == rows + 1


def _kill_at(file: Path, rows: int, line: int | None, pause: float) -> int:
    """Kill a bulk create when it has read row ``line`` (or has ended); the rows in the file."""
    awaited = "stored" if line is None else str(line)
    with subprocess.Popen(
        [sys.executable, "-c", BULK, f"sqlite:///{file}", str(rows)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        seen = next((text for text in process.stdout if text.strip() == awaited), None)
        time.sleep(pause)
        process.kill()
        process.wait()
        assert seen is not None, f"the program ended before it printed {awaited}"
        assert process.returncode == -signal.SIGKILL
    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return int(connection.execute("SELECT count(*) FROM items").fetchone()[0])
    finally:
        connection.close()
