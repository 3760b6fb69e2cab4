"""A first feature table: every case runs, whatever is claimed, and the results say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from dataflow_core.conformance.outcome import Observation
from dataflow_core.conformance.registry import Case, all_cases
from dataflow_core.conformance.runner import observations, probe
from dataflow_core.conformance.workers import Job
from dataflow_core.features import FEATURES, Feature

__all__ = ["first_table", "levels", "table_text"]

_REASON: Final = 78
_UNTESTED: Final = "no case of the suite tells: say what the database offers"

Seen = Mapping[str, Observation]


async def first_table(
    url: str,
    *,
    options: Mapping[str, Any] | None = None,
    workers: int = 1,
    on_seen: Callable[[Case, Observation], object] | None = None,
) -> str:
    """Run every case as if the dialect claimed everything; the table that is true, as Python.

    Parameters:
        url: the database.
        options: further arguments of every ``DataFlow`` that is made.
        workers: how many processes share the cases.
        on_seen: called after every case.

    Raises:
        ConfigurationError, ConnectionFailed: the database cannot be opened.
    """
    found = await probe(url, options)
    seen: dict[str, Observation] = {}

    def note(item: Case, observation: Observation) -> None:
        seen[item.id] = observation
        if on_seen is not None:
            on_seen(item, observation)

    cases = all_cases()
    job = Job(url, dict(options or {}), ignore_claims=True)
    await observations(job, cases, note, workers=workers)
    return table_text(levels(cases, seen), f"{found.versions.server}, suite {found.versions.suite}")


def levels(cases: Sequence[Case], seen: Seen) -> dict[str, Feature]:
    """The level of every feature by what its cases showed.

    A case that needs a second feature says nothing about its own one where the second is missing.
    """
    alone = {name: _first_failure(_of(cases, name, ()), seen) for name in FEATURES}
    missing = {name for name, failed in alone.items() if failed is not None}
    found = {}
    for name in FEATURES:
        held = _of(cases, name, [one for one in FEATURES if one not in missing])
        failed = alone[name] or _first_failure(held, seen)
        if failed is not None:
            found[name] = Feature("not_implemented", _reason(failed, seen[failed.id]))
        elif held:
            found[name] = Feature("full")
        else:
            found[name] = Feature("not_implemented", _UNTESTED)
    return found


def _of(cases: Iterable[Case], feature: str, others: Iterable[str]) -> list[Case]:
    """The cases of a feature that need nothing else but these."""
    allowed = set(others)
    return [item for item in cases if item.feature == feature and allowed.issuperset(item.also)]


def _first_failure(cases: Iterable[Case], seen: Seen) -> Case | None:
    return next((item for item in cases if not seen[item.id].passed), None)


def _reason(item: Case, seen: Observation) -> str:
    first = next(iter(seen.explanation.splitlines()), "failed")
    text = f"{item.id}: {first}".encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _REASON else f"{text[: _REASON - 4]} ..."


def table_text(table: Mapping[str, Feature], found_on: str) -> str:
    """The table as a Python module."""
    lines = [
        '"""What the database offers: a level for each feature.',
        "",
        f"Found out by running the conformance suite on {found_on}.",
        'Where the engine cannot do something at all, say "unsupported" and give the reason.',
        '"""',
        "",
        "from collections.abc import Mapping",
        "from typing import Final",
        "",
        "from dataflow_core.features import Feature",
        "",
        "FEATURES: Final[Mapping[str, Feature]] = {",
    ]
    for name, feature in table.items():
        if feature.level == "full":
            lines.append(f'    "{name}": Feature("full"),')
        else:
            reason = json.dumps(feature.reason, ensure_ascii=False)
            lines += [
                f'    "{name}": Feature(',
                f'        "{feature.level}",',
                f"        {reason},",
                "    ),",
            ]
    return "\n".join([*lines, "}", ""])
