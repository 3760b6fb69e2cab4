"""The SQL functions that SQLite lacks, in Python: exact numbers, folding, patterns, dates, JSON.

SQLite reports a failing function without its reason, so the reason is kept in the connection's
``FunctionErrors``.
"""

from __future__ import annotations

import datetime as dt
import math
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from dataflow_core.dialect import json_matches
from dataflow_core.filters import fold, like_matches, upper
from dataflow_sqlite.functions.conversions import CONVERSIONS
from dataflow_sqlite.functions.decimals import DECIMAL_FUNCTIONS
from dataflow_sqlite.functions.regex import compile_pattern
from dataflow_sqlite.functions.results import FunctionErrors, in_float, in_int64

__all__ = ["FUNCTIONS", "NULL_FUNCTIONS", "register_functions"]


def _int_add(left: int, right: int) -> int:
    return in_int64(left + right)


def _int_subtract(left: int, right: int) -> int:
    return in_int64(left - right)


def _int_multiply(left: int, right: int) -> int:
    return in_int64(left * right)


def _int_mod(left: int, right: int) -> int | None:
    if right == 0:
        return None
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _int_abs(value: int) -> int:
    return in_int64(abs(value))


def _float_add(left: float, right: float) -> float:
    return in_float(left + right)


def _float_subtract(left: float, right: float) -> float:
    return in_float(left - right)


def _float_multiply(left: float, right: float) -> float:
    return in_float(left * right)


def _float_divide(left: float, right: float) -> float | None:
    return None if right == 0 else in_float(left / right)


def _float_mod(left: float, right: float) -> float | None:
    return None if right == 0 else math.fmod(left, right)


# Doubles beyond 2**53 are whole already, and -0.5 has to give 0.0 like every other database.
def _ceil(value: float) -> float:
    return float(math.ceil(value))


def _floor(value: float) -> float:
    return float(math.floor(value))


def _regex(pattern: str, text: str, ignore_case: int) -> int:
    return 1 if compile_pattern(pattern, bool(ignore_case))(text) else 0


def _like(pattern: str, text: str, ignore_case: int) -> int:
    return 1 if like_matches(pattern, text, bool(ignore_case)) else 0


def _substring(text: str, start: int, count: int) -> str | None:
    return None if start < 0 or count < 0 else text[start : start + count]


_CUT: Final[dict[str, tuple[int, str]]] = {
    # unit -> (characters that stay, what follows them), of `YYYY-MM-DD HH:MM:SS.ffffff+00:00`
    "year": (4, "-01-01 00:00:00.000000+00:00"),
    "month": (7, "-01 00:00:00.000000+00:00"),
    "day": (10, " 00:00:00.000000+00:00"),
    "hour": (13, ":00:00.000000+00:00"),
    "minute": (16, ":00.000000+00:00"),
    "second": (19, ".000000+00:00"),
}
_DATE_LENGTH: Final = 10


def _date_trunc(text: str, unit: str) -> str:
    """The start of the unit that a stored date or timestamp lies in; a week starts on Sunday."""
    if unit == "quarter":
        month = (int(text[5:7]) - 1) // 3 * 3 + 1
        start = f"{text[:5]}{month:02d}-01"
    elif unit == "week":
        day = dt.date.fromisoformat(text[:_DATE_LENGTH])
        # No week starts before the first day of the calendar.
        number = max(day.toordinal() - day.isoweekday() % 7, 1)
        start = dt.date.fromordinal(number).isoformat()
    else:
        kept, rest = _CUT[unit]
        return (text[:kept] + rest)[: len(text)]
    return (start + _CUT["day"][1])[: len(text)]


FUNCTIONS: Final[dict[str, tuple[int, Callable[..., Any]]]] = {
    "dataflow_fold": (1, fold),
    "dataflow_upper": (1, upper),
    "dataflow_regex": (3, _regex),
    "dataflow_like": (3, _like),
    "dataflow_substring": (3, _substring),
    "dataflow_int_add": (2, _int_add),
    "dataflow_int_sub": (2, _int_subtract),
    "dataflow_int_mul": (2, _int_multiply),
    "dataflow_int_mod": (2, _int_mod),
    "dataflow_int_abs": (1, _int_abs),
    "dataflow_float_add": (2, _float_add),
    "dataflow_float_sub": (2, _float_subtract),
    "dataflow_float_mul": (2, _float_multiply),
    "dataflow_float_div": (2, _float_divide),
    "dataflow_float_mod": (2, _float_mod),
    "dataflow_ceil": (1, _ceil),
    "dataflow_floor": (1, _floor),
    "dataflow_date_trunc": (2, _date_trunc),
    **DECIMAL_FUNCTIONS,
}
"""Name in SQL -> number of arguments, function. A NULL argument makes the result NULL."""

NULL_FUNCTIONS: Final[dict[str, tuple[int, Callable[..., Any]]]] = {
    "dataflow_json_matches": (-1, json_matches),
    **CONVERSIONS,
}
"""The same, of functions that are asked about NULL too. -1 is any number of arguments."""


def register_functions(connection: sqlite3.Connection, errors: FunctionErrors) -> None:
    """Make every function known to a connection."""
    for name, (count, function) in FUNCTIONS.items():
        guarded = _guarded(function, errors, skip_null=True)
        connection.create_function(name, count, guarded, deterministic=True)
    for name, (count, function) in NULL_FUNCTIONS.items():
        guarded = _guarded(function, errors, skip_null=False)
        connection.create_function(name, count, guarded, deterministic=True)


def _guarded(
    function: Callable[..., Any], errors: FunctionErrors, *, skip_null: bool
) -> Callable[..., Any]:
    def guarded(*arguments: Any) -> Any:
        if skip_null and None in arguments:
            return None
        try:
            return function(*arguments)
        except Exception as error:
            errors.keep(error)
            raise

    return guarded
