"""The SQLCipher dialect: SQLite's, with another driver below it and a key."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from dataflow_core.contract import ConnectOptions, DatabaseURL, Driver
from dataflow_core.errors import InvalidOption
from dataflow_core.features import Feature
from dataflow_sqlcipher.compiler import SQLCipherCompiler
from dataflow_sqlcipher.driver import SQLCipherDriver
from dataflow_sqlite.dialect import FEATURES, SQLiteDialect
from dataflow_sqlite.location import locate

__all__ = ["SQLCipherDialect"]


class SQLCipherDialect(SQLiteDialect):
    """SQLCipher from 4."""

    name = "sqlcipher"
    features = {
        **FEATURES,
        "connection.memory": Feature("unsupported", "SQLCipher encrypts files only"),
    }
    compiler_class = SQLCipherCompiler

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        """Check URL, options and that there is a key, and return a driver."""
        query: dict[str, Any] = dict(url.query)
        given = dict(options.options)
        keys = {values.pop("key") for values in (query, given) if "key" in values}
        if len(keys) != 1 or not all(keys):
            raise InvalidOption("key is the one key of the file", option="key", expected="a text")
        location = locate(evolve(url, query=query), evolve(options, options=given))
        if location.path is None:
            raise InvalidOption("SQLCipher encrypts files; give a path", option="key")
        return SQLCipherDriver(location, location.path, keys.pop())
