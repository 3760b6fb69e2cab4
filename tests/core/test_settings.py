"""Settings from arguments and environment: types, precedence, secrets, and the documented table."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.environment import ENVIRONMENT, environment_reference
from dataflow_core.errors import InvalidOption
from dataflow_core.limits import LIMITS
from dataflow_core.settings import SETTING_NAMES, Settings

ROOT = Path(__file__).resolve().parents[2]
URL = "scheme://user:hunter2@host/db"
SECRETS = ("database_url", "read_replica", "registry_url", "migration_url", "cache_url", "password")
COMMAND = (
    'python -c "from dataflow_core.environment import environment_reference as page; '
    "print(page(), end='')\" > docs/reference/environment.md"
)


def read(**arguments: Any) -> Settings:
    """Settings from arguments alone."""
    return Settings.read(arguments, {})


def test_defaults() -> None:
    """Nothing given: the documented defaults, and nothing is marked as given."""
    settings = Settings.read({}, {})
    assert settings == Settings()
    expected: dict[str, object] = {
        "database_url": None,
        "auto_migrate": True,
        "existing_schema_mode": False,
        "read_replica": None,
        "replica_sticky_seconds": 5,
        "replica_wait": False,
        "pool_size": 10,
        "max_overflow": 10,
        "pool_recycle": 3600,
        "pool_pre_ping": False,
        "pool_timeout": 30,
        "connect_timeout": 10,
        "command_timeout": 60,
        "coalesce": True,
        "echo": False,
        "validation": "warn",
        "enable_model_persistence": True,
        "registry_url": None,
        "migration_url": None,
        "cache_url": None,
        "max_rows": 10_000,
        "limits": LIMITS,
        "password": None,
        "log_level": None,
        "enable_metrics": False,
        "disabled_plugins": frozenset(),
        "trace_hooks": False,
    }
    assert {name: getattr(settings, name) for name in SETTING_NAMES} == expected
    assert (settings.databases, settings.dialect_options, settings.given) == ({}, {}, frozenset())


def test_every_setting_can_be_given_and_is_described() -> None:
    """What is no collection of other arguments is an argument, and the docstring names it."""
    names = {attribute.name for attribute in attrs.fields(Settings)}
    assert names - {"databases", "dialect_options", "given"} == set(SETTING_NAMES)
    # Python 3.13 takes the indentation out of docstrings.
    described = {line.strip().partition(": ")[0] for line in (Settings.__doc__ or "").splitlines()}
    assert names <= described


def test_arguments_are_kept_and_noted() -> None:
    """What is passed arrives, and `given` tells it from a default of the same value."""
    settings = read(database_url=URL, pool_size=10, echo=True, enable_wal=True, analytics_db=URL)
    assert (settings.database_url, settings.pool_size, settings.echo) == (URL, 10, True)
    assert settings.databases == {"analytics": URL}
    assert settings.dialect_options == {"enable_wal": True}
    assert settings.given == {"database_url", "pool_size", "echo", "enable_wal", "analytics_db"}


def test_none_is_not_given_where_it_is_the_default() -> None:
    """None for an option whose default is None counts as not given, so the environment counts."""
    settings = Settings.read({"database_url": None}, {"DATAFLOW_DATABASE_URL": URL})
    assert settings.database_url == URL
    assert settings.given == frozenset()


def test_environment() -> None:
    """Each variable of the table is read into its setting."""
    settings = Settings.read(
        {},
        {
            "DATAFLOW_DATABASE_URL": URL,
            "DATAFLOW_REDIS_URL": "cache://host",
            "DATAFLOW_LOG_LEVEL": "info ",
            "DATAFLOW_ENABLE_METRICS": "True",
            "DATAFLOW_DISABLED_PLUGINS": " one, two ,,",
            "DATAFLOW_TRACE_HOOKS": "1",
            "UNRELATED": "x",
        },
    )
    assert settings.database_url == URL
    assert settings.cache_url == "cache://host"
    assert settings.log_level == "INFO"
    assert settings.enable_metrics is True
    assert settings.disabled_plugins == {"one", "two"}
    assert settings.trace_hooks is True
    assert settings.given == frozenset()


def test_an_empty_variable_is_not_set() -> None:
    """A variable that is set to nothing changes nothing."""
    assert Settings.read({}, {variable.name: "" for variable in ENVIRONMENT}) == Settings()


def test_arguments_win() -> None:
    """An argument wins over its variable, also with the value of the default."""
    environ = {"DATAFLOW_DATABASE_URL": "scheme://other/db", "DATAFLOW_TRACE_HOOKS": "1"}
    settings = Settings.read({"database_url": URL, "trace_hooks": False}, environ)
    assert (settings.database_url, settings.trace_hooks) == (URL, False)


@pytest.mark.parametrize("text", ["1", "true", "YES", "On", " true "])
def test_words_for_true(text: str) -> None:
    """The usual words for true are read, in any case."""
    assert Settings.read({}, {"DATAFLOW_ENABLE_METRICS": text}).enable_metrics is True


@pytest.mark.parametrize("text", ["0", "false", "NO", "Off"])
def test_words_for_false(text: str) -> None:
    """The usual words for false are read, in any case."""
    assert Settings.read({}, {"DATAFLOW_ENABLE_METRICS": text}).enable_metrics is False


@pytest.mark.parametrize("mode", ["off", "WARN", "Strict"])
def test_validation_in_any_case(mode: str) -> None:
    """The mode of the checks may be written in any case."""
    assert read(validation=mode).validation == mode.lower()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("auto_migrate", 1, "True or False"),
        ("echo", "yes", "True or False"),
        ("echo", None, "True or False"),
        ("pool_size", True, "an integer from 1 to 2147483647"),
        ("pool_size", 0, "an integer from 1 to 2147483647"),
        ("pool_size", "10", "an integer from 1 to 2147483647"),
        ("pool_size", 2.0, "an integer from 1 to 2147483647"),
        ("pool_size", 10**5_000, "an integer from 1 to 2147483647"),
        ("pool_size", None, "an integer from 1 to 2147483647"),
        ("max_overflow", -1, "an integer from 0 to 2147483647"),
        ("max_rows", 0, "an integer from 1 to 2147483647"),
        ("pool_timeout", 0, "a number of seconds greater than 0, at most 1000000000"),
        ("connect_timeout", float("nan"), "a number of seconds greater than 0"),
        ("command_timeout", float("inf"), "a number of seconds greater than 0"),
        ("pool_recycle", -1, "a number of seconds greater than 0"),
        ("pool_recycle", True, "a number of seconds greater than 0"),
        ("pool_recycle", 10**400, "a number of seconds greater than 0"),
        ("replica_sticky_seconds", -0.1, "a number of seconds from 0 to 1000000000"),
        ("validation", "loud", "'off', 'warn' or 'strict'"),
        ("validation", True, "'off', 'warn' or 'strict'"),
        ("log_level", "LOUD", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("disabled_plugins", "one", "names of plugins"),
        ("disabled_plugins", [1], "names of plugins"),
        ("database_url", 1, "a URL as text"),
        ("password", b"hunter2", "text"),
    ],
    ids=lambda value: "huge" if isinstance(value, int) and value > 2**64 else None,
)
def test_wrong_arguments(name: str, value: object, expected: str) -> None:
    """A wrong value is refused, naming the option, what was expected and what was found."""
    with pytest.raises(InvalidOption) as caught:
        read(**{name: value})
    message = caught.value.message
    assert message.startswith(f"option '{name}' must be {expected}")
    assert caught.value.context["option"] == name
    assert caught.value.context["variable"] is None


@pytest.mark.parametrize("value", [0.5, 1, 2.5])
def test_seconds_may_be_fractions(value: float) -> None:
    """Times are integers or fractions of seconds; only stickiness may be 0."""
    assert read(pool_timeout=value).pool_timeout == value
    assert read(replica_sticky_seconds=0).replica_sticky_seconds == 0


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DATAFLOW_ENABLE_METRICS", "perhaps", "true or false"),
        ("DATAFLOW_TRACE_HOOKS", "2", "true or false"),
        ("DATAFLOW_LOG_LEVEL", "loud", "one of DEBUG"),
    ],
)
def test_wrong_variables(variable: str, value: str, expected: str) -> None:
    """A variable that cannot be converted is refused, naming it and what was expected."""
    with pytest.raises(InvalidOption) as caught:
        Settings.read({}, {variable: value})
    message = caught.value.message
    assert message.startswith(f"environment variable {variable} (option '")
    assert f"must be {expected}" in message
    assert message.endswith(f"not '{value}'")
    assert caught.value.context["variable"] == variable


def test_databases_by_name() -> None:
    """Each `<name>_db` is a database; `primary_db` is refused, as the first one is called so."""
    settings = read(analytics_db="scheme://a", audit_db="scheme://b", _db=1)
    assert settings.databases == {"analytics": "scheme://a", "audit": "scheme://b"}
    assert settings.dialect_options == {"_db": 1}
    with pytest.raises(InvalidOption, match="'primary' is the first one") as caught:
        read(primary_db=URL)
    assert caught.value.suggestion == "database_url"
    with pytest.raises(InvalidOption, match="'analytics_db' must be a URL as text"):
        read(analytics_db=None)


def test_settings_are_values() -> None:
    """Settings are equal by content, and neither they nor their mappings can be changed."""
    settings = read(analytics_db=URL, enable_wal=True)
    assert settings == read(analytics_db=URL, enable_wal=True)
    assert attrs.evolve(settings, echo=True).databases == settings.databases
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        settings.echo = True  # type: ignore[misc]
    for mapping in (settings.databases, settings.dialect_options):
        with pytest.raises(TypeError):
            mapping["x"] = URL  # type: ignore[index]


def test_arguments_are_copied() -> None:
    """A mapping that changes later does not change the settings."""
    arguments: dict[str, Any] = {"enable_wal": True}
    settings = Settings.read(arguments, {})
    arguments["enable_wal"] = False
    assert settings.dialect_options == {"enable_wal": True}


def test_printing_hides_secrets() -> None:
    """No rendering of settings holds a password, also not of URLs that cannot be read."""
    unreadable = "scheme://user:hunter2@ho st/db"
    settings = read(
        database_url=URL,
        password="hunter2",
        read_replica=unreadable,
        registry_url="hunter2",
        analytics_db=URL,
        broken_db=unreadable,
        ssl_password="hunter2",
        other_url=URL,
        third_url=unreadable,
        ssl_ca="/ca.pem",
    )
    shown = f"{settings!r} {settings}"
    assert "hunter2" not in shown
    assert "database_url='scheme://user:***@host/db'" in shown
    assert "'analytics': 'scheme://user:***@host/db'" in shown
    assert "read_replica='***'" in shown
    assert "'ssl_ca': '/ca.pem'" in shown
    assert "registry_url=None" in repr(Settings())


@pytest.mark.parametrize("name", [*SECRETS, "analytics_db"])
def test_errors_hide_secrets(name: str) -> None:
    """A URL or password of a wrong type is refused without being shown."""
    with pytest.raises(InvalidOption) as caught:
        read(**{name: ["hunter2"]})
    error = caught.value
    assert "hunter2" not in f"{error} {error!r} {error.to_dict()}"
    assert "a value of type list" in error.message


def test_unknown_variable_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """A misspelt variable is warned of with the nearest name, and only once."""
    environ = {
        "DATAFLOW_DATABSE_URL": URL,
        "DATAFLOW_QQQ": "hunter2",
        "DATAFLOW_TEST_X_URL": URL,
        "DATAFLOW_BARS": "full",
        "OTHER": "x",
    }
    with caplog.at_level(logging.WARNING, logger="dataflow"):
        Settings.read({}, environ)
        Settings.read({}, environ)
    assert [record.getMessage() for record in caplog.records] == [
        "unknown environment variable 'DATAFLOW_DATABSE_URL'; did you mean DATAFLOW_DATABASE_URL?",
        "unknown environment variable 'DATAFLOW_QQQ'",
    ]


def test_environment_table_names_settings() -> None:
    """Each variable sets an existing setting, no two the same."""
    assert {variable.setting for variable in ENVIRONMENT} <= set(SETTING_NAMES)
    for attribute in ("name", "setting"):
        values = [getattr(variable, attribute) for variable in ENVIRONMENT]
        assert len(values) == len(set(values))
    assert all(variable.description.endswith(".") for variable in ENVIRONMENT)


def test_page_is_up_to_date() -> None:
    """The page of the variables in the repository is what the table writes."""
    page = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    assert page == environment_reference(), f"write it again: {COMMAND}"


@given(
    st.sampled_from(SETTING_NAMES),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
)
def test_any_value_is_kept_or_refused(name: str, value: object) -> None:
    """Any value is kept with the type of its setting, or refused with a code."""
    default = getattr(Settings(), name)
    try:
        kept = getattr(read(**{name: value}), name)
    except InvalidOption as error:
        assert error.context["option"] == name
        return
    if isinstance(default, bool):
        assert kept is value
    elif isinstance(default, int):
        assert not isinstance(kept, bool)
        assert kept == value
    else:
        assert kept is None or isinstance(kept, (str, frozenset))
