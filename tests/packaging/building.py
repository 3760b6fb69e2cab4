"""Building wheels and environments away from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

__all__ = ["ROOT", "built_wheel", "copied", "environment", "metadata", "projects", "run"]

ROOT = Path(__file__).resolve().parents[2]


def projects() -> dict[str, Path]:
    """Import name and project folder, relative to the root, of each first-party distribution."""
    folders = [*ROOT.glob("dataflow_*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")]
    found = {file.parent.name: file.parent.relative_to(ROOT) for file in folders}
    return {"dataflow_core": Path(), **found}


def metadata(project: Path) -> dict[str, object]:
    """The `[project]` table of a distribution."""
    table = tomllib.loads((ROOT / project / "pyproject.toml").read_text("utf-8"))["project"]
    assert isinstance(table, dict)
    return table


def run(*command: str | Path, folder: Path, **variables: str) -> str:
    """Run a command away from the checkout and return its output; fail with all that it printed.

    ``variables`` are put into its environment, from which those of this project are left out.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DATAFLOW_", "PYTHON"))
    }
    result = subprocess.run(
        command,
        cwd=folder,
        env=kept | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def copied(target: Path) -> Path:
    """A clean copy of the checkout: setuptools packs what an earlier build left in `build/`."""
    leftovers = shutil.ignore_patterns(
        ".*", "build", "dist", "*.egg-info", "__pycache__", "docs", "benchmarks", "tests"
    )
    shutil.copytree(ROOT, target, ignore=leftovers)
    return target


def built_wheel(project: Path, target: Path) -> Path:
    """The wheel of a project's folder."""
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
        *("--wheel-dir", target, project),
        folder=target,
    )
    (wheel,) = target.glob("*.whl")
    return wheel


def environment(folder: Path, *requirements: str | Path) -> Path:
    """A clean environment with these requirements; its folder of commands."""
    venv.create(folder, with_pip=False, symlinks=True)
    # pip of this environment installs into the new one: it then needs no ensurepip.
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    run(*pip, *requirements, folder=folder)
    return folder / "bin"
