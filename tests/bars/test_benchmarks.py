"""The benchmark itself: what it refuses, how it tells its figures, and what it keeps."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as etree

import pytest
from attrs import evolve

from benchmarks import plots, report
from benchmarks.__main__ import main
from benchmarks.contestants.peers import absent_from
from benchmarks.contestants.raw_mysql import file_in_memory
from benchmarks.databases import durable, place_on
from benchmarks.flight_loaders import LOADERS, NAMES
from benchmarks.flights import FlightFigures, declare_flight, records, stored_totals, totals
from benchmarks.results import (
    DatabaseRun,
    FlightRun,
    Report,
    RuntimeRun,
    SizeRun,
    kept_report,
    write_report,
)
from benchmarks.rounds import AnswersDiffer, Measured, Ratio, measure
from benchmarks.size_probe import KINDS, available
from benchmarks.sizes import SizeFigure, measure_sizes
from benchmarks.workloads import WORKLOADS
from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer

WITHOUT_DATABASES = ("pgbouncer",)

READ = next(each for each in WORKLOADS if each.name == "read").quick()
FACTS = {"date": "2026-01-01", "machine": "one", "Python": "3"}
FLIGHTS = f"""{",".join(NAMES)}
2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z
2013,9,30,NA,840,NA,NA,1020,NA,MQ,3531,NA,LGA,RDU,NA,431,8,40,2013-09-30T12:00:00Z
"""


def measured(ours: float = 2.0, **peers: float) -> Measured:
    """A line of a report."""
    ratios = {"DataFlow": Ratio(ours, 1, 3), "raw again": Ratio(1, 1, 1)}
    ratios |= {name: Ratio(ratio, 0.1, 9) for name, ratio in peers.items()}
    rates = {name: [1.0] for name in ("raw", *ratios)}
    return Measured("read", "read by key", "calls/s", 1, rates, ratios, {"absent": "no driver"})


def whole_report() -> Report:
    """A report with every part."""
    shared: dict[str, Any] = {
        "name": "sqlite",
        "title": "SQLite",
        "product": "SQLite 3",
        "rounds": 1,
    }
    sizes = [
        SizeFigure("sqlite", kind, rows, [2.0, 1.0, 3.0], [5.0, 61.0, 6.0])
        for kind in ("bulk create", "list")
        for rows in (1_000, 10_000)
    ]
    flights = FlightFigures("sqlite", 2, [3.0], [2.0], Ratio(1.5, 1, 2), Ratio(1, 1, 1))
    return Report(
        {"sqlite": DatabaseRun(**shared, quick=True, settings={}, versions={}, environment=FACTS,
                               measured=(measured(peewee=0.5),))},
        {"sqlite": SizeRun(**shared, environment=FACTS, figures=tuple(sizes))},
        {"sqlite": FlightRun(**shared, environment=FACTS, figures=flights)},
        RuntimeRun(1, FACTS),
    )  # fmt: skip


def test_different_answers_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark refuses to compare contestants whose answers differ only in a type."""
    from benchmarks.contestants.raw_sqlite import RawSQLite

    read = RawSQLite.read

    async def with_numbers(self, keys):
        return [{**row, "active": int(row["active"])} for row in await read(self, keys)]

    monkeypatch.setattr(RawSQLite, "read", with_numbers)
    with durable("sqlite") as place, pytest.raises(AnswersDiffer, match="answers"):
        measure(READ, 1, place)


def test_a_peer_that_cannot_take_part_is_left_out() -> None:
    """A peer that fails or answers otherwise costs its own figures only, and the reason stands."""
    from benchmarks.contestants.raw_sqlite import RawSQLite

    class Broken(RawSQLite):
        async def read(self, keys):
            raise RuntimeError("no such driver")

    class Different(RawSQLite):
        async def read(self, keys):
            return [{**row, "age": 0} for row in await super().read(keys)]

    peers = [Broken("broken"), RawSQLite("good"), Different("different")]
    with durable("sqlite") as place:
        found = measure(READ, 1, place, peers=peers)
    assert found.left_out == {
        "broken": "RuntimeError: no such driver",
        "different": "other answers than all others",
    }
    assert found.peers.keys() == {"good"}


def test_peers_may_take_part_seldom() -> None:
    """In a long run the peers of a slow workload are measured in some of the rounds only."""
    from benchmarks.contestants.raw_sqlite import RawSQLite

    workload = evolve(READ, seldom=3, slices=1, size=10)
    with durable("sqlite") as place:
        found = measure(workload, 9, place, peers=[RawSQLite("peer")])
    assert {name: len(rates) for name, rates in found.rates.items()} == {
        "DataFlow": 9,
        "raw": 9,
        "raw again": 9,
        "peer": 3,
    }


def test_a_peer_without_a_driver_is_named() -> None:
    """A peer that has no driver for a database stands in the report with that reason."""
    assert absent_from("mysql") == {"Piccolo": "has no driver for this database"}
    assert absent_from("sqlite") == absent_from("postgres") == {}


def test_ahead_means_ahead_of_every_peer() -> None:
    """Ours is ahead if its median is above that of each peer; without peers nothing is said."""
    assert measured().ahead is None
    assert measured(2.0, one=1.9, two=0.1).ahead is True
    assert measured(2.0, one=0.1, two=2.0).ahead is False


def test_ratio_is_the_median_with_its_spread() -> None:
    """A ratio is the median of the rounds, and names the lowest and the highest."""
    assert Ratio.of([0.9, 0.5, 2.0]) == Ratio(0.9, 0.5, 2.0)


def test_a_size_is_the_median_of_times_and_the_peak_of_memory() -> None:
    """Times vary, and a bound on memory must hold every time."""
    figure = SizeFigure("sqlite", "list", 10, [1.0, 9.0, 2.0], [1.0, 9.0, 2.0])
    assert (figure.per_row, figure.peak) == (2.0, 9.0)


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m benchmarks` prints ratio, noise, bar and versions, and writes JSON."""
    only = ["--database", "sqlite", "--workload", "read", "--without-peers"]
    assert main(["--quick", *only, "--json", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr().out
    for word in ("read by key", "raw to raw", "0.75", "SQLite", "aiosqlite", "ahead"):
        assert word in printed
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert "raw again" in written["database-sqlite"]["measured"][0]["ratios"]


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--write-docs", "--workload", "read"]])
def test_the_command_refuses_halves(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No round at all is refused, and so is a page whose table would lose lines."""
    with pytest.raises(SystemExit):
        main(wrong)
    assert wrong[0] in capsys.readouterr().err


def test_figures_that_are_kept_are_read_back(tmp_path: Path) -> None:
    """What is written to the files of the page is what the page is made of."""
    found = whole_report()
    write_report(found, tmp_path)
    assert kept_report(tmp_path) == found


def test_the_report_says_what_missed_its_bar() -> None:
    """Each part names its bars, what missed them, and why a peer has no figure."""
    printed = report.plain(whole_report())
    for word in ("reached", "MISSED", "absent: no driver", "less than 2", "a first look", "61 MB"):
        assert word in printed


def test_the_pictures_are_those_of_the_kept_figures() -> None:
    """No picture of the page is older than the figures that it shows, and each is sound SVG."""
    from benchmarks.results import FOLDER

    for name, text in plots.plots(kept_report()).items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, name
        etree.fromstring(text)  # noqa: S314 - our own picture


def test_streams_are_measured_once_there_are_any() -> None:
    """The line of the streams appears as soon as a model's nodes have them."""
    with DataFlow() as db:

        @db.model
        class Thing:
            name: str

        assert available("stream") is hasattr(db.nodes.Thing, "stream")
    assert all(available(kind) for kind in KINDS if kind != "stream")


@pytest.mark.timeout(120)
def test_sizes_are_measured_in_fresh_processes() -> None:
    """Each kind and size has a time and a peak of its own."""
    with durable("sqlite") as place:
        found = measure_sizes(place, (10, 1_000), 1)
    kinds = [kind for kind in KINDS if available(kind)]
    assert [(each.kind, each.rows) for each in found] == [
        (kind, rows) for kind in kinds for rows in (10, 1_000)
    ]
    assert all(each.per_row > 0 and each.peak >= 0 for each in found)


def test_texts_stand_in_a_file_without_a_disk() -> None:
    """What is loaded from memory is read by name, and gone afterwards."""
    with file_in_memory(["one ", "two"]) as name:
        assert Path(name).read_text(encoding="utf-8") == "one two"
    assert not Path(name).exists()


def test_the_raw_loader_stores_the_flights(database: SharedServer) -> None:
    """Both sides of the flights store what the file has, nulls included."""
    place = place_on(database)
    url = place.new()

    async def stored() -> list[dict[str, int]]:
        found = []
        async with DataFlow(url) as db:
            declare_flight(db)
            made = [dict(zip(NAMES, row, strict=True)) for row in records(FLIGHTS)]
            await db.nodes.Flight.bulk_create(data=made)
            found.append(await stored_totals(db))
            ours = (await db.nodes.Flight.list(order_by=["id"]))["records"]
            await db.nodes.Flight.bulk_delete(filter={}, allow_all=True)
            async with LOADERS[database.name](url) as load:
                await load(records(FLIGHTS))
            found.append(await stored_totals(db))
            raw = (await db.nodes.Flight.list(order_by=["id"]))["records"]
            assert [{**row, "id": 0} for row in raw] == [{**row, "id": 0} for row in ours]
        return found

    try:
        assert asyncio.run(stored()) == [totals(FLIGHTS)] * 2
    finally:
        place.drop(url)


def test_another_file_of_flights_is_refused() -> None:
    """A file with other columns is not loaded into wrong ones."""
    with pytest.raises(AnswersDiffer, match="columns"):
        list(records("a,b\n1,2\n"))
