"""Who takes part: for each database, ours and the code written by hand on its driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks.contestants.contract import Contestant
from benchmarks.contestants.ours import Ours
from benchmarks.contestants.raw_sqlite import RawSQLite

__all__ = ["CONTESTANTS", "Contestant", "Ours"]

CONTESTANTS: Final[dict[str, tuple[Callable[[str], Contestant], ...]]] = {
    "sqlite": (Ours, RawSQLite),
}
"""By database: ours, then the hand-written code that it is measured against, then others."""
