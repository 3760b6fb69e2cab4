"""The SQL of SQLCipher is that of SQLite."""

from __future__ import annotations

from dataflow_sqlite.compiler import SQLiteCompiler

__all__ = ["SQLCipherCompiler"]


class SQLCipherCompiler(SQLiteCompiler):
    """Compiles for SQLCipher."""

    name = "sqlcipher"
