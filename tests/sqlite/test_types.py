from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_sqlite.types import codec, declared_type, field_type

KINDS: tuple[FieldType, ...] = (
    Integer(),
    Integer(32),
    Float(),
    Boolean(),
    Text(),
    Text(20),
    Binary(),
    Decimal(18, 4),
    Decimal(5, 5),
    Decimal(19, 4),
    Decimal(38, 10),
    Timestamp(),
    Date(),
    Time(),
    Uuid(),
    Json("any"),
    Json("object"),
    Json("array"),
    Json("array", Integer()),
    Json("array", Float()),
    Json("array", Text()),
    Json("array", Boolean()),
)
VALUES: tuple[tuple[FieldType, Any], ...] = (
    (Integer(), -(2**63)),
    (Integer(), 2**63 - 1),
    (Integer(32), -(2**31)),
    (Float(), 0.1),
    (Float(), 5e-324),
    (Float(), -1.7976931348623157e308),
    (Float(), 3.0),
    (Boolean(), True),
    (Boolean(), False),
    (Text(), "12"),
    (Text(), "1e5"),
    (Text(), ""),
    (Text(), "' OR 1=1 -- 😀é\u0301"),
    (Binary(), b""),
    (Binary(), bytes(range(256))),
    (Decimal(18, 4), decimal.Decimal("-99999999999999.9999")),
    (Decimal(18, 18), decimal.Decimal("0.000000000000000001")),
    (Decimal(38, 10), decimal.Decimal("-9999999999999999999999999999.9999999999")),
    (Decimal(38, 0), decimal.Decimal("99999999999999999999999999999999999999")),
    (Decimal(19, 2), decimal.Decimal("0.00")),
    (Timestamp(), dt.datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC)),
    (Timestamp(), dt.datetime(987, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)),
    (Timestamp(), dt.datetime(2025, 1, 17, tzinfo=dt.UTC)),
    (Date(), dt.date(1, 1, 1)),
    (Date(), dt.date(9999, 12, 31)),
    (Time(), dt.time(0)),
    (Time(), dt.time(23, 59, 59, 999999)),
    (Uuid(), uuid.UUID("8C0D5C2E-3F0E-4C55-9D0C-2F8A6F1F7A10")),
    (Json(), {"ä": [1, 1.5, None, True, "x"], "": {}}),
    (Json(), "text"),
    (Json(), 12),
    (Json("array", Integer()), [2**63 - 1]),
    (Enumeration(("a", "1"), Text()), "1"),
    (Enumeration((1, 2), Integer()), 2),
)


def stored(kind: FieldType, value: Any) -> Any:
    """The value as it comes back from a column of its type."""
    how = codec(kind)
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f"CREATE TABLE t (c {declared_type(kind)})")
        encoded = value if how.encode is None else how.encode(value)
        connection.execute("INSERT INTO t VALUES (?)", (encoded,))
        ((raw,),) = connection.execute("SELECT c FROM t").fetchall()
    finally:
        connection.close()
    return raw if how.decode is None else how.decode(raw)


@pytest.mark.parametrize("kind", KINDS, ids=declared_type)
def test_a_declared_type_gives_its_field_type_back(kind: FieldType) -> None:
    """The name that a column is declared with tells the field type, sizes included."""
    assert field_type(declared_type(kind)) == kind


@pytest.mark.parametrize(
    "declared", ["", "NVARCHAR(10)", "DECIMAL", "DECIMAL(19,4)", "DECIMALTEXT(5,2)", "TEXT(3)"]
)
def test_a_foreign_declared_type_gives_none(declared: str) -> None:
    """A declared type that this dialect does not write is not guessed at."""
    assert field_type(declared) is None


def test_names_of_types_are_distinct() -> None:
    """No two field types share a declared type."""
    assert len({declared_type(kind) for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_what_is_written_is_read(kind: FieldType, value: Any) -> None:
    """A canonical value comes back from a column of its type as it was, of the same Python type."""
    back = stored(kind, value)
    assert back == value
    assert type(back) is type(value)
    if isinstance(value, dt.datetime):
        assert back.tzinfo is dt.UTC
    if isinstance(value, decimal.Decimal):
        assert back.as_tuple().exponent == value.as_tuple().exponent


def test_the_caller_s_decimal_context_does_not_round() -> None:
    """A context of few digits in the caller's thread changes no stored Decimal."""
    value = decimal.Decimal("12345678901234567890.1234")
    with decimal.localcontext(decimal.Context(prec=3)):
        assert stored(Decimal(38, 4), value) == value
        assert stored(Decimal(18, 4), decimal.Decimal("123456.7891")) == decimal.Decimal(
            "123456.7891"
        )


@given(st.lists(st.integers(-(10**38) + 1, 10**38 - 1), min_size=2, max_size=10))
def test_wide_decimals_sort_as_text(numbers: list[int]) -> None:
    """The text of wide Decimals sorts as their values do."""
    encode = codec(Decimal(38, 6)).encode
    assert encode is not None
    values = [decimal.Decimal(f"{number}E-6") for number in numbers]
    assert [encode(value) for value in sorted(values)] == sorted(map(encode, values))


@given(st.lists(st.datetimes(), min_size=2, max_size=10))
def test_timestamps_sort_as_text(moments: list[dt.datetime]) -> None:
    """The text of instants sorts as they do, in the first centuries too."""
    encode = codec(Timestamp()).encode
    assert encode is not None
    values = sorted(moment.replace(tzinfo=dt.UTC) for moment in moments)
    assert [encode(value) for value in values] == sorted(map(encode, values))


def test_the_boolean_expression_is_its_decoder() -> None:
    """The expression that a row function inlines gives what the decoder gives."""
    how = codec(Boolean())
    assert how.decode is not None and how.decode_source is not None
    for raw in (0, 1):
        assert eval(how.decode_source, {"value": raw}) is how.decode(raw)  # noqa: S307
