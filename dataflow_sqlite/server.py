"""Throwaway database files for tests."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

__all__ = ["SQLiteServer"]


class SQLiteServer:
    """Makes database files in a private temporary folder."""

    __test__ = False

    name: str = "sqlite"
    level: Literal["gate", "report"] = "gate"

    def __init__(self) -> None:
        self.description = f"SQLite {sqlite3.sqlite_version}"
        self._folder: Path | None = None
        self._files: dict[str, Path] = {}
        self._numbers: Iterator[int] = itertools.count(1)

    def start(self) -> None:
        """Make the folder."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="dataflow-sqlite-"))

    def new_database(self) -> str:
        """The URL of a file that does not exist yet."""
        self.start()
        if self._folder is None:
            raise RuntimeError("the folder for databases is gone")
        path = self._folder / f"{next(self._numbers)}.db"
        url = f"sqlite:///{path.as_posix()}"
        self._files[url] = path
        return url

    def drop_database(self, url: str) -> None:
        """Remove the file and what SQLite keeps beside it."""
        path = self._files.pop(url)
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
            path.with_name(name).unlink(missing_ok=True)

    def stop(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        self._files.clear()
