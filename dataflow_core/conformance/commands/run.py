"""``run URL``: run the suite on a database and print the table by feature."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from dataflow_core.conformance.commands.arguments import PROGRAM, add_workers, positive
from dataflow_core.conformance.outcome import CaseResult
from dataflow_core.conformance.runner import run, selected
from dataflow_core.conformance.saved_report import write_report

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} run",
        description="Run the conformance suite on a database and report feature by feature.",
    )
    parser.add_argument("url", nargs="?", help="the database, such as the URL given to DataFlow()")
    parser.add_argument("--topic", action="append", default=[], help="run this topic only")
    parser.add_argument(
        "--feature", action="append", default=[], help="run this feature's cases only"
    )
    parser.add_argument("--case", action="append", default=[], help="run this case only")
    parser.add_argument("--list", action="store_true", help="print the cases and run nothing")
    parser.add_argument("--report", type=Path, help="write the report as JSON to this file")
    parser.add_argument(
        "--summary", type=Path, help="write the report without its cases, for `parity`"
    )
    parser.add_argument(
        "--quiet", action="store_true", help="no line for each case that is not a pass"
    )
    add_workers(parser)
    parser.add_argument(
        "--repeat",
        type=positive,
        default=1,
        metavar="N",
        help="run each case N times, as long as it passes",
    )
    parser.add_argument("--seed", type=int, help="shuffle the order in which the cases run")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the suite on a database and report feature by feature.

    Returns 0 if every claim was found to be true, else 1.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    chosen = {"topics": given.topic, "features": given.feature, "cases": given.case}
    if given.list:
        for item in selected(**chosen):
            print(f"{item.id}  [{item.feature}]  since {item.since}  {item.rule}")
        return 0
    if given.url is None:
        parser.error("give the URL of a database")
    report = asyncio.run(
        run(
            given.url,
            **chosen,
            on_result=None if given.quiet else _announce,
            workers=given.workers,
            repeat=given.repeat,
            seed=given.seed,
        )
    )
    print(report.to_text())
    if given.report is not None:
        write_report(given.report, report.to_dict())
    if given.summary is not None:
        write_report(given.summary, report.to_summary())
    return 0 if report.passed else 1


def _announce(result: CaseResult) -> None:
    if result.outcome.bad:
        print(f"{result.outcome.value}: {result.case.id}", file=sys.stderr, flush=True)
