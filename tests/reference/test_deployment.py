"""A program that is told by its environment alone, as a container runs it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataflow_core import DataFlow

PROGRAM = """
from dataflow_core import DataFlow, LocalRuntime, WorkflowBuilder

db = DataFlow()


@db.model
class Parcel:
    label: str
    grams: int = 100


workflow = WorkflowBuilder()
workflow.add_node("ParcelCreateNode", "parcel", {"label": "fragile"})
workflow.add_node("ParcelCountNode", "all")
results, run_id = LocalRuntime().execute(workflow.build())
print(results["parcel"]["grams"], results["all"]["count"])
"""


def test_a_program_is_told_by_its_environment(database_url: str, tmp_path: Path) -> None:
    """`DataFlow()` opens what `DATAFLOW_DATABASE_URL` names: a second run finds the rows of the
    first, and ends without being told to close anything."""
    program = tmp_path / "app.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "DATAFLOW_DATABASE_URL": database_url}
    environment["DATAFLOW_LOG_LEVEL"] = "WARNING"
    for count in (1, 2):
        done = subprocess.run(
            [sys.executable, str(program)],
            check=True,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert (done.stdout.split(), done.stderr) == (["100", str(count)], "")


def test_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL that is passed wins over that of the environment."""
    monkeypatch.setenv("DATAFLOW_DATABASE_URL", "postgresql://keeper@localhost/depot")
    assert DataFlow().url.database == "depot"
    assert DataFlow("mysql://keeper@localhost/other").url.database == "other"


def test_what_has_no_effect_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Variables of the environment for which no plugin is there stop no program, and are warned
    of."""
    monkeypatch.setenv("DATAFLOW_REDIS_URL", "redis://cache.example")
    monkeypatch.setenv("DATAFLOW_ENABLE_METRICS", "true")
    monkeypatch.setenv("DATAFLOW_LOG_LEVEL", "INFO")
    before = logging.getLogger("dataflow").level
    try:
        disabled = ["monitoring"]
        with caplog.at_level(logging.WARNING), DataFlow(disabled_plugins=disabled) as db:
            assert db.settings.cache_url == "redis://cache.example"
    finally:
        logging.getLogger("dataflow").setLevel(before)
    told = "\n".join(caplog.messages)
    assert "DATAFLOW_REDIS_URL" in told
    assert "DATAFLOW_ENABLE_METRICS" in told
