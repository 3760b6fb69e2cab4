"""Running the cases. Every case runs; what the dialect declares decides what that means."""

from __future__ import annotations

import asyncio
import platform
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from dataflow_core import __version__ as core_version
from dataflow_core.conformance.observing import observe
from dataflow_core.conformance.outcome import (
    CaseResult,
    Observation,
    claim_behind,
    claim_of,
    judged,
    settled,
)
from dataflow_core.conformance.registry import Case, all_cases
from dataflow_core.conformance.report import Report, Versions
from dataflow_core.conformance.session import Session
from dataflow_core.conformance.workers import Job, run_in_workers
from dataflow_core.contract import Dialect, Server
from dataflow_core.errors import InvalidValue
from dataflow_core.features import FEATURES
from dataflow_core.naming_hints import nearest

__all__ = ["SUITE", "Probe", "observations", "observe", "probe", "run", "run_case", "selected"]

SUITE: Final = "0.3"
"""The version of the suite: that of its newest cases."""


def selected(
    *, topics: Iterable[str] = (), features: Iterable[str] = (), cases: Iterable[str] = ()
) -> tuple[Case, ...]:
    """The cases of these topics, features and ids; all of them, if nothing is asked for.

    Raises:
        InvalidValue: a name that no case has.
    """
    every = all_cases()
    topics, features, cases = tuple(topics), tuple(features), tuple(cases)
    _known(topics, {item.topic for item in every}, "topic")
    _known(features, FEATURES, "feature")
    _known(cases, {item.id for item in every}, "case")
    return tuple(
        item
        for item in every
        if (not topics or item.topic in topics)
        and (not features or item.feature in features)
        and (not cases or item.id in cases)
    )


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
        return Probe(database.shown_url, database.dialect, server, versions)
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
        on_result: called after every case.
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

    def judge(item: Case, seen: Observation) -> None:
        features, version = found.dialect.features, found.server.version
        claim = claim_behind(claim_of(features, item, version), seen, features, version)
        result = results[item.id] = judged(item, claim, seen)
        if on_result is not None:
            on_result(result)

    job = Job(url, dict(options or {}), repeat=repeat)
    await observations(job, _ordered(chosen, seed), judge, workers=workers)
    return Report(
        url=found.url,
        results=settled([results[item.id] for item in chosen]),
        features=dict(found.dialect.features),
        server=found.server.version,
        versions=found.versions,
        complete=len(chosen) == len(all_cases()),
    )


async def observations(
    job: Job,
    items: Sequence[Case],
    on_seen: Callable[[Case, Observation], None],
    *,
    workers: int = 1,
) -> None:
    """Run cases, here or in several processes, and tell of each what happened."""
    if workers > 1 and len(items) > 1:
        stopped = threading.Event()
        try:
            number = min(workers, len(items))
            await asyncio.to_thread(run_in_workers, job, items, on_seen, number, stopped)
        finally:
            stopped.set()
        return
    for item in items:
        on_seen(item, await job.observe(item))


def _ordered(items: Sequence[Case], seed: int | None) -> Sequence[Case]:
    if seed is None:
        return items
    return random.Random(seed).sample(items, len(items))


async def run_case(url: str, item: Case, options: Mapping[str, Any] | None = None) -> Report:
    """Run a single case; a report of one result."""
    return await run(url, cases=[item.id], options=options)
