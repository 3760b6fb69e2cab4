"""``python -m benchmarks``: measure, print tables, and on request write them elsewhere."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from attrs import evolve

from benchmarks.contestants.peers import PEER_DISTRIBUTIONS, absent_from, peers_of
from benchmarks.databases import PLACES, Place, durable
from benchmarks.environment import environment, versions
from benchmarks.report import plain
from benchmarks.results import FOLDER, DatabaseRun, Report, RuntimeRun, write_report
from benchmarks.rounds import Measured, measure
from benchmarks.startup import measure_startup
from benchmarks.workflows import measure_workflows
from benchmarks.workloads import WORKLOADS

_RUNTIME: Final = ("workflows", "startup")
_QUICK_ROUNDS: Final = 3
_STARTS: Final = 7


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="DataFlow beside code written by hand on the driver and beside what people use"
        " today, in interleaved rounds.",
    )
    parser.add_argument(
        "--database",
        action="append",
        choices=list(PLACES),
        help="measure this one only; may be given several times",
    )
    parser.add_argument(
        "--workload",
        action="append",
        choices=[*(each.name for each in WORKLOADS), *_RUNTIME],
        help="measure this only; may be given several times",
    )
    parser.add_argument("--rounds", type=int, help=f"default: 15; with --quick {_QUICK_ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="small rounds: a first look")
    parser.add_argument("--without-peers", action="store_true", help="ours and raw only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to this file")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help=f"write the figures to {FOLDER.relative_to(FOLDER.parents[1])} and its page",
    )
    found = parser.parse_args(given)
    if found.rounds is None:
        found.rounds = _QUICK_ROUNDS if found.quick else 15
    if found.rounds < 1:
        parser.error("--rounds is at least 1")
    if found.write_docs and found.workload and set(found.workload) != set(_RUNTIME):
        parser.error("--write-docs goes with all workloads")
    found.database = found.database or list(PLACES)
    found.workload = found.workload or [*(each.name for each in WORKLOADS), *_RUNTIME]
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; 0 whether or not the bars are reached."""
    options = arguments(given)
    if not options.without_peers:
        for name in options.database:
            peers_of(name)  # what is missing is told before anything is measured
    report = Report()
    if any(each.name in options.workload for each in WORKLOADS):
        for name in options.database:
            with durable(name) as place:
                run = _database(options, place)
            report = evolve(report, databases={**report.databases, name: run})
            _keep(options, report)
    if any(name in options.workload for name in _RUNTIME):
        report = evolve(report, runtime=_runtime(options))
        _keep(options, report)
    _say("")
    print(plain(report))
    return 0


def _database(options: argparse.Namespace, place: Place) -> DatabaseRun:
    """All workloads on one database."""
    before = environment()
    absent = {} if options.without_peers else absent_from(place.name)
    measured: list[Measured] = []
    for workload in WORKLOADS:
        if workload.name not in options.workload:
            continue
        found = measure(
            workload.quick() if options.quick else workload,
            options.rounds,
            place,
            peers=() if options.without_peers else peers_of(place.name),
            progress=partial(_say_round, f"{place.name}, {workload.name}"),
        )
        measured.append(evolve(found, left_out={**absent, **found.left_out}))
    distributions = [*place.drivers, *(() if options.without_peers else PEER_DISTRIBUTIONS)]
    return DatabaseRun(
        place.name,
        place.title,
        place.product,
        options.rounds,
        options.quick,
        place.settings(),
        versions(distributions),
        before,
        tuple(measured),
    )


def _runtime(options: argparse.Namespace) -> RuntimeRun:
    return RuntimeRun(
        options.rounds,
        environment(),
        measure_workflows(options.rounds) if "workflows" in options.workload else None,
        measure_startup(min(options.rounds, _STARTS)) if "startup" in options.workload else None,
    )


def _keep(options: argparse.Namespace, report: Report) -> None:
    """Write what is there already: a run takes long, and may be broken off."""
    if options.json is not None:
        options.json.write_text(json.dumps(report.to_json(), indent=1), encoding="utf-8")
    if options.write_docs:
        write_report(report)
        # Late: it imports all dialects, and only a page needs it.
        from docs import generate

        generate.main()


def _say_round(what: str, done: int) -> None:
    _say(f"{what}: round {done}")


def _say(text: str) -> None:
    """Show on a terminal how far it is."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
