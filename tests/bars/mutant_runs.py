"""A program that runs tests in several copies of the checkout, and prints how each run ended.

What all of them need is imported once; each run is a fork, which imports what its copy has.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence

import pytest

_NEEDED = ("aiosqlite", "asyncio", "attrs", "hypothesis", "pluggy", "pytest_asyncio", "xdist")
_SECONDS = 120


def ended(folder: str, tests: Sequence[str]) -> int:
    """The exit code of the tests in a copy."""
    child = os.fork()
    if child == 0:
        signal.alarm(_SECONDS)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.chdir(folder)
        sys.path.insert(0, folder)
        options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--database", "sqlite"]
        os._exit(int(pytest.main([*options, *tests])))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """The arguments are the tests; the lines of the input are the copies."""
    sys.dont_write_bytecode = True
    for name in _NEEDED:
        importlib.import_module(name)
    for line in sys.stdin:
        print(ended(line.rstrip("\n"), sys.argv[1:]), flush=True)


if __name__ == "__main__":
    main()
