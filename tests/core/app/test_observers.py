"""Observers and settings that plugins bring, where no database is needed."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dataflow_core import Context, DataFlow
from dataflow_core.contract import (
    Ended,
    NodeRun,
    Observer,
    Option,
    PluginSettings,
    hookimpl,
)
from dataflow_core.errors import InvalidOption, PluginError, UnknownOption
from tests.core.app.fakes import Acme, installed

URL = "acme://user:hunter22@host:7/shop"


class Plugin:
    """Brings these settings and this observer, and notes what the hook is given."""

    __version__ = "2.0"

    def __init__(self, observer: Any = None, settings: Any = None) -> None:
        self.observer = observer
        self.settings = PluginSettings() if settings is None else settings
        self.given: dict[str, Any] = {}

    @hookimpl
    def dataflow_settings(self) -> Any:
        """The settings."""
        return self.settings

    @hookimpl
    def dataflow_observer(self, databases: Any, settings: Any) -> Any:
        """The observer."""
        self.given = {"databases": databases, "settings": settings}
        if isinstance(self.observer, Exception):
            raise self.observer
        return self.observer


class Ends(Observer):
    """Notes how nodes ended."""

    def __init__(self) -> None:
        self.ended: list[tuple[NodeRun, Ended]] = []

    def node_ended(self, run: NodeRun, end: Ended) -> None:
        self.ended.append((run, end))


class Broken(Observer):
    """Raises whenever a node begins or ends."""

    def node_began(self, run: NodeRun) -> None:
        raise RuntimeError("out of order")

    def node_ended(self, run: NodeRun, end: Ended) -> None:
        raise RuntimeError("out of order")


def instance(*plugins: Plugin, **options: Any) -> DataFlow:
    """An instance with these plugins."""
    pairs = [("acme", Acme()), *((f"p{number}", one) for number, one in enumerate(plugins))]
    return DataFlow(URL, disabled_plugins=installed(), plugins=pairs, **options)


async def double(context: Context, number: int) -> dict[str, Any]:
    """Twice a number."""
    return {"doubled": 2 * number}


def test_without_observers_nodes_are_as_they_are() -> None:
    """Nothing is put around a node, and nothing is there to be told."""
    plain, watched = instance(Plugin()), instance(Plugin(Ends()))
    assert plain.observers is None
    assert plain.node_type("SQLNode").run.__qualname__.startswith("sql_node.")
    assert watched.node_type("SQLNode").run.__qualname__.startswith("observed.")


async def test_an_observer_is_told_of_a_node() -> None:
    """Name and time of a node, and the class and code of its error."""
    ends = Ends()
    db = instance(Plugin(ends))
    db.node("DoubleNode")(double)
    assert (await db.run("DoubleNode", number=2))["doubled"] == 4
    with pytest.raises(TypeError):
        await db.run("DoubleNode", number=None)
    [(run, end), (_, failed)] = ends.ended
    assert (run.node, run.node_id, run.run_id, run.outer) == ("DoubleNode", "", "", None)
    assert end.seconds > 0
    assert (end.failure, end.rows) == (None, None)
    assert failed.failure is not None
    assert (failed.failure.name, failed.failure.code) == ("TypeError", "")


async def test_a_node_called_by_another_knows_it() -> None:
    """``outer`` is the run of the node that has called."""
    ends = Ends()
    db = instance(Plugin(ends))
    db.node("DoubleNode")(double)

    @db.node("TwiceNode")
    async def twice(context: Context) -> dict[str, Any]:
        return await context.run("DoubleNode", number=1)

    await db.run("TwiceNode")
    [(inner, _), (outer, _)] = ends.ended
    assert (inner.node, inner.outer) == ("DoubleNode", outer)
    assert outer.outer is None


async def test_an_observer_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The node succeeds, others are told, one warning names the plugin, the rest is counted."""
    ends = Ends()
    db = instance(Plugin(Broken()), Plugin(ends))
    db.node("DoubleNode")(double)
    with caplog.at_level(logging.WARNING, "dataflow"):
        for number in range(3):
            assert (await db.run("DoubleNode", number=number))["doubled"] == 2 * number
    assert len(ends.ended) == 3
    [record] = caplog.records
    assert "node_began of the plugin 'p0' (2.0) failed" in record.message
    assert db.observers is not None
    assert db.observers.failures == {"the plugin 'p0' (2.0)": 6}


def test_the_hook_is_given_places_and_settings_but_no_password() -> None:
    """Where the databases are; of the arguments those that the plugin has declared."""
    settings = PluginSettings((Option("colour_depth", int, "bits"),))
    plugin = Plugin(settings=settings)
    instance(plugin, colour_depth=8, analytics_db="acme://h2", pool_size=3)
    assert plugin.given["settings"] == {"colour_depth": 8}
    assert set(plugin.given["databases"]) == {"primary", "analytics"}
    primary = plugin.given["databases"]["primary"]
    assert (primary.scheme, primary.host, primary.port, primary.database) == (
        "acme",
        "host",
        7,
        "shop",
    )
    assert "hunter22" not in repr(plugin.given)


def test_an_option_of_a_plugin_is_checked() -> None:
    """Its type counts, and a misspelt one is refused with it as the nearest."""
    plugin = Plugin(settings=PluginSettings((Option("colour_depth", int, "bits"),)))
    with pytest.raises(InvalidOption, match="colour_depth: expected int"):
        instance(plugin, colour_depth="deep")
    with pytest.raises(UnknownOption) as caught:
        instance(plugin, color_depth=8)
    assert caught.value.suggestion == "colour_depth"


def test_a_plugin_gives_a_setting_of_the_core_its_effect() -> None:
    """``enable_metrics`` is refused without one that serves it, and given to the one that does."""
    plugin = Plugin(settings=PluginSettings(serves={"enable_metrics": None}))
    instance(plugin, enable_metrics=True)
    assert plugin.given["settings"] == {"enable_metrics": True}
    with pytest.raises(InvalidOption, match="enable_metrics: no monitoring plugin"):
        instance(Plugin(), enable_metrics=True)


def test_a_plugin_says_what_is_missing_to_serve_a_setting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An argument is then refused with its reason; what the environment says is warned of."""
    plugin = Plugin(settings=PluginSettings(serves={"enable_metrics": "the library is missing"}))
    with pytest.raises(InvalidOption, match="enable_metrics: the library is missing"):
        instance(plugin, enable_metrics=True)
    monkeypatch.setenv("DATAFLOW_ENABLE_METRICS", "1")
    instance(plugin)
    assert "DATAFLOW_ENABLE_METRICS has no effect: the library is missing" in caplog.text
    assert plugin.given["settings"] == {}


@pytest.mark.parametrize("observer", [object(), [Ends(), object()]])
def test_what_is_no_observer_names_the_plugin(observer: Any) -> None:
    """A wrong answer is refused with the plugin and its version."""
    with pytest.raises(PluginError, match=r"'p0' \(2\.0\) returned object, expected Observer"):
        instance(Plugin(observer))


def test_what_is_no_settings_names_the_plugin() -> None:
    """A wrong answer is refused with the plugin and its version."""
    with pytest.raises(PluginError, match=r"returned list, expected PluginSettings"):
        instance(Plugin(settings=[1]))


def test_an_observer_may_refuse_the_instance() -> None:
    """An ``InvalidOption`` of the hook is the user's; anything else is the plugin's fault."""
    with pytest.raises(InvalidOption, match="too deep"):
        instance(Plugin(InvalidOption("too deep", option="colour_depth")))
    with pytest.raises(PluginError, match=r"dataflow_observer of the plugin 'p0' \(2\.0\) failed"):
        instance(Plugin(ValueError("oops")))


def test_an_observer_is_found_by_its_class() -> None:
    """Its plugin reaches it through the instance."""
    ends = Ends()
    db = instance(Plugin([Broken(), ends]))
    assert db.observers is not None
    assert db.observers.find(Ends) is ends
    assert db.observers.find(Plugin) is None
