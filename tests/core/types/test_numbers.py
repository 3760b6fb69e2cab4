from __future__ import annotations

import decimal
import enum
import math
from decimal import Decimal as Number
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import InvalidType, InvalidValue
from dataflow_core.types import NEVER, Decimal, FieldType, Float, Integer

WHERE = "User.age"


class Level(enum.Enum):
    LOW = 1


class Grade(enum.IntEnum):
    TOP = 2


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Integer(), 2**63 - 1),
        (Integer(), -(2**63)),
        (Integer(32), 2**31 - 1),
        (Float(), -1.5),
        (Decimal(), Number("12345678901234.5678")),
    ],
)
def test_a_value_of_the_type_stays(kind: FieldType, value: Any) -> None:
    """What fits the type is returned as it is, up to the very bounds."""
    assert value == kind.check(value, WHERE)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Integer(), 2**63),
        (Integer(), -(2**63) - 1),
        (Integer(32), 2**31),
        (Float(), 10**400),
        (Float(), 2**53 + 1),
        (Float(), math.nan),
        (Float(), math.inf),
        (Float(), -math.inf),
        (Decimal(), Number("NaN")),
        (Decimal(), Number("sNaN")),
        (Decimal(), Number("-Infinity")),
        (Decimal(), Number("1E+999999")),
        (Decimal(), 10**14),
        (Decimal(), Number("0.00001")),
        (Decimal(4, 2), Number("100")),
    ],
)
def test_what_does_not_fit_is_refused(kind: FieldType, value: Any) -> None:
    """Out of range, not finite, or more digits than the scale: refused, never rounded."""
    with pytest.raises(InvalidValue, match=r"^DF-103: User\.age"):
        kind.check(value, WHERE)


@pytest.mark.parametrize("kind", [Integer(), Float(), Decimal()])
def test_a_huge_int_is_refused_at_once(kind: FieldType) -> None:
    """Also one that would take minutes to write out."""
    for take in (kind.check, kind.operand):
        with pytest.raises(InvalidValue, match="out of range"):
            take(1 << 4_000_000, WHERE)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Integer(), True),
        (Integer(), 1.0),
        (Integer(), "1"),
        (Integer(), None),
        (Integer(), Number(1)),
        (Float(), True),
        (Float(), "1.5"),
        (Float(), Number("1.5")),
        (Decimal(), True),
        (Decimal(), 1.5),
        (Decimal(), "1.5"),
    ],
)
def test_other_kinds_are_refused(kind: FieldType, value: Any) -> None:
    """A bool is no number, text is never read as one, and a float is not exact enough."""
    with pytest.raises(InvalidType, match=rf"User\.age: expected {kind.name}.*got"):
        kind.check(value, WHERE)


def test_an_int_becomes_a_float_or_a_decimal() -> None:
    """The only conversions between numbers: an int where a float or a Decimal is declared."""
    assert (3.0, float) == ((found := Float().check(3, WHERE)), type(found))
    assert (Number("3.0000"), 4) == (
        (exact := Decimal().check(3, WHERE)),
        -exact.as_tuple().exponent,  # type: ignore[operator]
    )


def test_enum_members_become_their_values() -> None:
    """A member of an enum is its value, as a plain int."""
    assert (1, int) == ((found := Integer().check(Level.LOW, WHERE)), type(found))
    assert (2, int) == ((found := Integer().check(Grade.TOP, WHERE)), type(found))


@pytest.mark.parametrize(
    ("rounding", "value", "expected"),
    [
        ("exact", 2.0, 2),
        ("exact", 1.5, NEVER),
        ("exact", Number("1.5"), NEVER),
        ("down", 1.5, 1),
        ("up", 1.5, 2),
        ("down", -1.5, -2),
        ("up", Number("-1.5"), -1),
        ("up", 1e-300, 1),
    ],
)
def test_an_int_is_compared_with_any_number(rounding: str, value: Any, expected: Any) -> None:
    """A number between two ints goes to the one that keeps the comparison true; equal to none."""
    assert expected == Integer().operand(value, WHERE, rounding)


def test_a_short_int_is_compared_with_a_long_one() -> None:
    """What a 32-bit column cannot hold may still be asked for; beyond 64 bits it may not."""
    assert Integer(32).operand(2**40, WHERE) == 2**40
    with pytest.raises(InvalidValue):
        Integer(32).operand(2**63, WHERE)


@pytest.mark.parametrize(
    "value", [1e300, math.nan, Number("sNaN"), Number("1E+999999999"), Number("Infinity")]
)
def test_an_int_is_not_compared_with_what_no_int_can_be(value: Any) -> None:
    """Not finite or beyond 64 bits: refused at once, however large the exponent."""
    with pytest.raises(InvalidValue):
        Integer().operand(value, WHERE)


@pytest.mark.parametrize(
    ("rounding", "value", "expected"),
    [
        ("exact", Number("0.00001"), NEVER),
        ("down", Number("0.00001"), Number(0)),
        ("up", Number("0.00001"), Number("0.0001")),
        ("up", Number("1E-999999999"), Number("0.0001")),
        ("down", -0.1, Number("-0.1001")),
        ("exact", 0.5, Number("0.5")),
    ],
)
def test_a_decimal_is_compared_with_any_number(rounding: str, value: Any, expected: Any) -> None:
    """A number of more digits goes to the storable one below or above; equal to none."""
    assert expected == Decimal().operand(value, WHERE, rounding)


def test_an_inexact_float_equals_no_decimal() -> None:
    """0.1 is not exactly 0.1: the error shows the Decimal to write."""
    with pytest.raises(InvalidValue, match=r"write Decimal\('0\.1'\)"):
        Decimal().operand(0.1, WHERE)


@pytest.mark.parametrize("value", [Number("0.1"), Number("1E+999999999"), Number("1E-999999")])
def test_a_float_is_compared_with_exact_numbers_only(value: Number) -> None:
    """A Decimal that no float equals exactly is refused as the operand of a float."""
    with pytest.raises(InvalidValue):
        Float().operand(value, WHERE)


def test_a_float_is_compared_with_a_decimal_that_is_one() -> None:
    """A Decimal that is exactly a float is compared as that float."""
    assert Float().operand(Number("0.5"), WHERE) == 0.5


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(1, 38), st.data())
def test_a_stored_decimal_is_the_given_one(
    value: decimal.Decimal, precision: int, data: st.DataObject
) -> None:
    """Whatever the precision and scale: accepted unchanged in value, or refused."""
    scale = data.draw(st.integers(0, precision))
    try:
        stored = Decimal(precision, scale).check(value, WHERE)
    except InvalidValue:
        return
    digits = stored.as_tuple()
    assert value == stored
    assert -scale == digits.exponent
    assert len(digits.digits) <= precision or stored == 0
