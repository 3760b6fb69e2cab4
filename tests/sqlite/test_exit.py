"""The end of a process that never closed its instance."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, sys
from dataflow_core import DataFlow

db = DataFlow("sqlite:///left.db")


@db.model
class Note:
    text: str


if sys.argv[1] == "sync":
    db.run_sync("NoteCreateNode", text="kept")
else:
    asyncio.run(db.run("NoteCreateNode", text="kept"))
"""


def run(folder: Path, way: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own; warnings are errors there."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, way]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=20, check=False
    )


def test_an_open_instance_is_closed_at_exit(tmp_path: Path) -> None:
    """A process that ends without closing leaves one file behind: the log was merged into it."""
    for way in ("sync", "async"):
        done = run(tmp_path, way)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert [file.name for file in tmp_path.iterdir()] == ["left.db"]
