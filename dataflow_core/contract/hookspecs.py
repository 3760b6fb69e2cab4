"""The hooks: what plugins declare and the core asks for. All of them are cold.

Implement with the marker ``dataflow_core.contract.hookimpl``; a plugin is a module or object named
in the entry point group ``dataflow``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from dataflow_core.contract.changes import ChangeRecorder
    from dataflow_core.contract.dialect import DialectSpec, TestServer
    from dataflow_core.contract.migrations import MigrationGuard
    from dataflow_core.contract.nodes import NodeSpec
    from dataflow_core.contract.observers import ObservedDatabase, Observer
    from dataflow_core.contract.policies import ModelPolicy
    from dataflow_core.contract.settings import PluginSettings
    from dataflow_core.schema import Model

__all__ = ["PROJECT", "hookimpl", "hookspec"]

PROJECT = "dataflow"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def dataflow_dialect() -> DialectSpec:
    """Declare a dialect: its name, the URL schemes that it claims, and how to load it.

    Called once, when a ``DataFlow`` instance is made. Must not import the database driver.
    """
    raise NotImplementedError


@hookspec
def dataflow_test_server() -> TestServer | Sequence[TestServer]:
    """Offer a throwaway server on which tests and the conformance suite run, or several.

    Several, where one dialect serves databases that differ; each has a name of its own.
    Called by test tools only. Must not start anything: ``TestServer.start`` does.
    """
    raise NotImplementedError


@hookspec
def dataflow_migration_guard(database: str) -> MigrationGuard | None:
    """Offer a guard of the schema of one database of an instance; ``None``: there is none for it.

    Called once for each database, when it is first used; ``database`` is its name within the
    instance. The guard sees every plan before it is done, may refuse it or put other statements in
    the place of its own, and is told when it is done.
    """
    raise NotImplementedError


@hookspec
def dataflow_nodes() -> Sequence[NodeSpec]:
    """Declare nodes that every instance has, each a function.

    Called once, when an instance is made. What their functions get as ``context`` belongs to that
    instance.
    """
    raise NotImplementedError


@hookspec
def dataflow_model_policies() -> Sequence[ModelPolicy]:
    """Declare model options and what they mean: how they extend a model and its nodes.

    Called once, when an instance is made. The order is that in which models are extended; around
    the nodes of a model, the first one is innermost.
    """
    raise NotImplementedError


@hookspec
def dataflow_settings() -> PluginSettings:
    """Declare arguments of ``DataFlow`` that the plugin understands, beside those of dialects.

    Called once, when an instance is made. Also for settings of the core that only a plugin can give
    an effect, such as ``enable_metrics``: without one that serves them they are refused.
    """
    raise NotImplementedError


@hookspec
def dataflow_observer(
    databases: Mapping[str, ObservedDatabase], settings: Mapping[str, Any]
) -> Observer | Sequence[Observer] | None:
    """Offer an observer of one instance: it is told of workflows, nodes, statements, connections.

    Called once, when an instance is made. ``databases`` are its databases by name; ``settings``
    holds those arguments that the plugin has declared and that were given, and the settings of the
    core that it serves. ``None``: there is nothing to observe; several, where
    one may fail and not the others. An ``InvalidOption`` that it raises
    refuses the instance.
    """
    raise NotImplementedError


@hookspec
def dataflow_methods() -> Mapping[str, Callable[..., Any]]:
    """Declare methods of ``DataFlow``: functions by name, whose first argument is the instance.

    Called once, when an instance is made. An asynchronous function ``name`` is awaited as
    ``db.aname(...)``, and called as ``db.name(...)`` by code that is not asynchronous; any other
    function is only ``db.name(...)``.
    """
    raise NotImplementedError


@hookspec
def dataflow_change_recorder(model: Model) -> ChangeRecorder | None:
    """Offer a recorder of the changes of a model's rows; ``None``: nobody has to be told of them.

    Called once for each model, when it is registered. The recorder is handed every change that an
    instance makes, of single rows and of many, by whichever node, and those that foreign keys make
    when rows are deleted; in the transaction of the change, before it is committed.
    """
    raise NotImplementedError
