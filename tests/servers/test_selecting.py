"""Which tests a run leaves out, by the database that they ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ACROSS = ("tests/conformance/test_errors_across.py", "tests/conformance/test_values_across.py")
NO_TEST_LEFT = 5


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.timeout(60)
def test_what_compares_databases_is_left_out_where_only_one_is_asked_for() -> None:
    """`--database` leaves out the tests that need the server of another database too."""
    result = run("--collect-only", "--database", "sqlite", *ACROSS)
    assert result.returncode == NO_TEST_LEFT, result.stdout
    assert "no tests collected (" in result.stdout


@pytest.mark.timeout(60)
def test_what_compares_with_a_missing_database_is_left_out_where_that_is_allowed() -> None:
    """`--allow-missing` leaves them out, and the matrix says so; without it they fail."""
    nowhere = {"DATAFLOW_TEST_MYSQL_URL": "mysql://root@127.0.0.1:1/"}
    arguments = ("-k", "sqlite-mysql", ACROSS[1])
    allowed = run("--allow-missing", "mysql", *arguments, **nowhere)
    assert allowed.returncode == NO_TEST_LEFT, allowed.stdout
    [line] = [line for line in allowed.stdout.splitlines() if line.startswith("mysql ")]
    assert line.split() == ["mysql", "missing,", "and", "may", "be", "0", "0", "1"]
    assert run(*arguments, **nowhere).returncode == 1
