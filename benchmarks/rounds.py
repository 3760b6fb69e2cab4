"""Interleaved rounds: the contestants take short turns on databases of their own, set up alike."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from attrs import Factory, frozen

from benchmarks.answers import AnswersDiffer, Checked, check
from benchmarks.contestants import RAW, Contestant, Ours
from benchmarks.databases import Place
from benchmarks.workloads import Workload

__all__ = ["OURS", "RAW_AGAIN", "RAW_NAME", "AnswersDiffer", "Measured", "Ratio", "measure"]

OURS: Final = "DataFlow"
RAW_NAME: Final = "raw"
RAW_AGAIN: Final = "raw again"


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
    """A workload on a database: by contestant the rates of the rounds, and the ratio to raw.

    The ratio of ``raw again`` is the noise. ``left_out``: peers that could not take part, and why.
    """

    workload: str
    title: str
    unit: str
    bar: float
    rates: Mapping[str, Sequence[float]]
    ratios: Mapping[str, Ratio]
    left_out: Mapping[str, str] = Factory(dict)

    @property
    def ratio(self) -> Ratio:
        """That of ours."""
        return self.ratios[OURS]

    @property
    def noise(self) -> Ratio:
        """That of the same code again."""
        return self.ratios[RAW_AGAIN]

    @property
    def reached(self) -> bool:
        """Whether the bar is reached."""
        return self.ratio.median >= self.bar

    @property
    def peers(self) -> dict[str, Ratio]:
        """The ratios of the peers that took part."""
        own = (OURS, RAW_NAME, RAW_AGAIN)
        return {name: ratio for name, ratio in self.ratios.items() if name not in own}

    @property
    def ahead(self) -> bool | None:
        """Whether ours is ahead of every peer; ``None`` where there was none."""
        peers = self.peers.values()
        return all(self.ratio.median > peer.median for peer in peers) if peers else None


def measure(
    workload: Workload,
    rounds: int,
    place: Place,
    *,
    peers: Iterable[Contestant] = (),
    progress: Callable[[int], object] = lambda _: None,
) -> Measured:
    """Measure a workload. ``progress`` is called with the number of rounds that are done.

    Raises:
        AnswersDiffer: ours and the hand-written code cannot be compared.
    """
    return asyncio.run(_measure(workload, rounds, place, list(peers), progress))


async def _measure(
    workload: Workload,
    rounds: int,
    place: Place,
    peers: list[Contestant],
    progress: Callable[[int], object],
) -> Measured:
    raw = RAW[place.name]
    own: list[Contestant] = [Ours(OURS), raw(RAW_NAME), raw(RAW_AGAIN)]
    async with AsyncExitStack() as stack:
        everybody = [Checked(each, _database(workload, place, stack)) for each in [*own, *peers]]
        for number, each in enumerate(everybody):
            await _fill(workload, place, each.url, own=number < len(own))
        left_out = await check(workload, everybody, place, stack)
        everybody = [each for each in everybody if each.name not in left_out]
        times: dict[str, dict[int, float]] = {each.name: {} for each in everybody}
        for number in range(rounds):
            # A small number of rounds still has several with everybody.
            all_take_part = number % workload.seldom == 0 or rounds < 3 * workload.seldom
            taking_part = everybody if all_take_part else everybody[: len(own)]
            for name, spent in (await _round(workload, number, taking_part, place)).items():
                times[name][number] = spent
            progress(number + 1)
    work = workload.size * workload.slices
    return Measured(
        workload.name,
        workload.title,
        workload.unit,
        workload.bars[place.name],
        {name: [work / spent for spent in rounds.values()] for name, rounds in times.items()},
        {
            name: Ratio.of([times[RAW_NAME][number] / spent for number, spent in rounds.items()])
            for name, rounds in times.items()
        },
        left_out,
    )


def _database(workload: Workload, place: Place, stack: AsyncExitStack) -> str:
    url = place.new()
    stack.callback(place.drop, url)
    return url


async def _fill(workload: Workload, place: Place, url: str, *, own: bool) -> None:
    """Every table is made and filled by us, so all are the same."""
    maker = Ours()
    await maker.open(url, 1)
    try:
        await maker.bulk_create(workload.present(workload.size))
        await maker.everything(1)
    finally:
        await maker.close()
    if not own:
        await place.loosen(url)
    await place.keep(url)


async def _round(
    workload: Workload, number: int, everybody: Sequence[Checked], place: Place
) -> dict[str, float]:
    """The seconds that each contestant took, all slices of a round together."""
    spent = dict.fromkeys((each.name for each in everybody), 0.0)
    for part in range(workload.slices):
        turn = number * workload.slices + part
        # Batch 0 was used up by the comparison.
        batch = workload.batch(turn + 1, workload.size)
        for shift in range(len(everybody)):
            each = everybody[(turn + shift) % len(everybody)]
            if workload.again:
                await place.restore(each.url)
            gc.collect()
            start = time.perf_counter()
            answer = await workload.run(each.contestant, batch)
            spent[each.name] += time.perf_counter() - start
            del answer
        if workload.writes:
            for each in everybody:
                await place.settle(each.url)
    return spent
