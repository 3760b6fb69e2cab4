"""What the flights' database holds. Each class becomes a table and nine nodes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from dataflow_core import DataFlow, field


class Airline:
    """A carrier. Its key is its own code, so the database makes none up."""

    carrier: str = field(primary_key=True, max_length=2)
    name: str

    __dataflow__ = {"timestamps": False}


class Airport:
    """An airport, by the code of the Federal Aviation Administration."""

    faa: str = field(primary_key=True, max_length=3)
    name: str
    lat: float
    lon: float
    alt: int
    tz: int
    dst: Literal["A", "U", "N"]
    tzone: str | None

    __dataflow__ = {"timestamps": False}


class Plane:
    """An aircraft, by its tail number. Many were never registered with a year or a speed."""

    tailnum: str = field(primary_key=True, max_length=6)
    year: int | None
    type: str
    manufacturer: str
    model: str
    engines: int
    seats: int
    speed: int | None
    engine: str

    __dataflow__ = {"timestamps": False}


class Weather:
    """The weather of an hour at an airport. Place and hour together are the key."""

    origin: str = field(references="Airport.faa", on_delete="restrict", max_length=3)
    time_hour: datetime
    temp: float
    dewp: float
    humid: float
    wind_dir: int | None
    wind_speed: float
    wind_gust: float | None
    precip: float
    pressure: float | None
    visib: float

    __dataflow__ = {"table": "weather", "primary_key": ["origin", "time_hour"], "timestamps": False}


class Flight:
    """A flight. It has no key of its own: `id` is generated, and so are the two timestamps.

    Times are written as numbers, 517 for 5:17; delays are in minutes. Where the airline gave none
    they are None: a cancelled flight never departed.
    """

    day: date
    time_hour: datetime
    hour: int
    carrier: str = field(references="Airline.carrier", on_delete="restrict", max_length=2)
    flight: int
    # The real data has gaps: not every tail number has a plane, nor every destination an airport.
    tailnum: str | None = field(max_length=6, references="Plane.tailnum", enforced=False)
    origin: str = field(references="Airport.faa", on_delete="restrict", max_length=3)
    dest: str = field(index=True, max_length=3, references="Airport.faa", enforced=False)
    sched_dep_time: int
    dep_time: int | None
    dep_delay: int | None
    sched_arr_time: int
    arr_time: int | None
    arr_delay: int | None
    air_time: int | None
    distance: int
    cancelled: bool = False

    __dataflow__ = {
        # A flight number leaves once in an hour: this is what corrections are matched by.
        "unique": [["time_hour", "carrier", "flight"]],
        "indexes": [["carrier", "hour"], ["-arr_delay"]],
    }


MODELS = (Airline, Airport, Plane, Weather, Flight)


def register(db: DataFlow) -> None:
    """Declare the models on an instance, as the decorator `@db.model` would."""
    for model in MODELS:
        db.model(model)
