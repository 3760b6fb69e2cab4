"""Python packages that hold programs, fetched into a folder: nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from dataflow_core.conformance.servers.debian import only_one
from dataflow_core.conformance.servers.machine import Account, ServerUnavailable, cache_folder

__all__ = ["python_package"]

_LINES: Final = 6
_TIMEOUT: Final = 600


def python_package(name: str, *, account: Account | None = None) -> Path:
    """Fetch a Python package by ``pip`` and unpack it, without installing it or what it requires.

    What was fetched once is taken from the cache; removing it fetches anew. Several programs may
    do this at the same time.

    Parameters:
        name: the package's name.
        account: who must be able to reach the files.

    Returns:
        The folder that holds the package. It is kept in ``cache_folder()``.

    Raises:
        ServerUnavailable: there is no pip, or the package is not to be had.
    """
    cache = cache_folder(account)
    folder = cache / f"python-{name}"
    with only_one(cache / f".{folder.name}.lock"):
        if not folder.is_dir():
            work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=cache))
            try:
                _install(name, work / "tree")
                (work / "tree").rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return folder


def _install(name: str, target: Path) -> None:
    pip = (sys.executable, "-I", "-m", "pip", "--quiet", "--disable-pip-version-check")
    command = (*pip, "install", "--no-deps", "--target", str(target), name)
    try:
        answer = subprocess.run(  # noqa: S603 - pip of this interpreter
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerUnavailable(f"pip: {error}") from error
    if answer.returncode != 0 or not target.is_dir():
        lines = (answer.stderr or answer.stdout).strip().splitlines()[-_LINES:]
        raise ServerUnavailable(f"pip cannot fetch {name}: {' / '.join(lines)}")
