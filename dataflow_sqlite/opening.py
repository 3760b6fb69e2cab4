"""Opening a file or a database in memory, in one trip to the driver's thread."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from dataflow_core.contract import Server
from dataflow_core.errors import ConnectionFailed, CorruptDatabase, DataFlowError, LockTimeout
from dataflow_sqlite.functions.aggregates import register_aggregates
from dataflow_sqlite.functions.results import FunctionErrors
from dataflow_sqlite.functions.scalars import register_functions
from dataflow_sqlite.location import Location

__all__ = ["Opening", "cleaning_script", "settings_script"]

_LOG = logging.getLogger("dataflow.sqlite")
_STATEMENTS: Final = 512
_KIBIBYTES_PER_MEGABYTE: Final = 1024
_BUSY_PAUSE: Final = 0.005
# What SQLite itself waits for; the connection waits for the rest, where it can be cancelled.
_BUSY_SLICE_MS: Final = 25

_READING_PRAGMAS: Final = frozenset(
    (
        "collation_list",
        "compile_options",
        "database_list",
        "foreign_key_check",
        "foreign_key_list",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "optimize",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
        "wal_checkpoint",
    )
)
_CHANGING: Final = frozenset(
    (
        sqlite3.SQLITE_ATTACH,
        sqlite3.SQLITE_DETACH,
        sqlite3.SQLITE_CREATE_TEMP_TABLE,
        sqlite3.SQLITE_CREATE_TEMP_VIEW,
        sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
        sqlite3.SQLITE_CREATE_TEMP_INDEX,
    )
)


def settings_script(location: Location, *, read_only: bool) -> str:
    """The PRAGMAs of every connection, as one script."""
    settings = {
        "busy_timeout": min(_BUSY_SLICE_MS, round(location.opening_seconds * 1000)),
        "foreign_keys": "ON",
        # Checks of a model may call the functions of this package; all of them are harmless, so a
        # file that comes from somebody else may call them as well.
        "trusted_schema": "ON",
        "synchronous": location.synchronous or "FULL",
        "query_only": "ON" if read_only else "OFF",
    }
    if location.cache_size_mb is not None:
        settings["cache_size"] = -location.cache_size_mb * _KIBIBYTES_PER_MEGABYTE
    return "".join(f"PRAGMA {name} = {value};" for name, value in settings.items())


_DEFAULTS: Final = {
    "ignore_check_constraints": "OFF",
    "defer_foreign_keys": "OFF",
    "recursive_triggers": "OFF",
    "reverse_unordered_selects": "OFF",
    "legacy_alter_table": "OFF",
    "read_uncommitted": "OFF",
}
"""What the user's own SQL may have switched on, and changes what a statement does."""


def cleaning_script(location: Location, left: Iterable[tuple[str, str]]) -> str:
    """What makes a connection as it was, where it cannot be opened anew.

    ``left`` are temporary objects and attached databases: what kind of thing, and its name.
    """
    undone = [
        f"DETACH {_quoted(name)};" if kind == "database" else f"DROP {kind} temp.{_quoted(name)};"
        for kind, name in left
    ]
    defaults = [f"PRAGMA {name} = {value};" for name, value in _DEFAULTS.items()]
    return "".join((*undone, *defaults, settings_script(location, read_only=False)))


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


class Opening:
    """How one connection is opened, and what is known of it since.

    A relative of SQLite replaces ``server``, ``open_connection`` and perhaps ``failed``.
    """

    server: ClassVar[Server] = Server("SQLite", sqlite3.sqlite_version_info)

    def __init__(self, location: Location, read_only: bool) -> None:
        self.location = location
        self.read_only = read_only
        self.errors = FunctionErrors()
        self.max_parameters = 999
        self.state_changed = False
        self.failure: Exception | None = None
        self.abandoned = False

    def connect(self) -> sqlite3.Connection:
        """Open and set up; runs in the driver's thread.

        Never raises: after an exception the driver would end its thread without telling when, and
        the thread could outlive the event loop. The reason is kept as ``failure``.
        """
        try:
            return self._opened()
        except sqlite3.Error as error:
            self.failure = self.failed(error)
            self.failure.__cause__ = error
        except Exception as error:
            self.failure = error
        return sqlite3.connect(":memory:")

    def _opened(self) -> sqlite3.Connection:
        connection = self._connect()
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def open_connection(self, name: str, **settings: Any) -> sqlite3.Connection:
        """Open what a URI of SQLite names, with the settings of ``sqlite3.connect``."""
        connection: sqlite3.Connection = sqlite3.connect(name, **settings)
        return connection

    def _connect(self) -> sqlite3.Connection:
        if self.location.path is None:
            name = "file::memory:"
        else:
            name = f"{self.location.path.as_uri()}?mode={self.location.mode}"
        return self.open_connection(
            name,
            uri=True,
            # Single statements commit by themselves; transactions are the core's.
            isolation_level=None,
            cached_statements=_STATEMENTS,
            timeout=_BUSY_SLICE_MS / 1000,
        )

    def _set_up(self, connection: sqlite3.Connection) -> None:
        _refuse_text_in_double_quotes(connection)
        self._set_journal_mode(connection)
        connection.executescript(settings_script(self.location, read_only=self.read_only))
        register_functions(connection, self.errors)
        register_aggregates(connection, self.errors)
        self.max_parameters = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        connection.set_authorizer(self._watch)

    def _set_journal_mode(self, connection: sqlite3.Connection) -> None:
        current = self._patiently(connection, "PRAGMA journal_mode")
        wanted = self.location.journal_mode
        if wanted is None or current == wanted.lower():
            return
        # SQLite's busy timeout does not hold for this one: two that open a new file would collide.
        result = self._patiently(connection, f"PRAGMA journal_mode = {wanted}")
        if result == wanted.lower():
            return
        if self.location.explicit_journal:
            raise ConnectionFailed(
                f"{self.location} stays in journal mode {result}; {wanted} is not possible there",
                path=str(self.location),
            )
        _LOG.warning("%s stays in journal mode %s", self.location, result)

    def _patiently(self, connection: sqlite3.Connection, sql: str) -> str:
        deadline = time.monotonic() + self.location.opening_seconds
        while True:
            try:
                return str(connection.execute(sql).fetchone()[0])
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or self.abandoned or time.monotonic() >= deadline:
                    raise
            time.sleep(_BUSY_PAUSE)

    def _watch(self, action: int, first: str | None, second: str | None, *_rest: str | None) -> int:
        """Note what changes the session; asked once per statement that SQLite prepares."""
        if action in _CHANGING or (
            action == sqlite3.SQLITE_PRAGMA and second is not None and first not in _READING_PRAGMAS
        ):
            self.state_changed = True
        return sqlite3.SQLITE_OK

    def failed(self, error: sqlite3.Error) -> DataFlowError:
        """The error to raise where opening failed."""
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        where = str(self.location)
        if code == sqlite3.SQLITE_NOTADB:
            return CorruptDatabase(f"{where} is not a SQLite database", path=where)
        if code == sqlite3.SQLITE_CORRUPT:
            return CorruptDatabase(f"{where} is damaged", path=where)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return LockTimeout(f"{where} is locked by another connection", path=where)
        return ConnectionFailed(f"{where} cannot be opened: {error}", path=where)


def _refuse_text_in_double_quotes(connection: sqlite3.Connection) -> None:
    """Make a misspelt name in double quotes an error, not a text; possible from Python 3.12."""
    set_config = getattr(connection, "setconfig", None)
    if set_config is not None:
        set_config(sqlite3.SQLITE_DBCONFIG_DQS_DML, False)  # type: ignore[attr-defined]
        set_config(sqlite3.SQLITE_DBCONFIG_DQS_DDL, False)  # type: ignore[attr-defined]
