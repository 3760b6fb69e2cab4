"""Each first-party package is a real one, and importing the core loads no driver."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = ("sqlite3", "aiosqlite", "asyncpg", "psycopg", "aiomysql", "pymysql", "redis")


def first_party() -> dict[str, Path]:
    """Import name and folder of each first-party package."""
    files = [*ROOT.glob("dataflow_*/__init__.py"), *ROOT.glob("plugins/*/__init__.py")]
    return {file.parent.name: file for file in files}


def test_the_core_is_there() -> None:
    """The core package and at least one dialect are found by the other tests of this file."""
    assert {"dataflow_core", "dataflow_sqlite"} <= set(first_party())


def test_each_package_has_a_file() -> None:
    """No package is an empty namespace: its `__file__` is that of this checkout."""
    for name, file in first_party().items():
        module = importlib.import_module(name)
        assert module.__file__ is not None, f"{name} is a namespace package"
        assert Path(module.__file__).resolve() == file.resolve()


def test_each_package_is_typed() -> None:
    """Each package tells type checkers that it has types."""
    for name, file in first_party().items():
        assert (file.parent / "py.typed").is_file(), f"{name} has no py.typed"


def loaded_modules(statement: str) -> set[str]:
    """Top-level modules that are loaded after the statement, in a fresh interpreter."""
    program = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_importing_the_core_loads_no_driver() -> None:
    """`import dataflow_core` loads no database driver and no dialect."""
    loaded = loaded_modules("import dataflow_core")
    assert "dataflow_core" in loaded
    dialects = set(first_party()) - {"dataflow_core"}
    assert not loaded & {*DRIVERS, *dialects}


def test_loading_a_plugin_module_loads_no_driver() -> None:
    """An installed but unopened dialect costs no driver import."""
    for folder in ROOT.glob("dataflow_*/plugin.py"):
        loaded = loaded_modules(f"import {folder.parent.name}.plugin")
        assert not loaded & set(DRIVERS), folder.parent.name
