"""Which server is connected to, and how: the URL and the options, checked and put together.

Nothing else counts: neither the variables ``PG...``, nor ``~/.pgpass``, a service file or what lies
in ``~/.postgresql``. A URL leads to the same place on every machine.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from dataflow_core.contract import ConnectOptions
from dataflow_core.errors import InvalidOption, InvalidURL, UnknownOption
from dataflow_core.naming_hints import nearest, quoted
from dataflow_postgres.plugin import SSL_MODES, TARGETS

if TYPE_CHECKING:
    from dataflow_core.contract import DatabaseURL

__all__ = ["SYSTEM_AUTHORITIES", "PostgresLocation", "locate"]

DEFAULT_HOST: Final = "localhost"
DEFAULT_PORT: Final = 5432
DEFAULT_APPLICATION: Final = "dataflow"
SYSTEM_AUTHORITIES: Final = "system"
"""``sslrootcert=system``: the authorities that this machine trusts."""

_FORM: Final = "postgresql://user:password@host:5432/database"
# The longest name of a server: longer ones would be cut, and could lead to another database.
_NAME_BYTES: Final = 63
_SETTING: Final = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?", re.ASCII)
_SOCKET: Final = re.compile(r"(/.*)?/\.s\.PGSQL\.([0-9]{1,5})", re.ASCII)
_OWN_SETTINGS: Final = {
    "timezone": "times are exchanged in UTC",
    "datestyle": "dates are exchanged in ISO form",
    "client_encoding": "text is exchanged in UTF-8",
    "standard_conforming_strings": "texts in statements are quoted for it",
    "application_name": "it is an option of its own",
    "search_path": "it is an option of its own",
    "user": "it belongs into the URL",
    "database": "it belongs into the URL",
    "replication": "such connections take no statements",
    "options": "each of its settings is given by its own name",
}
_WORDS: Final = {"1": True, "true": True, "yes": True, "on": True} | {
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}
_ELSEWHERE: Final = {
    "ssl": "sslmode",
    "ssl_ca": "sslrootcert",
    "ssl_cert": "sslcert",
    "ssl_key": "sslkey",
    "schema": "search_path",
    "currentschema": "search_path",
    "options": "server_settings",
}
"""What other databases and drivers call it."""


@frozen
class PostgresLocation:
    """A database of a server and the settings of its connections.

    Attributes:
        host: a name, an address, or the folder of a socket.
        port: also a part of the socket's name.
        user: who logs in.
        password: empty where there is none. Never shown.
        database: its name.
        sslmode: as in PostgreSQL's own programs.
        sslrootcert, sslcert, sslkey: files, or ``"system"`` for the first.
        sslpassword: of an encrypted key. Never shown.
        target: the kind of server that is accepted.
        settings: what is sent as settings of the session, by name.
        statement_cache_size: ``None`` where it depends on whether there is a pooler.
        pooler: ``None`` where it is found out.
        connect_timeout: the longest time to connect; the core watches it.
        command_timeout: the longest time of a statement; the core watches it.
        replica: a copy of the database that takes reads.
    """

    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)
    sslmode: str = "prefer"
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    sslpassword: str = field(default="", repr=False)
    target: str = "any"
    settings: Mapping[str, str] = field(factory=dict, hash=False, repr=False)
    statement_cache_size: int | None = None
    pooler: bool | None = None
    connect_timeout: float | None = None
    command_timeout: float | None = None
    replica: PostgresLocation | None = None

    @property
    def is_socket(self) -> bool:
        """Whether the host is the folder of a socket."""
        return self.host.startswith("/")

    def __str__(self) -> str:
        if self.is_socket:
            return f"{self.host}/.s.PGSQL.{self.port}, database {self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.database}"


def locate(url: DatabaseURL, options: ConnectOptions) -> PostgresLocation:
    """Check a URL and the options, for the database and for its replica if there is one.

    Raises:
        InvalidURL: the URL names no database, or a part of it is not possible.
        UnknownOption: an option is unknown.
        InvalidOption: an option has a wrong value, or two contradict each other.
    """
    primary = _located(url, options, options.options)
    if options.replica is None:
        return primary
    # The kind of server is the one thing in which the two differ; a URL may still ask for it.
    shared = {
        name: value
        for name, value in options.options.items()
        if name not in ("target_session_attrs", "host")
    }
    return evolve(primary, replica=_located(options.replica, options, shared))


def _located(
    url: DatabaseURL, options: ConnectOptions, keywords: Mapping[str, Any]
) -> PostgresLocation:
    given = _options(url.query, keywords)
    host, port = _host(url, given)
    location = PostgresLocation(
        host=host,
        port=port,
        user=_name(url.username, "user") or _current_user(),
        database=_database(url),
        password=url.password or "",
        sslmode=given.get("sslmode") or _default_sslmode(given),
        sslrootcert=given.get("sslrootcert"),
        sslcert=given.get("sslcert"),
        sslkey=given.get("sslkey"),
        sslpassword=given.get("sslpassword", ""),
        target=given.get("target_session_attrs", "any"),
        settings=_settings(given),
        statement_cache_size=given.get("statement_cache_size"),
        pooler=given.get("pooler"),
        connect_timeout=options.connect_timeout,
        command_timeout=options.command_timeout,
    )
    _refuse_contradictions(location, given)
    return location


def _host(url: DatabaseURL, given: Mapping[str, Any]) -> tuple[str, int]:
    port = url.port or DEFAULT_PORT
    place: str | None = given.get("host")
    if place is None:
        return url.host or DEFAULT_HOST, port
    if url.host is not None:
        raise InvalidOption(
            f"the URL names the host {url.host} and the option host a socket; give one of them",
            option="host",
        )
    socket = _SOCKET.fullmatch(place)
    return (place, port) if socket is None else (socket[1] or "/", int(socket[2]))


def _database(url: DatabaseURL) -> str:
    name = _name(url.database, "database")
    if name is None:
        raise InvalidURL(f"the URL names no database; its form is {_FORM}", part="database")
    return name


def _current_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise InvalidURL(f"the URL names no user; its form is {_FORM}", part="user") from error


def _name(name: str | None, part: str) -> str | None:
    if name is not None and len(name.encode()) > _NAME_BYTES:
        raise InvalidURL(
            f"the name of a {part} has at most {_NAME_BYTES} bytes in PostgreSQL", part=part
        )
    return name


def _default_sslmode(given: Mapping[str, Any]) -> str:
    """Whoever names authorities wants the server checked."""
    return "verify-full" if "sslrootcert" in given else "prefer"


def _settings(given: Mapping[str, Any]) -> dict[str, str]:
    # These few are what poolers accept and keep per client; more would be refused there.
    settings = {
        "timezone": "UTC",
        "datestyle": "ISO, MDY",
        "standard_conforming_strings": "on",
        "application_name": given.get("application_name", DEFAULT_APPLICATION),
    }
    if "search_path" in given:
        settings["search_path"] = given["search_path"]
    settings.update(given.get("server_settings", {}))
    return settings


def _options(query: Mapping[str, str], keywords: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, text in query.items():
        given[name] = _check(name, " in the URL")(name, _converted(name, text))
    for name, value in keywords.items():
        checked = _check(name, "")(name, value)
        if given.setdefault(name, checked) != checked:
            raise InvalidOption(
                f"{name} is given twice, in the URL and as an argument, with different values",
                option=name,
            )
    return given


def _check(name: str, place: str) -> Callable[[str, Any], Any]:
    check = _CHECKS.get(name)
    if check is None:
        folded = name.lower()
        # A name out of a URL may be a part of a password, so it is not shown.
        raise UnknownOption(
            f"PostgreSQL does not know an option{place or f' {quoted(name)}'};"
            f" known are {', '.join(_CHECKS)}",
            suggestion=_ELSEWHERE.get(folded) or nearest(name, _CHECKS),
        )
    return check


def _converted(name: str, text: str) -> Any:
    """The value that the text of a URL's option stands for; text that is none stays text."""
    if name == "pooler":
        return _WORDS.get(text.lower(), text)
    if name == "statement_cache_size" and text.isascii() and text.isdigit():
        return int(text[:20])
    return text


def _check_flag(name: str, value: Any) -> bool:
    if value is True or value is False:
        return value
    raise _wrong(name, "True or False")


def _check_count(name: str, value: Any) -> int:
    if type(value) is int and 0 <= value <= 100_000:
        return value
    raise _wrong(name, "a whole number from 0 to 100000")


def _check_text(name: str, value: Any) -> str:
    if isinstance(value, str) and value and value.isprintable():
        return value
    raise _wrong(name, "text that can be printed, and not empty")


def _check_password(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _wrong(name, "text")


def _check_application(name: str, value: Any) -> str:
    text = _check_text(name, value)
    # The server would cut it, and show other characters as question marks.
    if text.isascii() and len(text) <= _NAME_BYTES:
        return text
    raise _wrong(name, f"at most {_NAME_BYTES} characters of ASCII")


def _check_folder(name: str, value: Any) -> str:
    text = _check_text(name, value)
    if "," in text or not text.startswith("/"):
        raise _wrong(
            name, "the absolute path of one folder; a host stands in the URL, and only one"
        )
    return text.rstrip("/") or "/"


def _check_authorities(name: str, value: Any) -> str:
    return value if value == SYSTEM_AUTHORITIES else _check_file(name, value)


def _check_file(name: str, value: Any) -> str:
    """A path; the file is read when the first connection is opened, and may be put there later."""
    text = _check_text(name, value)
    try:
        return str(Path(text).expanduser())
    except RuntimeError as error:
        raise _wrong(name, "the path of a file") from error


def _check_word(words: tuple[str, ...]) -> Callable[[str, Any], str]:
    folded = {word.lower(): word for word in words}

    def check(name: str, value: Any) -> str:
        found = folded.get(value.lower()) if isinstance(value, str) else None
        if found is None:
            close = nearest(value, words) if isinstance(value, str) else None
            raise _wrong(name, f"one of {', '.join(words)}", close)
        return found

    return check


def _check_settings(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _wrong(name, "a dict of settings and their values, given as an argument")
    checked: dict[str, str] = {}
    for key, text in value.items():
        if not isinstance(key, str) or not _SETTING.fullmatch(key):
            raise _wrong(name, "a dict whose keys are names of settings in lower case")
        if key in _OWN_SETTINGS:
            raise InvalidOption(
                f"{name}: {key} cannot be set there: {_OWN_SETTINGS[key]}", option=name
            )
        if not isinstance(text, str) or "\x00" in text:
            raise InvalidOption(
                f"{name}: the value of {key} is written as text, such as '64MB' or 'off'",
                option=name,
            )
        checked[key] = text
    return checked


_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "sslmode": _check_word(SSL_MODES),
    "sslrootcert": _check_authorities,
    "sslcert": _check_file,
    "sslkey": _check_file,
    "sslpassword": _check_password,
    "host": _check_folder,
    "application_name": _check_application,
    "search_path": _check_text,
    "target_session_attrs": _check_word(TARGETS),
    "statement_cache_size": _check_count,
    "pooler": _check_flag,
    "server_settings": _check_settings,
}


def _wrong(name: str, expected: str, suggestion: str | None = None) -> InvalidOption:
    return InvalidOption(
        f"{name} is {expected}", option=name, expected=expected, suggestion=suggestion
    )


def _refuse_contradictions(location: PostgresLocation, given: Mapping[str, Any]) -> None:
    mode = location.sslmode
    tls = [name for name in ("sslrootcert", "sslcert", "sslkey", "sslpassword") if name in given]
    if location.is_socket and (tls or mode not in ("disable", "allow", "prefer")):
        name = tls[0] if tls else "sslmode"
        raise InvalidOption(f"{name} has no effect on a socket, which has no TLS", option=name)
    if mode == "disable" and tls:
        raise InvalidOption(f"{tls[0]} has no effect with sslmode=disable", option=tls[0])
    if mode in ("allow", "prefer") and "sslrootcert" in given:
        raise InvalidOption(
            f"sslmode={mode} checks no certificate, so sslrootcert has no effect;"
            " sslmode=verify-full does",
            option="sslmode",
            suggestion="verify-full",
        )
    for name, needed in (("sslkey", "sslcert"), ("sslpassword", "sslcert")):
        if name in given and needed not in given:
            raise InvalidOption(f"{name} has no effect without {needed}", option=name)
