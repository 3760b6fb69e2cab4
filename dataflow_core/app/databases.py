"""The databases of one instance: URLs, dialects, engines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from dataflow_core.compile.needs import require
from dataflow_core.contract import ConnectOptions, Dialect, DialectSpec, Option
from dataflow_core.contract.manager import Plugins
from dataflow_core.errors import (
    InstanceClosed,
    InvalidOption,
    UnknownDatabase,
    UnknownOption,
)
from dataflow_core.errors.safe_json import HIDDEN, is_secret
from dataflow_core.evolve.guards import Guards
from dataflow_core.evolve.registry import install
from dataflow_core.evolve.tables import Tables
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.run.engine import Engine
from dataflow_core.run.engine_settings import EngineSettings
from dataflow_core.run.observing import Observers
from dataflow_core.run.pool import PoolLimits
from dataflow_core.run.recorders import Recorders
from dataflow_core.run.session import Session
from dataflow_core.schema import Model
from dataflow_core.settings import PRIMARY, SETTING_NAMES, Settings
from dataflow_core.url import DatabaseURL, parse_url

__all__ = ["Databases"]

REGISTRY_DATABASE = "registry of models"
"""What the database of ``registry_url`` is called: no option makes one of that name."""

_PING_AFTER_SECONDS = 30.0
"""A connection that was idle so long is checked before use, if ``pool_pre_ping`` asks for it."""


@define(eq=False)
class Databases:
    """The databases by name; the first is ``primary``. Engines are made at first use."""

    settings: Settings
    plugins: Plugins
    models: Callable[[str], Iterable[Model]]
    adopt: Callable[[Model], None]
    options: Iterable[Option] = ()
    observers: Observers | None = None
    recorders: Recorders | None = None
    urls: dict[str, DatabaseURL] = field(factory=dict)
    specs: dict[str, DialectSpec] = field(factory=dict)
    replica: DatabaseURL | None = None
    _engines: dict[str, Engine] = field(factory=dict)
    _tables: dict[str, Tables] = field(factory=dict)
    _registry_there: bool = False
    _closed: bool = False

    def __attrs_post_init__(self) -> None:
        settings = self.settings
        primary = settings.database_url
        if primary is None:
            primary = self.plugins.default_url()
        self._add(PRIMARY, primary, settings.password)
        for name, text in settings.databases.items():
            self._add(name, text, None)
        self._check_options()
        self._check_replica()
        for name, spec in self.specs.items():
            if spec.check is not None:
                spec.check(self.urls[name], self._connect_options(name))

    def _add(self, name: str, text: str, password: str | None) -> None:
        url = parse_url(text, password=password)
        self.urls[name] = url
        self.specs[name] = self.plugins.dialect_of(url.scheme, text)

    def _check_options(self) -> None:
        """Every option that is not the core's belongs to a plugin or to a dialect in use."""
        known = {option.name: option for option in self.options}
        known |= {option.name: option for spec in self.specs.values() for option in spec.options}
        for name, value in self.settings.dialect_options.items():
            option = known.get(name)
            if option is None:
                raise UnknownOption(
                    f"nothing here understands the option {quoted(name)}",
                    suggestion=nearest(name, (*known, *SETTING_NAMES)),
                    option=name,
                )
            _check_option(option, value)

    def engine(self, name: str) -> Engine:
        """The engine of a database; ``UnknownDatabase`` names those that there are."""
        found = self._engines.get(name)
        return found if found is not None else self._make(name)

    def engines(self) -> list[Engine]:
        """All engines."""
        return [self.engine(name) for name in self.urls]

    def _make(self, name: str) -> Engine:
        if name not in self.urls:
            raise UnknownDatabase(
                f"this instance has no database {quoted(name)}; it has {', '.join(self.urls)}",
                suggestion=nearest(name, self.urls),
                database=name,
            )
        if self._closed:
            raise InstanceClosed("this instance is closed", database=name)
        dialect = self.specs[name].load()
        if name == PRIMARY and self.replica is not None:
            self._refuse_replica(dialect)
        engine = self._engines[name] = Engine(
            name,
            self.urls[name],
            dialect,
            self._engine_settings(name),
            self._make_tables(name),
            None if self.observers is None else self.observers.of_database(name),
        )
        return engine

    def _check_replica(self) -> None:
        """Read the URL of the copy of the primary database that takes reads."""
        text = self.settings.read_replica
        if text is None:
            return
        url, spec = parse_url(text), self.specs[PRIMARY]
        if self.plugins.dialect_of(url.scheme, text).name != spec.name:
            raise InvalidOption(
                f"read_replica: a copy of the primary database has the same kind of URL as it,"
                f" {' or '.join(f'{scheme}://' for scheme in spec.schemes)}",
                option="read_replica",
            )
        self.replica = url

    def _refuse_replica(self, dialect: Dialect) -> None:
        """Refuse a copy that the dialect cannot read from."""
        replicas = ("connection.read_replica",)
        require(
            dialect.features, replicas, dialect=dialect.name, version=None, place="read_replica"
        )

    def _connect_options(self, name: str) -> ConnectOptions:
        settings = self.settings
        own = {option.name for option in self.specs[name].options}
        return ConnectOptions(
            settings.pool_size,
            settings.connect_timeout,
            settings.command_timeout,
            {key: value for key, value in settings.dialect_options.items() if key in own},
            self.replica if name == PRIMARY else None,
        )

    def _engine_settings(self, name: str) -> EngineSettings:
        settings = self.settings
        pool = PoolLimits(
            settings.pool_size,
            settings.max_overflow,
            settings.pool_timeout,
            settings.pool_recycle,
            _PING_AFTER_SECONDS if settings.pool_pre_ping else None,
        )
        return EngineSettings(
            self._connect_options(name),
            pool,
            settings.replica_sticky_seconds,
            settings.replica_wait,
            settings.coalesce,
            self,
            self.recorders,
        )

    def tables(self, name: str) -> Tables:
        """What sees to the tables of a database."""
        self.engine(name)
        return self._tables[name]

    def _make_tables(self, name: str) -> Tables:
        settings = self.settings
        own = name != REGISTRY_DATABASE
        found = self._tables[name] = Tables(
            name,
            lambda: self.models(name),
            self.may_change,
            self.adopt,
            settings.enable_model_persistence and own,
            self._open_registry if self._has_registry and own else None,
            Guards(tuple(self.plugins.migration_guards(name)) if own else ()),
        )
        return found

    @property
    def may_change(self) -> bool:
        """Whether the schema may be changed."""
        return self.settings.auto_migrate and not self.settings.existing_schema_mode

    @property
    def _has_registry(self) -> bool:
        return self.settings.registry_url is not None

    @asynccontextmanager
    async def _open_registry(self) -> AsyncIterator[tuple[Session, Dialect]]:
        """The database of the registry, where that is another one; its table is there."""
        engine = self.engine(REGISTRY_DATABASE)
        session = await engine.borrow(writes=True)
        try:
            if not self._registry_there:
                if self.may_change:
                    await install(session, engine.dialect)
                self._registry_there = True
            yield session, engine.dialect
        finally:
            await engine.give_back(session)

    async def close(self) -> None:
        """Close every engine, and refuse to open more."""
        self._closed = True
        for engine in self._engines.values():
            await engine.close()


def _check_option(option: Option, value: Any) -> None:
    shown = HIDDEN if is_secret(option.name) else quoted(value)
    kinds = option.kind if isinstance(option.kind, tuple) else (option.kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise InvalidOption(f"{option.name}: expected {expected}, got {shown}", option=option.name)
    text = value.upper() if isinstance(value, str) else value
    if option.choices and text not in option.choices:
        choices = ", ".join(map(str, option.choices))
        raise InvalidOption(
            f"{option.name}: expected one of {choices}, got {shown}", option=option.name
        )
