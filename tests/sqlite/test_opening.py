from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dataflow_core.contract import ConnectOptions, Lane
from dataflow_core.errors import ConnectionFailed, CorruptDatabase, LockTimeout
from dataflow_sqlite.connection import SQLiteConnection, thread_of
from dataflow_sqlite.driver import SQLiteDriver
from dataflow_sqlite.location import locate
from tests.sqlite.support import count, make_table, pragma, read_lane, read_url, write_lane

Open = Callable[..., SQLiteDriver]
SLOW = (
    "WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 500000)"
    " SELECT max(v) FROM n"
)


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


async def test_a_file_opened_to_read_has_no_writing_lane(open_driver: Open, path: Path) -> None:
    """mode=ro gives one lane, which reads what is there."""
    await make_table(await write_lane(open_driver()))
    driver = open_driver(f"sqlite:///{path}?mode=ro")
    assert driver.lanes == (Lane("read", writes=False),)
    assert "read-only" in driver.description
    assert await count(await read_lane(driver)) == 0


async def test_memory_is_shared_within_a_driver_only(open_driver: Open) -> None:
    """Connections of one driver share a database in memory, also one after the other."""
    driver, other = open_driver(":memory:"), open_driver(":memory:")
    assert driver.lanes == (Lane("memory", size=1, shared=True),)
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


async def test_closing_waits_for_the_thread_though_it_is_cancelled(open_driver: Open) -> None:
    """Whoever closes is not gone before the thread, which would answer an event loop that ended."""
    connection = await write_lane(open_driver())
    thread = thread_of(connection._driver)
    slow = asyncio.ensure_future(connection.fetch(SLOW, ()))
    await asyncio.sleep(0.05)
    closing = asyncio.ensure_future(connection.really_close())
    for _ in range(3):
        await asyncio.sleep(0.01)
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert slow.done()
    thread.join(1)
    assert not thread.is_alive()
