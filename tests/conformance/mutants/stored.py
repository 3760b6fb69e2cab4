"""Dialects that store or return other values, or have other functions."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
import unicodedata
import uuid
from typing import Any, Final

from dataflow_core.dialect import json_matches
from dataflow_core.filters import fold, render_regex
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from tests.conformance.mutants.mutant import Mutant, changed_codec

__all__ = ["STORED"]


def without_microseconds(text: str) -> str:
    """A stored time of day or instant, cut to seconds."""
    return re.sub(r"\.\d{6}", ".000000", text)


def six_digits(value: float) -> float:
    """A float as a column of single precision gives it back, about."""
    return float(f"{value:.6g}")


def composed(text: str) -> str:
    """Text in the composed form."""
    return unicodedata.normalize("NFC", text)


def cents(value: decimal.Decimal) -> decimal.Decimal:
    """A Decimal rounded to two places."""
    return value if not value.is_finite() else value.quantize(decimal.Decimal("0.01"))


def numbers_as_floats(value: Any) -> Any:
    """JSON as a parser gives it that knows floats only."""
    if isinstance(value, dict):
        return {key: numbers_as_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers_as_floats(item) for item in value]
    return float(value) if type(value) is int else value


def without_nulls(value: Any) -> Any:
    """JSON without the members that are null."""
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item is not None}
    return value


def ascii_lower(text: str) -> str:
    """Lower case of A to Z only."""
    return "".join(letter.lower() if letter < "\x80" else letter for letter in text)


def loosely(document: str | None, condition: str, *operands: str) -> bool:
    """JSON compared as a database does that compares texts: 1 and "1" are the same."""

    def texts(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: texts(item) for key, item in value.items()}
        if isinstance(value, list):
            return [texts(item) for item in value]
        return str(value) if isinstance(value, int | float) else value

    stored = None if document is None else json.dumps(texts(json.loads(document)))
    return json_matches(
        stored, condition, *(json.dumps(texts(json.loads(text))) for text in operands)
    )


def truth_is_one(document: str | None, condition: str, *operands: str) -> bool:
    """JSON compared as a database does that stores true as 1."""
    stored = None if document is None else re.sub(r"\btrue\b", "1", document)
    return json_matches(stored, condition, *(re.sub(r"^true$", "1", text) for text in operands))


def regex(pattern: str, text: str, ignore_case: int, *, flags: int = 0, end: str = r"\Z") -> int:
    """A regular expression by Python's engine, with flags that it must not have."""
    rendered = render_regex(pattern, end=end, ignore_case=bool(ignore_case))
    subject = fold(text) if ignore_case else text
    return int(re.search(rendered, subject, flags) is not None)


def unanchored(pattern: str, text: str, ignore_case: int) -> int:
    """Without ^ and $."""
    return regex(pattern.removeprefix("^"), text, ignore_case, end="")


def wrapped(value: int) -> int:
    """An int of 64 bits that begins again at its lower end."""
    return (value + 2**63) % 2**64 - 2**63


def week_on_monday(text: str | None, unit: str) -> str | None:
    """The start of a unit, where a week starts on Monday."""
    if text is None:
        return None
    from dataflow_sqlite.functions.scalars import FUNCTIONS

    if unit != "week":
        cut: str = FUNCTIONS["dataflow_date_trunc"][1](text, unit)
        return cut
    day = dt.date.fromisoformat(text[:10])
    start = dt.date.fromordinal(day.toordinal() - day.weekday()).isoformat()
    return (start + " 00:00:00.000000+00:00")[: len(text)]


def strictly(function: Any) -> Any:
    """A function that is NULL of NULL."""
    return lambda *values: None if None in values else function(*values)


STORED: Final = (
    Mutant(
        "text loses the spaces at its end",
        ("types.text.round_trip",),
        compiler=changed_codec(Text, encode=lambda text: text.rstrip(" ")),
    ),
    Mutant(
        "empty text is null",
        ("types.text.round_trip",),
        compiler=changed_codec(Text, encode=lambda text: text or None),
    ),
    Mutant(
        "text is normalised",
        ("types.text.round_trip", "types.text.distinct_values"),
        compiler=changed_codec(Text, encode=composed),
    ),
    Mutant(
        "text outside of the first plane is lost",
        ("types.text.round_trip",),
        compiler=changed_codec(
            Text, encode=lambda text: re.sub("[\U00010000-\U0010ffff]", "?", text)
        ),
    ),
    Mutant(
        "bytes come back as text",
        ("types.binary.round_trip",),
        compiler=changed_codec(Binary, decode=lambda value: value.decode("latin-1")),
    ),
    Mutant(
        "bytes end at NUL",
        ("types.binary.round_trip",),
        compiler=changed_codec(Binary, encode=lambda value: value.partition(b"\0")[0]),
    ),
    Mutant(
        "true comes back as 1",
        ("types.boolean.round_trip",),
        compiler=changed_codec(Boolean, decode=int),
    ),
    Mutant(
        "floats have six digits",
        ("types.float.round_trip",),
        compiler=changed_codec(Float, decode=six_digits),
    ),
    Mutant(
        "whole floats come back as ints",
        ("types.float.round_trip",),
        compiler=changed_codec(
            Float, decode=lambda value: int(value) if value.is_integer() else value
        ),
    ),
    Mutant(
        "big ints lose digits",
        ("types.integer.round_trip",),
        compiler=changed_codec(Integer, decode=lambda value: int(float(value))),
    ),
    Mutant(
        "Decimals come back as floats",
        ("types.decimal.round_trip",),
        compiler=changed_codec(Decimal, decode=float),
    ),
    Mutant(
        "Decimals have two places",
        ("types.decimal.round_trip", "types.decimal.wide.round_trip"),
        compiler=changed_codec(Decimal, decode=cents),
    ),
    Mutant(
        "instants come back without a zone",
        ("types.timestamp.round_trip",),
        compiler=changed_codec(Timestamp, decode=lambda value: value.replace(tzinfo=None)),
    ),
    Mutant(
        "instants lose microseconds",
        ("types.timestamp.round_trip", "zones.microseconds"),
        compiler=changed_codec(Timestamp, encode=without_microseconds),
    ),
    Mutant(
        "instants are an hour off in summer",
        ("zones.same_instant", "zones.results"),
        compiler=changed_codec(
            Timestamp,
            decode=lambda value: (
                value + dt.timedelta(hours=int(4 <= value.month < 10 and value.year > 1))
            ),
        ),
    ),
    Mutant(
        "times lose microseconds",
        ("types.time.round_trip",),
        compiler=changed_codec(Time, encode=without_microseconds),
    ),
    Mutant(
        "times come back as durations",
        ("types.time.round_trip",),
        compiler=changed_codec(
            Time,
            decode=lambda value: dt.timedelta(
                hours=value.hour,
                minutes=value.minute,
                seconds=value.second,
                microseconds=value.microsecond,
            ),
        ),
    ),
    Mutant(
        "dates come back as midnights",
        ("types.date.round_trip",),
        compiler=changed_codec(Date, decode=lambda day: dt.datetime(day.year, day.month, day.day)),
    ),
    Mutant(
        "UUIDs come back as text",
        ("types.uuid.round_trip",),
        compiler=changed_codec(Uuid, decode=str),
    ),
    Mutant(
        "UUIDs with letters in capitals are others",
        ("filters.gt.uuid",),
        compiler=changed_codec(
            Uuid,
            encode=lambda text: text.upper() if text < "8" else text,
            decode=lambda value: uuid.UUID(str(value)),
        ),
    ),
    Mutant(
        "numbers in JSON are floats",
        ("types.json.object.round_trip",),
        compiler=changed_codec(Json, decode=numbers_as_floats),
    ),
    Mutant(
        "null in JSON is left out",
        ("types.json.members",),
        compiler=changed_codec(Json, decode=without_nulls),
    ),
    Mutant(
        "JSON comes back as text",
        ("types.json.object.round_trip",),
        compiler=changed_codec(Json, decode=json.dumps),
    ),
    Mutant(
        "a number in JSON equals its text",
        ("filters.json.number", "filters.json.text"),
        functions={"dataflow_json_matches": (-1, loosely)},
    ),
    Mutant(
        "true in JSON equals 1",
        ("filters.json.true",),
        functions={"dataflow_json_matches": (-1, truth_is_one)},
    ),
    Mutant(
        "folding knows A to Z only",
        ("filters.icontains.accent", "expressions.lower"),
        functions={"dataflow_fold": (1, strictly(ascii_lower))},
    ),
    Mutant(
        "ß folds to ss",
        ("expressions.lower.special", "filters.icontains.special"),
        functions={"dataflow_fold": (1, strictly(str.casefold))},
    ),
    Mutant(
        "capital ß is SS",
        ("expressions.upper.special",),
        functions={"dataflow_upper": (1, strictly(str.upper))},
    ),
    Mutant(
        "regexes ignore case",
        ("filters.regex.class",),
        functions={
            "dataflow_regex": (
                3,
                strictly(
                    lambda pattern, text, flag: regex(pattern, text, flag, flags=re.IGNORECASE)
                ),
            )
        },
    ),
    Mutant(
        "regexes are not anchored",
        ("filters.regex.end_class", "filters.regex.class"),
        functions={"dataflow_regex": (3, strictly(unanchored))},
    ),
    Mutant(
        "a dot matches a line break",
        ("filters.regex.dot_newline",),
        functions={
            "dataflow_regex": (
                3,
                strictly(lambda pattern, text, flag: regex(pattern, text.replace("\n", "n"), flag)),
            )
        },
    ),
    Mutant(
        "$ matches before a last line break",
        ("filters.regex.end_class", "filters.regex.alternation"),
        functions={
            "dataflow_regex": (
                3,
                strictly(lambda pattern, text, flag: regex(pattern, text, flag, end="$")),
            )
        },
    ),
    Mutant(
        "% stops at a line break",
        ("filters.like.newline",),
        functions={
            "dataflow_like": (3, strictly(lambda pattern, text, flag: int("\n" not in text)))
        },
    ),
    Mutant(
        "ints begin again at their lower end",
        ("expressions.overflow.add",),
        functions={"dataflow_int_add": (2, strictly(lambda left, right: wrapped(left + right)))},
    ),
    Mutant(
        "ints become floats where they are too big",
        ("expressions.overflow.multiply",),
        functions={
            "dataflow_int_mul": (
                2,
                strictly(
                    lambda left, right: (
                        left * right if abs(left * right) < 2**63 else float(left * right)
                    )
                ),
            )
        },
    ),
    Mutant(
        "the rest of a negative is positive",
        ("expressions.mod.negative",),
        functions={
            "dataflow_int_mod": (2, strictly(lambda left, right: left % right if right else None))
        },
    ),
    Mutant(
        "weeks start on Monday",
        ("expressions.trunc.week_sunday",),
        functions={"dataflow_date_trunc": (2, week_on_monday)},
    ),
)
