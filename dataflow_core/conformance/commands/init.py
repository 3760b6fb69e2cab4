"""``init URL``: find out what a database can do and write a first feature table."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from dataflow_core.conformance.commands.arguments import PROGRAM, add_workers
from dataflow_core.conformance.first_table import first_table
from dataflow_core.conformance.outcome import Observation
from dataflow_core.conformance.registry import Case

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} init",
        description="Run every case as if the dialect claimed everything, and print the feature"
        " table that is true, as Python text.",
    )
    parser.add_argument("url", help="the database, such as the URL given to DataFlow()")
    parser.add_argument("--output", type=Path, help="write the table to this file; never over one")
    parser.add_argument("--quiet", action="store_true", help="no line for each case that fails")
    add_workers(parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Find out what a database can do, and write a first feature table for its dialect.

    Returns 0, whatever the database can do.
    """
    given = _parser().parse_args(arguments)
    if given.output is not None and given.output.exists():
        raise FileExistsError(f"{given.output} is there already, and is not written over")
    text = asyncio.run(
        first_table(given.url, workers=given.workers, on_seen=None if given.quiet else _announce)
    )
    if given.output is None:
        print(text, end="")
    else:
        given.output.write_text(text, encoding="utf-8")
        print(f"wrote {given.output}")
    return 0


def _announce(item: Case, seen: Observation) -> None:
    if not seen.passed:
        print(f"fails: {item.id}", file=sys.stderr, flush=True)
