"""What an instance is told by its arguments and by the environment; arguments win."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, cast

from attrs import field, frozen

from dataflow_core.environment import ENVIRONMENT, LOG_LEVELS, warn_of_unknown_variables
from dataflow_core.errors import InvalidOption
from dataflow_core.errors.base import DataFlowError
from dataflow_core.errors.safe_json import HIDDEN, is_secret
from dataflow_core.limits import LIMIT_NAMES, LIMITS, Limits, are_limits, as_limits
from dataflow_core.naming_hints import quoted
from dataflow_core.url import parse_url

ValidationMode = Literal["off", "warn", "strict"]
DATABASE_SUFFIX = "_db"
PRIMARY = "primary"
_HIGHEST_INTEGER = 2**31 - 1
_LONGEST_SECONDS = 1_000_000_000
_TRUE = frozenset(("1", "true", "yes", "on"))
_FALSE = frozenset(("0", "false", "no", "off"))
_VALIDATION_MODES = ("off", "warn", "strict")


def _read_only(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(values))


def _shown_url(url: object) -> str:
    """Return how a URL is shown: without its password, and not at all if it cannot be read."""
    if url is None:
        return "None"
    try:
        return repr(parse_url(cast("str", url)).render())
    except DataFlowError:
        return repr(HIDDEN)


def _shown_urls(urls: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name!r}: {_shown_url(url)}" for name, url in urls.items()) + "}"


def _shown_options(options: Mapping[str, Any]) -> str:
    # An option may be a URL too, so text that looks like one is shown like one.
    shown = (
        f"{name!r}: "
        + (
            repr(HIDDEN)
            if is_secret(name)
            else _shown_url(value)
            if isinstance(value, str) and "://" in value
            else quoted(value)
        )
        for name, value in options.items()
    )
    return "{" + ", ".join(shown) + "}"


@frozen(kw_only=True)
class Settings:
    """The settings of one instance, each checked; printing them hides passwords.

    Attributes:
        database_url: the first database, called `primary`; None for the default dialect's.
        password: its password, exact, where it is not in the URL.
        read_replica: the URL for reads outside of transactions.
        replica_sticky_seconds: how long after a write reads go to the primary.
        replica_wait: after a write, reads go to the primary until the replica has caught up,
            however long that is.
        databases: the URLs of the others by name: `analytics_db=` is `analytics`.
        auto_migrate: whether missing tables are made.
        existing_schema_mode: whether the schema is never changed; wins over `auto_migrate`.
        pool_size: connections that are kept.
        max_overflow: connections that may be opened beyond these.
        pool_recycle: seconds after which a connection is replaced.
        pool_pre_ping: whether a connection that was idle for 30 seconds is tried before it is used.
        pool_timeout: seconds to wait for a free connection.
        connect_timeout: seconds to wait for a new connection.
        command_timeout: seconds to wait for a statement.
        coalesce: whether reads by key, and creates of single rows, that are made at the same
            moment share one statement.
        echo: whether statements are logged, values redacted.
        validation: what registration checks do: `off`, `warn` or `strict`.
        enable_model_persistence: whether models are written to the registry.
        registry_url: the database of the registry, if it is another one.
        migration_url: the URL for schema changes, if it is another one.
        cache_url: where results are cached.
        max_rows: rows that a list returns where no limit is given.
        limits: how much one call may ask for: a dict of names, or `Limits`.
        log_level: the level of the logger `dataflow`; None leaves it as it is.
        enable_metrics: whether metrics are collected.
        disabled_plugins: plugins that are installed but not used.
        trace_hooks: whether calls of hooks are printed.
        dialect_options: the arguments that are none of these; the opened database decides.
        given: the names of the arguments that were passed, those of `dialect_options` included.
    """

    database_url: str | None = field(default=None, repr=_shown_url)
    password: str | None = field(default=None, repr=False)
    read_replica: str | None = field(default=None, repr=_shown_url)
    replica_sticky_seconds: float = 5
    replica_wait: bool = False
    databases: Mapping[str, str] = field(
        factory=dict, converter=_read_only, repr=_shown_urls, hash=False
    )
    auto_migrate: bool = True
    existing_schema_mode: bool = False
    pool_size: int = 10
    max_overflow: int = 10
    pool_recycle: float = 3600
    pool_pre_ping: bool = False
    pool_timeout: float = 30
    connect_timeout: float = 10
    command_timeout: float = 60
    coalesce: bool = True
    echo: bool = False
    validation: ValidationMode = "warn"
    enable_model_persistence: bool = True
    registry_url: str | None = field(default=None, repr=_shown_url)
    migration_url: str | None = field(default=None, repr=_shown_url)
    cache_url: str | None = field(default=None, repr=_shown_url)
    max_rows: int = 10_000
    limits: Limits = LIMITS
    log_level: str | None = None
    enable_metrics: bool = False
    disabled_plugins: frozenset[str] = frozenset()
    trace_hooks: bool = False
    dialect_options: Mapping[str, Any] = field(
        factory=dict, converter=_read_only, repr=_shown_options, hash=False
    )
    given: frozenset[str] = frozenset()

    @classmethod
    def read(cls, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
        """Return the settings that arguments and environment make, arguments first.

        Parameters:
            arguments: the arguments that were passed. An option that may be None counts as not
                given where it is None.
            environ: the environment, usually `os.environ`.

        Raises:
            InvalidOption: a value has the wrong type or is out of range.
        """
        values: dict[str, Any] = {}
        for variable in ENVIRONMENT:
            if text := environ.get(variable.name):
                values[variable.setting] = _checked(variable.setting, text, variable.name)
        databases: dict[str, str] = {}
        options: dict[str, Any] = {}
        given: set[str] = set()
        for name, value in arguments.items():
            if name in _RULES:
                if value is None and _RULES[name].optional:
                    continue
                values[name] = _checked(name, value, None)
            elif name.endswith(DATABASE_SUFFIX) and name != DATABASE_SUFFIX:
                databases[_database_name(name)] = _checked_url(name, value)
            else:
                options[name] = value
            given.add(name)
        warn_of_unknown_variables(environ)
        return cls(**values, databases=databases, dialect_options=options, given=frozenset(given))


@frozen
class _Rule:
    """What a setting may be: the words of the error, the test, and how text becomes a value."""

    expected: str
    accepts: Callable[[Any], bool]
    # From an accepted argument, and from the text of a variable, to the value that is kept.
    keep: Callable[[Any], Any] = lambda value: value
    read_text: Callable[[str], Any] = lambda text: text
    optional: bool = False
    secret: bool = False


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _integer(lowest: int) -> _Rule:
    # bool is a subclass of int, and True is no size.
    return _Rule(
        f"an integer from {lowest} to {_HIGHEST_INTEGER}",
        lambda value: type(value) is int and lowest <= value <= _HIGHEST_INTEGER,
    )


def _seconds(value: object) -> bool:
    # False for NaN; the end keeps timers from overflowing.
    return type(value) in (int, float) and cast("float", value) <= _LONGEST_SECONDS


def _flag_of(text: str) -> bool | None:
    lowered = text.strip().lower()
    return True if lowered in _TRUE else False if lowered in _FALSE else None


def _plugin_names(value: Any) -> frozenset[str]:
    return frozenset(name.strip() for name in value if name.strip())


_FLAG = _Rule("True or False", lambda value: isinstance(value, bool), read_text=_flag_of)
_URL = _Rule("a URL as text", _is_text, optional=True, secret=True)
_DURATION = _Rule(
    f"a number of seconds greater than 0, at most {_LONGEST_SECONDS}",
    lambda value: _seconds(value) and value > 0,
)

_RULES: Mapping[str, _Rule] = {
    "database_url": _URL,
    "password": _Rule("text", _is_text, optional=True, secret=True),
    "read_replica": _URL,
    "replica_sticky_seconds": _Rule(
        f"a number of seconds from 0 to {_LONGEST_SECONDS}",
        lambda value: _seconds(value) and value >= 0,
    ),
    "replica_wait": _FLAG,
    "auto_migrate": _FLAG,
    "existing_schema_mode": _FLAG,
    "pool_size": _integer(1),
    "max_overflow": _integer(0),
    "pool_recycle": _DURATION,
    "pool_pre_ping": _FLAG,
    "pool_timeout": _DURATION,
    "connect_timeout": _DURATION,
    "command_timeout": _DURATION,
    "coalesce": _FLAG,
    "echo": _FLAG,
    "validation": _Rule(
        "'off', 'warn' or 'strict'",
        lambda value: _is_text(value) and value.lower() in _VALIDATION_MODES,
        keep=str.lower,
    ),
    "enable_model_persistence": _FLAG,
    "registry_url": _URL,
    "migration_url": _URL,
    "cache_url": _URL,
    "max_rows": _integer(1),
    "limits": _Rule(f"a dict of {', '.join(LIMIT_NAMES)}", are_limits, keep=as_limits),
    "log_level": _Rule(
        f"one of {', '.join(LOG_LEVELS)}",
        lambda value: _is_text(value) and value.upper() in LOG_LEVELS,
        keep=str.upper,
        read_text=str.strip,
        optional=True,
    ),
    "enable_metrics": _FLAG,
    "disabled_plugins": _Rule(
        "names of plugins",
        lambda value: (
            isinstance(value, (list, tuple, set, frozenset)) and all(map(_is_text, value))
        ),
        keep=_plugin_names,
        read_text=lambda text: text.split(","),
    ),
    "trace_hooks": _FLAG,
}

SETTING_NAMES: tuple[str, ...] = tuple(_RULES)
"""The options that every instance knows, for the nearest right name of an unknown one."""


def _checked(name: str, value: object, variable: str | None) -> Any:
    """Return the value as it is kept; `variable` is the one it was read from, as text."""
    rule = _RULES[name]
    candidate = value if variable is None else rule.read_text(cast("str", value))
    if rule.accepts(candidate):
        return rule.keep(candidate)
    raise _invalid(name, value, rule, variable)


def _checked_url(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise _invalid(name, value, _URL, None)


def _invalid(name: str, value: object, rule: _Rule, variable: str | None) -> InvalidOption:
    where = f"option '{name}'"
    expected = rule.expected
    if variable is not None:
        where = f"environment variable {variable} ({where})"
        expected = "true or false" if rule is _FLAG else expected
    found = f"a value of type {type(value).__name__}" if rule.secret else quoted(value)
    return InvalidOption(
        f"{where} must be {expected}, not {found}",
        option=name,
        expected=expected,
        variable=variable,
    )


def _database_name(option: str) -> str:
    name = option.removesuffix(DATABASE_SUFFIX)
    if name == PRIMARY:
        raise InvalidOption(
            "the database 'primary' is the first one; its URL is the option 'database_url'",
            option=option,
            expected="another name",
            suggestion="database_url",
        )
    return name
