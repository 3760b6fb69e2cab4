from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import InvalidOption
from dataflow_mysql.driver import MySQLDriver
from dataflow_mysql.location import MySQLLocation
from dataflow_mysql.opening import server_of, settings
from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from tests.mysql.support import (
    connected,
    count,
    driver_of,
    located,
    make_table,
    translated,
    value,
    with_options,
)

BOTH_WAYS = pytest.mark.parametrize("fast", [True, False])


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("10.11.19-MariaDB-0+deb12u1", "MariaDB 10.11.19"),
        ("5.5.5-10.6.4-MariaDB-log", "MariaDB 10.6.4"),
        ("11.8.2-MariaDB", "MariaDB 11.8.2"),
        ("9.7.4-2", "MySQL 9.7.4"),
        ("8.0.36-28", "MySQL 8.0.36"),
        ("8.4.0", "MySQL 8.4.0"),
        ("8.0.mysql_aurora.3.05.2", "MySQL 8.0"),
        ("?", "MySQL 0"),
    ],
)
def test_the_server_tells_what_it_is(text: str, server: str) -> None:
    """MariaDB and MySQL are told apart by their greeting, not by the URL."""
    assert str(server_of(text)) == server


def test_the_settings_of_each_product() -> None:
    """The names that differ between the products are those of the server at hand."""
    location = MySQLLocation("shop")
    maria = settings(server_of("10.11.2-MariaDB"), location).decode()
    mysql = settings(server_of("8.4.0"), location, read_only=True).decode()
    assert "COLLATE utf8mb4_nopad_bin" in maria and "tx_isolation" in maria
    assert "COLLATE utf8mb4_0900_bin" in mysql and "transaction_isolation" in mysql
    assert "tx_read_only = 0" in maria and "transaction_read_only = 1" in mysql


SETTINGS = {
    "character_set_client": "utf8mb4",
    "character_set_results": "utf8mb4",
    "time_zone": "+00:00",
    "autocommit": 1,
    "foreign_key_checks": 1,
    "local_infile": None,
}


@BOTH_WAYS
async def test_the_settings_of_a_connection(connect: Any, fast: bool) -> None:
    """Zone, modes, character set, collation and isolation are set on each new connection."""
    connection = await connect(fast=fast)
    for name, expected in SETTINGS.items():
        if expected is not None:
            assert await value(connection, f"SELECT @@{name}") == expected
    modes = (await value(connection, "SELECT @@sql_mode")).split(",")
    assert {"STRICT_ALL_TABLES", "NO_ZERO_DATE", "ONLY_FULL_GROUP_BY"} <= set(modes)
    assert "NO_AUTO_VALUE_ON_ZERO" in modes and "ANSI_QUOTES" not in modes
    collation = await value(connection, "SELECT @@collation_connection")
    assert collation == connection.server.details["collation"]
    assert await value(connection, "SELECT 'a' = 'A' OR 'a' = 'a ' OR 'ß' = 'ss'") == 0
    assert connection.usable and connection.survives_errors and not connection.in_transaction


async def test_the_session_reads_committed(connect: Any) -> None:
    """A transaction sees what others committed since it began."""
    one, other = await connect(), await connect()
    await make_table(one)
    await one.begin()
    assert await count(one) == 0
    await other.fetch("INSERT INTO t (v) VALUES ('x')", ())
    assert await count(one) == 1
    await one.rollback()


async def test_what_the_server_is_set_to(connection: Any) -> None:
    """Product, version and details are known without asking again."""
    server = connection.server
    assert server.name in ("MariaDB", "MySQL")
    version = await value(connection, "SELECT VERSION()")
    assert version.startswith(".".join(map(str, server.version)))
    assert int(server.details["max_allowed_packet"]) >= 1_000_000
    assert server.details["lower_case_table_names"] in ("0", "1", "2")


@BOTH_WAYS
async def test_a_collation_of_the_connection(connect: Any, mysql_url: str, fast: bool) -> None:
    """The collation that is asked for is the connection's, also after a reset; texts that are only
    written in the statement compare by it."""
    url = with_options(mysql_url, "charset=utf8mb4&collation=utf8mb4_unicode_ci")
    connection = await connect(url, fast=fast)
    assert await value(connection, "SELECT @@collation_connection") == "utf8mb4_unicode_ci"
    assert await value(connection, "SELECT 'a' = 'A'") == 1
    if fast:
        await connection.reset()
        assert await value(connection, "SELECT 'a' = 'A'") == 1
    binary = connection.server.details["collation"]
    await connection.fetch(f"CREATE TABLE b (v VARCHAR(9) COLLATE {binary}) CHARSET utf8mb4", ())
    await connection.fetch("INSERT INTO b VALUES ('a'), ('A'), ('a ')", ())
    assert await connection.fetch("SELECT v FROM b WHERE v = ?", ("a",)) == [("a",)]


async def test_an_unknown_collation(mysql_url: str) -> None:
    """A collation that the server does not have is named, and no connection is left."""
    driver = driver_of(mysql_url, collation="utf8mb4_klingon_ci")
    with pytest.raises(InvalidOption, match="utf8mb4_klingon_ci") as caught:
        await connected(driver)
    assert caught.value.context["option"] == "collation"


async def test_long_texts_are_sorted_to_their_end(connection: Any) -> None:
    """Texts that differ only far behind their beginning are in order."""
    await make_table(connection)
    texts = ["x" * 3_000 + f"{number * 7919 % 1000:04}" for number in range(1000)]
    marks = ", ".join("(?)" for _ in texts)
    await connection.execute(f"INSERT INTO t (v) VALUES {marks}", texts)
    keys = ", ".join(f"CONCAT(v, {number})" for number in range(8))
    rows = await connection.fetch(f"SELECT v FROM t ORDER BY v, {keys}", ())
    assert [row[0] for row in rows] == sorted(texts)


@BOTH_WAYS
async def test_the_number_of_rows(connect: Any, fast: bool) -> None:
    """execute counts what was matched or written, not only what was changed."""
    connection = await connect(fast=fast)
    assert await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)", ()) == 0
    assert await connection.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, ?)", ("c",)) == 3
    assert await connection.execute("UPDATE t SET v = v", ()) == 3
    assert await connection.execute("UPDATE t SET v = 'x' WHERE id > ?", (1,)) == 2
    assert await connection.execute("SELECT 1 UNION SELECT 2", ()) == 2
    assert await connection.execute("DELETE FROM t", ()) == 3
    assert await connection.execute("DELETE FROM t", ()) == 0


async def test_one_statement_at_a_time(connection: Any) -> None:
    """What stands behind a semicolon is not carried out."""
    await make_table(connection)
    with pytest.raises(ServerError) as caught:
        await connection.fetch("SELECT 1; DROP TABLE t", ())
    assert caught.value.number == 1064
    assert await count(connection) == 0


@BOTH_WAYS
async def test_ping_and_close(connect: Any, fast: bool) -> None:
    """ping answers on a living connection and raises on a closed one; closing twice is harmless."""
    connection = await connect(fast=fast)
    await connection.ping()
    await connection.close()
    await connection.close()
    assert not connection.usable and not connection.in_transaction
    with pytest.raises(ConnectionGone) as caught:
        await connection.ping()
    assert translated(caught.value, writing=True).outcome == "not done"


async def test_lanes_of_a_replica(mysql_url: str) -> None:
    """With a replica there is a lane first that only reads; nothing can be written on it."""
    from attrs import evolve

    location = located(mysql_url)
    driver = MySQLDriver(evolve(location, replica=location))
    replica, primary = driver.lanes
    assert (replica.delayed, replica.writes, primary.delayed, primary.writes) == (
        True,
        False,
        False,
        True,
    )
    assert "reading from" in driver.description
    writer: Any = await driver.connect(primary)
    reader: Any = await driver.connect(replica)
    await make_table(writer)
    assert await count(reader) == 0
    for attempt in range(2):
        with pytest.raises(ServerError) as caught:
            await reader.fetch("INSERT INTO t (v) VALUES ('a')", ())
        assert translated(caught.value, writing=True).code == "DF-515", attempt
        await reader.reset()
    assert await driver.caught_up(writer, reader) in (True, False)
    await writer.close()
    await reader.close()
