from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from tests.sagas.notes import Entry, Note
from tests.sagas.world import opened, prepare

ROOT = Path(__file__).resolve().parents[2]
Jobs = Callable[[list[dict[str, Any]]], list[Any]]


@pytest.fixture(scope="module")
def do() -> Iterator[Jobs]:
    """Does jobs in processes of their own, which may be killed: see `victim`."""
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.sagas.victim"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    asked, answered = program.stdin, program.stdout

    def do(jobs: list[dict[str, Any]]) -> list[Any]:
        asked.write(json.dumps(jobs) + "\n")
        asked.flush()
        answers = json.loads(answered.readline())
        errors = [answer["error"] for answer in answers if answer and "error" in answer]
        assert not errors, errors[0]
        return list(answers)

    with program:
        yield do
        asked.close()


@pytest.fixture
def urls(database: SharedServer) -> Iterator[dict[str, str]]:
    """Two empty databases of one kind: that of the shop, and that of the warehouse."""
    found = {"url": database.new_database(), "warehouse": database.new_database()}
    yield found
    for url in found.values():
        database.drop_database(url)


@pytest.fixture
async def shop(urls: dict[str, str]) -> AsyncIterator[DataFlow]:
    """The shop, with its tables."""
    db = opened(**urls)
    await prepare(db)
    yield db
    await db.aclose()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """An instance with two models."""
    handle = DataFlow(database_url, validation="off")
    for model in (Entry, Note):
        handle.model(type(model.__name__, (model,), {"__module__": __name__}))
    await handle.run("EntryCountNode")
    yield handle
    await handle.aclose()
