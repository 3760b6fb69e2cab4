"""Which file is opened, and how: the URL and the options, checked and put together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from dataflow_core.contract import ConnectOptions
from dataflow_core.errors import ConnectionFailed, InvalidOption, InvalidURL, UnknownOption
from dataflow_core.naming_hints import nearest
from dataflow_sqlite.plugin import JOURNAL_MODES, MODES, SYNCHRONOUS

if TYPE_CHECKING:
    from dataflow_core.contract import DatabaseURL

__all__ = ["Location", "check", "locate"]

MEMORY: Final = ":memory:"
_OPENING_SECONDS: Final = 5.0
_FORMS: Final = (
    "sqlite:///folder/a.db is relative to the working directory, sqlite:////home/me/a.db (four"
    " slashes) is absolute, sqlite:///:memory: is in memory"
)
_WORDS: Final = {"1": True, "true": True, "yes": True, "on": True} | {
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


@frozen
class Location:
    """A database and the settings of its connections; ``path`` is ``None`` for one in memory.

    ``explicit_journal`` tells whether the user asked for the journal mode, so that a file system
    that refuses it is an error. Without ``busy_timeout`` a statement waits for another writer as
    long as it may take.
    """

    path: Path | None
    mode: str = "rwc"
    journal_mode: str | None = None
    explicit_journal: bool = False
    synchronous: str | None = None
    cache_size_mb: int | None = None
    busy_timeout: float | None = None

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written."""
        return self.mode == "ro"

    @property
    def opening_seconds(self) -> float:
        """How long opening a file waits for another writer."""
        return _OPENING_SECONDS if self.busy_timeout is None else self.busy_timeout

    def __str__(self) -> str:
        return MEMORY if self.path is None else str(self.path)


def locate(url: DatabaseURL, options: ConnectOptions) -> Location:
    """Check a URL and the options.

    Raises:
        InvalidURL: the URL has a host, a user or a port, or no path.
        UnknownOption: an option in the URL is unknown.
        InvalidOption: an option has a wrong value, or two contradict each other.
        ConnectionFailed: the folder of the file is missing, or the file is none.
    """
    given = check(url, options)
    database = url.database or MEMORY
    common: dict[str, Any] = {
        "synchronous": given.get("synchronous"),
        "cache_size_mb": given.get("cache_size_mb"),
        "busy_timeout": given.get("busy_timeout"),
    }
    if database == MEMORY:
        return Location(path=None, **common)
    path = Path.cwd() / database
    mode = given.get("mode", "rwc")
    _check_file(path, mode)
    if mode != "ro" and path.exists() and not os.access(path, os.W_OK):
        mode = "ro"
    journal_mode = given.get("journal_mode")
    if journal_mode is None:
        journal_mode = "WAL" if given.get("enable_wal", True) else "DELETE"
    explicit = "journal_mode" in given or "enable_wal" in given
    if mode == "ro":
        return Location(path=path, mode=mode, **common)
    return Location(path, mode, journal_mode, explicit, **common)


def check(url: DatabaseURL, options: ConnectOptions) -> dict[str, Any]:
    """The options of a URL that can be right, whatever files there are.

    Raises:
        InvalidURL, UnknownOption, InvalidOption: as ``locate``.
    """
    _refuse_server(url)
    given = _options(url.query, options.options)
    _refuse_contradictions(given, (url.database or MEMORY) == MEMORY)
    return given


def _refuse_server(url: DatabaseURL) -> None:
    parts = {"a host": url.host, "a port": url.port, "a user": url.username}
    parts["a password"] = url.password and "given"
    named = [name for name, value in parts.items() if value is not None]
    if not named:
        return
    hint = " (two slashes are followed by a host)" if url.host is not None else ""
    shown = "/".join(part for part in (url.host, url.database) if part)
    suggestion = f"sqlite:///{shown}" if named == ["a host"] else None
    raise InvalidURL(
        f"a sqlite:// URL names a file, not {' and '.join(named)}{hint}; {_FORMS}",
        suggestion=suggestion,
        part="host",
    )


def _options(query: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, text in query.items():
        check = _CHECKS.get(name)
        if check is None:
            raise UnknownOption(
                f"the URL has an option that SQLite does not know; known are {', '.join(_CHECKS)}",
                suggestion=nearest(name, _CHECKS),
            )
        given[name] = check(name, _converted(name, text))
    for name, value in options.items():
        check = _CHECKS.get(name)
        if check is None:
            raise UnknownOption(f"SQLite has no option {name!r}; known are {', '.join(_CHECKS)}")
        checked = check(name, value)
        if given.setdefault(name, checked) != checked:
            raise InvalidOption(
                f"{name} is given twice, in the URL and as an argument, with different values",
                option=name,
            )
    return given


def _converted(name: str, text: str) -> Any:
    """The value that the text of a URL's option stands for; text that is none stays text."""
    if name == "enable_wal":
        return _WORDS.get(text.lower(), text)
    if name in ("cache_size_mb", "busy_timeout"):
        try:
            return int(text[:20]) if text.isascii() and text.isdigit() else float(text)
        except ValueError:
            return text
    return text


def _check_flag(name: str, value: Any) -> bool:
    if value is True or value is False:
        return value
    raise _wrong(name, "True or False")


def _check_size(name: str, value: Any) -> int:
    if type(value) is int and 0 < value <= 1_000_000:
        return value
    raise _wrong(name, "a whole number of megabytes from 1 to 1000000")


def _check_seconds(name: str, value: Any) -> float:
    if type(value) in (int, float) and 0 <= value <= 86_400:
        return float(value)
    raise _wrong(name, "a number of seconds from 0 to 86400")


def _check_word(words: tuple[str, ...]) -> Callable[[str, Any], str]:
    folded = {word.lower(): word for word in words}

    def check(name: str, value: Any) -> str:
        found = folded.get(value.lower()) if isinstance(value, str) else None
        if found is None:
            close = nearest(value, words) if isinstance(value, str) else None
            raise _wrong(name, f"one of {', '.join(words)}", close)
        return found

    return check


_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "enable_wal": _check_flag,
    "cache_size_mb": _check_size,
    "journal_mode": _check_word(JOURNAL_MODES),
    "synchronous": _check_word(SYNCHRONOUS),
    "busy_timeout": _check_seconds,
    "mode": _check_word(MODES),
}


def _wrong(name: str, expected: str, suggestion: str | None = None) -> InvalidOption:
    return InvalidOption(
        f"{name} is {expected}", option=name, expected=expected, suggestion=suggestion
    )


def _refuse_contradictions(given: Mapping[str, Any], in_memory: bool) -> None:
    journal_mode = given.get("journal_mode")
    if in_memory:
        for name in ("enable_wal", "journal_mode", "mode"):
            if name in given:
                raise InvalidOption(
                    f"{name} has no effect on a database in memory, which has no journal file;"
                    f" give a file ({_FORMS})",
                    option=name,
                )
    if journal_mode is not None and given.get("enable_wal", journal_mode == "WAL") != (
        journal_mode == "WAL"
    ):
        raise InvalidOption(
            f"enable_wal={given['enable_wal']} contradicts journal_mode={journal_mode}; give one",
            option="journal_mode",
        )
    if given.get("mode") == "ro":
        for name in ("enable_wal", "journal_mode"):
            if name in given:
                raise InvalidOption(
                    f"{name} cannot be set on a file that is opened with mode=ro", option=name
                )


def _check_file(path: Path, mode: str) -> None:
    try:
        if path.is_dir():
            raise ConnectionFailed(f"{path} is a folder, not a database file", path=str(path))
        if not path.parent.is_dir():
            raise ConnectionFailed(
                f"the folder {path.parent} does not exist, so {path} cannot be opened; {_FORMS}",
                path=str(path),
            )
        if path.exists():
            if not os.access(path, os.R_OK):
                raise ConnectionFailed(f"{path} may not be read by this user", path=str(path))
        elif mode != "rwc":
            raise ConnectionFailed(
                f"{path} does not exist, and mode={mode} creates nothing", path=str(path)
            )
    except (OSError, ValueError) as error:
        raise ConnectionFailed(f"{path} cannot be opened: {error}", path=str(path)) from error
