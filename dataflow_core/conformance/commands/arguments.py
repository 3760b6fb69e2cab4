"""What several commands take."""

from __future__ import annotations

import argparse

__all__ = ["PROGRAM", "add_workers", "positive"]

PROGRAM = "dataflow-conformance"


def positive(text: str) -> int:
    """A whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def add_workers(parser: argparse.ArgumentParser) -> None:
    """``-n``: how many processes share the cases."""
    parser.add_argument(
        "-n",
        "--workers",
        type=positive,
        default=1,
        metavar="N",
        help="share the cases among N processes; a database in memory is then one for each",
    )
