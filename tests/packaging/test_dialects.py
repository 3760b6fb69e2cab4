"""What strangers build: example dialects and new packages, installed beside wheels of the rest."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.building import built_wheel, environment, run

EXAMPLES = ("dataflow_duckdb", "dataflow_sqlcipher")
BASES = ("dataflow_sqlite", "dataflow_postgres", "dataflow_mysql")
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def commands(
    source: Path, wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The commands of a clean environment with the wheels of the examples and what they need."""
    built = [
        built_wheel(source / "examples" / name, tmp_path_factory.mktemp(name)) for name in EXAMPLES
    ]
    core = [wheels[name] for name in ("dataflow_core", *BASES)]
    folder = tmp_path_factory.mktemp("environment")
    return environment(folder / "env", *core, *built, "mypy", "pytest", "ruff")


def suite(commands: Path, url: str, folder: Path, *, workers: int) -> dict[str, Any]:
    """Run the whole suite on a database; fails unless every claim is true."""
    report = folder / "report.json"
    run(
        *(commands / "dataflow-conformance", "run", url),
        *("-n", str(workers), "--quiet", "--report", report),
        folder=folder,
    )
    read: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return read


def test_an_engine_of_its_own_passes_the_suite(commands: Path, tmp_path: Path) -> None:
    """DuckDB, through the adapter for drivers that block: all claims true, few features lacking."""
    # DuckDB lets one process open a file.
    report = suite(commands, "duckdb:///suite.duckdb", tmp_path, workers=1)
    assert report["complete"]
    assert report["passed"]
    assert set(report["counts"]) == {"pass", "declined", "known gap"}
    declined = {item["feature"] for item in report["cases"] if item["outcome"] == "declined"} - {
        "identifiers",
        "cancellation",
        "relations",
        "aggregate.lookup",
        "transactions.two_phase",
        "schema.partitions",
        "schema.row_security",
    }
    assert declined == {
        "constraints.foreign_key",
        "transactions.savepoint",
        "schema.partial_index",
        "schema.partial_unique",
    }
    gaps = {item["feature"] for item in report["cases"] if item["outcome"] == "known gap"}
    assert gaps == {"schema.introspection", "schema.alter"}


def test_a_relative_passes_the_suite(commands: Path, tmp_path: Path) -> None:
    """SQLCipher extends the classes of SQLite and keeps every promise of it."""
    report = suite(commands, "sqlcipher:///suite.db?key=a%20key", tmp_path, workers=2)
    assert report["complete"]
    assert report["tier"] == "standard"
    assert set(report["counts"]) == {"pass", "declined"}
    declined = {item["feature"] for item in report["cases"] if item["outcome"] == "declined"}
    of_tables = {"schema.partitions", "schema.row_security"}
    assert declined == {"connection.memory", "transactions.two_phase", *of_tables}
    assert not (tmp_path / "suite.db").read_bytes().startswith(b"SQLite format 3")


def test_the_examples_are_typed(commands: Path, tmp_path: Path) -> None:
    """mypy finds nothing in them, as strictly as it can look."""
    for name in EXAMPLES:
        run(commands / "mypy", "--strict", "-p", name, folder=tmp_path)


@pytest.mark.parametrize("like", ["postgres", "mysql"])
def test_a_relative_is_written_cleanly(commands: Path, tmp_path: Path, like: str) -> None:
    """Types and style of what `new-dialect` writes are those that its own checks ask for."""
    folder = tmp_path / "acme"
    made = (commands / "dataflow-conformance", "new-dialect", "acme", "--like", like)
    run(*made, "--output", folder, folder=tmp_path)
    run(commands / "ruff", "check", ".", folder=folder)
    run(commands / "ruff", "format", "--check", ".", folder=folder)
    run(commands / "mypy", folder=folder)


@pytest.mark.parametrize(
    ("like", "topics", "passing"), [("sqlite", "paging,types", True), ("none", "paging", False)]
)
def test_a_new_package_runs_the_suite_at_once(
    commands: Path, tmp_path: Path, like: str, topics: str, passing: bool
) -> None:
    """What `new-dialect` writes installs, passes its own test, and has clean types and style."""
    conformance = commands / "dataflow-conformance"
    folder = tmp_path / f"acme-{like}"
    made = (conformance, "new-dialect", f"acme_{like}", "--like", like, "--output", folder)
    assert str(folder) in run(*made, folder=tmp_path)
    pip = (sys.executable, "-m", "pip", "--python", commands / "python", "install", "--quiet")
    run(*pip, "--no-deps", "--editable", folder, folder=tmp_path)
    try:
        run(commands / "ruff", "check", ".", folder=folder)
        run(commands / "ruff", "format", "--check", ".", folder=folder)
        run(commands / "mypy", folder=folder)
        chosen = [word for topic in topics.split(",") for word in ("--topic", topic)]
        url = f"acme-{like}:///{tmp_path}/a.db"
        output = run(conformance, "run", url, *chosen, folder=tmp_path)
        assert f"dialect acme_{like}" in output
        assert ("known gap" not in output) is passing
        run(commands / "python", "-m", "pytest", "-q", folder=folder, CONFORMANCE_TOPICS=topics)
    finally:
        gone = (sys.executable, "-m", "pip", "--python", commands / "python", "uninstall", "-y")
        run(*gone, f"dataflow-db-acme-{like}", folder=tmp_path)
