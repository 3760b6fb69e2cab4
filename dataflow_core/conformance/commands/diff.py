"""``diff OLD NEW``: what changed between two reports."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dataflow_core.conformance.commands.arguments import PROGRAM
from dataflow_core.conformance.differences import changes, changes_text
from dataflow_core.conformance.saved_report import read_report

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} diff",
        description="Compare two reports; the exit code is 1 if something got worse.",
    )
    parser.add_argument("old", type=Path, help="a report, as `run --report` writes it")
    parser.add_argument("new", type=Path, help="a later one")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Tell what changed between two reports.

    Returns 1 if something got worse, else 0.
    """
    given = _parser().parse_args(arguments)
    found = changes(read_report(given.old, cases=True), read_report(given.new, cases=True))
    print(changes_text(found))
    return 1 if any(change.worse for change in found) else 0
