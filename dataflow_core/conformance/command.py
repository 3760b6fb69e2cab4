"""The command: run the suite on a database, print the table, exit with 1 if a claim is not true."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from dataflow_core.conformance.outcome import CaseResult
from dataflow_core.conformance.runner import run, selected
from dataflow_core.errors import DataFlowError

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dataflow_core.conformance",
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
        "--quiet", action="store_true", help="no line for each case that is not a pass"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 all claims true, 1 not, 2 could not run."""
    parser = _parser()
    given = parser.parse_args(arguments)
    chosen = {"topics": given.topic, "features": given.feature, "cases": given.case}
    try:
        if given.list:
            for item in selected(**chosen):
                print(f"{item.id}  [{item.feature}]  {item.rule}")
            return 0
        if given.url is None:
            parser.error("give the URL of a database")
        report = asyncio.run(run(given.url, **chosen, on_result=None if given.quiet else _announce))
    except DataFlowError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.to_text())
    if given.report is not None:
        given.report.write_text(
            json.dumps(report.to_dict(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
    return 0 if report.passed else 1


def _announce(result: CaseResult) -> None:
    if result.outcome.bad:
        print(f"{result.outcome.value}: {result.case.id}", file=sys.stderr, flush=True)
