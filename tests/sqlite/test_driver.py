from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from dataflow_core.contract import ConnectOptions, Lane
from dataflow_core.errors import ConnectionFailed, CorruptDatabase, LockTimeout
from dataflow_sqlite.driver import SQLiteConnection, SQLiteDriver
from dataflow_sqlite.location import locate
from tests.sqlite.support import SLOW, read_url

Open = Callable[..., SQLiteDriver]


async def pragma(connection: Any, name: str) -> Any:
    """The value of a setting."""
    ((value,),) = await connection.fetch(f"PRAGMA {name}", ())
    return value


async def count(connection: Any) -> int:
    """The number of rows of the table that most tests make."""
    ((number,),) = await connection.fetch("SELECT count(*) FROM t", ())
    return int(number)


async def make_table(connection: Any) -> None:
    """The table that most tests use."""
    await connection.fetch("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", ())


async def read_lane(driver: SQLiteDriver) -> Any:
    """A connection for reading only."""
    return await driver.connect(driver.lanes[0])


async def write_lane(driver: SQLiteDriver) -> Any:
    """A connection for writing."""
    return await driver.connect(driver.lanes[-1])


def write_noise(path: Path) -> None:
    """Make a file that is no database."""
    path.write_text("this is plain text, long enough to be looked at\n" * 100)


@contextmanager
def without_folder(folder: Path) -> Iterator[None]:
    """Move a folder away for a while."""
    elsewhere = folder.with_name(f"{folder.name} elsewhere")
    folder.rename(elsewhere)
    yield
    elsewhere.rename(folder)


def open_files() -> set[str]:
    """The paths of the files that this process has open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        # The listing itself is one of them, and gone by now.
        with suppress(FileNotFoundError):
            found.add(str(entry.readlink()))
    return found


async def test_a_file_has_one_writer_and_several_readers(open_driver: Open) -> None:
    """A file has a lane that only reads, first, and a lane of one connection that writes."""
    assert open_driver().lanes == (Lane("read", writes=False), Lane("write", size=1))


async def test_settings_are_made_on_every_connection(open_driver: Open) -> None:
    """Journal mode, foreign keys and the options given hold on each connection."""
    driver = open_driver(cache_size_mb=3, synchronous="normal")
    for lane in driver.lanes:
        connection = await driver.connect(lane)
        assert await pragma(connection, "journal_mode") == "wal"
        assert await pragma(connection, "foreign_keys") == 1
        assert await pragma(connection, "synchronous") == 1
        assert await pragma(connection, "cache_size") == -3 * 1024


async def test_the_default_is_durable(writer: SQLiteConnection) -> None:
    """Without options a commit reaches the disk."""
    assert await pragma(writer, "synchronous") == 2


async def test_the_journal_mode_is_the_one_asked_for(open_driver: Open) -> None:
    """enable_wal=False and journal_mode are carried out."""
    assert await pragma(await write_lane(open_driver(enable_wal=False)), "journal_mode") == "delete"
    truncating = open_driver(journal_mode="truncate")
    assert await pragma(await write_lane(truncating), "journal_mode") == "truncate"


async def test_the_reading_lane_cannot_write(open_driver: Open) -> None:
    """A connection of the reading lane refuses a write."""
    driver = open_driver()
    await make_table(await write_lane(driver))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await (await read_lane(driver)).fetch("INSERT INTO t VALUES (1, 'a')", ())


async def test_a_file_opened_to_read_has_no_writing_lane(open_driver: Open, path: Path) -> None:
    """mode=ro gives one lane, which reads what is there."""
    await make_table(await write_lane(open_driver()))
    driver = open_driver(f"sqlite:///{path}?mode=ro")
    assert driver.lanes == (Lane("read", writes=False),)
    assert "read-only" in driver.description
    assert await count(await read_lane(driver)) == 0


async def test_a_statement_is_one_trip(writer: SQLiteConnection) -> None:
    """INSERT ... RETURNING stores and gives back in one call, and commits by itself."""
    await make_table(writer)
    rows = await writer.fetch("INSERT INTO t (v) VALUES (?), (?) RETURNING id, v", ("a", "b"))
    assert list(rows) == [(1, "a"), (2, "b")]
    assert not writer.in_transaction


async def test_the_number_of_rows(writer: SQLiteConnection) -> None:
    """execute counts what was matched or written, also behind WITH and with RETURNING."""
    assert await writer.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", ()) == 0
    assert await writer.execute("INSERT INTO t (v) VALUES (?), (?), (?)", ("a", "b", "c")) == 3
    assert await writer.execute("UPDATE t SET v = v", ()) == 3
    assert await writer.execute("WITH q AS (SELECT 1) UPDATE t SET v = 'x' WHERE id < 3", ()) == 2
    assert await writer.execute("DELETE FROM t WHERE id = 1 RETURNING id", ()) == 1
    assert await writer.execute("DELETE FROM t", ()) == 2
    assert await writer.execute("DELETE FROM t", ()) == 0


async def test_transactions_and_savepoints(writer: SQLiteConnection) -> None:
    """What is rolled back leaves no trace, with savepoints too, whatever they are called."""
    await make_table(writer)
    name = 'a"; DROP TABLE t; --'
    await writer.begin(isolation="serializable")
    await writer.fetch("INSERT INTO t (v) VALUES ('kept')", ())
    await writer.savepoint(name)
    await writer.fetch("INSERT INTO t (v) VALUES ('undone')", ())
    await writer.rollback_to(name)
    await writer.release(name)
    assert writer.in_transaction
    await writer.commit()
    assert await count(writer) == 1
    await writer.begin()
    await writer.fetch("DELETE FROM t", ())
    await writer.rollback()
    await writer.rollback()
    assert await count(writer) == 1


async def test_a_read_only_transaction_refuses_writes(open_driver: Open) -> None:
    """Where one connection does everything, a read-only transaction still writes nothing."""
    driver = open_driver(":memory:")
    connection = await driver.connect(driver.lanes[0])
    await make_table(connection)
    for end in (connection.commit, connection.rollback):
        await connection.begin(read_only=True)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await connection.fetch("INSERT INTO t (v) VALUES ('a')", ())
        await end()
        assert await connection.execute("INSERT INTO t (v) VALUES ('a')", ()) == 1


async def test_a_writing_transaction_locks_at_once(open_driver: Open) -> None:
    """A transaction that may write keeps other writers out from its begin, and waits for them."""
    driver = open_driver()
    first, second = await write_lane(driver), await write_lane(driver)
    await make_table(first)
    await first.begin()
    waiting = asyncio.create_task(second.begin())
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await first.commit()
    await waiting
    await second.rollback()


async def test_no_snapshot_is_lost(open_driver: Open) -> None:
    """Read-then-write beside another writer loses no update and never fails."""
    driver = open_driver()
    connections = [await write_lane(driver) for _ in range(4)]
    await connections[0].fetch("CREATE TABLE n (v INT)", ())
    await connections[0].fetch("INSERT INTO n VALUES (0)", ())

    async def add(connection: Any) -> None:
        for _ in range(25):
            await connection.begin()
            ((value,),) = await connection.fetch("SELECT v FROM n", ())
            await connection.fetch("UPDATE n SET v = ?", (value + 1,))
            await connection.commit()

    await asyncio.gather(*map(add, connections))
    ((total,),) = await connections[0].fetch("SELECT v FROM n", ())
    assert total == 100


async def test_waiting_for_a_lock_ends_in_time(open_driver: Open) -> None:
    """A lock that is not released is an error at the busy timeout, in execute as in fetch."""
    driver = open_driver(busy_timeout=0.3)
    first, second = await write_lane(driver), await write_lane(driver)
    await make_table(first)
    await first.begin()
    for call in (second.fetch, second.execute):
        start = time.perf_counter()
        with pytest.raises(sqlite3.OperationalError) as caught:
            await call("INSERT INTO t (v) VALUES ('a')", ())
        assert caught.value.sqlite_errorcode == sqlite3.SQLITE_BUSY
        assert 0.25 < time.perf_counter() - start < 1.0
    await first.rollback()


async def test_waiting_for_a_lock_can_be_cancelled(open_driver: Open) -> None:
    """A write that waits is not carried out after its cancellation."""
    driver = open_driver(busy_timeout=30)
    first, second = await write_lane(driver), await write_lane(driver)
    await make_table(first)
    await first.begin()
    waiting = asyncio.create_task(second.fetch("INSERT INTO t (v) VALUES ('a')", ()))
    await asyncio.sleep(0.1)
    start = time.perf_counter()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await second.cancel()
    assert time.perf_counter() - start < 0.5
    await first.commit()
    assert await count(first) == 0
    assert second.usable


async def test_cancel_stops_what_runs(writer: SQLiteConnection) -> None:
    """A cancelled statement stops at once, and the next one is neither delayed nor hit."""
    task = asyncio.create_task(writer.fetch(SLOW, ()))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    start = time.perf_counter()
    await writer.cancel()
    assert writer.usable
    assert list(await writer.fetch("SELECT 1", ())) == [(1,)]
    assert time.perf_counter() - start < 1


async def test_cancel_stops_what_has_not_begun(writer: SQLiteConnection) -> None:
    """A statement that is still in the queue when it is cancelled is stopped too."""
    task = asyncio.create_task(writer.fetch(SLOW, ()))
    await asyncio.sleep(0)
    task.cancel()
    start = time.perf_counter()
    await writer.cancel()
    assert time.perf_counter() - start < 1
    assert list(await writer.fetch("SELECT 1", ())) == [(1,)]


async def test_cancel_hits_no_later_statement(writer: SQLiteConnection) -> None:
    """Cancelling when the statement has just ended leaves the following ones alone."""
    await make_table(writer)
    for number in range(300):
        task = asyncio.create_task(writer.fetch("SELECT 1", ()))
        await asyncio.sleep(0 if number % 2 else 0.0001)
        task.cancel()
        await writer.cancel()
        assert await writer.execute("INSERT INTO t (v) VALUES ('a')", ()) == 1
    assert await count(writer) == 300


async def test_a_cancelled_write_takes_its_transaction_with_it(writer: SQLiteConnection) -> None:
    """After a cancelled write in a transaction, a rollback is harmless and nothing is stored."""
    await make_table(writer)
    await writer.begin()
    await writer.fetch("INSERT INTO t (v) VALUES ('a')", ())
    slow = f"INSERT INTO t (v) SELECT 'b' FROM ({SLOW})"
    task = asyncio.create_task(writer.fetch(slow, ()))
    await asyncio.sleep(0.1)
    task.cancel()
    await writer.cancel()
    await writer.rollback()
    assert not writer.in_transaction
    assert await count(writer) == 0


async def test_a_full_database_is_rolled_back_harmlessly(writer: SQLiteConnection) -> None:
    """When there is no room, a rollback is harmless and what was committed stays readable."""
    await make_table(writer)
    await writer.fetch("INSERT INTO t (v) VALUES ('kept')", ())
    await writer.fetch("PRAGMA max_page_count = 10", ())
    await writer.begin()
    with pytest.raises(sqlite3.OperationalError) as caught:
        await writer.fetch("INSERT INTO t (v) VALUES (?)", ("x" * 1_000_000,))
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_FULL
    await writer.rollback()
    assert await count(writer) == 1


async def test_a_function_tells_why_it_failed(writer: SQLiteConnection) -> None:
    """The reason of a failing function travels with SQLite's error, and only with that one."""
    with pytest.raises(sqlite3.OperationalError) as caught:
        await writer.fetch("SELECT dataflow_int_add(?, 1)", (2**63 - 1,))
    assert "64 bits" in str(caught.value.__cause__)
    with pytest.raises(sqlite3.OperationalError) as caught:
        await writer.fetch("SELECT nothing", ())
    assert caught.value.__cause__ is None


async def test_checks_may_call_the_functions(writer: SQLiteConnection) -> None:
    """A check of a table may use the functions that every connection has."""
    await writer.fetch("CREATE TABLE t (v CHECK (dataflow_regex('^a', v, 0)))", ())
    await writer.fetch("INSERT INTO t VALUES ('abc')", ())
    with pytest.raises(sqlite3.IntegrityError):
        await writer.fetch("INSERT INTO t VALUES ('b')", ())


async def test_reset_undoes_what_sql_left(open_driver: Open) -> None:
    """A transaction is rolled back; a connection whose session was changed is not used again."""
    driver = open_driver()
    connection = await write_lane(driver)
    await connection.begin()
    await connection.reset()
    assert connection.usable and not connection.in_transaction
    await connection.fetch("PRAGMA table_info(t)", ())
    await connection.begin(read_only=True)
    await connection.rollback()
    await connection.reset()
    assert connection.usable
    await connection.fetch("PRAGMA foreign_keys = OFF", ())
    await connection.reset()
    assert not connection.usable


async def test_reset_mends_a_database_in_memory(open_driver: Open) -> None:
    """A database in memory gets its settings back and keeps its rows."""
    driver = open_driver(":memory:")
    connection = await driver.connect(driver.lanes[0])
    await make_table(connection)
    for _ in range(2):
        await connection.fetch("PRAGMA foreign_keys = OFF", ())
        await connection.reset()
        assert connection.usable
        assert await pragma(connection, "foreign_keys") == 1
    assert await count(connection) == 0


async def test_memory_is_shared_within_a_driver_only(open_driver: Open) -> None:
    """Connections of one driver share a database in memory, also one after the other."""
    driver, other = open_driver(":memory:"), open_driver(":memory:")
    assert driver.lanes == (Lane("memory", size=1),)
    first = await driver.connect(driver.lanes[0])
    await make_table(first)
    await first.close()
    assert await count(await driver.connect(driver.lanes[0])) == 0
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await count(await other.connect(other.lanes[0]))


def test_memory_survives_its_event_loop() -> None:
    """A database in memory outlives the event loop that opened it."""
    driver = SQLiteDriver(locate(read_url(":memory:"), ConnectOptions()))

    async def first() -> None:
        await make_table(await driver.connect(driver.lanes[0]))

    async def second() -> int:
        number = await count(await driver.connect(driver.lanes[0]))
        await driver.close()
        return number

    asyncio.run(first())
    assert asyncio.run(second()) == 0


async def test_no_database_is_an_error_that_names_the_file(open_driver: Open, path: Path) -> None:
    """A file that is no database, or is gone, is told with its path."""
    write_noise(path)
    with pytest.raises(CorruptDatabase, match=path.name):
        await write_lane(open_driver())
    driver = open_driver(f"sqlite:///{path.parent}/b.db")
    with without_folder(path.parent), pytest.raises(ConnectionFailed, match=r"b\.db"):
        await write_lane(driver)


async def test_a_locked_file_is_an_error_in_time(open_driver: Open, path: Path) -> None:
    """A new file that another process holds exclusively is told as a lock."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE t (v)")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LockTimeout):
        await write_lane(open_driver(busy_timeout=0.2))
    other.close()


async def test_many_open_a_new_file_at_once(open_driver: Open) -> None:
    """Connections that switch a new file to WAL at the same time do not fail each other."""
    driver = open_driver()
    connections = await asyncio.gather(
        *(driver.connect(driver.lanes[number % 2]) for number in range(12))
    )
    for connection in connections:
        assert await pragma(connection, "journal_mode") == "wal"


async def test_strange_paths_are_opened(open_driver: Open, tmp_path: Path) -> None:
    """Characters that mean something in a URI are only characters of the path."""
    folder = tmp_path / "a ?mode=memory&x #1 100% é"
    folder.mkdir()
    encoded = str(folder).replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    await make_table(await write_lane(open_driver(f"sqlite:///{encoded}/b.db")))
    assert (folder / "b.db").is_file()


async def test_a_cancelled_connect_leaves_nothing_open(open_driver: Open, path: Path) -> None:
    """Whoever stops waiting for a connection leaves no lock and no open file behind."""
    driver = open_driver()
    for _ in range(20):
        task = asyncio.create_task(write_lane(driver))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.2)
    assert str(path) not in open_files()


async def test_closing_twice_is_harmless(writer: SQLiteConnection) -> None:
    """A connection that is already gone can be closed."""
    await writer.close()
    await writer.close()
    assert not writer.usable
    assert not writer.in_transaction


async def test_the_limit_of_parameters_is_known(writer: SQLiteConnection) -> None:
    """max_parameters is what the library takes in one statement, exactly."""
    number = writer.max_parameters
    marks = ",".join("?" * number)
    ((found,),) = await writer.fetch(f"SELECT 1 IN ({marks})", [1] * number)
    assert found == 1
    with pytest.raises(sqlite3.OperationalError):
        await writer.fetch(f"SELECT 1 IN ({marks},?)", [1] * (number + 1))


FORGETFUL = """
    import asyncio, sys
    from dataflow_core.contract import ConnectOptions
    from dataflow_core.url import parse_url
    from dataflow_sqlite.driver import SQLiteDriver
    from dataflow_sqlite.location import locate

    async def main():
        driver = SQLiteDriver(locate(parse_url(sys.argv[1]), ConnectOptions()))
        connection = await driver.connect(driver.lanes[-1])
        {body}
        return driver, connection

    kept = asyncio.run(main())
"""


def script(body: str) -> str:
    """A program that opens the database of its argument and closes nothing."""
    return textwrap.dedent(FORGETFUL).replace("{body}", body)


@pytest.mark.parametrize("memory", [True, False])
def test_a_program_that_closes_nothing_ends(memory: bool, path: Path) -> None:
    """A forgotten connection does not keep the interpreter from ending, and it ends well."""
    url = ":memory:" if memory else f"sqlite:///{path}"
    body = "print(await connection.fetch('SELECT 1', ()))"
    done = subprocess.run(
        [sys.executable, "-c", script(body), url],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[(1,)]")


def test_a_killed_process_leaves_all_or_nothing(path: Path) -> None:
    """Killed within a transaction of 10,000 rows, nothing of it is there, and the file is sound."""
    body = (
        "await connection.fetch('CREATE TABLE t (v TEXT)', ())\n"
        "    await connection.begin()\n"
        "    [await connection.fetch('INSERT INTO t VALUES (?)', ('x' * 100,))"
        " for _ in range(10_000)]\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script(body), f"sqlite:///{path}"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        process.send_signal(signal.SIGKILL)
        process.wait()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
