"""Who takes part: for each database, ours, the code written by hand on its driver, and peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks.contestants.contract import CannotDo, Contestant
from benchmarks.contestants.ours import Ours
from benchmarks.contestants.raw_mysql import RawMySQL
from benchmarks.contestants.raw_postgres import RawPostgres
from benchmarks.contestants.raw_sqlite import RawSQLite

__all__ = ["RAW", "CannotDo", "Contestant", "Ours"]

RAW: Final[dict[str, Callable[[str], Contestant]]] = {
    "sqlite": RawSQLite,
    "postgres": RawPostgres,
    "mysql": RawMySQL,
}
"""The hand-written code that ours is measured against, by database."""
