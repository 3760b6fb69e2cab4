"""The facade: one instance with its databases, models and nodes."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from dataflow_core.app.closing import close_at_exit
from dataflow_core.app.databases import Databases
from dataflow_core.app.handles import ModelHandle, NodesNamespace
from dataflow_core.app.methods import bound_method, methods_by_name, recorders_of
from dataflow_core.app.models import Registry, refuse_instances
from dataflow_core.app.observers import observers_of
from dataflow_core.app.schema import Schemas
from dataflow_core.app.unavailable import refuse_unavailable
from dataflow_core.contract.driver import Isolation
from dataflow_core.contract.manager import Plugins
from dataflow_core.errors import InstanceClosed, InvalidOption, NoRowReturned
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.nodes.base import Context, NodeType
from dataflow_core.nodes.generate import unknown_parameter
from dataflow_core.nodes.registry import forget_owner, register_owner
from dataflow_core.run.retries import check_retry
from dataflow_core.run.sync_bridge import sync_bridge, synchronous
from dataflow_core.run.transactions import explaining
from dataflow_core.schema.tables import OWN_TABLES
from dataflow_core.settings import Settings

if TYPE_CHECKING:
    from types import TracebackType

    from dataflow_core.operations.plan import SchemaPlan
    from dataflow_core.run.engine import Engine
    from dataflow_core.run.explain import ExplainedStatement
    from dataflow_core.run.pool import PoolStatistics
    from dataflow_core.run.scopes import TransactionScope
    from dataflow_core.schema import Model
    from dataflow_core.url import DatabaseURL
    from dataflow_core.workflow import WorkflowBuilder

__all__ = ["DataFlow"]

Class = TypeVar("Class", bound=type)
Function = TypeVar("Function", bound=Callable[..., Any])


class DataFlow:
    """A database (or several) with models, and the nodes that they make.

    Constructing opens nothing. Arguments win over the environment (``DATAFLOW_DATABASE_URL`` and
    others); what nobody understands is refused with the nearest name.

    Parameters:
        database_url: such as ``scheme://user:password@host/name``; without it, what the installed
            default dialect offers: a database in memory, shared within the instance.
        auto_migrate: whether tables are made on first use.
        existing_schema_mode: never change the schema; wins over ``auto_migrate``.
        options: the other settings (``pool_size``, ``command_timeout``, ``echo``, ...), further
            databases as ``<name>_db``, and the options of the dialect. ``plugins``: pairs of a name
            and an object with hooks, beside the plugins that are installed.

    Raises:
        InvalidURL, AmbiguousURL, DialectNotInstalled, UnknownOption, InvalidOption.
    """

    def __init__(
        self,
        database_url: str | None = None,
        *,
        auto_migrate: bool = True,
        existing_schema_mode: bool = False,
        **options: Any,
    ) -> None:
        arguments = {
            "database_url": database_url,
            "auto_migrate": auto_migrate,
            "existing_schema_mode": existing_schema_mode,
            **options,
        }
        plugins = options.pop("plugins", ())
        arguments.pop("plugins", None)
        self.settings = Settings.read(arguments, os.environ)
        if self.settings.log_level is not None:
            logging.getLogger("dataflow").setLevel(self.settings.log_level)
        self.plugins = Plugins(
            disabled=self.settings.disabled_plugins,
            trace=self.settings.trace_hooks,
            plugins=plugins,
        )
        declared = self.plugins.settings()
        refuse_unavailable(self.settings, declared)
        own = [option for plugin in declared for option in plugin.options]
        self._databases = Databases(self.settings, self.plugins, self.models_of, self._adopt, own)
        self.observers = observers_of(self.settings, self.plugins, declared, self._databases.urls)
        self._databases.observers = self.observers
        self._methods = methods_by_name(self.plugins.methods(), DataFlow)
        recorders = self._databases.recorders = recorders_of(self)
        self._registry = Registry(
            self,
            self._databases.engine,
            self.settings.max_rows,
            self.settings.limits,
            self.plugins.nodes(),
            self.plugins.model_policies(),
            self.observers,
            recorders,
        )
        self._context = Context(self)
        self._schemas = Schemas(
            self,
            self._databases.engine,
            self._databases.tables,
            self.models_of,
            self._add_model,
            self._databases.may_change,
        )
        self._closed = False
        self.nodes = NodesNamespace()
        register_owner(self)

    def __getattr__(self, name: str) -> Any:
        return bound_method(self, self.__dict__.get("_methods", {}), name)

    def __repr__(self) -> str:
        return f"DataFlow({self.url.render()!r}, models={self.list_models()})"

    # Models and nodes

    def model(self, cls: Class | None = None, *, validation: str | None = None) -> Any:
        """Register a class as a model and return the class itself, so that decorators stack.

        ``validation`` (``off``, ``warn``, ``strict``) is the mode of the registration checks.
        """
        namespace = sys._getframe(1).f_locals

        def register(cls: Class) -> Class:
            mode = self.settings.validation if validation is None else validation
            made = self._registry.add_class(cls, mode, namespace)
            refuse_instances(cls)
            self.nodes._add(cls.__name__, ModelHandle(cls.__name__, made, self._context))
            return cls

        return register if cls is None else register(cls)

    def node(self, name: str, *, repeatable: bool = False) -> Callable[[Function], Function]:
        """Register a function ``(context, **parameters) -> dict`` as a node.

        ``repeatable``: it does nothing outside of the database, so transactions may repeat it.
        """

        def register(function: Function) -> Function:
            self._registry.add_function(name, function, repeatable=repeatable)
            return function

        return register

    def list_models(self) -> list[str]:
        """The class names of the models, without those of the project's own tables."""
        return [
            model.name
            for model in self._registry.models.values()
            if not model.table.startswith(OWN_TABLES)
        ]

    def models_of(self, database: str | None = None) -> list[Model]:
        """The models of a database, or all, as values; also those of the project's own tables."""
        if database is None:
            return list(self._registry.models.values())
        return self._registry.models_of(database)

    def node_names(self) -> tuple[str, ...]:
        """The names of all node types."""
        return tuple(self._registry.nodes)

    def absent_nodes(self) -> Mapping[str, str]:
        """The names of nodes that models could have and have not, and why."""
        return self._registry.absent

    def node_type(self, name: str) -> NodeType:
        """The node type of a name; ``UnknownNode`` with the nearest otherwise."""
        return self._registry.node(name)

    def workflow(self) -> WorkflowBuilder:
        """A builder whose nodes belong to this instance."""
        # Late, because many programs never build a workflow.
        from dataflow_core.workflow import WorkflowBuilder

        return WorkflowBuilder(self)

    # Running

    async def run(self, name: str, /, **parameters: Any) -> dict[str, Any]:
        """Run one node and return its result."""
        node = self._registry.node(name)
        if not node.open_parameters and not parameters.keys() <= node.parameters.keys():
            raise unknown_parameter(name, parameters, node.parameters)
        return await node.run(self._context, parameters)

    def run_sync(self, name: str, /, **parameters: Any) -> dict[str, Any]:
        """``run`` for code that is not asynchronous."""
        return sync_bridge().run(self.run(name, **parameters))

    def explain(self, name: str, /, **parameters: Any) -> list[ExplainedStatement]:
        """The statements that a node would send first, with the values bound; nothing is sent.

        Statements that depend on the answer to an earlier one are shown as for an empty answer.
        """
        with explaining(self._databases.engines()) as explanation:
            try:
                sync_bridge().run(self.run(name, **parameters))
            except NoRowReturned:
                # The answer that was not there; everything before it has been written down.
                return explanation.statements
        return explanation.statements

    def transaction(
        self,
        database: str = "primary",
        *,
        isolation: Isolation | None = None,
        read_only: bool = False,
        retry: int = 0,
        statement_savepoints: bool = False,
    ) -> TransactionScope:
        """``async with db.transaction():`` all calls on this database, or none.

        Without ``async`` for code that is not asynchronous.

        Parameters:
            isolation: ``"read committed"``, ``"repeatable read"`` or ``"serializable"``.
            read_only: nothing can be written.
            retry: how often it is done again where the database ends it for another one's sake.
                ``async for attempt in db.transaction(retry=4):``, with ``async with attempt:``
                inside, runs the block again; ``async with`` alone sends the same statements again,
                and goes on if the answers are the same.
            statement_savepoints: a statement that fails undoes itself only.
        """
        check_retry(retry)
        if isolation is not None and isolation not in get_args(Isolation):
            raise InvalidOption(
                f"isolation is one of {', '.join(get_args(Isolation))}, not {quoted(isolation)}",
                suggestion=nearest(str(isolation), get_args(Isolation)),
                option="isolation",
            )
        return self._databases.engine(database).transaction(
            isolation=isolation,
            read_only=read_only,
            retry=retry,
            statement_savepoints=statement_savepoints,
        )

    def tenant(self, tenant_id: Any) -> AbstractContextManager[None]:
        """``with db.tenant("a"):`` the tenant whose rows are meant, on multi-tenant models."""
        return self._registry.tenancy.entered(tenant_id)

    @property
    def current_tenant(self) -> Any:
        """The tenant in force, or ``None``."""
        return self._registry.tenancy.current

    def current_transaction(self, database: str = "primary") -> Any:
        """The transaction in force, or ``None``."""
        return self._databases.engine(database).current_transaction()

    # Schemas

    async def adiscover_schema(
        self, use_real_inspection: bool = True, *, database: str = "primary"
    ) -> dict[str, dict[str, Any]]:
        """The tables and views of a database by name: columns, keys, indexes, checks.

        ``use_real_inspection=False`` gives what the registered models say. The keys of each table
        are in ``docs/reference/schema.md``.
        """
        return await self._schemas.discover(database, inspect=use_real_inspection)

    async def aregister_schema_as_models(
        self, tables: Sequence[str] | None = None, *, database: str = "primary"
    ) -> dict[str, Any]:
        """Register tables and views of a database as models: all, or those of these names.

        Gives ``registered_models``, ``generated_nodes``, ``success_count``, ``error_count``,
        ``errors`` (the reason by name of the table) and ``notes``.
        """
        return await self._schemas.register(tables, database)

    async def areconstruct_models_from_registry(
        self, *, database: str = "primary"
    ) -> dict[str, Any]:
        """Register the models that the registry has; the result is like that of registering."""
        return await self._schemas.reconstruct(database)

    async def ainstall_registry(self, *, database: str = "primary") -> None:
        """Make the table of the registry, also where the instance makes no tables by itself."""
        await self._schemas.install(database)

    async def aplan(self, *, database: str = "primary") -> SchemaPlan:
        """What would be sent to make the tables what the models say; nothing is changed."""
        return await self._schemas.plan(database)

    async def amigrate(
        self, *, allow_data_loss: bool = False, database: str = "primary"
    ) -> SchemaPlan:
        """Make the tables what the models say; what was done.

        ``SchemaChangeRefused`` for what can lose data, unless ``allow_data_loss``.
        """
        return await self._schemas.migrate(database, allow_data_loss=allow_data_loss)

    def export_models(self, path: str | os.PathLike[str], *, database: str = "primary") -> int:
        """Write the models into a file that people can review; how many."""
        return self._schemas.export(path, database)

    def import_models(
        self, path: str | os.PathLike[str], *, database: str = "primary"
    ) -> dict[str, Any]:
        """Register the models of such a file; the result is like that of reconstructing."""
        return self._schemas.import_(path, database)

    discover_schema = synchronous(adiscover_schema)
    register_schema_as_models = synchronous(aregister_schema_as_models)
    reconstruct_models_from_registry = synchronous(areconstruct_models_from_registry)
    install_registry = synchronous(ainstall_registry)
    plan = synchronous(aplan)
    migrate = synchronous(amigrate)

    def _adopt(self, model: Model) -> None:
        self._registry.adopt(model)

    def _add_model(self, model: Model, there: bool) -> Mapping[str, NodeType]:
        made = self._registry.add_model(model, there=there)
        self.nodes._add(model.name, ModelHandle(model.name, made, self._context))
        return made.types

    # Databases

    @property
    def url(self) -> DatabaseURL:
        """The URL of the primary database; printing it hides the password."""
        return self._databases.urls["primary"]

    def engine(self, database: str = "primary") -> Engine:
        """The engine of a database: its plans, pools and driver."""
        return self._databases.engine(database)

    def pool_stats(self) -> dict[str, dict[str, PoolStatistics]]:
        """Used, idle and waiting connections by database and lane."""
        return {engine.name: engine.statistics() for engine in self._databases.engines()}

    async def aping(self, database: str = "primary") -> float:
        """Wait for an answer of a database; how many seconds that took. ``DatabaseError``."""
        return await self._databases.engine(database).ping()

    ping = synchronous(aping)

    def close(self) -> None:
        """Close all connections, for good. Closing twice is harmless."""
        if not self._closed:
            sync_bridge().run(self.aclose())

    async def aclose(self) -> None:
        """``close`` for asynchronous code."""
        self._closed = True
        forget_owner(self)
        await self._databases.close()

    def __enter__(self) -> DataFlow:
        return self._opened()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> DataFlow:
        return self._opened()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _opened(self) -> DataFlow:
        if self._closed:
            raise InstanceClosed("this instance is closed")
        return self


atexit.register(close_at_exit)
