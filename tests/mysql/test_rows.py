from __future__ import annotations

import asyncio
import datetime as dt
import random
import struct
from decimal import Decimal
from typing import Any

import pytest

from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from dataflow_mysql.protocol.login import log_in, wire_of
from dataflow_mysql.protocol.packets import done_of, error_of
from dataflow_mysql.protocol.plain import PlainWire
from dataflow_mysql.protocol.wire import PacketWire
from tests.mysql.support import driver_of, located, value

COLUMNS = """
    CREATE TABLE every_type (
      id BIGINT PRIMARY KEY, tiny TINYINT, small SMALLINT UNSIGNED, medium MEDIUMINT, big BIGINT,
      huge BIGINT UNSIGNED, single FLOAT, twice DOUBLE, exact DECIMAL(38, 18), text_ LONGTEXT,
      word VARCHAR(100), fixed CHAR(5), blob_ LONGBLOB, bytes_ VARBINARY(100), pad BINARY(4),
      moment DATETIME(6), whole DATETIME, day DATE, clock TIME(6), year_ YEAR, bits BIT(12),
      choice ENUM('a', 'é'), several SET('x', 'y'), document JSON, place POINT
    ) CHARACTER SET utf8mb4
"""
ROW = (
    "(?, -1, 65535, -8388608, -9223372036854775808, 18446744073709551615, 0.5, 0.1e0,"
    " 12345678901234567890.123456789012345678, ?, 'wörd 😀', 'ab', X'00ff27', X'', X'01',"
    " '2025-01-02 03:04:05.000006', '9999-12-31 23:59:59', '1000-01-01', '23:59:59.999999', 2025,"
    " b'101000000001', 'é', 'x,y', '[1, {\"a\": null}]', POINT(1, 2))"
)


async def filled(connection: Any, long_text: str) -> None:
    """A table of every type with a full row and one of NULLs."""
    await connection.fetch(COLUMNS, ())
    await connection.fetch(f"INSERT INTO every_type VALUES {ROW}", (1, long_text))
    await connection.fetch("INSERT INTO every_type (id) VALUES (2)", ())


async def test_every_type_is_read_both_ways(connect: Any) -> None:
    """The fast way and the driver's own give the same values of the same types, NULL included."""
    fast, plain = await connect(), await connect(fast=False)
    assert isinstance(fast._wire, PacketWire)
    assert isinstance(plain._wire, PlainWire)
    await filled(fast, "x" * 70_000)
    sql = "SELECT * FROM every_type ORDER BY id"
    names, rows = await fast.fetch_named(sql, ())
    assert (names, rows) == await plain.fetch_named(sql, ())
    assert [list(map(type, row)) for row in rows] == [
        list(map(type, row)) for row in (await plain.fetch_named(sql, ()))[1]
    ]
    full, empty = rows
    assert empty == (2, *[None] * 24)
    row = dict(zip(names, full, strict=True))
    assert row["huge"] == 2**64 - 1
    assert row["twice"] == 0.1
    assert row["exact"] == Decimal("12345678901234567890.123456789012345678")
    assert row["blob_"] == b"\x00\xff'"
    assert row["bytes_"] == b""
    assert row["moment"] == dt.datetime(2025, 1, 2, 3, 4, 5, 6, dt.UTC)
    assert row["clock"] == dt.time(23, 59, 59, 999999)
    assert (row["year_"], row["bits"], row["choice"]) == (2025, 0b101000000001, "é")
    assert isinstance(row["document"], str)
    assert isinstance(row["place"], bytes)


async def test_values_that_python_cannot_hold(connect: Any) -> None:
    """A date of zeros stays text and a TIME beyond a day is a timedelta, in the midst of others."""
    for connection in (await connect(), await connect(fast=False)):
        await connection.fetch("SET sql_mode = ''", ())
        await connection.fetch("CREATE TEMPORARY TABLE odd (i INT, d DATETIME, t TIME(3))", ())
        await connection.fetch(
            "INSERT INTO odd VALUES (1, '2025-01-01', '10:00:00'), (2, '0000-00-00', '-10:00:00.5')"
            ", (3, '2025-00-01', '800:00:00'), (4, '2025-01-04', '00:00:00')",
            (),
        )
        zero = dt.time(0)
        assert await connection.fetch("SELECT d, t FROM odd ORDER BY i", ()) == [
            (dt.datetime(2025, 1, 1, tzinfo=dt.UTC), dt.time(10)),
            ("0000-00-00 00:00:00", -dt.timedelta(hours=10, milliseconds=500)),
            ("2025-00-01 00:00:00", dt.timedelta(hours=800)),
            (dt.datetime(2025, 1, 4, tzinfo=dt.UTC), zero),
        ]


@pytest.mark.parametrize("length", [250, 251, 65_535, 65_536, 2**24 - 20, 2**24 - 6, 2**24 - 5])
async def test_values_of_every_length(connect: Any, length: int) -> None:
    """Values whose length takes more bytes, and rows of more than one packet, come back whole."""
    for connection in (await connect(), await connect(fast=False)):
        # Larger than what the server would take as one statement.
        sql = f"SELECT 1, REPEAT('ab', {length // 2}), REPEAT('c', {length % 2}), 2"
        ((one, text, odd, two),) = await connection.fetch(sql, ())
        assert (one, len(text) + len(odd), two) == (1, length, 2)
        assert text == "ab" * (length // 2)
        assert await value(connection, "SELECT 'next'") == "next"


async def test_rows_of_more_than_one_packet(connect: Any) -> None:
    """Several rows of 20 MB each, smaller ones between them, come back as they are."""
    connection = await connect()
    large = "REPEAT('z', 10000000)"
    sql = (
        f"SELECT 1, CAST({large} AS CHAR), {large} UNION ALL SELECT 2, 'small', NULL"
        f" UNION ALL SELECT 3, {large}, {large} UNION ALL SELECT 4, NULL, ''"
    )
    rows = await connection.fetch(sql, ())
    assert [row[0] for row in rows] == [1, 2, 3, 4]
    assert rows[0][1:] == rows[2][1:] == ("z" * 10_000_000,) * 2
    assert rows[1][1:] == ("small", None)
    assert rows[3][1:] == (None, "")


async def test_results_without_rows(connect: Any) -> None:
    """An empty result has names and no rows; a statement without a result has neither."""
    for connection in (await connect(), await connect(fast=False)):
        empty = "SELECT 1 AS a, 'x' AS `b c` FROM DUAL WHERE FALSE"
        assert await connection.fetch_named(empty, ()) == (("a", "b c"), [])
        assert await connection.fetch_named("DO 1", ()) == ((), [])
        assert await connection.execute(empty, ()) == 0


async def test_a_procedure_gives_its_first_result(connect: Any) -> None:
    """Of several results the first one is taken, and the connection is in order afterwards."""
    for connection in (await connect(), await connect(fast=False)):
        name = f"several_{type(connection._wire).__name__}"
        await connection.fetch(
            f"CREATE PROCEDURE {name}() BEGIN SELECT 1 AS a UNION SELECT 2; SELECT 'b'; END", ()
        )
        assert await connection.fetch_named(f"CALL {name}()", ()) == (("a",), [(1,), (2,)])
        assert await value(connection, "SELECT 3") == 3


async def test_a_result_in_pieces_of_any_size(mysql_url: str) -> None:
    """However the bytes of an answer are cut on their way, the rows are the same."""
    login = await log_in(located(mysql_url), None)
    wire = wire_of(login)
    assert isinstance(wire, PacketWire)
    chooser = random.Random(5)
    receive = wire.data_received

    def in_pieces(data: bytes) -> None:
        start = 0
        while start < len(data):
            size = chooser.choice((1, 2, 3, 4, 5, 7, 50, 1_000))
            receive(data[start : start + size])
            start += size

    wire.data_received = in_pieces  # type: ignore[method-assign]
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
        " SELECT i, REPEAT('é', i), NULL, i / 3 FROM n"
    )
    for _ in range(3):
        answer = await wire.query(sql.encode())
        assert [(row[0], len(row[1]), row[2]) for row in answer.rows] == [
            (number, number, None) for number in range(1, 301)
        ]
        with pytest.raises(ServerError):
            await wire.query(b"SELECT nothing")
    await wire.close()


async def test_an_unknown_driver_is_used_the_plain_way(mysql_url: str) -> None:
    """A driver whose insides are not the known ones, or with bytes waiting, is left alone."""
    for change in ("reader", "waiting", "transport"):
        login = await log_in(located(mysql_url), None)
        kept = (login._reader, login._writer)
        if change == "reader":
            login._reader = object()
        elif change == "waiting":
            login._reader._buffer.extend(b"?")
        else:
            login._writer = None
        assert isinstance(wire_of(login), PlainWire)
        login._reader, login._writer = kept
        login.close()


class _Transport(asyncio.Transport):
    """Takes everything and says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Nobody calls the protocol but the test."""

    def is_closing(self) -> bool:
        return self.aborted

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True


def _packet(payload: bytes, number: int = 1) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes((number,)) + payload


def _silent_wire() -> tuple[PacketWire, _Transport]:
    transport = _Transport()
    return PacketWire(transport, 2, tracked=True, release=lambda: None), transport


async def test_a_request_for_a_file_is_refused() -> None:
    """A server that asks for a file of this machine gets nothing, and the connection is closed."""
    wire, transport = _silent_wire()
    asking = asyncio.ensure_future(wire.query(b"LOAD DATA LOCAL INFILE 'x' INTO TABLE t"))
    await asyncio.sleep(0)
    sent = list(transport.written)
    wire.data_received(_packet(b"\xfb/etc/passwd"))
    with pytest.raises(Exception, match="asked for a file"):
        await asking
    assert transport.aborted
    assert transport.written == sent
    assert not wire.usable


async def test_bytes_that_mean_nothing_end_the_connection() -> None:
    """What cannot be read is an error of a lost connection, never rows."""
    wire, transport = _silent_wire()
    asking = asyncio.ensure_future(wire.query(b"SELECT 1"))
    await asyncio.sleep(0)
    wire.data_received(_packet(b"\x01") + _packet(b"\x03", 2) + _packet(b"\xfe\0\0\0\0", 3))
    with pytest.raises(ConnectionGone):
        await asking
    assert transport.aborted


async def test_a_goodbye_out_of_turn_ends_the_connection() -> None:
    """A server that says why it closes an idle connection leaves it unusable at once."""
    wire, transport = _silent_wire()
    wire.data_received(_packet(b"\xff" + struct.pack("<H", 4031) + b"#HY000idle for too long", 0))
    assert transport.aborted
    with pytest.raises(ConnectionGone) as caught:
        await wire.query(b"SELECT 1")
    assert not caught.value.sent


async def test_statements_of_more_than_one_packet() -> None:
    """A statement longer than a packet is cut as the protocol demands, its end included."""
    longest = 2**24 - 1
    for length in (longest - 2, longest - 1, longest, 2 * longest - 1, 2 * longest):
        wire, transport = _silent_wire()
        asking = asyncio.ensure_future(wire.query(b"x" * length))
        await asyncio.sleep(0)
        stream, payload, numbers = b"".join(transport.written), b"", []
        while stream:
            size = int.from_bytes(stream[:3], "little")
            numbers.append(stream[3])
            payload += stream[4 : 4 + size]
            stream = stream[4 + size :]
            assert (size < longest) == (not stream)
        assert payload == b"\x03" + b"x" * length
        assert numbers == list(range(len(numbers)))
        wire.connection_lost(None)
        with pytest.raises(ConnectionGone):
            await asking


def test_what_a_statement_changed_of_the_session() -> None:
    """The character set and a change of the database are read out of the answer, if they are."""
    ok = b"\0\x05\0\x02\x40\0\0"
    variable = b"\x14character_set_client\x06latin1"
    changes = b"\0" + bytes((len(variable),)) + variable + b"\x01\x05\x04shop"
    done = done_of(ok + b"\x04done" + bytes((len(changes),)) + changes)
    assert (done.rows, done.charset, done.moved) == (5, "latin1", True)
    assert done_of(ok).charset is None
    assert not done_of(b"\0\x05\0\x02\0\0\0").moved


def test_an_error_does_not_print_what_it_quotes() -> None:
    """The server's text, which quotes values, is not in what the error prints."""
    error = error_of(b"\xff" + struct.pack("<H", 45_000) + b"#23000Duplicate entry 'bob'")
    assert (error.number, error.state) == (45_000, "23000")
    assert "bob" in error.text
    assert "bob" not in str(error) + repr(error)
    assert error_of(b"\xff" + struct.pack("<H", 1040) + b"Too many").text == "Too many"


async def test_a_statement_that_is_too_long_is_not_sent(mysql_url: str) -> None:
    """A statement that the server would end the connection for is refused before."""
    driver = driver_of(mysql_url)
    connection: Any = await driver.connect(driver.lanes[0])
    with pytest.raises(Exception, match="max_allowed_packet") as caught:
        await connection.fetch("SELECT LENGTH(?)", ("x" * (connection._largest + 1),))
    assert "DF-108" in str(caught.value)
    longest = connection._largest - len("SELECT LENGTH('')")
    assert await value(connection, "SELECT LENGTH(?)", "x" * longest) == longest
    await connection.close()
