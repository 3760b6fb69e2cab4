"""A new connection: which server it leads to, and what is set on it."""

from __future__ import annotations

import re
import ssl
from typing import Any, Final

from attrs import frozen
from pymysql.err import MySQLError

from dataflow_core.contract import Server
from dataflow_core.errors import ConnectionFailed, DataFlowError, InvalidOption
from dataflow_mysql.location import MySQLLocation
from dataflow_mysql.protocol.failures import ServerError
from dataflow_mysql.protocol.login import Wire, log_in, wire_of
from dataflow_mysql.protocol.plain import PlainWire, server_error
from dataflow_mysql.protocol.wire import CHARSET

__all__ = ["Opened", "connect_error", "open_connection", "server_of", "settings"]

_OLDEST: Final = {"MariaDB": (10, 6), "MySQL": (8, 0, 19)}
_NUMBERS: Final = re.compile(r"\d+(?:\.\d+){0,2}")
_REPLICATION_PREFIX: Final = "5.5.5-"
_REFUSED: Final = frozenset((1044, 1045, 1130, 1698, 1251, 2059, 3118, 3159, 4151))
# What the server counts beside the statement itself.
_PACKET_MARGIN: Final = 64
_UNKNOWN_COLLATION: Final = (1273, 1253)

_FOR_EVER: Final = "31536000"
"""A year in seconds: the most that both servers take."""

SQL_MODE: Final = ",".join(
    (
        "STRICT_ALL_TABLES",
        "NO_ZERO_DATE",
        "NO_ZERO_IN_DATE",
        "ERROR_FOR_DIVISION_BY_ZERO",
        "NO_AUTO_VALUE_ON_ZERO",
        "ONLY_FULL_GROUP_BY",
        "NO_ENGINE_SUBSTITUTION",
    )
)
COLLATIONS: Final = {"MariaDB": "utf8mb4_nopad_bin", "MySQL": "utf8mb4_0900_bin"}
"""Those that compare by code point, trailing spaces included."""

# What ``Server.details`` holds, and what tells one server from another.
_DETAILS: Final = (
    "lower_case_table_names",
    "max_allowed_packet",
    "local_infile",
    "auto_increment_increment",
    "read_only",
    "version_comment",
)
_IDENTITY: Final = ("hostname", "port", "server_id")
DETAILS: Final = (
    f"SELECT CONNECTION_ID(), {', '.join('@@' + name for name in (*_IDENTITY, *_DETAILS))}"
)
IDENTITY: Final = f"SELECT {', '.join('@@' + name for name in _IDENTITY)}"


@frozen
class Opened:
    """A connection with its settings made.

    ``number`` is how the server calls it, ``identity`` which server that is, ``settings`` the
    statement that makes the settings again.
    """

    wire: Wire
    server: Server
    number: int
    identity: tuple[Any, ...]
    settings: bytes

    @property
    def largest_statement(self) -> int:
        """The most bytes of a statement that are safe to send."""
        return int(self.server.details["max_allowed_packet"]) - _PACKET_MARGIN


def server_of(version: str) -> Server:
    """Product and version in the text that a server greets with."""
    text = version.removeprefix(_REPLICATION_PREFIX)
    numbers = _NUMBERS.match(text)
    name = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    return Server(name, tuple(map(int, numbers[0].split("."))) if numbers else (0,))


def settings(server: Server, location: MySQLLocation, *, read_only: bool = False) -> bytes:
    """The statement that makes the settings of a connection, whatever they were."""
    maria = server.name == "MariaDB"
    collation = location.collation or COLLATIONS[server.name]
    prefix = "tx" if maria else "transaction"
    values = {
        "time_zone": "'+00:00'",
        "sql_mode": f"'{SQL_MODE}'",
        f"{prefix}_isolation": "'READ-COMMITTED'",
        f"{prefix}_read_only": "1" if read_only else "0",
        "autocommit": "1",
        "foreign_key_checks": "1",
        "unique_checks": "1",
        "sql_safe_updates": "0",
        "sql_select_limit": "DEFAULT",
        # How long a statement may wait for locks is a matter of command_timeout.
        "innodb_lock_wait_timeout": _FOR_EVER,
        "lock_wait_timeout": _FOR_EVER,
        "group_concat_max_len": "4294967295",
        # Room for several long texts as the keys of one sort.
        "sort_buffer_size": "4194304",
        # How long a stream may wait for the one who reads it.
        "net_write_timeout": "86400",
        # How the server tells that a statement made it read text in another way.
        "session_track_system_variables": "'character_set_client'",
    }
    if maria:
        # It sorts by so many bytes of a text only.
        values["max_sort_length"] = "16384"
    listed = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f"SET NAMES {CHARSET} COLLATE {collation}, {listed}".encode()


async def open_connection(
    location: MySQLLocation, context: ssl.SSLContext | None, *, read_only: bool, fast: bool = True
) -> Opened:
    """Connect, log in and make the settings.

    Raises:
        ConnectionFailed: the server cannot be reached, does not let this user in, or is too old.
        InvalidOption: the server does not know the collation.
    """
    try:
        login = await log_in(location, context)
    except (MySQLError, OSError, RuntimeError, ValueError) as error:
        raise connect_error(server_error(error), error, str(location)) from error
    wire = wire_of(login, fast=fast)
    try:
        return await _set_up(login, wire, location, read_only=read_only)
    except ServerError as error:
        await wire.close()
        raise connect_error(error, error, str(location)) from error
    except BaseException:
        wire.break_off()
        raise


async def _set_up(login: Any, wire: Wire, location: MySQLLocation, *, read_only: bool) -> Opened:
    server = server_of(str(login.server_version))
    oldest = _OLDEST[server.name]
    # Some services tell no more than the first two numbers.
    if server.version < oldest[: len(server.version)]:
        raise ConnectionFailed(
            f"{location} is {server}; {server.name} is supported from {'.'.join(map(str, oldest))}"
        )
    statement = settings(server, location, read_only=read_only)
    try:
        await wire.query(statement)
    except ServerError as error:
        if error.number not in _UNKNOWN_COLLATION:
            raise
        raise InvalidOption(
            f"{server} has no collation {location.collation} of {CHARSET}", option="collation"
        ) from error
    ((number, *values),) = (await wire.query(DETAILS.encode())).rows
    identity = tuple(values[: len(_IDENTITY)])
    details = dict(zip(_DETAILS, map(str, values[len(_IDENTITY) :]), strict=True))
    if isinstance(wire, PlainWire):
        details["local_infile"] = "0"
    details["collation"] = COLLATIONS[server.name]
    adapted = Server(server.name, server.version, details)
    return Opened(wire, adapted, int(number), identity, statement)


def connect_error(error: Exception, original: Exception, where: str) -> DataFlowError:
    """Why no connection was made. ``original`` is what the driver raised; ``where`` is shown."""
    if isinstance(error, DataFlowError):
        return error
    if isinstance(error, ServerError):
        return ConnectionFailed(
            f"{where} refused the connection: {_refusal(error)}", database_code=str(error.number)
        )
    reason = original.__cause__ or original
    if isinstance(reason, ssl.SSLError):
        text = getattr(reason, "verify_message", "") or getattr(reason, "reason", "") or "failed"
        return ConnectionFailed(f"{where} cannot be reached with TLS: {text}")
    if isinstance(reason, OSError):
        text = reason.strerror or type(reason).__name__
        return ConnectionFailed(f"{where} cannot be reached: {text}")
    if isinstance(original, RuntimeError) and "cryptography" in str(original):
        return ConnectionFailed(
            f"{where} wants the password encrypted, which needs the package cryptography;"
            " install PyMySQL[rsa], or give ssl_mode=required"
        )
    return ConnectionFailed(f"{where} closed the connection during the login")


def _refusal(error: ServerError) -> str:
    if error.number in _REFUSED:
        return "user, password or their rights are not accepted"
    if error.number == 1049:
        return "the database does not exist"
    if error.number in (1040, 1203, 1226):
        return "it has too many connections"
    return f"error {error.number}"
