"""Logging in with the driver, more strictly than the driver does."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final

import aiomysql
from pymysql.constants import CLIENT

from dataflow_core.errors import ConnectionFailed, InvalidOption
from dataflow_mysql.location import MySQLLocation
from dataflow_mysql.protocol.plain import CONVERSIONS, PlainWire
from dataflow_mysql.protocol.wire import CHARSET
from dataflow_mysql.streaming import StreamingWire

__all__ = ["TRACKING", "Login", "Wire", "log_in", "tls_context", "wire_of"]

Wire = StreamingWire | PlainWire

TRACKING: Final = 1 << 23
"""The capability to tell, with an answer, what a statement changed of the session."""
# The driver itself still refuses to read files.
_FLAGS: Final = CLIENT.FOUND_ROWS | CLIENT.LOCAL_FILES | TRACKING
_PASSWORD_IN_CLEAR: Final = b"mysql_clear_password"


class Login(aiomysql.Connection):  # type: ignore[misc]  # the driver has no types
    """A connection of the driver. ``encrypted``: nothing secret is sent before TLS is up."""

    encrypted = False

    async def _request_authentication(self) -> None:
        # One statement at a time: what is smuggled in behind a semicolon is an error.
        self.client_flag &= ~CLIENT.MULTI_STATEMENTS
        if not self.server_capabilities & CLIENT.SSL:
            if self.encrypted:
                raise ConnectionFailed("the server offers no encryption, and ssl_mode demands it")
            self.client_flag &= ~CLIENT.SSL
            self._ssl_context = None
        await super()._request_authentication()

    async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
        if plugin_name == _PASSWORD_IN_CLEAR and not self._secure:
            raise ConnectionFailed(
                "the server asked for the password in clear, and the connection is not encrypted;"
                " give ssl_mode=verify_identity"
            )
        return await super()._process_auth(plugin_name, auth_packet)


def tls_context(location: MySQLLocation) -> ssl.SSLContext | None:
    """What a connection is encrypted with; ``InvalidOption`` if a file holds no certificate."""
    if location.ssl_mode == "disabled":
        return None
    for option in ("ssl_ca", "ssl_cert", "ssl_key"):
        _check_readable(option, getattr(location, option))
    context = ssl.create_default_context()
    if not location.ssl_mode.startswith("verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif location.ssl_mode == "verify_ca":
        context.check_hostname = False
    try:
        option = "ssl_ca"
        if location.ssl_ca is not None:
            # Only these count then, not those of the system.
            trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trusted.check_hostname = context.check_hostname
            trusted.load_verify_locations(location.ssl_ca)
            context = trusted
        option = "ssl_cert"
        if location.ssl_cert is not None:
            # Without an answer a key with a password would ask for it on the terminal.
            context.load_cert_chain(location.ssl_cert, location.ssl_key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        what = "certificates" if option == "ssl_ca" else "certificate and key without password"
        raise InvalidOption(
            f"{option}: the file holds no {what} that can be used", option=option
        ) from error
    return context


def _check_readable(option: str, path: str | None) -> None:
    if path is None:
        return
    try:
        Path(path).open("rb").close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such path can be"
        raise InvalidOption(
            f"{option}: {path!r} cannot be read: {reason}", option=option
        ) from error


async def log_in(location: MySQLLocation, context: ssl.SSLContext | None) -> Login:
    """A connection of the driver, logged in. Raises what the driver raises."""
    login = Login(
        host=location.host,
        port=location.port,
        unix_socket=location.unix_socket,
        user=location.user,
        # The driver encodes it in Latin 1; servers expect UTF-8.
        password=(location.password or "").encode().decode("latin-1"),
        db=location.database,
        charset=CHARSET,
        client_flag=_FLAGS,
        conv=CONVERSIONS,
        autocommit=None,
        local_infile=False,
        ssl=None if location.unix_socket is not None else context,
        program_name="dataflow",
    )
    login.encrypted = location.encrypted
    try:
        await login._connect()
        secure = login._writer.transport.get_extra_info("ssl_object") is not None
        if location.encrypted and not secure:
            raise ConnectionFailed("the connection is not encrypted, and ssl_mode demands it")
    except BaseException:
        # Cancelled, the driver leaves its socket open.
        login.close()
        raise
    return login


def wire_of(login: Login, *, fast: bool = True) -> Wire:
    """The fast way over a new connection, or the plain one if it is not as it should be."""
    transport = getattr(getattr(login, "_writer", None), "transport", None)
    unread = getattr(getattr(login, "_reader", None), "_buffer", None)
    known = hasattr(transport, "set_protocol") and unread is not None and not unread
    if not fast or not known or not hasattr(login, "server_status"):
        return PlainWire(login)
    tracked = bool(getattr(login, "server_capabilities", 0) & TRACKING)
    assert transport is not None
    status = int(login.server_status)
    return StreamingWire(transport, status, tracked=tracked, release=login.close)
