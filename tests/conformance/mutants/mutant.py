"""A dialect that lies: SQLite under another name, with one thing wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from dataflow_core.compile import Codec
from dataflow_core.conformance import Outcome, Report, run
from dataflow_core.contract import ConnectOptions, DialectSpec, Driver, ErrorSituation, hookimpl
from dataflow_core.contract.driver import Lane
from dataflow_core.errors import DataFlowError
from dataflow_core.features import Feature
from dataflow_core.types import Enumeration, FieldType
from dataflow_core.url import DatabaseURL, parse_url
from dataflow_sqlite.compiler import SQLiteCompiler
from dataflow_sqlite.ddl import SQLiteDDLCompiler
from dataflow_sqlite.dialect import FEATURES, SQLiteDialect
from dataflow_sqlite.driver import SQLiteDriver
from dataflow_sqlite.opening import Opening

__all__ = ["Mutant", "MutantConnection", "changed_codec", "run_mutant", "spelling"]

Functions = Mapping[str, tuple[int, Callable[..., Any]]]


class MutantConnection:
    """A connection of SQLite; subclasses replace what they do wrong."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@frozen
class Mutant:
    """One lie.

    Attributes:
        name: what it does wrong.
        caught: ids of cases that have to show it.
        outcome: what these cases come out as.
        claims: features that are declared otherwise; ``None`` leaves one out.
        compiler, ddl, connection: the classes that are wrong.
        functions: functions in SQL that are wrong.
        translate: turns right errors into wrong ones; ``None`` lets the driver's own error out.
        file: whether it needs a file, where readers run beside the writer.
        whole: the feature all of whose cases have to run, so that a claim can be seen to be stale.
    """

    name: str
    caught: tuple[str, ...]
    outcome: Outcome = Outcome.FAIL
    claims: Mapping[str, Feature | None] = field(factory=dict)
    compiler: type[SQLiteCompiler] = SQLiteCompiler
    ddl: type[SQLiteDDLCompiler] = SQLiteDDLCompiler
    connection: type[MutantConnection] | None = None
    functions: Functions = field(factory=dict)
    translate: Callable[[DataFlowError, ErrorSituation], DataFlowError | None] | None = None
    file: bool = False
    whole: str | None = None


def spelling(**methods: Any) -> type[SQLiteCompiler]:
    """A compiler with other methods or tables."""
    return type("MutantCompiler", (SQLiteCompiler,), methods)


def changed_codec(
    kinds: type[FieldType] | tuple[type[FieldType], ...],
    *,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> type[SQLiteCompiler]:
    """A compiler that changes values on their way in, or on their way out."""

    def codec(self: SQLiteCompiler, kind: FieldType) -> Codec:
        found = SQLiteCompiler.codec(self, kind)
        base = kind.base if isinstance(kind, Enumeration) else kind
        if not isinstance(base, kinds):
            return found
        return Codec(_after(encode, found.encode), _after(found.decode, decode))

    return spelling(codec=codec)


def _after(
    first: Callable[[Any], Any] | None, second: Callable[[Any], Any] | None
) -> Callable[[Any], Any] | None:
    if first is None or second is None:
        return first or second
    return lambda value: second(first(value))


def _dialect(mutant: Mutant, place: str) -> SQLiteDialect:
    class MutantOpening(Opening):
        def _set_up(self, connection: sqlite3.Connection) -> None:
            super()._set_up(connection)
            for name, (count, function) in mutant.functions.items():
                connection.create_function(name, count, function, deterministic=True)

    class MutantDriver(SQLiteDriver):
        opening_class = MutantOpening

        async def connect(self, lane: Lane) -> Any:
            connection: Any = await super().connect(lane)
            return connection if mutant.connection is None else mutant.connection(connection)

    class MutantDialect(SQLiteDialect):
        name = "mutant"
        features: Mapping[str, Feature] = {
            name: feature
            for name, feature in {**FEATURES, **mutant.claims}.items()
            if feature is not None
        }
        compiler_class = mutant.compiler
        ddl_class = mutant.ddl
        driver_class = MutantDriver

        def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
            return super().open(parse_url(place), options)

        def translate_error(
            self, error: Exception, situation: ErrorSituation
        ) -> DataFlowError | None:
            right = super().translate_error(error, situation)
            if right is None or mutant.translate is None:
                return right
            return mutant.translate(right, situation)

    return MutantDialect()


async def run_mutant(mutant: Mutant, place: str = ":memory:", **chosen: Any) -> Report:
    """Run the part of the suite that a mutant's lie is about; ``place`` is the real database."""

    class Plugin:
        @hookimpl
        def dataflow_dialect(self) -> DialectSpec:
            return DialectSpec(
                name="mutant", schemes=("mutant",), load=lambda: _dialect(mutant, place), contract=1
            )

    return await run(
        "mutant://host/db",
        options={"plugins": [("mutant", Plugin())]},
        **(chosen or ({"features": [mutant.whole]} if mutant.whole else {"cases": mutant.caught})),
    )
