from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow_core.errors import DatabaseError, InvalidType, InvalidValue, OutOfRange
from dataflow_mysql.protocol.literals import rendered, statement
from tests.mysql.support import value

EVERY_CHARACTER = "".join(map(chr, range(0x3000))) + "😀\U0010ffff\ue000\uffff"
HOSTILE = (
    "' OR '1'='1",
    "\\' OR 1=1 -- ",
    "\\\\' OR 1=1 # ",
    "''; DROP TABLE t; --",
    "\\",
    "'",
    "\\'",
    "''\\",
    "\x00'\x1a\\n\n\r\"`",
    "/* ? */ -- ?",
    "%s %(a)s %% ?",
    "¿'\\縗'\xbf'\x5c",
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
NASTY = st.text(st.sampled_from("'\"\\\x00\n\x1a%?`;-# aéœ縗😀"), max_size=30)


def filled(sql: str, *parameters: Any, plain: bool = False) -> str:
    """The statement as it is sent."""
    return statement(sql, plain).filled(parameters, no_backslash_escapes=plain)


def test_placeholders_stand_outside_of_quotes_and_comments() -> None:
    """A question mark in a text, a name or a comment is not a placeholder; nothing else is one."""
    sql = (
        "SELECT ?, '?', 'it''s ?', 'a\\'?', \"?\\\"?\", `?``?`, /* ? ' */ ? -- ? it's\n"
        ", ? # '?\n, 5 % 3, '%s', ?--?"
    )
    assert filled(sql, 1, 2, 3, 4, 5) == (
        "SELECT 1, '?', 'it''s ?', 'a\\'?', \"?\\\"?\", `?``?`, /* ? ' */ 2 -- ? it's\n"
        ", 3 # '?\n, 5 % 3, '%s', 4--5"
    )


def test_a_backslash_is_plain_in_that_mode() -> None:
    """Where the server reads a backslash as a character, a quote behind it ends the text."""
    assert filled(r"SELECT 'a\', ?", 1, plain=True) == r"SELECT 'a\', 1"
    assert filled(r"SELECT 'a\', ?'", plain=False) == r"SELECT 'a\', ?'"
    assert filled("SELECT ?", "a\\'b", plain=True) == "SELECT 'a\\''b'"
    assert filled("SELECT ?", "a\\'b") == "SELECT 'a\\\\''b'"


@pytest.mark.parametrize("parameters", [(), (1,), (1, 2, 3)])
def test_the_number_of_values_has_to_be_right(parameters: tuple[int, ...]) -> None:
    """More or fewer values than placeholders is an error before anything is sent."""
    with pytest.raises(DatabaseError, match="2 placeholders") as caught:
        filled("SELECT ?, ?", *parameters)
    assert caught.value.outcome == "not done"


@pytest.mark.parametrize(
    ("given_value", "text"),
    [
        (None, "NULL"),
        (True, "1"),
        (False, "0"),
        (-(2**63), "-9223372036854775808"),
        (2**64 - 1, "18446744073709551615"),
        (0.1, "0.1e0"),
        (1e300, "1e+300"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+3"), "1000"),
        ("", "''"),
        (b"\x00\xff'", "_binary X'00ff27'"),
        (bytearray(b"a"), "_binary X'61'"),
        (memoryview(b"a"), "_binary X'61'"),
        (dt.datetime(1, 2, 3, 4, 5, 6, 7), "TIMESTAMP'0001-02-03 04:05:06.000007'"),
        (
            dt.datetime(2025, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            "TIMESTAMP'2024-12-31 23:00:00.000000'",
        ),
        (dt.date(25, 1, 2), "DATE'0025-01-02'"),
        (dt.time(1, 2), "TIME'01:02:00.000000'"),
        (uuid.UUID(int=1), "'00000000-0000-0000-0000-000000000001'"),
    ],
)
def test_each_type_has_its_literal(given_value: Any, text: str) -> None:
    """Values are written in full precision and in the server's own notation."""
    assert rendered(given_value) == text
    assert filled("?", given_value) == text


class Word(enum.StrEnum):
    A = "it's"


class Number(enum.IntEnum):
    ONE = 1


class Loud(str):
    def __str__(self) -> str:
        return "'; DROP TABLE t"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return "'; DROP TABLE t"


def test_subclasses_are_their_values() -> None:
    """A subclass is bound as what it is, whatever it prints."""
    assert filled("?, ?, ?", Word.A, Number.ONE, Loud("it's")) == "'it''s', 1, 'it''s'"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (float("inf"), InvalidValue),
        (float("nan"), InvalidValue),
        (Decimal("NaN"), InvalidValue),
        (Decimal("1E+500000"), OutOfRange),
        (2**64, OutOfRange),
        (-(2**63) - 1, OutOfRange),
        (object(), InvalidType),
        ([1], InvalidType),
        ({"a": 1}, InvalidType),
        (dt.timedelta(1), InvalidType),
        (dt.time(1, tzinfo=dt.UTC), InvalidType),
    ],
)
def test_what_has_no_literal_is_refused(wrong: Any, error: type[Exception]) -> None:
    """A value that the server would take for something else is an error that does not show it."""
    with pytest.raises(error):
        filled("SELECT ?", wrong)


def test_the_first_words_of_a_statement() -> None:
    """Comments and parentheses in front do not hide what a statement begins with."""
    assert statement("/* a */ -- b\n (select 1").words == ("SELECT",)
    assert statement("create  temporary table t (a int)").words == ("CREATE", "TEMPORARY")
    assert statement("").words == ()


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"])
async def test_every_character_comes_back(connection: Any, mode: str) -> None:
    """Each character travels there and back unchanged, in every mode that changes quoting."""
    await connection.fetch("SET sql_mode = CONCAT(@@sql_mode, ',', ?)", (mode,))
    for text in (EVERY_CHARACTER, *HOSTILE):
        rows = await connection.fetch("SELECT ?, 'a', ?", (text, text.encode()))
        assert rows == [(text, "a", text.encode())]
    every_byte = bytes(range(256)) * 3
    assert await value(connection, "SELECT ?", every_byte) == every_byte


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS | NASTY, min_size=1, max_size=20), blobs=st.lists(st.binary()))
def test_texts_and_bytes_in_any_mixture(
    texts: list[str], blobs: list[bytes], blocking_fetch: Any
) -> None:
    """Any texts and bytes side by side in one statement come back as they were."""
    values: list[Any] = [*texts, *blobs]
    marks = ", ".join("?" for _ in values)
    for mode in ("", "NO_BACKSLASH_ESCAPES"):
        blocking_fetch("SET sql_mode = ?", (mode,))
        assert blocking_fetch(f"SELECT {marks}", values) == [tuple(values)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.decimals(allow_nan=False, allow_infinity=False, places=10, max_value=10**18)
        | st.datetimes(dt.datetime(1, 1, 2), timezones=st.just(dt.UTC))
        | st.dates()
        | st.times(),
        min_size=1,
        max_size=20,
    )
)
def test_other_values_come_back(blocking_fetch: Any, values: list[Any]) -> None:
    """Numbers, dates and times come back equal and of the same type."""
    marks = ", ".join("?" for _ in values)
    (row,) = blocking_fetch(f"SELECT {marks}", values)
    assert row == tuple(values)
    assert [type(item) for item in row] == [type(item) for item in values]
