"""The parity page is made of runs of the suite as it is now, and of nothing else."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dataflow_core.conformance import SUITE, all_cases, run
from dataflow_core.conformance.saved_report import read_report
from dataflow_core.features import FEATURES
from docs import generate, measure_parity

AGAIN = "measure anew with `python docs/measure_parity.py NAME=URL`"


@pytest.mark.parametrize("path", sorted(generate.PARITY.glob("*.json")), ids=lambda path: path.stem)
def test_what_was_measured_is_this_suite(path: Path) -> None:
    """Each column is a complete run of the cases that the suite has now, with no claim broken."""
    report = read_report(path)
    assert report["versions"]["suite"] == SUITE, AGAIN
    assert report["total"] == len(all_cases()), AGAIN
    assert [line["feature"] for line in report["features"]] == list(FEATURES), AGAIN
    assert (report["complete"], report["passed"]) == (True, True), AGAIN


def test_there_is_a_column() -> None:
    """At least one database was measured, and each file gives a column."""
    files = list(generate.PARITY.glob("*.json"))
    assert files
    header = generate.parity().splitlines()[0]
    assert header.count("|") == len(files) + 2


def test_measuring_writes_summary_and_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name=URL becomes a summary, then the pages are written."""
    written: list[str] = []
    monkeypatch.setattr(generate, "PARITY", tmp_path / "parity")
    monkeypatch.setattr(generate, "main", lambda: written.append("pages"))
    monkeypatch.setattr(measure_parity, "WORKERS", 1)
    monkeypatch.setattr(measure_parity, "run", partial(run, topics=["select"]))
    assert measure_parity.main(["one=:memory:", "two=:memory:"]) == 0
    reports: list[dict[str, Any]] = [read_report(path) for path in (tmp_path / "parity").iterdir()]
    assert len(reports) == 2
    assert all(report["counts"] == {"pass": report["total"]} for report in reports)
    assert written == ["pages"]


@pytest.mark.parametrize("arguments", [[], ["one"], ["=x"], ["../one=:memory:"]])
def test_malformed_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not name=URL is answered with how to call it."""
    assert measure_parity.main(arguments) == 2
    assert "docs/measure_parity.py" in capsys.readouterr().err
