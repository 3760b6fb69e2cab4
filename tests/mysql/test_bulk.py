from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import DataFlowError, UniqueViolation
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
from dataflow_mysql.compiler import MariaDBCompiler, MySQLCompiler
from dataflow_mysql.dialect import FEATURES, MySQLDialect
from tests.mysql.support import column, connected, count, driver_of, make_table

MANY = 1_000


def sent(caplog: pytest.LogCaptureFixture, word: str) -> int:
    """How many statements with a word in them were logged."""
    return sum(word in record.getMessage() for record in caplog.records)


def declare(db: DataFlow) -> None:
    """A model with a unique text."""

    @db.model
    class User:
        email: str = field(unique=True)
        age: int = 0


def users(count: int, **more: Any) -> list[dict[str, Any]]:
    """Rows of different mails."""
    return [{"email": f"u{n}", "age": n, **more} for n in range(count)]


@pytest.fixture
async def db(mysql_url: str, caplog: pytest.LogCaptureFixture) -> AsyncIterator[DataFlow]:
    """An instance that logs its statements."""
    caplog.set_level("INFO", "dataflow")
    async with DataFlow(mysql_url, echo=True) as instance:
        declare(instance)
        yield instance


@pytest.fixture
def own_server(mysql_server: Any) -> Iterator[Any]:
    """A server whose settings a test may change."""
    server = mysql_server.private()
    server.start()
    yield server
    server.stop()


async def test_a_server_that_takes_no_rows_from_clients_gets_inserts(
    own_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The server is asked: with local_infile off there is no LOAD DATA, and the result is equal."""
    caplog.set_level("INFO", "dataflow")
    url = own_server.new_database()
    connection = await connected(driver_of(url))
    await connection.fetch("SET GLOBAL local_infile = 0", ())
    await connection.close()
    async with DataFlow(url, echo=True) as db:
        declare(db)
        done = await db.nodes.User.bulk_create(data=users(MANY))
        assert done["inserted"] == MANY
        done = await db.nodes.User.bulk_upsert(data=users(MANY + 5), match_fields=["email"])
        assert (done["inserted"], done["updated"]) == (5, MANY)
    assert not sent(caplog, "LOAD DATA")


async def test_a_server_that_turns_loading_off_later_gets_inserts(
    own_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What the server refuses to load is inserted."""
    url = own_server.new_database()
    async with DataFlow(url) as db:
        declare(db)
        await db.nodes.User.create(email="first")
        await db.run("SQLNode", sql="SET GLOBAL local_infile = 0", fetch="none")
        done = await db.nodes.User.bulk_create(data=users(MANY))
        assert done["inserted"] == MANY
        assert (await db.nodes.User.count(filter={}))["count"] == MANY + 1


async def test_a_user_without_temporary_tables_upserts_all_the_same(own_server: Any) -> None:
    """Where temporary tables are not allowed another way is taken."""
    url = own_server.new_database()
    async with DataFlow(url) as db:
        declare(db)
        await db.nodes.User.create(email="u1")
        name = db.url.database
        for statement in (
            "CREATE USER modest@'%' IDENTIFIED BY 'modest'",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{name}`.* TO modest@'%'",
        ):
            await db.run("SQLNode", sql=statement, fetch="none")
        address = f"{db.url.host}:{db.url.port}/{name}"
    async with DataFlow(f"mysql://modest:modest@{address}", auto_migrate=False) as modest:
        declare(modest)
        done = await modest.nodes.User.bulk_upsert(data=users(MANY), match_fields=["email"])
        assert (done["inserted"], done["updated"]) == (MANY - 1, 1)


@pytest.mark.parametrize("fast", [True, False])
async def test_only_what_is_offered_is_sent(connect: Any, fast: bool, tmp_path: Any) -> None:
    """A statement of the user's own that asks for a file of this machine gets none."""
    secret = tmp_path / "secret"
    secret.write_text("1\tsecret\n")
    connection = await connect(fast=fast)
    await make_table(connection)
    with pytest.raises(Exception, match=r"asked for a file|local_infile|1148"):
        await connection.fetch(f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE t (id, v)", ())
    again = await connect()
    assert await count(again) == 0


async def test_lines_are_what_an_insert_would_bind() -> None:
    """Each type is written so that the server reads the same value; NULL is no text."""
    fields = [
        column("i", Integer()),
        column("f", Float()),
        column("d", Decimal(20, 4)),
        column("b", Boolean()),
        column("t", Text()),
        column("y", Binary()),
        column("m", Timestamp()),
        column("a", Date()),
        column("c", Time()),
        column("u", Uuid()),
        column("j", Json(), nullable=True),
    ]
    load = MariaDBCompiler(FEATURES, loads=True).load("t", fields)
    assert load is not None
    assert load.encode is not None
    moment = dt.datetime(2024, 2, 29, 23, 0, tzinfo=dt.timezone(dt.timedelta(hours=-2)))
    row = (
        *(-5, 0.1, decimal.Decimal("1E+3"), 1, "a\tb\nc\\N", b"\x00\xff", moment),
        *(dt.date(2024, 2, 29), dt.time(1, 2, 3, 4), "u", None),
    )
    assert load.encode([row]).decode() == (
        "-5\t0.1\t1000\t1\ta\\tb\\nc\\\\N\t00ff\t2024-03-01 01:00:00.000000"
        "\t2024-02-29\t01:02:03.000004\tu\t\\N\n"
    )
    assert "(`i`, `f`, `d`, `b`, `t`, @dataflow5, `m`" in load.text
    assert load.text.endswith("SET `y` = UNHEX(@dataflow5)")


def test_a_compiler_loads_only_where_the_server_does() -> None:
    """Without the server's word nothing is loaded."""
    compiler = MySQLDialect().compiler
    assert isinstance(compiler, MySQLCompiler)
    assert compiler.load("t", [column("i", Integer())]) is None


async def test_a_temporary_table_that_was_left_is_no_hindrance(
    db: DataFlow, caplog: pytest.LogCaptureFixture
) -> None:
    """One of the same name is replaced, also within a transaction."""
    await db.nodes.User.create(email="u1")
    async with db.transaction():
        table = "CREATE TEMPORARY TABLE __dataflow_rows (x INT)"
        await db.run("SQLNode", sql=table, fetch="none")
        await db.nodes.User.bulk_upsert(data=users(MANY), match_fields=["email"])
    assert sent(caplog, "ON DUPLICATE KEY UPDATE") == 1
    assert (await db.nodes.User.count(filter={}))["count"] == MANY


async def test_an_upsert_that_fails_leaves_no_temporary_table(db: DataFlow) -> None:
    """The connection goes back to the pool as it was."""
    await db.run("SQLNode", sql="SELECT 1 AS one")
    await db.nodes.User.create(email="other", age=500)
    await db.run("SQLNode", sql="CREATE UNIQUE INDEX hidden ON users (age)", fetch="none")
    with pytest.raises(UniqueViolation):
        await db.nodes.User.bulk_upsert(data=users(MANY), match_fields=["email"])
    with pytest.raises(DataFlowError, match="__dataflow_rows"):
        await db.run("SQLNode", sql="SELECT COUNT(*) AS n FROM __dataflow_rows")


async def test_an_upsert_never_changes_a_row_of_another_unique_key(
    db: DataFlow, caplog: pytest.LogCaptureFixture
) -> None:
    """Also not by a unique key that only the database knows of: such rows are refused."""
    await db.nodes.User.create(email="other", age=500)
    await db.run("SQLNode", sql="CREATE UNIQUE INDEX hidden ON users (age)", fetch="none")
    with pytest.raises(UniqueViolation) as caught:
        await db.nodes.User.bulk_upsert(data=users(MANY), match_fields=["email"])
    assert caught.value.context["index"] == 500
    assert sent(caplog, "ON DUPLICATE KEY UPDATE") == 1
    rows = (await db.nodes.User.list())["records"]
    assert [(row["email"], row["age"]) for row in rows] == [("other", 500)]
