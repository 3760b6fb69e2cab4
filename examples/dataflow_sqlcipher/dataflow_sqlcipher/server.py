"""Throwaway encrypted files for tests."""

from __future__ import annotations

from typing import Literal

from dataflow_sqlite.server import SQLiteServer

__all__ = ["SQLCipherServer"]


class SQLCipherServer(SQLiteServer):
    """Makes files in a private temporary folder."""

    name = "sqlcipher"
    level: Literal["gate", "report"] = "report"

    def __init__(self) -> None:
        super().__init__()
        self.description = "SQLCipher in this process"

    def new_database(self) -> str:
        """The URL of a file that does not exist yet."""
        return super().new_database().replace("sqlite:", "sqlcipher:") + "?key=a%20key"

    def drop_database(self, url: str) -> None:
        """Remove the file and what SQLite keeps beside it."""
        super().drop_database(url.replace("sqlcipher:", "sqlite:").partition("?")[0])
