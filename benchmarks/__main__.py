"""``python -m benchmarks``: measure, print a table, and on request write it elsewhere."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.contestants import CONTESTANTS
from benchmarks.report import PAGE, Report, figures_json, plain, write_page
from benchmarks.rounds import Measured, measure
from benchmarks.startup import measure_startup
from benchmarks.workflows import measure_workflows
from benchmarks.workloads import WORKLOADS

_BESIDE: Final = ("workflows", "startup")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="DataFlow beside code written by hand on the driver, in interleaved rounds.",
    )
    parser.add_argument("--rounds", type=int, default=15, help="default: %(default)s")
    parser.add_argument(
        "--workload",
        action="append",
        choices=[*(each.name for each in WORKLOADS), *_BESIDE],
        help="measure this only; may be given several times",
    )
    parser.add_argument("--database", choices=sorted(CONTESTANTS), default="sqlite")
    parser.add_argument("--quick", action="store_true", help="three small rounds: a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to this file")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help=f"write the tables to {PAGE.relative_to(PAGE.parents[2])}",
    )
    found = parser.parse_args(given)
    if found.rounds < 1:
        parser.error("--rounds is at least 1")
    if found.write_docs and (found.workload or found.quick):
        parser.error("--write-docs goes with all workloads in full size")
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; 0 whether or not the bars are reached."""
    options = arguments(given)
    rounds = 3 if options.quick else options.rounds
    wanted = options.workload or [*(each.name for each in WORKLOADS), *_BESIDE]
    measured: list[Measured] = []
    for workload in WORKLOADS:
        if workload.name in wanted:
            chosen = workload.quick() if options.quick else workload
            progress = partial(_say_round, workload.name)
            measured.append(measure(chosen, rounds, database=options.database, progress=progress))
    _say("")
    report = Report(
        rounds,
        options.database,
        tuple(measured),
        measure_workflows(rounds) if "workflows" in wanted else None,
        measure_startup(min(rounds, 7)) if "startup" in wanted else None,
    )
    print(plain(report))
    if options.json is not None:
        options.json.write_text(json.dumps(figures_json(report), indent=1), encoding="utf-8")
    if options.write_docs:
        write_page(report)
    return 0


def _say_round(workload: str, done: int) -> None:
    _say(f"{workload}: round {done}")


def _say(text: str) -> None:
    """Show on a terminal how far it is."""
    if sys.stderr.isatty():
        print(f"\r{text:<40}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
