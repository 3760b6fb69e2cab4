"""``new-dialect NAME``: a package with a new dialect, complete and ready to run the suite."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dataflow_core.conformance.commands.arguments import PROGRAM
from dataflow_core.conformance.skeleton import base_of, names_of, package_files

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} new-dialect",
        description="Write the package of a new dialect: modules, entry point, tests, tox, CI."
        " It installs and runs the suite as it is.",
    )
    parser.add_argument(
        "name", help="what the dialect is called, in small letters: also the scheme"
    )
    parser.add_argument(
        "--like",
        default="none",
        metavar="DIALECT",
        help="the installed dialect whose classes it extends; none begins with nothing (default)",
    )
    parser.add_argument(
        "--output", type=Path, help="the folder to write; by default named like the distribution"
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Write the package of a new dialect, with tests that run the suite.

    Returns 0. A folder that is there and is not empty is left alone: ``FileExistsError``.
    """
    given = _parser().parse_args(arguments)
    names = names_of(given.name)
    base = None if given.like == "none" else base_of(given.like)
    folder: Path = given.output or Path(names.distribution)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is there already, and is not written over")
    for path, text in package_files(names, base).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    print(f"wrote {folder}; next: pip install -e '{folder}[test]' and pytest {folder}")
    return 0
