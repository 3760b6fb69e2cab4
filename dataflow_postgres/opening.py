"""Opening a connection: TLS, the settings of the session, what kind of server answers.

All settings travel with the first message, so they cost no round trip and survive ``RESET ALL``.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

import asyncpg

from dataflow_core.contract import Connection, Server
from dataflow_core.errors import ConnectionFailed, DataFlowError, InvalidOption
from dataflow_postgres.catalogue import ABOVE_POLICIES, ROLE_ABOVE_POLICIES
from dataflow_postgres.compiler import FOLDING_COLLATIONS
from dataflow_postgres.location import SYSTEM_AUTHORITIES, PostgresLocation

__all__ = [
    "ClosingWithLoop",
    "Opening",
    "given_up",
    "is_behind_pooler",
    "leaves_no_trace",
    "reset_script",
    "server_of",
]

OLDEST_VERSION: Final = (14,)
# The highest process number of Linux; other systems have lower ones.
_HIGHEST_PROCESS: Final = 2**22
_NOT_ALLOWED: Final = "28000"
_NOT_UNDERSTOOD: Final = "08P01"
# While the server compiles a statement to machine code, which can take seconds, nothing stops it.
_WITHOUT_POOLER: Final[Mapping[str, str]] = {"jit": "off"}
_BY_CONNECT_CODE: Final[dict[str, tuple[str, ...]]] = {
    "28P01": ("the password of the user {user} is not accepted", "no password is given"),
    "28000": ("the user {user} may not log in to this database from here",),
    "3D000": ("there is no database {database}",),
    "42501": ("the user {user} may not connect to the database {database}",),
    "53300": ("the server has no free connection",),
    "57P03": ("the server is starting or stopping, or takes no connections",),
}

_COLLATION: Final = (
    "SELECT FROM pg_catalog.pg_collation WHERE collencoding IN (-1, 6)"
    " AND collnamespace = 'pg_catalog'::regnamespace AND collname"
)
_DIGITS: Final = re.compile(r"\d+", re.ASCII)


class _ForkedConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose copy in a forked process leaves the socket alone."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.process = os.getpid()
        self.details: Mapping[str, str] = {}
        self.takes_all_settings = True
        super().__init__(*arguments, **options)

    def terminate(self) -> None:
        """Say goodbye to the server, which must not hear it from another process."""
        if self.process == os.getpid():
            super().terminate()

    def __del__(self) -> None:
        if self.process == os.getpid():
            super().__del__()


class Opening:
    """How the connections to one server are opened. Files of certificates are read once."""

    def __init__(self, location: PostgresLocation) -> None:
        self.location = location
        self._context: ssl.SSLContext | None = None
        self._details: Mapping[str, str] | None = None
        self._more_settings = _WITHOUT_POOLER

    async def connect(self) -> Any:
        """Open a connection. Raises ``ConnectionFailed``, or ``InvalidOption`` for broken files."""
        attempts = list(self._attempts())
        for context in attempts[:-1]:
            try:
                return await self._checked(context)
            except Exception as error:
                if not _may_try_otherwise(error):
                    raise _failed(error, self.location) from error
        try:
            return await self._checked(attempts[-1])
        except Exception as error:
            raise _failed(error, self.location) from error

    def _attempts(self) -> Iterator[ssl.SSLContext | None]:
        """With and without TLS, in the order of the mode."""
        mode = self.location.sslmode
        if self.location.is_socket or mode == "disable":
            yield None
            return
        if mode == "allow":
            yield None
        yield self._tls()
        if mode == "prefer":
            yield None

    async def _checked(self, context: ssl.SSLContext | None) -> Any:
        location, more = self.location, self._more_settings
        try:
            connection = await self._connected(context, more)
        except asyncpg.PostgresError as error:
            if not more or error.sqlstate != _NOT_UNDERSTOOD:
                raise
            self._more_settings = more = {}
            connection = await self._connected(context, more)
        try:
            _check_server(connection, location)
            if self._details is None:
                self._details = await _asked(connection)
        except BaseException:
            connection.terminate()
            raise
        connection.details = self._details
        connection.takes_all_settings = bool(more)
        return connection

    async def _connected(self, context: ssl.SSLContext | None, more: Mapping[str, str]) -> Any:
        location = self.location
        return await asyncpg.connect(
            host=location.host,
            port=location.port,
            user=location.user,
            # Whatever is left out, the driver looks up in variables and files.
            password=location.password,
            database=location.database,
            ssl=False if context is None else context,
            direct_tls=False,
            target_session_attrs=location.target,
            server_settings={**more, **location.settings},
            # Its own cache names statements alike in all processes, which a pooler mixes up.
            statement_cache_size=0,
            # The core watches the time.
            timeout=None,
            connection_class=_ForkedConnection,
        )

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = _tls_context(self.location)
        return self._context


def _may_try_otherwise(error: Exception) -> bool:
    """Whether the server minds TLS, or its absence, and nothing else."""
    if isinstance(error, asyncpg.PostgresError):
        return bool(error.sqlstate == _NOT_ALLOWED)
    # The driver raises the plain class where the server offers no TLS.
    return type(error) is ConnectionError or isinstance(error, ssl.SSLError)


def _failed(error: Exception, location: PostgresLocation) -> DataFlowError:
    """Why a connection could not be made, in words that lead to the cause."""
    if isinstance(error, DataFlowError):
        return error
    return ConnectionFailed(
        f"{location}: {_reason(error, location)}",
        outcome="not done",
        database_code=getattr(error, "sqlstate", None),
    )


def _reason(error: Exception, location: PostgresLocation) -> str:
    if isinstance(error, asyncpg.PostgresError):
        texts = _BY_CONNECT_CODE.get(error.sqlstate or "")
        if texts is None:
            # Tells which setting the server, or a pooler, refuses; never holds a password.
            return f"the server refuses the connection: {error.args[0]}"
        text = texts[-1] if not location.password else texts[0]
        return text.format(user=repr(location.user), database=repr(location.database))
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return f"the server is not of the kind target_session_attrs={location.target}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of the server is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason}); sslmode={location.sslmode}"
    if isinstance(error, socket.gaierror):
        return f"the host name {location.host!r} is not known"
    if type(error) is ConnectionError:
        return f"the server offers no TLS, which sslmode={location.sslmode} demands"
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return "no server listens there"
    if isinstance(error, OSError):
        return f"the server cannot be reached ({error.strerror or type(error).__name__})"
    return f"the driver gave up: {type(error).__name__}"


def _tls_context(location: PostgresLocation) -> ssl.SSLContext:
    mode, authorities = location.sslmode, location.sslrootcert
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = mode == "verify-full"
    verifies = mode in ("verify-ca", "verify-full") or authorities is not None
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    if verifies and authorities in (None, SYSTEM_AUTHORITIES):
        context.load_default_certs()
    elif authorities is not None:
        _load("sslrootcert", authorities, lambda: context.load_verify_locations(authorities))
    if location.sslkey is not None:
        _load("sslkey", location.sslkey)
    if location.sslcert is not None:
        chain = partial(
            context.load_cert_chain,
            location.sslcert,
            location.sslkey,
            # A function, so that the terminal is never asked.
            lambda: location.sslpassword,
        )
        _load("sslcert", location.sslcert, chain)
    return context


def _load(option: str, path: str, load: Callable[[], None] = lambda: None) -> None:
    try:
        Path(path).open("rb").close()
        load()
    except (ssl.SSLError, ValueError) as error:
        also = "; does sslkey belong to it, is sslpassword right?" if option == "sslcert" else ""
        reason = f"the file is not a certificate in PEM form that can be read{also}"
        raise InvalidOption(f"{option}: {reason}", option=option) from error
    except OSError as error:
        reason = f"{path!r} cannot be read: {error.strerror}"
        raise InvalidOption(f"{option}: {reason}", option=option) from error


class ClosingWithLoop:
    """Closes the connections of an event loop when ``asyncio.run`` ends it.

    Afterwards nobody could: neither say goodbye to the server nor give the sockets back.
    """

    def __init__(self) -> None:
        self._loops: WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[WeakSet[Connection], AsyncGenerator[None, None]]
        ] = WeakKeyDictionary()

    async def begin(self) -> None:
        """Have the running loop tell when it ends: it closes the generators that have begun."""
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            connections: WeakSet[Connection] = WeakSet()
            end = _end(connections)
            self._loops[loop] = connections, end
            await anext(end)

    def add(self, connection: Connection) -> None:
        """Close this one, too."""
        self._loops[asyncio.get_running_loop()][0].add(connection)


async def _end(connections: WeakSet[Connection]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        for connection in list(connections):
            await connection.close()


async def given_up(connecting: asyncio.Task[Any], seconds: float) -> None:
    """Let an attempt to connect end that nobody waits for, and undo it.

    It is not cut off at once: halfway through a handshake the driver would log an error of its own.
    """
    await asyncio.wait({connecting}, timeout=seconds)
    if not connecting.done():
        connecting.cancel()
        await asyncio.wait({connecting})
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().terminate()


def server_of(connection: Any) -> Server:
    """Product and version, as the server told when it was connected to."""
    settings = connection.get_settings()
    text: str = settings.server_version
    version = tuple(int(number) for number in _DIGITS.findall(text.split(" ", 1)[0]))
    details = {"server_encoding": settings.server_encoding, **connection.details}
    return Server("PostgreSQL", version, details)


async def _asked(connection: Any) -> dict[str, str]:
    """The first of the collations that may be missing, and the role, where that matters."""
    # The number of rows is enough to tell; so nothing is prepared, which a pooler could lose.
    asked = {name: ("collations", f"{_COLLATION} = '{name}'") for name in FOLDING_COLLATIONS}
    details: dict[str, str] = {}
    for value, (detail, sql) in {**asked, ABOVE_POLICIES: ("role", ROLE_ABOVE_POLICIES)}.items():
        if detail not in details and await connection.execute(sql) != "SELECT 0":
            details[detail] = value
    return details


def _check_server(connection: Any, location: PostgresLocation) -> None:
    server = server_of(connection)
    encoding = server.details["server_encoding"]
    zone = connection.get_settings().TimeZone
    wrong: str | None = None
    if server.version < OLDEST_VERSION:
        wrong = f"{server} is too old; 14 is the oldest that is supported"
    elif encoding != "UTF8":
        wrong = (
            f"the database stores text in {encoding}, which cannot hold every character;"
            " make one with ENCODING 'UTF8'"
        )
    elif zone != location.settings["timezone"]:
        wrong = f"a pooler in between keeps the time zone at {zone}, though UTC was asked for"
    if wrong is not None:
        raise ConnectionFailed(f"{location}: {wrong}", outcome="not done")


def is_behind_pooler(connection: Any) -> bool:
    """Whether something else than a server answers.

    A pooler refuses settings that it cannot keep apart for each client. One that is configured to
    ignore them gives random numbers where a server gives the number of its process: about one in
    1,000 of these could be mistaken.
    """
    number: int = connection.get_server_pid()
    return not connection.takes_all_settings or not 0 < number <= _HIGHEST_PROCESS


_RESET: Final = (
    "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; UNLISTEN *;"
    " SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"
)


def reset_script(location: PostgresLocation, *, pooled: bool, prepared: bool) -> str:
    """What undoes the state of a session, as one text and so on one server.

    Parameters:
        location: its settings hold again afterwards.
        pooled: behind a pooler the session of the server began with other settings.
        prepared: whether statements were prepared by SQL; those of the connection go as well.
    """
    script = f"{_RESET}; DEALLOCATE ALL" if prepared else _RESET
    if not pooled:
        return script
    settings = "; ".join(
        f"SET {name} TO {_literal(value)}"
        for name, value in location.settings.items()
        if name != "search_path"
    )
    return f"{script}; SET client_encoding TO 'UTF8'; {settings}"


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


# What precedes a parenthesis in statements that call nothing of which the session keeps a trace.
_HARMLESS_WORDS: Final = """
all and any array as avg between by cast coalesce concat count cube date distinct else except exists
extract filter from greatest group in integer intersect json jsonb key least length lower max min
not now nullif numeric on or over round rollup row select sets some substring sum then timestamp
trim union upper using values varchar when where
"""
_HARMLESS: Final = frozenset(_HARMLESS_WORDS.split())
_KEEPS_NOTHING: Final = frozenset(("select", "insert", "update", "delete", "with", "values"))
_LONGEST_LOOKED_AT: Final = 10_000
_FIRST_WORD: Final = re.compile(r"\s*([A-Za-z]+)")
_CALL: Final = re.compile(r"([\w$.\"]*[^\s(]?)\s*\(")
_TEMPORARY: Final = re.compile(r"\btemp(?:orary)?\b", re.IGNORECASE)
_TABLE: Final = re.compile(r"\binto\s+[\w.\"]+\s*\(", re.IGNORECASE)


@lru_cache(512)
def leaves_no_trace(sql: str) -> bool:
    """Whether a statement surely leaves the session as it was; False where that is not certain.

    What a view, a trigger or an operator of the user calls is not seen.
    """
    first = _FIRST_WORD.match(sql) if len(sql) < _LONGEST_LOOKED_AT else None
    if first is None or first[1].lower() not in _KEEPS_NOTHING or "--" in sql or "/*" in sql:
        return False
    # SELECT .. INTO TEMP makes a table.
    if _TEMPORARY.search(sql):
        return False
    for called in _CALL.finditer(_TABLE.sub("values (", sql)):
        word = called[1].lower()
        if word and word[-1] not in ",=<>+*|" and word not in _HARMLESS:
            return False
    return True
