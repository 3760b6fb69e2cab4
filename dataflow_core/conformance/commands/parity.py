"""``parity REPORT...``: databases beside each other, as a page in Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dataflow_core.conformance.commands.arguments import PROGRAM
from dataflow_core.conformance.parity import parity_tables
from dataflow_core.conformance.saved_report import read_report

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} parity",
        description="Print a page that compares databases feature by feature, in Markdown.",
    )
    parser.add_argument(
        "reports",
        nargs="+",
        type=Path,
        help="reports, as `run --report` or `run --summary` write them; a column for each",
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Print a page that compares databases feature by feature, from their reports.

    Returns 0.
    """
    given = _parser().parse_args(arguments)
    print(parity_tables([read_report(path) for path in given.reports]))
    return 0
