"""The dialect that `docs/dialect-authors.md` builds: complete runs, and the first table for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataflow_core.conformance import Outcome, Report, run
from dataflow_core.conformance.command import main
from dataflow_core.conformance.first_table import first_table
from dataflow_core.contract import DialectSpec, hookimpl
from dataflow_core.dialect import BaseDialect
from dataflow_core.features import FEATURES
from tests.conformance import test_new_dialect as new_package
from tests.conformance.test_new_dialect import note_of
from tests.docs.snippets import python_blocks, written

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dialect-authors.md"


def acme() -> type[BaseDialect]:
    """The class that the page's files define; they are written into the working folder."""
    namespace: dict[str, Any] = {}
    for block in python_blocks(PAGE.read_text("utf-8")):
        if block.file is not None:
            namespace.update(written(block))
    dialect = namespace["AcmeDialect"]
    assert issubclass(dialect, BaseDialect)
    return dialect


def options(dialect: type[BaseDialect]) -> dict[str, Any]:
    """What opens the dialect under the page's scheme."""

    class Plugin:
        @hookimpl
        def dataflow_dialect(self) -> DialectSpec:
            return DialectSpec(name="acme", schemes=("acme",), load=dialect, contract=1)

    return {"plugins": [("acme", Plugin())]}


def wrong(report: Report) -> list[tuple[str, str]]:
    """The cases that are not as claimed."""
    return [(result.case.id, result.outcome.value) for result in report.bad]


@pytest.mark.timeout(300)
async def test_the_page_passes_the_complete_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever copies the page has a dialect whose every claim is true."""
    monkeypatch.chdir(tmp_path)
    report = await run("acme:///acme.db", options=options(acme()))
    assert report.complete
    assert not wrong(report)
    assert report.passed
    assert {result.outcome for result in report.results} == {Outcome.PASS, Outcome.KNOWN_GAP}


@pytest.mark.timeout(600)
async def test_the_first_table_passes_the_complete_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `init` writes is true: a run with that table finds no claim to be wrong."""
    monkeypatch.chdir(tmp_path)
    dialect = acme()
    text = await first_table("acme:///a.db", options=options(dialect))
    written: dict[str, Any] = {}
    exec(compile(text, "features.py", "exec"), written)  # noqa: S102 - what was just written
    table = written["FEATURES"]
    assert table.keys() == FEATURES.keys()
    told = type("Told", (dialect,), {"features": table})
    report = await run("acme:///b.db", options=options(told))
    assert not wrong(report)
    assert report.passed
    # It says more than the page does, which declares off what nobody has tried.
    assert sum(feature.level == "full" for feature in table.values()) > len(FEATURES) / 2


@pytest.mark.timeout(200)
def test_the_tests_of_the_package_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the page's files in it, what `new-dialect` wrote passes its own tests, by its server."""
    monkeypatch.chdir(tmp_path)
    assert main(["new-dialect", "acme"]) == 0
    acme()
    package = tmp_path / "dataflow-db-acme"
    note_of(package)
    monkeypatch.setenv("CONFORMANCE_TOPICS", "paging,upsert")
    result = new_package.run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout
