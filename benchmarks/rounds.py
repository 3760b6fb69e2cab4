"""Interleaved rounds: the contestants take short turns on files of their own, set up alike."""

from __future__ import annotations

import asyncio
import gc
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks.contestants import CONTESTANTS, Contestant, Ours
from benchmarks.data import FIELDS, users
from benchmarks.workloads import STORED, Workload

__all__ = ["AnswersDiffer", "Measured", "Ratio", "measure"]

_EXPECTED: Final = {"journal_mode": "wal", "synchronous": 2}
"""What a file must be set to on both sides; 2 is FULL."""


class AnswersDiffer(Exception):
    """Two contestants did not give the same values, or are not set up alike."""


@frozen
class Ratio:
    """The median over the rounds, and the lowest and the highest of them."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """The ratio of the rounds."""
        return cls(statistics.median(values), min(values), max(values))


@frozen
class Measured:
    """A workload: rates by contestant, the ratio of ours to raw, and that of raw to itself."""

    workload: Workload
    rates: dict[str, tuple[float, ...]]
    ratio: Ratio
    noise: Ratio

    @property
    def reached(self) -> bool:
        """Whether the bar is reached."""
        return self.ratio.median >= self.workload.bar


def measure(
    workload: Workload,
    rounds: int,
    *,
    database: str = "sqlite",
    progress: Callable[[int], object] = lambda _: None,
) -> Measured:
    """Measure a workload. ``progress`` is called with the number of rounds that are done.

    Raises:
        AnswersDiffer: the contestants cannot be compared.
    """
    with tempfile.TemporaryDirectory(prefix="dataflow-benchmark-") as folder:
        return asyncio.run(_measure(workload, rounds, database, Path(folder), progress))


async def _measure(
    workload: Workload,
    rounds: int,
    database: str,
    folder: Path,
    progress: Callable[[int], object],
) -> Measured:
    ours, raw, *others = (make("") for make in CONTESTANTS[database])
    ours.name, raw.name = "DataFlow", "raw"
    again = CONTESTANTS[database][1]("raw again")
    contestants = [ours, raw, again, *others]
    files = await _files(folder, [each.name for each in contestants], empty=workload.empty)
    async with AsyncExitStack() as stack:
        for each, file in zip(contestants, files, strict=True):
            await each.open(f"sqlite:///{file}")
            stack.push_async_callback(each.close)
        await _compare(workload, contestants, files)
        times = []
        for number in range(rounds):
            times.append(await _round(workload, number, contestants, files))
            progress(number + 1)
    work = workload.size * workload.slices
    rates = {
        each.name: tuple(work / spent[place] for spent in times)
        for place, each in enumerate(contestants)
    }
    return Measured(
        workload,
        rates,
        Ratio.of([spent[1] / spent[0] for spent in times]),
        Ratio.of([spent[1] / spent[2] for spent in times]),
    )


async def _files(folder: Path, names: Sequence[str], *, empty: bool) -> list[Path]:
    """One file for each: copies of one, whose table was made by us."""
    first = folder / "template.db"
    maker = Ours()
    await maker.open(f"sqlite:///{first}")
    await maker.bulk_create([] if empty else users(STORED))
    await maker.everything(1)
    await maker.close()
    _checkpoint(first)
    files = [folder / f"{number}.db" for number, _ in enumerate(names)]
    for file in files:
        shutil.copyfile(first, file)
    return files


async def _round(
    workload: Workload, number: int, contestants: Sequence[Contestant], files: Sequence[Path]
) -> list[float]:
    """The seconds that each contestant took, all slices of a round together."""
    spent = [0.0] * len(contestants)
    for part in range(workload.slices):
        turn = number * workload.slices + part
        # Batch 0 was used up by the comparison.
        batch = workload.batch(turn + 1, workload.size)
        for shift in range(len(contestants)):
            place = (turn + shift) % len(contestants)
            if workload.empty:
                _empty(files[place])
            gc.collect()
            start = time.perf_counter()
            answer = await workload.run(contestants[place], batch)
            spent[place] += time.perf_counter() - start
            del answer
        if workload.writes:
            for file in files:
                _checkpoint(file)
    return spent


async def _compare(
    workload: Workload, contestants: Sequence[Contestant], files: Sequence[Path]
) -> None:
    """Refuse to time contestants that differ in their settings, answers or stored rows."""
    batch = workload.batch(0, workload.size)
    answers, settings, tables = [], [], []
    for each, file in zip(contestants, files, strict=True):
        if workload.empty:
            _empty(file)
        answers.append(_typed(await workload.run(each, batch)))
        settings.append(await each.settings())
        tables.append(_stored(file))
    for place, each in enumerate(contestants):
        for name, value in _EXPECTED.items():
            if settings[place][name] != value:
                raise AnswersDiffer(f"{each.name}: {name} is {settings[place][name]}, not {value}")
        for what, found in (("settings", settings), ("answers", answers), ("tables", tables)):
            if found[place] != found[0]:
                raise AnswersDiffer(f"{workload.name}: {what} of {each.name} differ from ours")


def _typed(value: Any) -> Any:
    """The value with the types of all its parts: True is not 1, and 1 is not 1.0."""
    if isinstance(value, dict):
        return {key: _typed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_typed(part) for part in value]
    return type(value), value


def _stored(file: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(
            f"SELECT id, {', '.join(FIELDS)} FROM users ORDER BY id"
        ).fetchall()
    finally:
        connection.close()


def _empty(file: Path) -> None:
    """Remove all rows and start the keys anew, so that every slice finds the same."""
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.executescript("DELETE FROM users; DELETE FROM sqlite_sequence;")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def _checkpoint(file: Path) -> None:
    """Bring the log back into the file, so that no slice pays for what another has written."""
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
