"""What every test run has: a seed, and a summary that names what it ran on."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import databases
from tests.limits import bars_are_full

DEFAULT_SEED = 20130101
ROOT = Path(__file__).resolve().parents[1]

# What does not depend on the Python: kills of servers and processes, what surrounds the packages,
# how the suite itself works. `scripts/test` runs these files and folders on the newest Python only,
# and with them what is marked `one_python`, because it is run in another way on each Python anyway.
ON_ONE_PYTHON = (
    "bars",
    "conformance/test_commands.py",
    "conformance/test_mutants.py",
    "conformance/test_new_dialect.py",
    "conformance/test_plain_statements.py",
    "conformance/test_replicas.py",
    "conformance/test_runner.py",
    "conformance/test_workers.py",
    "docs",
    "examples",
    "faults",
    "mysql/test_losing.py",
    "mysql/test_replica.py",
    "packaging",
    "postgres/test_faults.py",
    "postgres/test_pooler.py",
    "postgres/test_replica.py",
    "sagas/test_killed.py",
    "sagas/test_leases.py",
    "sagas/test_server_killed.py",
    "servers",
    "style",
)

# A slice draws the same examples on every run; the long bars draw new ones and print what failed.
settings.register_profile(
    "slice",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "full",
    deadline=None,
    max_examples=2_000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


settings.load_profile("full" if bars_are_full() else "slice")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this repository."""
    group = parser.getgroup("dataflow")
    group.addoption(
        "--seed",
        type=int,
        default=DEFAULT_SEED,
        help="seed of the random tests (default: %(default)s)",
    )
    group.addoption(
        "--summary-file",
        type=Path,
        default=None,
        help="write the two numbers 'passed failed' to this file",
    )
    group.addoption(
        "--matrix-file",
        type=Path,
        default=None,
        help="write the table of databases to this file",
    )
    group.addoption(
        "--database",
        action="append",
        default=[],
        metavar="NAME",
        help="run only tests of this database, and those of none; can be repeated",
    )
    group.addoption(
        "--allow-missing",
        action="append",
        default=[],
        metavar="NAME",
        help="leave the tests of this database out if there is no server; can be repeated",
    )
    group.addoption(
        "--docker",
        action="store_true",
        help="take servers from containers (as DATAFLOW_TEST_DOCKER=1 does)",
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin to keep the books of the databases."""
    # Fetched servers are kept in the checkout, where `git clean` and a reader find them.
    os.environ.setdefault("DATAFLOW_TEST_CACHE", str(ROOT / ".cache" / "servers"))
    if config.getoption("--docker"):
        os.environ["DATAFLOW_TEST_DOCKER"] = "1"
    config.pluginmanager.register(databases, "database fixtures")
    config.pluginmanager.register(databases.Databases(config), "databases")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what does not depend on the Python."""
    places = [ROOT / "tests" / name for name in ON_ONE_PYTHON]
    for item in items:
        if any(item.path.is_relative_to(place) for place in places):
            item.add_marker("one_python")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of the run; a failing test that uses it prints it."""
    return int(request.config.getoption("--seed"))


@pytest.fixture
def full_bars() -> bool:
    """Whether a long bar runs in full size."""
    return bars_are_full()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Print the seed beside a failure that may depend on it."""
    report = yield
    if report.failed and "seed" in getattr(item, "fixturenames", ()):
        number = item.config.getoption("--seed")
        report.sections.append(("seed", f"run again with --seed={number}"))
    return report


def run_description() -> str:
    """The interpreter and its SQLite in one line."""
    python = f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})"
    return f"{python}, SQLite {sqlite3.sqlite_version}"


def pytest_report_header(config: pytest.Config) -> str:
    """Say before the run what it runs on."""
    size = "full" if bars_are_full() else "slice"
    return f"dataflow: {run_description()}, bars: {size}, seed: {config.getoption('--seed')}"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say after the run what it ran on, with the counts; last the databases one by one."""
    count = {word: len(reports) for word, reports in terminalreporter.stats.items()}
    passed = count.get("passed", 0) + count.get("xfailed", 0)
    failed = count.get("failed", 0) + count.get("error", 0)
    not_run = count.get("skipped", 0)
    terminalreporter.write_line(
        f"{run_description()}: {passed} passed, {failed} failed, {not_run} not run"
    )
    matrix = databases.of(config).matrix(terminalreporter.stats)
    for line in matrix:
        terminalreporter.write_line(line)
    if config.getoption("--matrix-file") is not None:
        text = "".join(f"{line}\n" for line in matrix)
        config.getoption("--matrix-file").write_text(text, encoding="utf-8")
    summary_file = config.getoption("--summary-file")
    if summary_file is not None:
        summary_file.write_text(f"{passed} {failed}\n", encoding="utf-8")
