"""Database URLs, with passwords as people write them, and never a silently wrong host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from dataflow_core.errors import AmbiguousURL, InvalidURL
from dataflow_core.errors.safe_json import HIDDEN, is_secret

URL_LENGTH = 4_096
MEMORY = ":memory:"
_HIGHEST_PORT = 65_535
_HOST_LENGTH = 253
_FORM = "scheme://user:password@host:port/database?option=value"
_WAY_OUT = "percent-encode the password, or leave it out and give it as `password=`"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9.-]*", re.ASCII)
_SCHEME_WITH_DRIVER = re.compile(r"([A-Za-z][A-Za-z0-9.-]*)\+[A-Za-z0-9_.-]+", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_AUTHORITY = re.compile(r"(\[[^\]/?@]*\]|[^:/?@\[\]]*)(?::([0-9]+))?(?=[/?]|\Z)", re.ASCII)
# What may follow a host so that the whole is a URL: one name, options that begin with a name. An
# `@` in them is a mistake that people make, so it does not rule the reading out.
_LOCATION = re.compile(r"(?:/[^/?]*)?(?:\?(?:[A-Za-z0-9_.%-]+=.*)?)?\Z", re.ASCII)
_ENCODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+", re.ASCII)
# C0 and C1 controls, and the two separators that terminals and logs take for line ends.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNRESERVED = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"  # as in RFC 3986
)


def _frozen_query(query: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(query))


@frozen(repr=False)
class DatabaseURL:
    """The parts of a database URL; printing it hides the password.

    Attributes:
        scheme: what precedes `://`, in lower case; empty for `:memory:`.
        username: None where there is none.
        password: exact, decoded; None where there is none. Never part of `repr` or `str`.
        host: None in a URL of a file, and where the dialect finds the server itself.
        port: None where it is the dialect's own.
        database: the name, or the path: `scheme:///a.db` is `a.db`, relative to the working
            directory, `scheme:////a.db` is `/a.db`. None where there is none.
        query: the options behind the `?`; read-only.
    """

    scheme: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    host: str | None = None
    port: int | None = None
    database: str | None = None
    query: Mapping[str, str] = field(factory=dict, converter=_frozen_query, hash=False)

    def render(self, hide_password: bool = True) -> str:
        """Return the URL as text that `parse_url` reads back.

        Parameters:
            hide_password: write `***` instead of the password and of secret options.
        """
        if not self.scheme:
            return self.database or ""
        parts = [self.scheme, "://"]
        if self.username is not None or self.password is not None:
            parts.append(_encode(self.username or ""))
            if self.password is not None:
                parts.extend((":", HIDDEN if hide_password else _encode(self.password)))
            parts.append("@")
        if self.host is not None:
            parts.append(f"[{self.host}]" if ":" in self.host else self.host)
        if self.port is not None:
            parts.append(f":{self.port}")
        if self.database is not None:
            is_path = self.host is None and self.username is None and self.password is None
            parts.extend(("/", _encode(self.database, safe=b"/:" if is_path else b"")))
        if self.query:
            options = (
                f"{_encode(key)}="
                + (HIDDEN if hide_password and is_secret(key) else _encode(value, safe=b"/:"))
                for key, value in self.query.items()
            )
            parts.extend(("?", "&".join(options)))
        return "".join(parts)

    def __str__(self) -> str:
        return self.render()

    def __repr__(self) -> str:
        return f"DatabaseURL({self.render()!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view of a dictionary cannot be pickled.
        return DatabaseURL, (
            self.scheme,
            self.username,
            self.password,
            self.host,
            self.port,
            self.database,
            dict(self.query),
        )


def parse_url(text: str, *, password: str | None = None) -> DatabaseURL:
    """Read a database URL: `scheme://[user[:password]@]host[:port][/database][?option=value]`.

    A password may be written as it is, with any of `# $ @ ? ! / :`: the host begins behind the one
    `@` that a complete host, database and options follow. Where this could be said of more than
    one place, the URL is refused.
    Percent sequences (`%40`) in user, password, database and options are decoded, so a password
    that really holds a percent sign before two hexadecimal digits has to be encoded (`%25`), or
    given as `password=`, which is taken exactly as it is.

    Without a host (`scheme:///path`) what follows the third slash is a path, relative unless a
    fourth slash begins it. `:memory:` has no scheme; the dialects tell whose it is.

    Parameters:
        text: the URL, at most 4,096 characters.
        password: the password, instead of one in the URL.

    Raises:
        InvalidURL: it cannot be read. The message never shows more of it than its scheme.
        AmbiguousURL: it can be read with different hosts.
    """
    _check_text(text)
    _check_password(password)
    if text == MEMORY:
        if password is not None:
            raise InvalidURL(f"{MEMORY} takes no password", part="password")
        return DatabaseURL(scheme="", database=MEMORY)
    before, separator, rest = text.partition("://")
    if not separator:
        raise InvalidURL(f"a database URL has the form {_FORM}; there is no '://'", part="scheme")
    scheme = _read_scheme(before)
    if rest == "...":
        raise InvalidURL(
            f"{scheme}://... is a placeholder; the form is {_FORM}", scheme=scheme, part="host"
        )
    if not rest or rest[0] in "/?":
        return _read_file(scheme, rest.removeprefix("/"), password)
    return _read_server(scheme, rest, password)


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise InvalidURL(f"a database URL is text, not {type(text).__name__}", part="url")
    if not text:
        raise InvalidURL(f"the database URL is empty; its form is {_FORM}", part="url")
    if len(text) > URL_LENGTH:
        raise InvalidURL(
            f"the database URL has {len(text)} characters, at most {URL_LENGTH} are read",
            part="url",
        )
    if _CONTROL.search(text):
        raise InvalidURL(
            "the database URL holds a control character, such as a line end; "
            "in a password, percent-encode it",
            part="url",
        )
    if _SURROGATE.search(text):
        raise InvalidURL("the database URL holds a lone surrogate, which is no text", part="url")
    if text != text.strip():
        raise InvalidURL("the database URL begins or ends with white space", part="url")


def _check_password(password: object) -> None:
    if password is None:
        return
    if not isinstance(password, str):
        raise InvalidURL(f"`password` is text, not {type(password).__name__}", part="password")
    if "\x00" in password or _SURROGATE.search(password):
        raise InvalidURL("`password` holds a NUL character or a lone surrogate", part="password")


def _read_scheme(before: str) -> str:
    if _SCHEME.fullmatch(before):
        return before.lower()
    if with_driver := _SCHEME_WITH_DRIVER.fullmatch(before):
        bare = with_driver.group(1).lower()
        raise InvalidURL(
            f"the scheme of the database URL names a driver; write {bare}:// instead",
            suggestion=f"{bare}://",
            part="scheme",
        )
    # What precedes may be anything, also a password, so it is not shown.
    raise InvalidURL(
        "the scheme of the database URL (what precedes '://') begins with a letter and has "
        "letters, digits, '.' and '-' only",
        part="scheme",
    )


def _read_file(scheme: str, rest: str, password: str | None) -> DatabaseURL:
    if password is not None:
        raise InvalidURL(
            f"{scheme}:// URL: `password` was given, but there is no host to log in to",
            scheme=scheme,
            part="password",
        )
    path, _, query = rest.partition("?")
    return DatabaseURL(
        scheme=scheme,
        database=_decode(path, scheme, "path") or None,
        query=_read_query(query, scheme),
    )


def _read_server(scheme: str, rest: str, password: str | None) -> DatabaseURL:
    start = _start_of_host(scheme, rest)
    username, written_password = _read_user(scheme, rest[: start - 1] if start else None)
    if password is not None and written_password is not None:
        raise InvalidURL(
            f"{scheme}:// URL: the password is given twice, in the URL and as `password=`",
            scheme=scheme,
            part="password",
        )
    authority = _AUTHORITY.match(rest, start)
    if authority is None:  # _start_of_host has matched here
        raise _wrong_host(scheme)
    port = _read_port(scheme, authority.group(2))
    location, _, query = rest[authority.end() :].partition("?")
    database = location.removeprefix("/")
    if "/" in database or "#" in database or "#" in query:
        raise InvalidURL(
            f"{scheme}:// URL: behind the host, '/' within a name and '#' have to be "
            "percent-encoded (%2F, %23)",
            scheme=scheme,
            part="database",
        )
    return DatabaseURL(
        scheme=scheme,
        username=username,
        password=written_password if password is None else password,
        host=authority.group(1).strip("[]") or None,
        port=port,
        database=_decode(database, scheme, "database") or None,
        query=_read_query(query, scheme),
    )


def _start_of_host(scheme: str, rest: str) -> int:
    """Return where the host begins: behind the last `@`, or at 0 where there is none.

    It is certain only if no earlier place could be the beginning of a host, a database and options
    as well: then the `@` behind it would belong to these, and the host would be a wrong one.
    """
    *earlier, last = (0, *(at + 1 for at, character in enumerate(rest) if character == "@"))
    if _end_of_authority(rest, last) is None:
        raise _wrong_host(scheme)
    if any(_is_complete(rest, start) for start in earlier):
        raise AmbiguousURL(
            f"{scheme}:// URL: the host could begin at more than one place; {_WAY_OUT}; "
            "behind the host write '@' as %40",
            scheme=scheme,
            part="host",
        )
    return last


def _is_complete(rest: str, start: int) -> bool:
    end = _end_of_authority(rest, start)
    return end is not None and _LOCATION.match(rest, end) is not None


def _end_of_authority(rest: str, start: int) -> int | None:
    authority = _AUTHORITY.match(rest, start)
    if authority is None:
        return None
    host, port = authority.groups()
    end = authority.end()
    # `user@/database`: the dialect finds the server, for example by an option.
    valid = _is_host(host) if host else start > 0 and port is None and end < len(rest)
    return end if valid else None


def _wrong_host(scheme: str) -> InvalidURL:
    return InvalidURL(
        f"{scheme}:// URL: no valid host and port (behind the '@', if there is one): a host is "
        "a name of letters, digits, '-', '_' and '.', an IPv4 address or an [IPv6] address; a "
        f"port is a number; '@' behind the host is written %40; the form is {_FORM}",
        scheme=scheme,
        part="host",
    )


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return _is_address(host[1:-1], 6)
    if len(host) > _HOST_LENGTH:
        return False
    labels = host.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        return False
    # A name whose last part is a number would be taken for an address by resolvers.
    return not labels[-1].isdecimal() or _is_address(host, 4)


def _is_address(text: str, version: int) -> bool:
    # Imported here: most hosts are names.
    from ipaddress import AddressValueError, IPv4Address, IPv6Address

    try:
        if version == 4:
            IPv4Address(text)
            return True
        return IPv6Address(text).scope_id is None
    except AddressValueError:
        return False


def _read_port(scheme: str, digits: str | None) -> int | None:
    if digits is None:
        return None
    # The length first: converting a very long number is slow, or refused by the interpreter.
    if len(digits) > len(str(_HIGHEST_PORT)) or not 1 <= int(digits) <= _HIGHEST_PORT:
        raise InvalidURL(
            f"{scheme}:// URL: the port is a number from 1 to {_HIGHEST_PORT}",
            scheme=scheme,
            part="port",
        )
    return int(digits)


def _read_user(scheme: str, userinfo: str | None) -> tuple[str | None, str | None]:
    if userinfo is None:
        return None, None
    username, separator, written = userinfo.partition(":")
    password = _decode(written, scheme, "password") if separator else None
    return _decode(username, scheme, "user name") or None, password


def _read_query(query: str, scheme: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for option in query.split("&") if query else ():
        written_key, separator, written_value = option.partition("=")
        key = _decode(written_key, scheme, "options")
        # Neither keys nor values are shown: with a host forgotten, they may be a password.
        if not key or not separator:
            raise InvalidURL(
                f"{scheme}:// URL: behind '?' come options of the form name=value, joined by '&'",
                scheme=scheme,
                part="options",
            )
        if key in options:
            raise InvalidURL(
                f"{scheme}:// URL: an option is given twice", scheme=scheme, part="options"
            )
        options[key] = _decode(written_value, scheme, "options")
    return options


def _decode(text: str, scheme: str, part: str) -> str:
    """Return the text with percent sequences decoded; a `%` that begins none stays as it is."""
    if "%" not in text:
        return text
    try:
        decoded = _ENCODED.sub(
            lambda match: bytes.fromhex(match.group().replace("%", "")).decode(), text
        )
    except UnicodeDecodeError:
        # `from None`: the original error holds the bytes.
        raise InvalidURL(
            f"{scheme}:// URL: a percent sequence in the {part} is no UTF-8; write a literal "
            "'%' as %25",
            scheme=scheme,
            part=part,
        ) from None
    # A password may hold whatever was encoded on purpose; a NUL no server accepts.
    if "\x00" in decoded or (part != "password" and _CONTROL.search(decoded)):
        raise InvalidURL(
            f"{scheme}:// URL: the {part} holds an encoded control character",
            scheme=scheme,
            part=part,
        )
    return decoded


def _encode(text: str, safe: bytes = b"") -> str:
    return "".join(
        chr(byte) if byte in _UNRESERVED or byte in safe else f"%{byte:02X}"
        for byte in text.encode()
    )
