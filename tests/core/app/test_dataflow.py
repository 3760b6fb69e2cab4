"""Making an instance: what is accepted, refused and shown. Nothing is opened."""

from __future__ import annotations

import logging

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import (
    AmbiguousURL,
    ConfigurationError,
    DatabaseError,
    DataFlowError,
    DialectNotInstalled,
    InvalidOption,
    InvalidURL,
    UnknownDatabase,
    UnknownOption,
)
from tests.core.app.fakes import installed, instance


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    """The environment of who runs the tests does not count."""
    for name in ("DATAFLOW_DATABASE_URL", "DATAFLOW_REDIS_URL", "DATAFLOW_ENABLE_METRICS"):
        monkeypatch.delenv(name, raising=False)


def test_constructing_opens_nothing():
    """The dialect is loaded at first use, not before."""
    db = instance("acme://host/name", analytics_db="acme://other/name")
    assert db.list_models() == []
    with pytest.raises(DatabaseError, match="opened"):
        db.engine()


def test_without_a_url_the_dialect_says_what_opens():
    """The default of the installed dialect counts where no URL is given, anywhere."""
    assert instance().url.host == "default"


def test_the_argument_wins_over_the_environment(monkeypatch):
    """``DATAFLOW_DATABASE_URL`` counts where no argument is given."""
    monkeypatch.setenv("DATAFLOW_DATABASE_URL", "acme://from-environment/a")
    assert instance().url.host == "from-environment"
    assert instance("acme://from-argument/a").url.host == "from-argument"


def test_without_any_dialect_the_error_says_what_to_install():
    """No plugin is left: the error has a code and a command."""
    with pytest.raises(DialectNotInstalled, match="pip install") as caught:
        DataFlow(disabled_plugins=installed())
    assert caught.value.code == "DF-403"


def test_plugins_are_disabled_by_the_environment(monkeypatch):
    """``DATAFLOW_DISABLED_PLUGINS`` switches plugins off by name."""
    monkeypatch.setenv("DATAFLOW_DISABLED_PLUGINS", ", ".join(installed()))
    with pytest.raises(DialectNotInstalled):
        DataFlow()


def test_hooks_are_traced_by_the_environment(monkeypatch, capsys):
    """``DATAFLOW_TRACE_HOOKS=1`` prints the calls of hooks."""
    monkeypatch.setenv("DATAFLOW_TRACE_HOOKS", "1")
    instance()
    assert "dataflow_dialect" in capsys.readouterr().out


def test_the_url_is_readable_in_parts():
    """``db.url`` has scheme, username, password, host, port, database and query."""
    url = instance("acme://ada:s%40crt@host:99/name?depth=3").url
    parts = (url.scheme, url.username, url.password, url.host, url.port, url.database)
    assert parts == ("acme", "ada", "s@crt", "host", 99, "name")
    assert dict(url.query) == {"depth": "3"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"database_url": "acme://ada:hunter22@host/name"},
        {"database_url": "acme://ada@host/name", "password": "hunter22"},
        {"database_url": "acme://host/name", "other_db": "acme://ada:hunter22@host/name"},
    ],
)
def test_passwords_are_never_shown(arguments, caplog):
    """No repr, text, log or error of an instance holds a password."""
    caplog.set_level(logging.DEBUG)
    db = instance(**arguments)
    shown = [repr(db), str(db.url), repr(db.url), repr(db.settings), f"{db.url}"]
    with pytest.raises(UnknownDatabase) as unknown:
        db.engine("nope")
    with pytest.raises(DatabaseError) as refused:
        db.engine()
    with pytest.raises(UnknownOption) as option:
        instance(**arguments, nonsense=1)
    for error in (unknown, refused, option):
        shown += [str(error.value), repr(error.value), str(error.value.to_dict())]
    assert "hunter22" not in "".join(shown) + caplog.text


@pytest.mark.parametrize(
    ("option", "suggestion"),
    [("pool_sise", "pool_size"), ("color", "colour"), ("echoo", "echo"), ("zzz", None)],
)
def test_an_unknown_option_is_refused(option, suggestion):
    """An option that neither the core nor the dialect knows is refused with the nearest."""
    with pytest.raises(UnknownOption) as caught:
        instance(**{option: 1})
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize(
    "options",
    [
        {"colour": "green"},
        {"colour": 5},
        {"depth": True},
        {"depth": "3"},
        {"pool_size": 0},
        {"pool_size": "10"},
        {"pool_timeout": -1},
        {"validation": "loud"},
        {"echo": 1},
        {"database_url": 5},
        {"other_db": None},
        {"limits": {"nope": 1}},
        {"max_rows": 0},
    ],
)
def test_a_wrong_value_is_refused(options):
    """A value of the wrong type or range is refused, and the error names the option."""
    with pytest.raises(InvalidOption) as caught:
        instance(**options)
    assert next(iter(options)) in str(caught.value) or "limits" in options


def test_a_secret_option_is_not_shown():
    """The refusal of an option with a secret does not quote it."""
    with pytest.raises(InvalidOption) as caught:
        instance(api_token="hunter22")
    assert "hunter22" not in str(caught.value) + str(caught.value.to_dict())


@pytest.mark.parametrize(
    "options",
    [
        {"migration_url": "acme://h/a"},
        {"cache_url": "redis://h"},
        {"enable_metrics": True},
        {"replica_sticky_seconds": 3},
        {"replica_wait": True},
    ],
)
def test_what_could_have_no_effect_is_refused(options):
    """An option whose plugin is missing is refused by name, never ignored."""
    [name] = options
    with pytest.raises(InvalidOption, match=f"DF-405: {name}: "):
        instance(**options)


def test_a_replica_is_asked_or_left_alone_for_a_time():
    """`replica_wait` makes `replica_sticky_seconds` pointless, so both together are refused."""
    with pytest.raises(InvalidOption, match="give one of them"):
        instance(read_replica="acme://h/a", replica_wait=True, replica_sticky_seconds=3)


def test_what_the_environment_asks_for_in_vain_is_warned_of(monkeypatch, caplog):
    """A variable without an effect stops no program, but is not ignored silently either."""
    monkeypatch.setenv("DATAFLOW_ENABLE_METRICS", "true")
    monkeypatch.setenv("DATAFLOW_REDIS_URL", "redis://user:hunter22@h")
    instance()
    assert "DATAFLOW_ENABLE_METRICS has no effect" in caplog.text
    assert "DATAFLOW_REDIS_URL has no effect" in caplog.text
    assert "hunter22" not in caplog.text


@pytest.mark.parametrize("url", ["", "nonsense", "acme//h", "://h", "acme://h:port/a"])
def test_a_wrong_url_is_refused(url):
    """What is no URL is refused with a code before anything is opened."""
    with pytest.raises((InvalidURL, AmbiguousURL, ConfigurationError)) as caught:
        instance(url)
    assert caught.value.code.startswith("DF-4")


def test_a_further_database_has_its_own_url():
    """``<name>_db`` makes a database of that name; ``primary`` is the first and cannot be given."""
    db = instance("acme://one/a", analytics_db="acme://two/b")
    with pytest.raises(UnknownDatabase, match="primary, analytics") as caught:
        db.engine("analitics")
    assert caught.value.suggestion == "analytics"
    with pytest.raises(InvalidOption):
        instance(primary_db="acme://two/b")


def test_a_wrong_isolation_is_refused():
    """A level of isolation that there is not is refused with the nearest."""
    with pytest.raises(InvalidOption) as caught:
        instance().transaction(isolation="serialisable")  # type: ignore[arg-type]
    assert caught.value.suggestion == "serializable"


def test_every_refusal_has_one_root():
    """Whatever an instance refuses is a ``DataFlowError``."""
    for options in ({"nonsense": 1}, {"pool_size": 0}, {"colour": "x"}):
        with pytest.raises(DataFlowError):
            instance(**options)
