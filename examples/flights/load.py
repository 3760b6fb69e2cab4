"""The CSV files as rows: dicts with the types of the models, read one at a time."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

DATA = Path(__file__).with_name("data")

Reader = Callable[[str], Any]

FILES: dict[str, str] = {
    "airlines": "airlines.csv",
    "airports": "airports.csv",
    "planes": "planes.csv",
    "weather": "weather.csv",
    "flights": "flights.csv.gz",
    "corrections": "corrections.csv",
}

# How the text of a column becomes a value; a column that is not named here is left out.
AIRLINE: dict[str, Reader] = {"carrier": str, "name": str}
AIRPORT: dict[str, Reader] = {
    **dict.fromkeys(("faa", "name", "dst", "tzone"), str),
    **dict.fromkeys(("lat", "lon"), float),
    **dict.fromkeys(("alt", "tz"), int),
}
PLANE: dict[str, Reader] = {
    **dict.fromkeys(("tailnum", "type", "manufacturer", "model", "engine"), str),
    **dict.fromkeys(("year", "engines", "seats", "speed"), int),
}
# Moments stay text: DataFlow reads ISO 8601.
WEATHER: dict[str, Reader] = {
    **dict.fromkeys(("origin", "time_hour"), str),
    **dict.fromkeys(("temp", "dewp", "humid", "wind_speed", "wind_gust"), float),
    **dict.fromkeys(("precip", "pressure", "visib"), float),
    "wind_dir": int,
}
FLIGHT: dict[str, Reader] = {
    **dict.fromkeys(("time_hour", "carrier", "tailnum", "origin", "dest"), str),
    **dict.fromkeys(("hour", "flight", "distance", "air_time"), int),
    **dict.fromkeys(("sched_dep_time", "dep_time", "dep_delay"), int),
    **dict.fromkeys(("sched_arr_time", "arr_time", "arr_delay"), int),
}
COLUMNS: dict[str, dict[str, Reader]] = {
    "airlines": AIRLINE,
    "airports": AIRPORT,
    "planes": PLANE,
    "weather": WEATHER,
    "flights": FLIGHT,
    "corrections": FLIGHT,
}


def rows(name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one of `FILES`, each when it is asked for; `NA` is None."""
    columns = COLUMNS[name]
    for line in lines(name):
        row = {
            column: None if line[column] == "NA" else read(line[column])
            for column, read in columns.items()
        }
        if columns is FLIGHT:
            row["day"] = f"{line['year']}-{line['month']:0>2}-{line['day']:0>2}"
        yield row


def lines(name: str) -> Iterator[Mapping[str, str]]:
    """Yield the lines of one of `FILES` as they stand, all text."""
    with opened(name) as file:
        yield from csv.DictReader(file)


def count(name: str) -> int:
    """Return how many rows one of `FILES` holds."""
    with opened(name) as file:
        return sum(1 for _ in file) - 1


@contextmanager
def opened(name: str) -> Iterator[TextIO]:
    """Open one of `FILES` as text, unpacked."""
    path = DATA / FILES[name]
    unpack = gzip.open if path.suffix == ".gz" else open
    with unpack(path, "rt", encoding="utf-8", newline="") as file:
        yield file
