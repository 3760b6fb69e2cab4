"""``python -m benchmarks``: measure, print tables, and on request write them elsewhere."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from benchmarks.contestants.peers import PEER_DISTRIBUTIONS, absent_from, peers_of
from benchmarks.databases import PLACES, Place, durable
from benchmarks.environment import environment, versions
from benchmarks.flights import flights_file, measure_flights
from benchmarks.plots import write_plots
from benchmarks.report import plain
from benchmarks.results import (
    FOLDER,
    DatabaseRun,
    FlightRun,
    Report,
    RuntimeRun,
    SizeRun,
    kept_report,
    write_report,
)
from benchmarks.rounds import Measured, measure
from benchmarks.sizes import SIZES, measure_sizes
from benchmarks.startup import measure_startup
from benchmarks.workflows import measure_workflows
from benchmarks.workloads import WORKLOADS

_NAMES: Final = tuple(each.name for each in WORKLOADS)
_RUNTIME: Final = ("workflows", "startup")
_EVERYTHING: Final = (*_NAMES, "sizes", "flights", *_RUNTIME)
_QUICK_ROUNDS: Final = 3
_STARTS: Final = 7
_SIZE_ROUNDS: Final = 3
_FLIGHT_ROUNDS: Final = 5


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
        choices=_EVERYTHING,
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
    found.database = found.database or list(PLACES)
    found.workload = frozenset(found.workload or _EVERYTHING)
    for together in (_NAMES, _RUNTIME):
        if found.write_docs and 0 < len(found.workload.intersection(together)) < len(together):
            parser.error(f"--write-docs takes all or none of {', '.join(together)}")
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; 0 whether or not the bars are reached."""
    options = arguments(given)
    if not options.without_peers and options.workload.intersection(_NAMES):
        for name in options.database:
            peers_of(name)  # what is missing is told before anything is measured
    if "flights" in options.workload:
        flights_file()
    report = Report()
    for name in options.database:
        for kind, measure_part in _PARTS.items():
            if options.workload.intersection(_NAMES if kind == "databases" else [kind]):
                # A server of its own for each part: none finds what another has left.
                with durable(name) as place:
                    report = report.with_part(kind, name, measure_part(options, place))
                _keep(options, report)
    if options.workload.intersection(_RUNTIME):
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
        _log(f"{place.name}, {workload.name}: {found.ratio.median:.2f}, bar {found.bar:.2f}")
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


def _sizes(options: argparse.Namespace, place: Place) -> SizeRun:
    """What a row costs, by number of rows."""
    sizes = SIZES[:-1] if options.quick else SIZES
    rounds = min(options.rounds, 1 if options.quick else _SIZE_ROUNDS)
    before = environment()
    figures = measure_sizes(place, sizes, rounds, progress=_say)
    return SizeRun(place.name, place.title, place.product, rounds, before, tuple(figures))


def _flights(options: argparse.Namespace, place: Place) -> FlightRun:
    """The flights of a year."""
    rounds = min(options.rounds, 1 if options.quick else _FLIGHT_ROUNDS)
    before = environment()
    figures = measure_flights(place, rounds, progress=_say)
    return FlightRun(place.name, place.title, place.product, rounds, before, figures)


_PARTS: Final[dict[str, Callable[[argparse.Namespace, Place], Any]]] = {
    "databases": _database,
    "sizes": _sizes,
    "flights": _flights,
}


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
        write_plots(kept_report())
        # Late: it imports all dialects, and only a page needs it.
        from docs import generate

        generate.main()


def _say_round(what: str, done: int) -> None:
    _say(f"{what}: round {done}")


def _log(text: str) -> None:
    """Tell what is done; the tables come at the end, and that may be an hour."""
    _say("")
    print(f"\r{text}" if sys.stderr.isatty() else text, file=sys.stderr, flush=True)


def _say(text: str) -> None:
    """Show on a terminal how far it is."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
