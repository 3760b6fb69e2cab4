"""Opening DuckDB: one database, a connection for every cursor, each in a thread of its own."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling

from dataflow_core.contract import Isolation, Lane, Server
from dataflow_core.dialect import Answer, SyncDriver, json_matches
from dataflow_core.filters import fold, upper

__all__ = ["DuckDBDriver"]

_FINITE = """
CREATE OR REPLACE TEMP MACRO dataflow_finite(number) AS
CASE WHEN number IS NULL OR isfinite(number) THEN number
ELSE error('dataflow: out of range') END
"""


# What the compiler writes for a given key that the database could have counted.
_KEY = re.compile(r"dataflow_key\((?P<name>'(?:[^']|'')*'), (?P<value>CAST\(\$\d+ AS BIGINT\))\)")
_REGISTERING = threading.Lock()


def _json_matches(document: str | None, condition: str, operands: list[str]) -> bool:
    return json_matches(document, condition, *operands)


def _register(root: duckdb.DuckDBPyConnection) -> None:
    """Make the functions in Python known; all that have the same file open share them."""
    with _REGISTERING:
        known = "SELECT 1 FROM duckdb_functions() WHERE function_name = 'dataflow_json_matches'"
        if root.execute(known).fetchone() is not None:
            return
        root.create_function("dataflow_fold", fold, ["VARCHAR"], "VARCHAR")
        root.create_function("dataflow_upper", upper, ["VARCHAR"], "VARCHAR")
        root.create_function(
            "dataflow_json_matches",
            _json_matches,
            ["VARCHAR", "VARCHAR", "VARCHAR[]"],
            "BOOLEAN",
            null_handling=FunctionNullHandling.SPECIAL,
        )


class DuckDBDriver(SyncDriver):
    """One file, or one database in memory. Whoever reads never waits for the one that writes."""

    paramstyle = "dollar"
    interruptible = True
    savepoints = False

    def __init__(self, database: str, settings: dict[str, Any]) -> None:
        super().__init__(f"DuckDB {duckdb.__version__}, {database}")
        self._database = database
        self._settings = settings
        self._lock = threading.Lock()
        self._sequences: set[str] = set()
        self._connections = 0
        self._closed = False
        self._root: duckdb.DuckDBPyConnection | None = None

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """One connection that writes: two that change the same row would fail."""
        return (Lane("read", writes=False), Lane("write", size=1))

    def open_connection(self, lane: Lane) -> duckdb.DuckDBPyConnection:
        """A connection of the database, which is opened with the first one."""
        with self._lock:
            if self._root is None:
                self._root = duckdb.connect(self._database, config=self._settings)
                _register(self._root)
            raw = self._root.cursor()
            self._connections += 1
        raw.execute(_FINITE)
        raw.execute("SET TimeZone = 'UTC'")
        return raw

    def close_connection(self, raw: Any) -> None:
        """Close a connection; after the last one the database may go."""
        raw.close()
        with self._lock:
            self._connections -= 1
            self._close_root()

    def server(self, raw: Any) -> Server:
        """DuckDB, which is in this process."""
        return Server("DuckDB", tuple(int(part) for part in duckdb.__version__.split(".")[:3]))

    def run(self, raw: Any, sql: str, parameters: Any) -> Answer:
        """A statement that only writes gives a row with the count, which is none of its own."""
        raw.execute(_KEY.sub(lambda key: self._key(raw, key), sql), parameters)
        names = tuple(column[0] for column in raw.description or ())
        rows = raw.fetchall()
        return Answer([] if raw.rowcount >= 0 else rows, names, raw.rowcount)

    def stream(self, raw: Any, sql: str, parameters: Any, size: int) -> Iterator[list[Any]]:
        """Over the connection itself: a cursor of this driver is another connection."""
        raw.execute(sql, parameters)
        while rows := raw.fetchmany(size):
            yield rows

    def _key(self, raw: Any, key: re.Match[str]) -> str:
        """A given key that moves its sequence on; a table made by others may have none."""
        name, value = key["name"], key["value"]
        if name not in self._sequences:
            known = "SELECT 1 FROM duckdb_sequences() WHERE format('\"{}\"', sequence_name) = "
            if raw.execute(known + name).fetchone() is None:
                return value
            self._sequences.add(name)
        return f"CASE WHEN {value} >= nextval({name}) THEN setval({name}, {value}) ELSE {value} END"

    def begin_sql(self, isolation: Isolation | None, read_only: bool) -> tuple[str]:
        """Every transaction sees one moment, and writers come one after the other."""
        return ("BEGIN TRANSACTION READ ONLY" if read_only else "BEGIN TRANSACTION",)

    def interrupt(self, raw: Any) -> None:
        """Stop what runs."""
        raw.interrupt()

    async def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._closed = True
            self._close_root()

    def _close_root(self) -> None:
        # Closing it stops what runs on the others, which are given back later.
        if self._closed and not self._connections and self._root is not None:
            self._root.close()
            self._root = None
