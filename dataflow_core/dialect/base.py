"""The base of a dialect: everything but opening a database has a working default."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar

from dataflow_core.compile import BaseCompiler
from dataflow_core.contract import (
    Connection,
    ConnectOptions,
    DatabaseURL,
    Dialect,
    Driver,
    ErrorSituation,
    Server,
)
from dataflow_core.dialect.ddl import BaseDDLCompiler
from dataflow_core.dialect.errors import (
    ErrorRule,
    error_by_rules,
    error_of_python,
    unknown_error,
)
from dataflow_core.errors import DataFlowError, UnsupportedFeature, with_database_code
from dataflow_core.features import Feature
from dataflow_core.schema.tables import Column, Table

__all__ = ["BaseDialect"]


class BaseDialect(abc.ABC):
    """One kind of database. A subclass sets ``name`` and ``features`` and says how to ``open``.

    Stateless: opened databases are ``Driver`` values. A relative of another dialect extends that
    dialect's class and replaces what differs.
    """

    name: str = "base"
    """The dialect's name, as in reports."""
    features: Mapping[str, Feature] = {}
    """The level of *every* feature id of ``dataflow_core.features.FEATURES``."""
    compiler_class: ClassVar[type[BaseCompiler]] = BaseCompiler
    """Compiles row operations; made with ``features``."""
    ddl_class: ClassVar[type[BaseDDLCompiler]] = BaseDDLCompiler
    """Compiles schema operations; made with the compiler."""
    driver_errors: ClassVar[type[Exception] | tuple[type[Exception], ...]] = ()
    """What the driver raises: the base class of its errors."""
    error_rules: ClassVar[Sequence[ErrorRule]] = ()
    """Which of them are which error of DataFlow; the first rule that fits is taken."""
    columns_sql: ClassVar[str] = (
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_name = $1 AND table_schema = current_schema() ORDER BY ordinal_position"
    )
    """Gives the columns of the table called ``$1``, in order."""

    def __init__(self) -> None:
        self._compiler = self.compiler_class(self.features)
        self._ddl = self.ddl_class(self._compiler)

    @property
    def compiler(self) -> BaseCompiler:
        """Compiles row operations."""
        return self._compiler

    @property
    def ddl(self) -> BaseDDLCompiler:
        """Compiles schema operations."""
        return self._ddl

    def adapt(self, server: Server) -> Dialect:
        """The dialect for this very server; by default the same for all."""
        return self

    @abc.abstractmethod
    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        """Check URL and options and return a driver; touches neither disk nor network."""

    def ends_transaction(self, sql: str) -> bool:
        """Whether a statement, which is none of COMMIT and its kin, ends an open transaction."""
        return False

    def error_code(self, error: Exception) -> object:
        """What ``error_rules`` tell errors apart by; by default ``sqlstate``, or the class."""
        code = getattr(error, "sqlstate", None)
        return type(error).__name__ if code is None else code

    def translate_error(self, error: Exception, situation: ErrorSituation) -> DataFlowError | None:
        """The uniform error for what the driver raised, or ``None`` if it is not the driver's."""
        own = error_of_python(error, situation)
        if own is not None:
            return own
        if not isinstance(error, self.driver_errors):
            return None
        code = self.error_code(error)
        found = error_by_rules(self.error_rules, code, str(error), situation)
        return with_database_code(found or unknown_error(self.name, error, situation), code)

    async def read_tables(
        self, connection: Connection, names: Sequence[str] | None = None
    ) -> Sequence[Table]:
        """Tables with the names of their columns: what ``columns_sql`` tells.

        A dialect that declares ``schema.introspection`` replaces this.
        """
        if names is None:
            raise UnsupportedFeature(
                f"{self.name} does not offer schema.introspection",
                feature="schema.introspection",
                dialect=self.name,
            )
        found = []
        for name in names:
            rows = await connection.fetch(self.columns_sql, (name,))
            if rows:
                found.append(Table(name, columns=tuple(Column(str(row[0]), "") for row in rows)))
        return found
