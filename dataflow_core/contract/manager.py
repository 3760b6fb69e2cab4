"""The plugins of one instance: found by entry point, checked, asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pluggy

from dataflow_core.contract import hookspecs
from dataflow_core.contract.changes import ChangeRecorder
from dataflow_core.contract.dialect import CONTRACT_VERSION, DialectSpec
from dataflow_core.contract.migrations import MigrationGuard
from dataflow_core.contract.nodes import NodeSpec
from dataflow_core.contract.observers import ObservedDatabase, Observer
from dataflow_core.contract.policies import ModelPolicy
from dataflow_core.contract.settings import PluginSettings
from dataflow_core.errors import (
    ContractMismatch,
    DialectNotInstalled,
    InvalidOption,
    PluginError,
    UnknownHook,
)
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Model

__all__ = ["DISTRIBUTION", "Plugins"]

DISTRIBUTION = "dataflow-db"

logger = logging.getLogger("dataflow")
_SERVER_MEMBERS = (
    *("name", "description", "level"),
    *("start", "new_database", "drop_database", "stop"),
)


class Plugins:
    """Loads plugins and asks their hooks; every instance has its own.

    Parameters:
        disabled: names of plugins that are not loaded.
        trace: print every hook call.
        plugins: more plugins, by name, beside the installed ones.
    """

    def __init__(
        self,
        *,
        disabled: Iterable[str] = (),
        trace: bool = False,
        plugins: Iterable[tuple[str, Any]] = (),
    ) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        for name in disabled:
            self._manager.set_blocked(name)
        _warn_of_unknown(disabled)
        if trace:
            self._manager.trace.root.setwriter(_print_trace)
            self._manager.enable_tracing()
        try:
            self._manager.load_setuptools_entrypoints(hookspecs.PROJECT)
            for name, plugin in plugins:
                self._manager.register(plugin, name)
        except Exception as error:
            raise PluginError(
                f"a plugin cannot be loaded: {error};"
                " DATAFLOW_DISABLED_PLUGINS switches plugins off by name"
            ) from error
        self._check_hooks()

    def names(self) -> list[str]:
        """The names of the plugins that are loaded."""
        return sorted(
            name for name, plugin in self._manager.list_name_plugin() if plugin is not None
        )

    def dialects(self) -> list[DialectSpec]:
        """What dialects declare; a wrong answer names plugin and version."""
        specs = self._answers("dataflow_dialect", self._dialect)
        names = [spec.name for spec in specs]
        for spec in specs:
            if names.count(spec.name) > 1:
                raise PluginError(f"two plugins declare a dialect called {spec.name!r}")
        return specs

    def test_servers(self) -> list[Any]:
        """What test servers are offered."""
        answers = self._answers("dataflow_test_server", _test_servers)
        return [server for several in answers for server in several]

    def migration_guards(self, database: str) -> list[tuple[str, MigrationGuard]]:
        """The guards of the schema of a database, each with the plugin that offers it."""
        found = self._answers("dataflow_migration_guard", _migration_guard, database=database)
        return [pair for pair in found if pair is not None]

    def nodes(self) -> list[NodeSpec]:
        """The nodes that plugins bring."""
        found = [spec for specs in self._answers("dataflow_nodes", _nodes) for spec in specs]
        names = [spec.name for spec in found]
        for name in names:
            if names.count(name) > 1:
                raise PluginError(f"two plugins declare a node called {name!r}")
        return found

    def change_recorders(self, model: Model) -> list[ChangeRecorder]:
        """The recorders of the changes of a model."""
        found = self._answers("dataflow_change_recorder", _change_recorder, model=model)
        return [recorder for recorder in found if recorder is not None]

    def methods(self) -> list[tuple[str, str, Callable[..., Any]]]:
        """The methods of instances that plugins bring: whose each is, its name, the function."""
        found = self._answers("dataflow_methods", _methods)
        return [method for methods in found for method in methods]

    def model_policies(self) -> list[ModelPolicy]:
        """What the options of models mean; an option belongs to one policy."""
        found = [
            one
            for several in self._answers("dataflow_model_policies", _policies)
            for one in several
        ]
        names = [name for policy in found for name in policy.options]
        for name in names:
            if names.count(name) > 1:
                raise PluginError(f"two policies claim the model option {name!r}")
        return found

    def settings(self) -> list[PluginSettings]:
        """The arguments that plugins understand."""
        return self._answers("dataflow_settings", _settings)

    def observers(
        self, databases: Mapping[str, ObservedDatabase], settings: Mapping[str, Any]
    ) -> list[tuple[str, Observer]]:
        """The observers of an instance, each with the plugin that offers it."""
        arguments: dict[str, Any] = {"databases": databases, "settings": settings}
        found = self._answers("dataflow_observer", _observers, **arguments)
        return [pair for pairs in found for pair in pairs]

    def dialect_of(self, scheme: str, text: str) -> DialectSpec:
        """The dialect that claims a URL scheme, or a whole text; refuses with what to install."""
        specs = self.dialects()
        for spec in specs:
            if (scheme and scheme in spec.schemes) or (not scheme and text in spec.texts):
                return spec
        if not scheme:
            raise DialectNotInstalled(
                f"no installed dialect knows the database {quoted(text)}; {_install_hint('')}"
            )
        known = [name for spec in specs for name in spec.schemes]
        raise DialectNotInstalled(
            f"no installed dialect claims URLs that begin with {quoted(scheme)[1:-1]}://;"
            f" {_install_hint(scheme)}",
            suggestion=nearest(scheme, known),
            scheme=scheme,
        )

    def default_url(self) -> str:
        """What is opened where no URL is given."""
        for spec in self.dialects():
            if spec.default_url is not None:
                return spec.default_url
        raise DialectNotInstalled(
            "no database URL is given and no installed dialect offers a default;"
            f" {_install_hint('')}"
        )

    def _answers(
        self, hook: str, check: Callable[[Any, str], Any], **arguments: object
    ) -> list[Any]:
        """The answer of every plugin, called one by one so that a failure has a name."""
        caller = getattr(self._manager.hook, hook)
        answers = []
        for implementation in caller.get_hookimpls():
            origin = self._origin(implementation.plugin)
            subset = [
                plugin
                for _, plugin in self._manager.list_name_plugin()
                if plugin is not implementation.plugin
            ]
            try:
                [answer] = self._manager.subset_hook_caller(hook, subset)(**arguments) or [None]
            except InvalidOption:
                raise
            except Exception as error:
                raise PluginError(f"{hook} of {origin} failed: {error}") from error
            answers.append(check(answer, origin))
        return answers

    def _dialect(self, answer: Any, origin: str) -> DialectSpec:
        if not isinstance(answer, DialectSpec):
            raise PluginError(
                f"dataflow_dialect of {origin} returned {type(answer).__name__},"
                " expected DialectSpec"
            )
        if answer.contract != CONTRACT_VERSION:
            raise ContractMismatch(
                f"the dialect {answer.name!r} of {origin} is made for contract {answer.contract},"
                f" this core has contract {CONTRACT_VERSION}",
                plugin=origin,
                plugin_contract=answer.contract,
                core_contract=CONTRACT_VERSION,
            )
        return answer

    def _origin(self, plugin: Any) -> str:
        """The name and version of a plugin."""
        name = self._manager.get_name(plugin)
        for known, distribution in self._manager.list_plugin_distinfo():
            if known is plugin:
                return (
                    f"the plugin {name!r} ({distribution.metadata['name']} {distribution.version})"
                )
        version = getattr(plugin, "__version__", "unknown version")
        return f"the plugin {name!r} ({version})"

    def _check_hooks(self) -> None:
        """A misspelt hook is an error; pluggy alone would never call it and never say so."""
        known = [name for name in vars(hookspecs) if name.startswith("dataflow_")]
        for name, caller in vars(self._manager.hook).items():
            if name.startswith("_") or caller.has_spec():
                continue
            for implementation in caller.get_hookimpls():
                raise UnknownHook(
                    f"{self._origin(implementation.plugin)} implements {quoted(name)},"
                    " which is no hook",
                    suggestion=nearest(name, known),
                    hook=name,
                )


def _migration_guard(answer: Any, origin: str) -> tuple[str, MigrationGuard] | None:
    if answer is None:
        return None
    if not isinstance(answer, MigrationGuard):
        raise PluginError(
            f"dataflow_migration_guard of {origin} returned {type(answer).__name__},"
            " expected MigrationGuard: an object with check, statements and applied"
        )
    return origin, answer


def _nodes(answer: Any, origin: str) -> list[NodeSpec]:
    specs = list(answer) if isinstance(answer, list | tuple) else [answer]
    for spec in specs:
        if not isinstance(spec, NodeSpec):
            raise PluginError(
                f"dataflow_nodes of {origin} returned {type(spec).__name__}, expected NodeSpec"
            )
    return specs


def _change_recorder(answer: Any, origin: str) -> ChangeRecorder | None:
    if answer is not None and not isinstance(answer, ChangeRecorder):
        raise PluginError(
            f"dataflow_change_recorder of {origin} returned {type(answer).__name__},"
            " expected ChangeRecorder: an object with models, record and before_commit"
        )
    return answer


def _methods(answer: Any, origin: str) -> list[tuple[str, str, Callable[..., Any]]]:
    methods = dict(answer) if isinstance(answer, Mapping) else {"": answer}
    for name, function in methods.items():
        if not (isinstance(name, str) and name.isidentifier() and callable(function)):
            raise PluginError(
                f"dataflow_methods of {origin} returned {quoted(answer)},"
                " expected a dict of functions by the names of the methods"
            )
    return [(origin, name, function) for name, function in methods.items()]


def _policies(answer: Any, origin: str) -> list[ModelPolicy]:
    policies = list(answer) if isinstance(answer, list | tuple) else [answer]
    for policy in policies:
        if not isinstance(policy, ModelPolicy):
            raise PluginError(
                f"dataflow_model_policies of {origin} returned {type(policy).__name__},"
                " expected ModelPolicy"
            )
    return policies


def _settings(answer: Any, origin: str) -> PluginSettings:
    if not isinstance(answer, PluginSettings):
        raise PluginError(
            f"dataflow_settings of {origin} returned {type(answer).__name__},"
            " expected PluginSettings"
        )
    return answer


def _observers(answer: Any, origin: str) -> list[tuple[str, Observer]]:
    several = answer if isinstance(answer, list | tuple) else [answer]
    if answer is None:
        return []
    for one in several:
        if not isinstance(one, Observer):
            raise PluginError(
                f"dataflow_observer of {origin} returned {type(one).__name__}, expected Observer"
            )
    return [(origin, one) for one in several]


def _test_servers(answer: Any, origin: str) -> list[Any]:
    """The servers of one plugin, which may offer one or several."""
    servers = list(answer) if isinstance(answer, list | tuple) else [answer]
    for server in servers:
        missing = [name for name in _SERVER_MEMBERS if not hasattr(server, name)]
        if missing:
            raise PluginError(
                f"dataflow_test_server of {origin} returned {type(server).__name__},"
                f" expected TestServer: it has no {missing[0]!r}"
            )
    return servers


def _warn_of_unknown(disabled: Iterable[str]) -> None:
    """A misspelt name would switch nothing off."""
    if not disabled:
        return
    from importlib import metadata

    known = [point.name for point in metadata.entry_points(group=hookspecs.PROJECT)]
    for name in disabled:
        if name not in known:
            close = nearest(name, known)
            hint = "" if close is None else f"; did you mean {close}?"
            logger.warning("no plugin is called %s, so none is disabled%s", quoted(name), hint)


def _print_trace(text: str) -> None:
    print(text, end="")


def _install_hint(scheme: str) -> str:
    """What to install: the extra of this distribution named like the scheme, or those it has."""
    from importlib import metadata

    try:
        extras = metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        extras = []
    fitting = [extra for extra in extras if scheme.startswith(extra) or extra.startswith(scheme)]
    if scheme and not fitting:
        return f"install a plugin that does; the extras of {DISTRIBUTION}: {', '.join(extras)}"
    extra = next(iter(fitting), "DATABASE")
    return f'install one: pip install "{DISTRIBUTION}[{extra}]"'
