"""Plugins: found, checked, asked. None of them is installed."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dataflow_core.contract import CONTRACT_VERSION, DialectSpec, hookimpl
from dataflow_core.contract.manager import Plugins
from dataflow_core.errors import (
    ContractMismatch,
    DataFlowError,
    DialectNotInstalled,
    PluginError,
    UnknownHook,
)


class Plugin:
    """A plugin that declares the dialect it is given."""

    __version__ = "1.2.3"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    @hookimpl
    def dataflow_dialect(self) -> Any:
        """The declaration."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def spec(name: str = "acme", **options: Any) -> DialectSpec:
    """A dialect that cannot be loaded."""
    options.setdefault("contract", CONTRACT_VERSION)
    return DialectSpec(name, (name,), load=lambda: pytest.fail("loaded"), **options)


def only(*plugins: tuple[str, Any], **options: Any) -> Plugins:
    """A manager that knows these plugins, and none that is installed."""
    from importlib import metadata

    installed = {point.name for point in metadata.entry_points(group="dataflow")}
    return Plugins(disabled=installed, plugins=plugins, **options)


def test_a_dialect_is_found_by_scheme_and_by_text():
    """A URL leads to the dialect that claims its scheme, or its whole text; nothing is loaded."""
    plugins = only(("acme", Plugin(spec(texts=(":here:",), default_url=":here:"))))
    assert plugins.dialect_of("acme", "acme://host").name == "acme"
    assert plugins.dialect_of("", ":here:").name == "acme"
    assert plugins.default_url() == ":here:"
    assert plugins.names() == ["acme"]


def test_an_unclaimed_scheme_says_what_to_install():
    """A scheme that nobody claims is refused with what to install, and the nearest."""
    plugins = only(("acme", Plugin(spec())))
    with pytest.raises(DialectNotInstalled, match="install") as caught:
        plugins.dialect_of("acne", "acne://user:secret@host/a")
    assert caught.value.suggestion == "acme"
    assert "secret" not in str(caught.value)


def test_without_a_dialect_the_error_names_the_command():
    """No URL and no dialect: the message holds a command that installs one."""
    with pytest.raises(DialectNotInstalled, match=r"pip install \"dataflow-db\["):
        only().default_url()


def test_a_misspelt_hook_is_refused():
    """A hook that there is not is an error with the nearest name, the plugin and its version."""

    class Misspelt:
        __version__ = "0.9"

        @hookimpl
        def dataflow_dialekt(self) -> None:
            """Never called."""

    with pytest.raises(UnknownHook, match=r"'acme' \(0\.9\)") as caught:
        only(("acme", Misspelt()))
    assert caught.value.suggestion == "dataflow_dialect"


def test_a_hook_with_a_wrong_argument_is_refused():
    """An argument that the hook does not have is an error that names it and the plugin."""

    class Wrong:
        @hookimpl
        def dataflow_dialect(self, nonsense: int) -> None:
            """Never called."""

    with pytest.raises(PluginError, match=r"'acme'(.|\n)*nonsense"):
        only(("acme", Wrong()))


@pytest.mark.parametrize("answer", [5, "acme", {"name": "acme"}, None, DialectSpec])
def test_a_wrong_answer_names_plugin_and_version(answer):
    """A hook that returns another type is an error that names plugin, version and both types."""
    plugins = only(("acme", Plugin(answer)))
    with pytest.raises(PluginError, match=r"'acme' \(1\.2\.3\) returned .*, expected DialectSpec"):
        plugins.dialects()


def test_a_failing_hook_names_the_plugin():
    """What a hook raises arrives as an error that names the plugin, with its cause."""
    plugins = only(("acme", Plugin(RuntimeError("broken"))))
    with pytest.raises(PluginError, match=r"'acme' \(1\.2\.3\) failed: broken") as caught:
        plugins.dialects()
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_wrong_test_server_names_the_plugin():
    """What is no test server is refused with the plugin's name and what it lacks."""

    class Wrong:
        __version__ = "2"

        @hookimpl
        def dataflow_test_server(self) -> object:
            """Not a server."""
            return object()

    with pytest.raises(PluginError, match=r"'acme' \(2\) returned object, expected TestServer"):
        only(("acme", Wrong())).test_servers()


@pytest.mark.parametrize("version", [0, 2])
def test_another_contract_is_refused(version):
    """A dialect made for another version of the contract is refused with both versions."""
    plugins = only(("acme", Plugin(spec(contract=version))))
    with pytest.raises(ContractMismatch, match=f"contract {version}.* contract 1") as caught:
        plugins.dialects()
    assert caught.value.context["plugin_contract"] == version


def test_two_dialects_of_one_name_are_refused():
    """A name belongs to one dialect."""
    plugins = only(("a", Plugin(spec())), ("b", Plugin(spec())))
    with pytest.raises(PluginError, match="two plugins declare a dialect called 'acme'"):
        plugins.dialects()


def test_a_plugin_is_switched_off_by_name(caplog):
    """A disabled plugin is not asked; a name that no plugin has is warned of, with the nearest."""
    plugins = Plugins(
        disabled=["acme"], plugins=[("acme", Plugin(spec())), ("b", Plugin(spec("b")))]
    )
    assert "acme" not in [dialect.name for dialect in plugins.dialects()]
    assert "b" in plugins.names()
    assert "no plugin is called 'acme'" in caplog.text


def test_calls_are_traced_on_request(capsys):
    """With ``trace`` every call of a hook is printed with its answer, else nothing is."""
    only(("acme", Plugin(spec())), trace=True).dialects()
    printed = capsys.readouterr().out
    assert "dataflow_dialect" in printed
    assert "acme" in printed
    only(("acme", Plugin(spec()))).dialects()
    assert capsys.readouterr().out == ""


def test_instances_do_not_share_plugins():
    """A plugin of one manager is unknown to another."""
    only(("acme", Plugin(spec())))
    assert only().names() == []


def test_errors_are_dataflow_errors():
    """Whatever a plugin does wrong can be caught as one kind of error."""
    logging.getLogger("dataflow")
    for wrong in (Plugin(5), Plugin(ValueError("x")), Plugin(spec(contract=7))):
        with pytest.raises(DataFlowError):
            only(("acme", wrong)).dialects()


class Recording:
    """A plugin that offers a recorder."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    @hookimpl
    def dataflow_change_recorder(self, model: Any) -> Any:
        """What it was given."""
        return self.answer


def test_a_wrong_recorder_names_the_plugin():
    """What is no recorder is refused; ``None`` is the answer of a plugin that has nothing to do."""
    model: Any = object()
    assert only(("quiet", Recording(None))).change_recorders(model) == []
    with pytest.raises(PluginError, match=r"'wrong'.*expected ChangeRecorder"):
        only(("wrong", Recording(5))).change_recorders(model)
