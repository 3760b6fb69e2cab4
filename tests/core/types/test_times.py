from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import InvalidType, InvalidValue
from dataflow_core.types import Date, FieldType, Time, Timestamp

WHERE = "User.born"
EAST = dt.timezone(dt.timedelta(hours=8))


class NoOffset(dt.tzinfo):
    """A zone that does not know its offset."""

    def utcoffset(self, moment: dt.datetime | None) -> None:
        return None

    dst = tzname = utcoffset


class Precise(dt.datetime):
    """A datetime that has nanoseconds."""

    nanosecond = 5


def utc(*parts: int) -> dt.datetime:
    """A moment in UTC."""
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (dt.datetime(2025, 1, 17, 8, 30), utc(2025, 1, 17, 8, 30)),
        (dt.datetime(2025, 1, 17, 8, 30, tzinfo=EAST), utc(2025, 1, 17, 0, 30)),
        (dt.datetime(2025, 1, 17, 8, 30, tzinfo=NoOffset()), utc(2025, 1, 17, 8, 30)),
        ("2025-01-17T08:30:00", utc(2025, 1, 17, 8, 30)),
        ("2025-01-17T08:30:00.000001+08:00", utc(2025, 1, 17, 0, 30, 0, 1)),
        ("2025-01-17T08:30:00Z", utc(2025, 1, 17, 8, 30)),
    ],
)
def test_an_instant_is_aware_and_in_utc(value: Any, expected: dt.datetime) -> None:
    """Naive means UTC, other zones are converted, ISO 8601 text is read."""
    found = Timestamp().check(value, WHERE)
    assert (expected, dt.UTC) == (found, found.tzinfo)


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime.min,
        dt.datetime.max,
        dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(dt.timedelta(hours=-8))),
        Precise(2025, 1, 1),
        "2024-02-30T00:00:00",
        "yesterday",
        "",
        "\ud800" * 10,
        "2025-01-17T08:30:00" * 10_000,
    ],
)
def test_an_impossible_instant_is_refused(value: Any) -> None:
    """The first and the last instant, what leaves the years 1 to 9999, and days there are not."""
    with pytest.raises(InvalidValue, match=r"^DF-103: User\.born"):
        Timestamp().check(value, WHERE)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Timestamp(), dt.date(2025, 1, 17)),
        (Timestamp(), 1_700_000_000),
        (Timestamp(), True),
        (Date(), dt.datetime(2025, 1, 17)),
        (Date(), 20250117),
        (Time(), dt.timedelta(hours=30)),
        (Time(), dt.datetime(2025, 1, 17)),
    ],
)
def test_moments_of_other_kinds_are_refused(kind: FieldType, value: Any) -> None:
    """A datetime is never cut to a date, nor a number read as a moment."""
    with pytest.raises(InvalidType, match=f"expected {kind.name}"):
        kind.check(value, WHERE)


def test_days_and_times_of_day() -> None:
    """ISO 8601 text is read; a time of day has no zone."""
    assert Date().check("2025-01-17", WHERE) == dt.date(2025, 1, 17)
    assert Time().check("08:30:00.5", WHERE) == dt.time(8, 30, 0, 500_000)
    for kind, text in ((Date(), "2025-02-30"), (Date(), "17.1.2025"), (Time(), "25:00")):
        with pytest.raises(InvalidValue, match="is not like"):
            kind.check(text, WHERE)
    with pytest.raises(InvalidValue, match="no zone"):
        Time().check("08:30:00+02:00", WHERE)


def test_subclasses_become_plain() -> None:
    """The canonical value is of the standard class itself, whatever class was given."""
    day = type("Day", (dt.date,), {})(2025, 1, 17)
    hour = type("Hour", (dt.time,), {})(8)
    moment = type("Moment", (dt.datetime,), {})(2025, 1, 17)
    assert [dt.date, dt.time, dt.datetime] == [
        type(kind.check(value, WHERE))
        for kind, value in ((Date(), day), (Time(), hour), (Timestamp(), moment))
    ]


@given(
    st.datetimes(
        dt.datetime(1, 1, 2),
        dt.datetime(9999, 12, 30),
        timezones=st.one_of(st.none(), st.timezones()),
    )
)
def test_an_instant_stays_the_same_instant(value: dt.datetime) -> None:
    """Reading an instant twice changes nothing; a zone does not change which instant it is."""
    found = Timestamp().check(value, WHERE)
    assert found == Timestamp().check(found, WHERE)
    if value.tzinfo is not None:
        assert value.astimezone(dt.UTC) == found
