"""Throwaway database files for tests."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Literal

__all__ = ["DuckDBServer"]


class DuckDBServer:
    """Makes database files in a private temporary folder."""

    __test__ = False

    name: str = "duckdb"
    description: str = "DuckDB in this process"
    level: Literal["gate", "report"] = "report"

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._numbers = itertools.count(1)

    def start(self) -> None:
        """Make the folder."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="dataflow-duckdb-")

    def new_database(self) -> str:
        """The URL of a file that does not exist yet."""
        self.start()
        assert self._folder is not None
        return f"duckdb:///{Path(self._folder.name).as_posix()}/{next(self._numbers)}.duckdb"

    def drop_database(self, url: str) -> None:
        """Remove the file and what DuckDB keeps beside it."""
        path = Path(url.removeprefix("duckdb:///"))
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)

    def stop(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = None
