"""Following an export or import: callbacks, a bar on a terminal, the loop, ``explain``."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow_core import DataFlow
from tests.sqlite.articles import filing, leftovers


@pytest.fixture
def db(tmp_path: Path) -> Iterator[DataFlow]:
    """An instance with models; nothing is borrowed at the end and no thread is left."""
    yield from filing(tmp_path)


async def test_progress(db, tmp_path, monkeypatch):
    """A callback is told how many rows are done; a bar is shown on a terminal on request only."""
    path, told = tmp_path / "people.csv", list[int]()
    await db.nodes.Person.bulk_create(data=[{"name": f"p{n}"} for n in range(25)])
    await db.nodes.Person.export_to(path, batch_size=10, on_progress=told.append)
    assert told == [10, 20, 25]
    await db.nodes.Person.import_from(path, conflict="skip", on_progress=told.append)
    assert told[-1] == 25

    class Terminal(types.SimpleNamespace):
        encoding = "utf-8"

        def __init__(self) -> None:
            super().__init__(text="")

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def flush(self) -> None:
            """Nothing waits."""

        def isatty(self) -> bool:
            return True

    for shown in (False, True):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        await db.nodes.Person.export_to(path, progress=shown, overwrite=True)
        await db.nodes.Person.import_from(path, progress=shown, conflict="skip")
        assert ("rows" in terminal.text and "importing people.csv" in terminal.text) is shown


async def test_the_loop_goes_on(db, tmp_path):
    """Reading and writing a file does not keep the loop from its other work."""
    path = tmp_path / "people.csv"
    turns, stop = 0, False

    async def tick() -> None:
        nonlocal turns
        while not stop:
            await asyncio.sleep(0.001)
            turns += 1

    ticking = asyncio.ensure_future(tick())
    path.write_text("name\n" + "".join(f"p{n}\n" for n in range(20_000)))
    await db.nodes.Person.import_from(path)
    imported = turns
    await db.nodes.Person.export_to(path, overwrite=True)
    stop = True
    await ticking
    # Kept from its work, the loop would have had a turn or two.
    assert imported > 10
    assert turns - imported > 10


def test_an_explanation_touches_no_file(db, tmp_path):
    """``explain`` shows the statement of an export and writes nothing."""
    path = tmp_path / "people.csv"
    (statement,) = db.explain("PersonExportNode", path=path)
    assert statement.sql.startswith("SELECT")
    assert leftovers(tmp_path) == []
