"""Instants written in any zone, read in UTC, whatever zone the machine or the server is in."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.errors import DataFlowError, UniqueViolation
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_TIMESTAMP: Final = "types.timestamp"
_DATES: Final = ("expressions.date", "aggregate.group")
_HOUR: Final = dt.timedelta(hours=1)
_SYSTEM_ZONES: Final = ("UTC0", "AAA-14", "BBB+09:30", "EST5EDT,M3.2.0,M11.1.0")
"""As the variable TZ has them, so that no database of zones is needed."""


class _Summer(dt.tzinfo):
    """A zone an hour before UTC, two in summer: from 31 March to 27 October 2024, at 1:00 UTC."""

    _begins = dt.datetime(2024, 3, 31, 2)
    _ends = dt.datetime(2024, 10, 27, 3)

    def utcoffset(self, value: dt.datetime | None) -> dt.timedelta:
        return _HOUR + self.dst(value)

    def dst(self, value: dt.datetime | None) -> dt.timedelta:
        if value is None:
            return dt.timedelta(0)
        local = value.replace(tzinfo=None, fold=0)
        if self._begins <= local < self._begins + _HOUR:
            # A time that no clock shows: the first reading is as before the change.
            return _HOUR if value.fold else dt.timedelta(0)
        if self._ends - _HOUR <= local < self._ends:
            return dt.timedelta(0) if value.fold else _HOUR
        return _HOUR if self._begins <= local < self._ends else dt.timedelta(0)

    def tzname(self, value: dt.datetime | None) -> str:
        return "summer and winter"


_SUMMER: Final = _Summer()


def _zone(hours: float) -> dt.timezone:
    return dt.timezone(dt.timedelta(hours=hours))


def _utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]


class Moment:
    """Instants, and what has no zone."""

    id: int
    at: dt.datetime | None
    day: dt.date | None
    clock: dt.time | None
    n: int = 1


class Slot:
    """An instant as a unique value."""

    id: int
    at: dt.datetime = field(unique=True)


@contextmanager
def _system_zone(name: str) -> Iterator[None]:
    """The process's own zone, as the environment sets it; where it cannot be set, as it is."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    _reread_zone()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        _reread_zone()


def _reread_zone() -> None:
    if hasattr(time, "tzset"):
        time.tzset()


async def _store(session: Session, model: Any, moments: list[dt.datetime]) -> list[Any]:
    data = [{"id": number, "at": at} for number, at in enumerate(moments, 1)]
    await session.run(model, "BulkCreate", data=data)
    return [row["at"] for row in await session.rows(model)]


@case("zones.offsets", feature=_TIMESTAMP, since="0.2")
async def offsets(session: Session) -> None:
    """A datetime of any offset, odd ones too, is stored as its instant and read in UTC."""
    model = session.model(Moment)
    hours = (-12, -9.5, -3.5, -1, 0, 1, 5.5, 5.75, 8.75, 12.75, 14)
    zones = [*map(_zone, hours), dt.timezone(dt.timedelta(minutes=19, seconds=32))]
    moments = [dt.datetime(2024, 2, 29, 12, 34, 56, 789012, zone) for zone in zones]
    stored = await _store(session, model, moments)
    session.equal(stored, [moment.astimezone(dt.UTC) for moment in moments])
    for number, moment in enumerate(moments, 1):
        await session.expect_list(model, {"at": moment}, [number])
    order = sorted(range(len(moments)), key=lambda at: moments[at])
    rows = await session.rows(model, order_by=["at"], select=["id"])
    session.equal([row["id"] for row in rows], [at + 1 for at in order], "the order")


@case("zones.same_instant", feature=_TIMESTAMP, since="0.2")
async def same_instant(session: Session) -> None:
    """The same instant of two zones is one value: for filters, unique keys and distinct rows."""
    slot, moment = session.model(Slot), session.model(Moment)
    east, west = (_utc(2024, 5, 1, 12).astimezone(_zone(hours)) for hours in (8, -7))
    await session.run(slot, "Create", id=1, at=east)
    for same in (west, _utc(2024, 5, 1, 12), dt.datetime(2024, 5, 1, 12)):
        call = partial(session.run, slot, "Create", id=2, at=same)
        await session.expect_error(UniqueViolation, call, columns=("at",))
    again = await session.run(slot, "Upsert", id=3, at=west, match_fields=["at"])
    session.equal((again["created"], again["id"]), (False, 1))
    await _store(session, moment, [east, west, _utc(2024, 5, 1, 12)])
    await session.expect_list(moment, {"at": {"$in": [west]}}, [1, 2, 3])
    await session.expect_list(moment, {"at": {"$ne": west}}, [])
    rows = await session.rows(moment, select=["at"], distinct=True)
    session.equal(rows, [{"at": _utc(2024, 5, 1, 12)}])


@case("zones.fold", feature=_TIMESTAMP, since="0.2")
async def fold(session: Session) -> None:
    """The hour that clocks show twice is two hours: fold tells which, in values and in filters."""
    model = session.model(Moment)
    twice = [dt.datetime(2024, 10, 27, 2, 30, tzinfo=_SUMMER, fold=fold) for fold in (0, 1)]
    stored = await _store(session, model, twice)
    session.equal(stored, [_utc(2024, 10, 27, 0, 30), _utc(2024, 10, 27, 1, 30)])
    for number, at in enumerate(twice, 1):
        await session.expect_list(model, {"at": at}, [number])
    await session.expect_list(model, {"at": {"$gt": twice[0]}}, [2])
    await session.expect_list(model, {"at": {"$between": [twice[0], twice[0]]}}, [1])


@case("zones.gap", feature=_TIMESTAMP, since="0.2")
async def gap(session: Session) -> None:
    """A time that no clock shows is the instant that Python makes of it."""
    model = session.model(Moment)
    never = [dt.datetime(2024, 3, 31, 2, 30, tzinfo=_SUMMER, fold=fold) for fold in (0, 1)]
    stored = await _store(session, model, never)
    session.equal(stored, [_utc(2024, 3, 31, 1, 30), _utc(2024, 3, 31, 0, 30)])


@case("zones.summer_days", feature=_TIMESTAMP, also=_DATES, since="0.2")
async def summer_days(session: Session) -> None:
    """Days are days of UTC: midnights of a zone with summer time fall on the day before."""
    model = session.model(Moment)
    midnights = [
        dt.datetime(2024, month, day, tzinfo=_SUMMER)
        for month, day in ((3, 30), (3, 31), (4, 1), (10, 27), (10, 28))
    ]
    await _store(session, model, midnights)
    pipeline = [
        {"$group": {"_id": {"$dateTrunc": {"date": "$at", "unit": "day"}}, "n": {"$count": {}}}},
        {"$sort": {"_id": 1}},
    ]
    rows = [{"id": number, "at": at} for number, at in enumerate(midnights, 1)]
    days = [(3, 29), (3, 30), (3, 31), (10, 26), (10, 27)]
    expected = [{"_id": _utc(2024, month, day), "n": 1} for month, day in days]
    await session.check_pipeline(model, rows, pipeline, expected)


@case("zones.parts", feature=_TIMESTAMP, also=_DATES, since="0.2")
async def parts(session: Session) -> None:
    """Year, month, day and hour of an instant are those of UTC, also across a year's end."""
    model = session.model(Moment)
    rows = [
        {"id": 1, "at": dt.datetime(2023, 12, 31, 23, 30, tzinfo=_zone(-1))},
        {"id": 2, "at": dt.datetime(2024, 1, 1, 0, 30, tzinfo=_zone(14))},
        {"id": 3, "at": dt.datetime(2024, 3, 1, 0, 15, tzinfo=_zone(5.75))},
    ]
    await session.load(model, rows)
    names = {"y": "$year", "m": "$month", "d": "$dayOfMonth", "h": "$hour"}
    pipeline = [
        {"$sort": {"id": 1}},
        {"$project": {"id": 1, **{name: {part: "$at"} for name, part in names.items()}}},
    ]
    expected = [
        {"id": 1, "y": 2024, "m": 1, "d": 1, "h": 0},
        {"id": 2, "y": 2023, "m": 12, "d": 31, "h": 10},
        {"id": 3, "y": 2024, "m": 2, "d": 29, "h": 18},
    ]
    await session.check_pipeline(model, rows, pipeline, expected)


@case("zones.results", feature=_TIMESTAMP, also=("aggregate.group", "write.upsert"), since="0.2")
async def results(session: Session) -> None:
    """Every result, of whatever node, holds an aware datetime in UTC."""
    model = session.model(Moment)
    written = dt.datetime(2024, 7, 1, 2, 0, 0, 5, tzinfo=_zone(3))
    read = _utc(2024, 6, 30, 23, 0, 0, 5)
    got = [
        (await session.run(model, "Create", id=1, at=written))["at"],
        (await session.run(model, "Read", id=1))["at"],
        (await session.run(model, "Update", id=1, fields={"at": written}))["at"],
        (await session.run(model, "Upsert", id=1, at=written))["at"],
        (await session.rows(model, select=["at"]))[0]["at"],
    ]
    pipeline = [
        {"$group": {"_id": "$at", "low": {"$min": "$at"}, "high": {"$max": "$at"}}},
        {"$project": {"_id": 1, "low": 1, "high": 1}},
    ]
    [row] = (await session.run(model, "List", aggregate=pipeline))["result"]
    got += [row["_id"], row["low"], row["high"]]
    got.append((await session.run(model, "Delete", id=1))["result"]["at"])
    session.equal(got, [read] * len(got))


@case("zones.microseconds", feature=_TIMESTAMP, since="0.2")
async def microseconds(session: Session) -> None:
    """Instants a microsecond apart are kept apart: stored, compared, ordered, updated."""
    model = session.model(Moment)
    start = _utc(2024, 2, 29, 23, 59, 59, 999998)
    moments = [start + dt.timedelta(microseconds=number) for number in range(4)]
    session.equal(await _store(session, model, moments), moments)
    for number, at in enumerate(moments, 1):
        await session.expect_list(model, {"at": at}, [number])
        await session.expect_list(model, {"at": {"$gt": at}}, list(range(number + 1, 5)))
        await session.expect_list(model, {"at": {"$lte": at}}, list(range(1, number + 1)))
    rows = await session.rows(model, order_by=["-at"], select=["id"])
    session.equal([row["id"] for row in rows], [4, 3, 2, 1])
    for fields, expected in (({"$max": {"at": moments[3]}}, 3), ({"$min": {"at": moments[0]}}, 0)):
        changed = await session.run(model, "Update", id=2, fields=fields)
        session.equal(changed["at"], moments[expected])


@case("zones.naive", feature=_TIMESTAMP, since="0.2")
async def naive(session: Session) -> None:
    """A naive datetime means UTC wherever it stands, in whatever zone the process is."""
    for number, zone in enumerate(_SYSTEM_ZONES):
        model = session.model(type(f"Moment{number}", (Moment,), {"__doc__": Moment.__doc__}))
        with _system_zone(zone):
            plain, aware = dt.datetime(2024, 3, 10, 2, 30), _utc(2024, 3, 10, 2, 30)
            created = await session.run(model, "Create", id=1, at=plain)
            session.equal(created["at"], aware, f"created with TZ={zone}")
            await session.run(model, "BulkCreate", data=[{"id": 2, "at": plain}])
            await session.expect_list(model, {"at": plain}, [1, 2])
            await session.expect_list(model, {"at": {"$between": [plain, plain]}}, [1, 2])
            await session.run(model, "Update", id=2, fields={"at": plain + _HOUR})
            await session.expect_list(model, {"at": {"$gt": plain}}, [2])
            rows = await session.rows(model, select=["at"])
            session.equal(rows, [{"at": aware}, {"at": aware + _HOUR}], f"read with TZ={zone}")


@case("zones.system", feature=_TIMESTAMP, also=_DATES, since="0.2")
async def system(session: Session) -> None:
    """A handle opened in another system zone reads the same instants, days and hours."""
    model = session.model(Moment)
    at, day, clock = _utc(2024, 11, 3, 5, 30), dt.date(2024, 11, 3), dt.time(23, 30, 0, 1)
    await session.load(model, [{"id": 1, "at": at, "day": day, "clock": clock}])
    pipeline = [
        {
            "$project": {
                "hour": {"$hour": "$at"},
                "start": {"$dateTrunc": {"date": "$at", "unit": "day"}},
            }
        }
    ]
    for zone in _SYSTEM_ZONES:
        with _system_zone(zone):
            handle = await session.second_handle(model) or session.db
            row = (await handle.run("MomentReadNode", id=1))["result"]
            session.equal((row["at"], row["day"], row["clock"]), (at, day, clock), f"TZ={zone}")
            counted = await handle.run("MomentCountNode", filter={"at": at, "day": day})
            session.equal(counted["count"], 1, f"found with TZ={zone}")
            [part] = (await handle.run("MomentListNode", aggregate=pipeline))["result"]
            session.equal((part["hour"], part["start"]), (5, _utc(2024, 11, 3)), f"TZ={zone}")


@case("zones.managed", feature=_TIMESTAMP, since="0.2")
async def managed(session: Session) -> None:
    """created_at and updated_at are the present instant in UTC, in whatever zone the process is."""

    class Stamped:
        __dataflow__ = {"timestamps": True}  # noqa: RUF012 - a model's options are read only
        id: int

    model = session.model(Stamped)
    for number, zone in enumerate(_SYSTEM_ZONES):
        with _system_zone(zone):
            before = dt.datetime.now(dt.UTC)
            row = (await session.run(model, "Create", id=number))["result"]
            after = dt.datetime.now(dt.UTC)
            for name in ("created_at", "updated_at"):
                session.true(row[name].tzinfo is dt.UTC, f"{name} is {row[name]!r}, TZ={zone}")
                session.true(before <= row[name] <= after, f"{name} is {row[name]}, TZ={zone}")


@case("zones.current_date", feature=_TIMESTAMP, also=("updates.set",), since="0.2")
async def current_date(session: Session) -> None:
    """$currentDate is the present instant, day and time of day of UTC."""
    model = session.model(Moment)
    await session.load(model, [{"id": 1}])
    now = {"$currentDate": {"at": True, "day": True, "clock": True}}
    for zone in _SYSTEM_ZONES:
        with _system_zone(zone):
            before = dt.datetime.now(dt.UTC)
            row = (await session.run(model, "Update", id=1, fields=now))["result"]
            after = dt.datetime.now(dt.UTC)
            session.true(before <= row["at"] <= after, f"at is {row['at']}, TZ={zone}")
            there = dt.datetime.combine(row["day"], row["clock"], dt.UTC)
            session.true(before <= there <= after, f"day and clock are {there}, TZ={zone}")


@case("zones.plain_values", feature="types.date", also=("types.time",), since="0.2")
async def plain_values(session: Session) -> None:
    """Days and times of day have no zone and are never shifted."""
    model = session.model(Moment)
    rows = [
        {"id": 1, "day": dt.date(2024, 12, 31), "clock": dt.time(0, 0)},
        {"id": 2, "day": dt.date(2025, 1, 1), "clock": dt.time(23, 59, 59, 999999)},
    ]
    for zone in _SYSTEM_ZONES:
        with _system_zone(zone):
            await session.load(model, rows)
            got = await session.rows(model, select=["id", "day", "clock"])
            session.equal(got, rows, f"TZ={zone}")
            await session.expect_list(model, {"day": {"$lt": dt.date(2025, 1, 1)}}, [1])
            await session.expect_list(model, {"clock": {"$gte": dt.time(23, 59)}}, [2])
            await session.run(model, "BulkDelete", filter={}, allow_all=True)


@case("zones.text", feature=_TIMESTAMP, since="0.2")
async def text(session: Session) -> None:
    """ISO 8601 text with an offset, with Z or without either is its instant."""
    model = session.model(Moment)
    texts = (
        "2024-05-01T12:00:00Z",
        "2024-05-01T12:00:00",
        "2024-05-01T14:00:00+02:00",
        "2024-05-01 06:30:00-05:30",
    )
    for number, written in enumerate(texts, 1):
        await session.run(model, "Create", id=number, at=written)
        await session.expect_list(model, {"at": written}, list(range(1, number + 1)))
    session.equal({row["at"] for row in await session.rows(model)}, {_utc(2024, 5, 1, 12)})


@case("zones.beyond", feature=_TIMESTAMP, since="0.2")
async def beyond(session: Session) -> None:
    """A datetime whose instant lies outside of the years 1 to 9999 in UTC is refused, unsent."""
    model = session.model(Moment)
    await session.run(model, "Count", filter={})
    for at in (
        dt.datetime(1, 1, 1, 5, tzinfo=_zone(6)),
        dt.datetime(9999, 12, 31, 20, tzinfo=_zone(-6)),
    ):
        for kind, parameters in (
            ("Create", {"id": 1, "at": at}),
            ("List", {"filter": {"at": at}}),
            ("BulkCreate", {"data": [{"id": 1, "at": at}]}),
        ):
            call = partial(session.run, model, kind, **parameters)
            await session.expect_error_of(DataFlowError, call)
    session.equal(await session.rows(model), [])
    last = dt.datetime(9999, 12, 31, 20, 59, 59, 999998, tzinfo=_zone(-3))
    session.equal(await _store(session, model, [last]), [last.astimezone(dt.UTC)])
