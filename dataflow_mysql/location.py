"""Which database is opened, and how: the URL and the options, checked and put together."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from dataflow_core.contract import ConnectOptions
from dataflow_core.errors import InvalidOption, InvalidURL, UnknownOption
from dataflow_core.naming_hints import nearest
from dataflow_mysql.plugin import SSL_MODES

if TYPE_CHECKING:
    from dataflow_core.contract import DatabaseURL

__all__ = ["MySQLLocation", "locate"]

DEFAULT_PORT: Final = 3306
_DEFAULT_HOST: Final = "localhost"
_CHARSET: Final = "utf8mb4"
_COLLATION: Final = re.compile(r"utf8mb4_[A-Za-z0-9_]{1,56}", re.ASCII)
_LOCAL: Final = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1", re.IGNORECASE | re.ASCII)
_FILES: Final = ("ssl_ca", "ssl_cert", "ssl_key")
_LONGEST_NAME: Final = 64


@frozen
class MySQLLocation:
    """A database and the settings of its connections.

    Attributes:
        host: where the server is; unused with ``unix_socket``.
        password: exact; in no ``repr`` and no text.
        collation: that of the connection; ``None`` leaves it to compare by code point.
        ssl_mode: one of ``SSL_MODES``.
        replica: a copy that takes reads.
    """

    database: str
    host: str = _DEFAULT_HOST
    port: int = DEFAULT_PORT
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    unix_socket: str | None = None
    collation: str | None = None
    ssl_mode: str = "disabled"
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    connect_timeout: float | None = 10.0
    command_timeout: float | None = 60.0
    replica: MySQLLocation | None = None

    @property
    def encrypted(self) -> bool:
        """Whether a connection without TLS is refused."""
        return self.ssl_mode not in ("disabled", "preferred")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.unix_socket or f'{host}:{self.port}'}/{self.database}"


def locate(url: DatabaseURL, options: ConnectOptions) -> MySQLLocation:
    """Check a URL and the options, and those of the replica; connects to nothing.

    Raises:
        InvalidURL: the URL has no database, or one that cannot be.
        UnknownOption: an option in the URL is unknown.
        InvalidOption: an option has a wrong value, two contradict each other, or a certificate's
            file cannot be read.
    """
    location = _located(url, options, options.options)
    if options.replica is None:
        return location
    # The socket is where the primary is; a replica's own stands in its URL.
    shared = {name: value for name, value in options.options.items() if name != "unix_socket"}
    return evolve(location, replica=_located(options.replica, options, shared))


def _located(
    url: DatabaseURL, options: ConnectOptions, keywords: Mapping[str, Any]
) -> MySQLLocation:
    given = _options(url.query, keywords)
    unix_socket = given.get("unix_socket")
    if unix_socket is not None and (url.host or _DEFAULT_HOST).lower() != _DEFAULT_HOST:
        raise InvalidOption(
            f"unix_socket and the host {url.host} lead to two places; give one",
            option="unix_socket",
        )
    local = unix_socket is not None or _LOCAL.fullmatch(url.host or _DEFAULT_HOST) is not None
    return MySQLLocation(
        database=_database(url),
        host=url.host or _DEFAULT_HOST,
        port=url.port or DEFAULT_PORT,
        user=url.username,
        password=url.password,
        unix_socket=unix_socket,
        collation=given.get("collation"),
        ssl_mode=_ssl_mode(given, local=local),
        ssl_ca=given.get("ssl_ca"),
        ssl_cert=given.get("ssl_cert"),
        ssl_key=given.get("ssl_key"),
        connect_timeout=options.connect_timeout,
        command_timeout=options.command_timeout,
    )


def _database(url: DatabaseURL) -> str:
    name = url.database
    if not name:
        raise InvalidURL(
            f"the URL names no database; the form is {url.scheme}://user:password@host:port/name",
            part="database",
        )
    if len(name) > _LONGEST_NAME or "/" in name or name.endswith(" "):
        raise InvalidURL(
            f"{name!r} is no name of a database: at most {_LONGEST_NAME} characters, no"
            " slash, no space at the end",
            part="database",
        )
    return name


def _ssl_mode(given: Mapping[str, Any], *, local: bool) -> str:
    """The mode asked for, or the one that suits what is given."""
    files = [name for name in _FILES if name in given]
    if "ssl_key" in given and "ssl_cert" not in given:
        raise InvalidOption("ssl_key belongs to a certificate: give ssl_cert", option="ssl_cert")
    if "ssl_ca" in given:
        usual = "verify_identity"
    elif files:
        usual = "required"
    else:
        # What stays on this machine is read by nobody on the way.
        usual = "disabled" if local else "preferred"
    mode: str = given.get("ssl_mode", usual)
    if mode == "disabled" and files:
        raise InvalidOption(f"ssl_mode=disabled leaves {files[0]} unused", option="ssl_mode")
    if "ssl_ca" in given and not mode.startswith("verify"):
        raise InvalidOption(
            f"ssl_mode={mode} does not look at the server's certificate, so ssl_ca is unused",
            option="ssl_mode",
            suggestion="verify_identity",
        )
    if given.get("unix_socket") is not None and mode not in ("disabled", "preferred"):
        raise InvalidOption("a socket of this machine is not encrypted", option="ssl_mode")
    return mode


def _options(query: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for spelt, text in query.items():
        name = spelt.replace("-", "_")
        check = _CHECKS.get(name)
        if check is None:
            raise UnknownOption(
                f"the URL has the option {spelt!r}, which is unknown; known are"
                f" {', '.join(_CHECKS)}",
                suggestion=nearest(name.lower(), _CHECKS),
            )
        given[name] = check(name, text)
    for name, value in options.items():
        check = _CHECKS.get(name)
        if check is None:
            raise UnknownOption(
                f"there is no option {name!r}; known are {', '.join(_CHECKS)}",
                suggestion=nearest(name, _CHECKS),
            )
        checked = check(name, value)
        if given.setdefault(name, checked) != checked:
            raise InvalidOption(
                f"{name} is given twice, in the URL and as an argument, with different values",
                option=name,
            )
    return given


def _charset(name: str, value: Any) -> str:
    if isinstance(value, str) and value.lower() == _CHARSET:
        return _CHARSET
    raise InvalidOption(
        f"charset is {_CHARSET}: any other loses characters, utf8 and utf8mb3 those of four bytes",
        option=name,
        expected=_CHARSET,
        suggestion=_CHARSET,
    )


def _collation(name: str, value: Any) -> str:
    if isinstance(value, str) and _COLLATION.fullmatch(value):
        return value.lower()
    raise InvalidOption(
        f"collation is one of {_CHARSET}, for example utf8mb4_unicode_ci",
        option=name,
        expected=f"{_CHARSET}_...",
    )


def _mode(name: str, value: Any) -> str:
    word = value.lower().replace("-", "_") if isinstance(value, str) else ""
    if word in SSL_MODES:
        return word
    raise InvalidOption(
        f"{name} is one of {', '.join(SSL_MODES)}",
        option=name,
        suggestion=nearest(word, SSL_MODES),
    )


def _file(name: str, value: Any) -> str:
    """A path; the file is read when the first connection is opened, and may be put there later."""
    try:
        if isinstance(value, str) and value.isprintable() and value:
            return str(Path(value).expanduser().absolute())
    except RuntimeError as error:
        raise InvalidOption(f"{name} is the path of a file: {error}", option=name) from error
    raise InvalidOption(f"{name} is the path of a file, got {value!r}", option=name)


def _socket(name: str, value: Any) -> str:
    if isinstance(value, str) and value.startswith("/") and "\0" not in value:
        return value
    raise InvalidOption(f"{name} is the absolute path of the server's socket", option=name)


_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "charset": _charset,
    "collation": _collation,
    "ssl_ca": _file,
    "ssl_cert": _file,
    "ssl_key": _file,
    "ssl_mode": _mode,
    "unix_socket": _socket,
}
