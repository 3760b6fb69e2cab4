"""A first feature table: every case runs, whatever is claimed, and the results say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
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

    A case that fails may fail for want of another feature that it uses, and is then no fault of its
    own one. So the feature of whose cases the greatest part fails is found missing first, and every
    case that uses it says nothing about the others; and so on until no failure is left over.
    """
    using = {item.id: {*item.features, *seen[item.id].asked} for item in cases}
    own = {name: [item for item in cases if item.feature == name] for name in FEATURES}
    missing: dict[str, Case] = {}
    while True:
        shares: dict[str, tuple[float, Case]] = {}
        for name in FEATURES:
            told = [item for item in own[name] if not using[item.id] & missing.keys()]
            failed = [item for item in told if not seen[item.id].passed]
            if failed:
                shares[name] = (len(failed) / len(told), failed[0])
        if not shares:
            break
        worst = max(shares, key=lambda name: shares[name][0])
        missing[worst] = shares[worst][1]
    found = {}
    for name in FEATURES:
        first = next((item for item in own[name] if not seen[item.id].passed), None)
        held = [item for item in own[name] if not using[item.id] & missing.keys()]
        if name in missing:
            found[name] = _gap(missing[name], seen)
        elif held or (own[name] and first is None):
            found[name] = Feature("full")
        elif first is not None:
            found[name] = _gap(first, seen)
        else:
            found[name] = Feature("not_implemented", _UNTESTED)
    return found


def _gap(item: Case, seen: Seen) -> Feature:
    return Feature("not_implemented", _reason(item, seen[item.id]))


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
