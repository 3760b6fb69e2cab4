"""How long it takes until something is there: the import, and the first row."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Final

from attrs import frozen

__all__ = ["StartupFigures", "measure_startup"]

_IMPORT: Final = """
import time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""

_CORE: Final = "import dataflow_core"
_USED: Final = "from dataflow_core import DataFlow, LocalRuntime, WorkflowBuilder, field"
_REQUIREMENTS: Final = "import attrs, pluggy, asyncio"

_FIRST_ROW: Final = """
from dataflow_core import DataFlow

db = DataFlow()


@db.model
class User:
    name: str


db.run_sync("UserCreateNode", name="Ada")
print(db.run_sync("UserListNode")["records"][0]["name"])
"""


@frozen
class StartupFigures:
    """Milliseconds, medians over fresh interpreters; ratios are medians over the rounds.

    ``core`` is the bare import, which loads what is asked of the package only; ``used`` is that of
    the names that every program needs.
    """

    core: float
    used: float
    requirements: float
    ratio: float
    used_ratio: float
    first_row: float


def measure_startup(rounds: int = 7) -> StartupFigures:
    """Measure in fresh interpreters, in turns."""
    times: list[tuple[float, ...]] = []
    # The first round fills the caches: of the file system, and of compiled modules.
    for _ in range(rounds + 1):
        imports = [_import(statement) for statement in (_CORE, _USED, _REQUIREMENTS)]
        start = time.perf_counter()
        if _run(_FIRST_ROW) != "Ada":
            raise RuntimeError("the first row is not the one that was created")
        times.append((*imports, time.perf_counter() - start))
    times = times[1:]
    core, used, requirements, first = (
        statistics.median(column) * 1e3 for column in zip(*times, strict=True)
    )
    return StartupFigures(
        core=core,
        used=used,
        requirements=requirements,
        ratio=statistics.median(row[0] / row[2] for row in times),
        used_ratio=statistics.median(row[1] / row[2] for row in times),
        first_row=first,
    )


def _import(statement: str) -> float:
    """The seconds that an import statement takes."""
    return float(_run(_IMPORT.format(statement=statement)))


def _run(program: str) -> str:
    """What a program prints, run by this interpreter in an empty folder without our settings."""
    # Compiled modules are kept, as they are wherever a package is installed.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DATAFLOW_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    with tempfile.TemporaryDirectory(prefix="dataflow-benchmark-") as folder:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
            env=environment,
        )
    return done.stdout.strip()
