"""Running the cases. Every case runs; what the dialect declares decides what that means."""

from __future__ import annotations

import asyncio
import platform
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from dataflow_core import __version__ as core_version
from dataflow_core.conformance.observing import observe
from dataflow_core.conformance.outcome import (
    CaseResult,
    Claim,
    Observation,
    claim_about,
    claim_behind,
    claim_of,
    judged,
    settled,
    stale_features,
)
from dataflow_core.conformance.registry import Case, all_cases
from dataflow_core.conformance.report import Report, Versions
from dataflow_core.conformance.session import Session
from dataflow_core.conformance.workers import Job, run_in_workers
from dataflow_core.contract import Dialect, Server
from dataflow_core.errors import InvalidValue
from dataflow_core.evolve.registry import REGISTRY
from dataflow_core.features import FEATURES
from dataflow_core.naming_hints import nearest

__all__ = ["SUITE", "Probe", "observations", "observe", "probe", "run", "run_case", "selected"]

SUITE: Final = "0.3"
"""The version of the suite: that of its newest cases."""


def selected(
    *, topics: Iterable[str] = (), features: Iterable[str] = (), cases: Iterable[str] = ()
) -> tuple[Case, ...]:
    """The cases of these topics, features and ids; all of them, if nothing is asked for.

    Parameters:
        topics: the first parts of ids, such as ``filters`` or ``filters.json``, or a word that
            several topics have cases of: ``json``, ``regex``.
        features: feature ids.
        cases: ids of cases.

    Raises:
        InvalidValue: a name that no case has; or no case has all that was asked for.
    """
    every = all_cases()
    topics, features, cases = tuple(topics), tuple(features), tuple(cases)
    parts = {part for item in every for part in _topics(item)}
    _known(topics, parts, "topic")
    _known(features, FEATURES, "feature")
    _known(cases, {item.id for item in every}, "case")
    chosen = tuple(
        item
        for item in every
        if (not topics or _topics(item) & set(topics))
        and (not features or item.feature in features)
        and (not cases or item.id in cases)
    )
    if not chosen:
        asked = ", ".join((*topics, *features, *cases))
        raise InvalidValue(f"the suite has no case of {asked}: nothing would be run")
    return chosen


def _topics(item: Case) -> set[str]:
    """What a case is found by: each beginning of its id, and the second word of its feature."""
    words = item.id.split(".")[:-1]
    beginnings = {".".join(words[:length]) for length in range(1, len(words) + 1)}
    return beginnings | set(item.feature.split(".")[1:2]) & _ACROSS


_ACROSS: Final = frozenset(("json", "regex"))
"""Topics that have their cases in several of the others."""


def _known(names: Sequence[str], known: Iterable[str], what: str) -> None:
    known = tuple(known)
    for name in names:
        if name not in known:
            raise InvalidValue(f"there is no {what} {name!r}", suggestion=nearest(name, known))


@frozen
class Probe:
    """What a database says of itself before any case runs."""

    url: str
    dialect: Dialect
    server: Server
    versions: Versions
    has_registry: bool


async def probe(url: str, options: Mapping[str, Any] | None = None) -> Probe:
    """Connect once, and say what answered.

    Raises:
        ConfigurationError, ConnectionFailed: the database cannot be opened.
    """
    session = Session(url, options or {})
    try:
        database = session.database
        server = await database.server()
        versions = Versions(
            suite=SUITE,
            core=core_version,
            dialect=database.dialect_version,
            server=str(server),
            driver=database.driver_version,
            python=platform.python_version(),
        )
        known = await database.has_table(REGISTRY.table)
        return Probe(database.shown_url, database.dialect, server, versions, known)
    finally:
        await session.close()


async def run(
    url: str,
    *,
    topics: Iterable[str] = (),
    features: Iterable[str] = (),
    cases: Iterable[str] = (),
    on_result: Callable[[CaseResult], object] | None = None,
    options: Mapping[str, Any] | None = None,
    workers: int = 1,
    repeat: int = 1,
    seed: int | None = None,
) -> Report:
    """Run the suite, or the chosen part of it, on a database and return the report.

    Parameters:
        url: the database. Tables are made under names of their own, and dropped again.
        topics, features, cases: what to run; nothing chosen means everything.
        on_result: called after every case, and again for one that shows a stale claim, which is
            known when all have run.
        options: further arguments of every ``DataFlow`` that is made.
        workers: how many processes share the cases; each opens the database by itself.
        repeat: how often each case runs, as long as it passes.
        seed: shuffles the order in which the cases run; the report has the usual one.

    Raises:
        InvalidValue: a name that no case has; ``options`` that no other process can be given.
        ConfigurationError, ConnectionFailed: the database cannot be opened.
    """
    chosen = selected(topics=topics, features=features, cases=cases)
    found = await probe(url, options)
    results: dict[str, CaseResult] = {}

    features, version = found.dialect.features, found.server.version

    def judge(item: Case, seen: Observation) -> None:
        claim = claim_behind(claim_of(features, item, version), seen, features, version)
        result = results[item.id] = judged(item, claim, seen)
        if on_result is not None:
            on_result(result)

    job = Job(url, dict(options or {}), repeat=repeat)
    await observations(job, _ordered(chosen, seed), judge, workers=workers)
    judged_first = [results[item.id] for item in chosen]

    def claimed(name: str) -> Claim:
        return claim_about(name, features, version)

    holding = await _holding(job, judged_first, claimed, workers)
    working = stale_features(judged_first, all_cases(), holding)
    final = settled(judged_first, working, claimed)
    if on_result is not None:
        for before, result in zip(judged_first, final, strict=True):
            if before is not result:
                on_result(result)
    if not found.has_registry:
        await _drop_registry(url, options)
    return Report(
        url=found.url,
        results=final,
        features=dict(found.dialect.features),
        server=found.server.version,
        versions=found.versions,
        complete=len(chosen) == len(all_cases()),
    )


async def _drop_registry(url: str, options: Mapping[str, Any] | None) -> None:
    """Leave the database as it was found."""
    session = Session(url, options or {})
    try:
        await session.database.drop_registry()
    finally:
        await session.close()


async def _holding(
    job: Job, results: Sequence[CaseResult], claimed: Callable[[str], Claim], workers: int
) -> set[str]:
    """The cases that were refused, and hold where the claims are ignored.

    Core refuses what is declared off, so that nobody would see that it works. Of each feature the
    cases run until one fails: that much says that the claim is right.
    """
    ignoring = evolve(job, repeat=1, ignore_claims=True)
    holding: set[str] = set()
    for name in dict.fromkeys(result.case.feature for result in results):
        mine = [result for result in results if result.case.feature == name]
        whole = len(mine) == sum(item.feature == name for item in all_cases())
        failing = [result for result in mine if not result.observation.passed]
        by_itself = any(result.observation.refused is None for result in failing)
        if not whole or by_itself or claimed(name).level in (None, "full"):
            continue
        for result in failing:
            seen = await _again(ignoring, result.case, apart=workers > 1)
            if not seen.passed:
                break
            holding.add(result.case.id)
    return holding


async def _again(job: Job, item: Case, *, apart: bool) -> Observation:
    """Run one case; ``apart`` in a process of its own."""
    if not apart:
        return await job.observe(item)
    seen: list[Observation] = []
    await _in_workers(job, [item], lambda _, one: seen.append(one), 1)
    return seen[0]


async def observations(
    job: Job,
    items: Sequence[Case],
    on_seen: Callable[[Case, Observation], None],
    *,
    workers: int = 1,
) -> None:
    """Run cases, here or in several processes, and tell of each what happened."""
    if workers > 1 and len(items) > 1:
        await _in_workers(job, items, on_seen, min(workers, len(items)))
        return
    for item in items:
        on_seen(item, await job.observe(item))


async def _in_workers(
    job: Job, items: Sequence[Case], on_seen: Callable[[Case, Observation], None], number: int
) -> None:
    stopped = threading.Event()
    try:
        await asyncio.to_thread(run_in_workers, job, items, on_seen, number, stopped)
    finally:
        stopped.set()


def _ordered(items: Sequence[Case], seed: int | None) -> Sequence[Case]:
    if seed is None:
        return items
    return random.Random(seed).sample(items, len(items))


async def run_case(url: str, item: Case, options: Mapping[str, Any] | None = None) -> Report:
    """Run a single case; a report of one result."""
    return await run(url, cases=[item.id], options=options)
