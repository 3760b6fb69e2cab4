"""Instants, days, times of day."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar, Final

from attrs import frozen

from dataflow_core.errors import InvalidValue
from dataflow_core.types.base import FieldType, out_of_range, parsed

__all__ = ["Date", "Time", "Timestamp"]


@frozen
class Timestamp(FieldType):
    """An instant, in microseconds, as an aware datetime in UTC."""

    name: ClassVar[str] = "datetime"

    def check(self, value: Any, where: str) -> dt.datetime:
        if isinstance(value, str):
            value = parsed(dt.datetime.fromisoformat, value, where, "2025-01-17T08:30:00")
        if not isinstance(value, dt.datetime):
            raise self.refuse(value, where, "datetime or ISO 8601 text")
        if getattr(value, "nanosecond", 0):
            raise InvalidValue(f"{where}: nanoseconds would be lost", where=where)
        try:
            # A zone may say that it has no offset; such a datetime is naive too.
            if value.utcoffset() is None:
                value = value.replace(tzinfo=dt.UTC, fold=0)
            else:
                value = value.astimezone(dt.UTC)
        except OverflowError:
            raise out_of_range(where, "a datetime of the years 1 to 9999 in UTC") from None
        if value in (_FIRST_INSTANT, _LAST_INSTANT):
            raise out_of_range(where, "a datetime after the first and before the last instant")
        return value if type(value) is dt.datetime else _plain_datetime(value)


_FIRST_INSTANT: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_LAST_INSTANT: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


@frozen
class Date(FieldType):
    """A day."""

    name: ClassVar[str] = "date"

    def check(self, value: Any, where: str) -> dt.date:
        if isinstance(value, str):
            value = parsed(dt.date.fromisoformat, value, where, "2025-01-17")
        if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
            raise self.refuse(value, where, "date or ISO 8601 text")
        return dt.date(value.year, value.month, value.day)


@frozen
class Time(FieldType):
    """A time of day without a zone, in microseconds."""

    name: ClassVar[str] = "time"

    def check(self, value: Any, where: str) -> dt.time:
        if isinstance(value, str):
            value = parsed(dt.time.fromisoformat, value, where, "08:30:00")
        if not isinstance(value, dt.time):
            raise self.refuse(value, where, "time or ISO 8601 text")
        if value.tzinfo is not None:
            raise InvalidValue(f"{where}: a time of day has no zone", where=where)
        return dt.time(value.hour, value.minute, value.second, value.microsecond)


def _plain_datetime(value: dt.datetime) -> dt.datetime:
    return dt.datetime.combine(value.date(), value.time(), tzinfo=dt.UTC)
