"""What the entry point loads: SQLite's declaration. Neither it nor its imports load the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataflow_core.contract import Dialect, DialectSpec, Option, hookimpl

if TYPE_CHECKING:
    from dataflow_core.contract import ConnectOptions, DatabaseURL, TestServer

__all__ = ["JOURNAL_MODES", "MODES", "SYNCHRONOUS", "dataflow_dialect", "dataflow_test_server"]

JOURNAL_MODES: Final = ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL", "OFF")
SYNCHRONOUS: Final = ("OFF", "NORMAL", "FULL", "EXTRA")
MODES: Final = ("ro", "rw", "rwc")

# Words are taken in any case, so their choices are checked where they are read.
_OPTIONS: Final = (
    Option("enable_wal", bool, "write-ahead log: readers beside a writer (default True)"),
    Option("cache_size_mb", int, "page cache of each connection, in megabytes"),
    Option("journal_mode", str, f"one of {', '.join(JOURNAL_MODES)} (default WAL)"),
    Option("synchronous", str, f"one of {', '.join(SYNCHRONOUS)} (default FULL)"),
    Option(
        "busy_timeout",
        (int, float),
        "seconds to wait for another writer (default: command_timeout)",
    ),
    Option("mode", str, "ro reads only, rw creates no file, rwc creates it (default)"),
)


def _load() -> Dialect:
    from dataflow_sqlite.dialect import load

    return load()


def _check(url: DatabaseURL, options: ConnectOptions) -> None:
    from dataflow_sqlite.location import check

    check(url, options)


@hookimpl
def dataflow_dialect() -> DialectSpec:
    """SQLite: ``sqlite:///path`` and ``:memory:``, and what opens without any URL."""
    return DialectSpec(
        name="sqlite",
        schemes=("sqlite",),
        texts=(":memory:",),
        default_url=":memory:",
        options=_OPTIONS,
        load=_load,
        check=_check,
    )


@hookimpl
def dataflow_test_server() -> TestServer:
    """Throwaway database files."""
    from dataflow_sqlite.server import SQLiteServer

    return SQLiteServer()
