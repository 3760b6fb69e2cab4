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

from benchmarks.__main__ import main
from benchmarks.contestants.peers import absent_from
from benchmarks.databases import durable, place_on
from benchmarks.results import DatabaseRun, Report, RuntimeRun, kept_report, write_report
from benchmarks.rounds import AnswersDiffer, Measured, Ratio, measure
from benchmarks.workloads import WORKLOADS, Workload
from dataflow_core.conformance.servers import SharedServer

pytestmark = pytest.mark.bars

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_DATABASES = ("pgbouncer",)

# A slice runs beside other tests: it holds that a workload is not slower by a whole factor.
LENIENT = 0.4
# What is known to be slower, with what it reaches at least.
SLOW = {("postgres", "bulk_create"): 0.08, ("postgres", "bulk_upsert"): 0.15}

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


@pytest.mark.timeout(600)
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_ratio_to_hand_written_code(
    workload: Workload, database: SharedServer, full_bars: bool
) -> None:
    """Each workload reaches its ratio to hand-written code that gives the same answers."""
    if full_bars:
        with durable(database.name) as place:
            measured = measure(workload, 15, place)
        least = workload.bars[database.name]
    else:
        measured = measure(workload.quick(), 3, place_on(database))
        least = LENIENT * min(1, workload.bars[database.name])
        least = SLOW.get((database.name, workload.name), least)
    assert measured.ratio.median >= least, (measured.ratio, measured.noise)


def test_different_answers_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark refuses to compare contestants whose answers differ only in a type."""
    from benchmarks.contestants.raw_sqlite import RawSQLite

    read = RawSQLite.read

    async def with_numbers(self, keys):
        return [{**row, "active": int(row["active"])} for row in await read(self, keys)]

    monkeypatch.setattr(RawSQLite, "read", with_numbers)
    workload = next(each for each in WORKLOADS if each.name == "read")
    with durable("sqlite") as place, pytest.raises(AnswersDiffer, match="answers"):
        measure(workload.quick(), 1, place)


def test_a_peer_that_cannot_take_part_is_left_out() -> None:
    """A peer that fails or answers otherwise costs its own figures only, and the reason stands."""
    from benchmarks.contestants.raw_sqlite import RawSQLite

    class Broken(RawSQLite):
        async def read(self, keys):
            raise RuntimeError("no such driver")

    class Different(RawSQLite):
        async def read(self, keys):
            return [{**row, "age": 0} for row in await super().read(keys)]

    workload = next(each for each in WORKLOADS if each.name == "read")
    peers = [Broken("broken"), RawSQLite("good"), Different("different")]
    with durable("sqlite") as place:
        measured = measure(workload.quick(), 1, place, peers=peers)
    assert measured.left_out == {
        "broken": "RuntimeError: no such driver",
        "different": "other answers than all others",
    }
    assert measured.peers.keys() == {"good"}


def test_a_peer_without_a_driver_is_named() -> None:
    """A peer that has no driver for a database stands in the report with that reason."""
    assert absent_from("mysql") == {"Piccolo": "has no driver for this database"}
    assert absent_from("sqlite") == absent_from("postgres") == {}


def test_ahead_means_ahead_of_every_peer() -> None:
    """Ours is ahead if its median is above that of each peer; without peers nothing is said."""
    ratios = {"DataFlow": Ratio(2, 1, 3), "raw": Ratio(1, 1, 1), "raw again": Ratio(1, 1, 1)}

    def ahead(*peers: float) -> bool | None:
        more = {str(number): Ratio(peer, 0, 9) for number, peer in enumerate(peers)}
        return Measured("read", "", "", 1, {}, {**ratios, **more}).ahead

    assert ahead() is None
    assert ahead(1.9, 0.1) is True
    assert ahead(0.1, 2.0) is False


def test_ratio_is_the_median_with_its_spread() -> None:
    """A ratio is the median of the rounds, and names the lowest and the highest."""
    assert Ratio.of([0.9, 0.5, 2.0]) == Ratio(0.9, 0.5, 2.0)


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m benchmarks` prints ratio, noise, bar and versions, and writes JSON."""
    only = ["--database", "sqlite", "--workload", "read", "--without-peers"]
    assert main(["--quick", *only, "--json", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr().out
    for word in ("read by key", "raw to raw", "0.75", "SQLite", "aiosqlite", "ahead"):
        assert word in printed
    assert '"raw again"' in (tmp_path / "out.json").read_text(encoding="utf-8")


def test_figures_that_are_kept_are_read_back(tmp_path: Path) -> None:
    """What is written to the files of the page is what the page is made of."""
    workload = next(each for each in WORKLOADS if each.name == "read")
    with durable("sqlite") as place:
        measured = measure(workload.quick(), 1, place)
    facts = {"date": "2026-01-01", "machine": "one"}
    run = DatabaseRun("sqlite", "SQLite", "SQLite 3", 1, True, {}, {}, facts, (measured,))
    report = Report({"sqlite": run}, RuntimeRun(1, facts))
    write_report(report, tmp_path)
    assert kept_report(tmp_path) == report


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
