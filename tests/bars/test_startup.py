"""How soon something is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import report
from benchmarks.startup import measure_startup
from tests.limits import at_most

pytestmark = pytest.mark.bars

DRIVERS = ("sqlite3", "aiosqlite", "asyncpg", "psycopg", "aiomysql", "pymysql", "MySQLdb")


def test_start(full_bars: bool) -> None:
    """The import costs at most 1.5 times its requirements; a first row is there in 0.5 s."""
    figures = measure_startup(7 if full_bars else 1)
    assert figures.first_row < at_most(report.MOST_FIRST_ROW), figures
    # How two processes compare is told by a machine that has nothing else to do.
    assert not full_bars or figures.ratio <= report.MOST_IMPORT, figures


@pytest.mark.parametrize(
    "program",
    [
        "import dataflow_core",
        "from dataflow_core import DataFlow, LocalRuntime, WorkflowBuilder, field; DataFlow()",
    ],
)
def test_no_driver_is_imported(program: str) -> None:
    """Neither the import nor an instance that is not used yet loads a driver."""
    show = f"import sys; print([name for name in {DRIVERS!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; {show}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
