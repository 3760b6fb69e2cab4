"""The report of a run: a table by feature, totals, the tier reached, versions."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import asdict, frozen

from dataflow_core.conformance.outcome import CaseResult, Outcome, claim_about
from dataflow_core.errors.safe_json import HIDDEN
from dataflow_core.features import FEATURES, Feature, Tier, features_of

__all__ = ["SCHEMA", "FeatureLine", "Report", "Versions"]

SCHEMA: Final = 1
"""The version of the form of a report in JSON."""

_TIERS: tuple[Tier, ...] = ("core", "standard", "extended")


@frozen
class Versions:
    """What took part in a run.

    Attributes:
        suite: of the suite.
        core: of the distribution that holds the core and the suite.
        dialect: the dialect's name and the version of its distribution.
        server: the server's name and version, as it tells them.
        driver: what the dialect's distribution requires, with the versions.
        python: of the interpreter.
    """

    suite: str
    core: str
    dialect: str
    server: str
    driver: str
    python: str


@frozen
class FeatureLine:
    """One feature: what is declared, and how its cases came out.

    ``outcome`` is the worst one; ``None`` where the suite has no case that ran.
    """

    feature: str
    tier: Tier
    level: str
    reason: str
    counts: Mapping[str, int]
    outcome: Outcome | None

    @property
    def passed(self) -> int:
        """How many cases passed."""
        return self.counts.get(Outcome.PASS.value, 0)

    @property
    def total(self) -> int:
        """How many cases ran."""
        return sum(self.counts.values())


@frozen
class Report:
    """The results of a run.

    Attributes:
        url: the database, without its password.
        results: one for each case, in the order of the suite.
        features: the dialect's table.
        server: the version of the server, for claims that depend on it.
        versions: of everything that took part.
        complete: whether every case of the suite ran.
    """

    url: str
    results: tuple[CaseResult, ...]
    features: Mapping[str, Feature]
    server: tuple[int, ...] | None
    versions: Versions
    complete: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many cases have each outcome."""
        return _counts(self.results)

    @property
    def topics(self) -> dict[str, int]:
        """How many cases of each topic ran."""
        return dict(Counter(result.case.topic for result in self.results))

    @property
    def bad(self) -> tuple[CaseResult, ...]:
        """The cases whose outcome makes the run fail."""
        return tuple(result for result in self.results if result.outcome.bad)

    @property
    def undeclared(self) -> tuple[str, ...]:
        """The feature ids that the dialect says nothing about, cases or not."""
        return tuple(name for name in FEATURES if name not in self.features)

    @property
    def passed(self) -> bool:
        """Whether every claim of the dialect was found to be true."""
        return not self.bad and not (self.complete and self.undeclared)

    @property
    def lines(self) -> tuple[FeatureLine, ...]:
        """The table: every feature that has a result, and in a complete run every feature."""
        return tuple(
            line for line in map(self._line, FEATURES) if self.complete or line.outcome is not None
        )

    def _line(self, name: str) -> FeatureLine:
        results = [result for result in self.results if result.case.feature == name]
        claim = claim_about(name, self.features, self.server)
        outcomes = [result.outcome for result in results]
        return FeatureLine(
            feature=name,
            tier=FEATURES[name].tier,
            level=claim.level or "UNDECLARED",
            reason=claim.reason,
            counts=_counts(results),
            outcome=max(outcomes, key=list(Outcome).index, default=None),
        )

    @property
    def tier(self) -> Tier | None:
        """The highest tier that works with all below it; only of a complete run.

        A feature that the suite has no case for counts for no tier.
        """
        if not self.complete:
            return None
        good = {line.feature for line in self.lines if line.outcome in (Outcome.PASS, None)}
        reached: Tier | None = None
        for tier in _TIERS:
            if not set(features_of(tier)) <= good:
                break
            reached = tier
        return reached

    def to_dict(self) -> dict[str, Any]:
        """The report as values that the json module accepts."""
        return {
            **self.to_summary(),
            "url": self.url,
            "topics": self.topics,
            "cases": [_case(result) for result in self.results],
        }

    def to_summary(self) -> dict[str, Any]:
        """The report without its cases: what a page about several databases needs."""
        return {
            "schema": SCHEMA,
            "versions": asdict(self.versions),
            "complete": self.complete,
            "passed": self.passed,
            "tier": self.tier,
            "total": len(self.results),
            "counts": self.counts,
            "features": [_feature(line) for line in self.lines],
        }

    def to_text(self) -> str:
        """The report for a terminal: what is bad in full, then the table, then totals."""
        stale = [result for result in self.bad if result.outcome is Outcome.STALE_CLAIM]
        parts = [self._explanation(result) for result in self.bad if result not in stale]
        parts += _stale_claims(stale)
        parts.append(_table(self.lines))
        parts.append(self._totals())
        return "\n\n".join(parts)

    def _explanation(self, result: CaseResult) -> str:
        case = result.case
        lines = [
            f"{result.outcome.value}  {case.id}  (since suite {case.since})",
            f"  rule: {case.rule}",
        ]
        lines += [f"  {note}" for note in result.notes]
        lines.append(f"  declared: {result.claim.feature} {result.claim.level or 'not at all'}")
        lines += [f"  {line}" for line in result.observation.explanation.splitlines()]
        lines.append(f"  alone: {self._alone(case.id)}")
        return "\n".join(lines)

    def _alone(self, name: str) -> str:
        """The command that runs a case alone. A password is not shown: the shell has to know it."""
        if HIDDEN not in self.url:
            return f"dataflow-conformance run {shlex.quote(self.url)} --case {name}"
        command = f'dataflow-conformance run "$URL" --case {name}'
        return f"{command}  # URL: {self.url}, with what is hidden filled in"

    def _totals(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        lines = [f"{len(self.results)} cases: {counts or 'none'}"]
        topics = ", ".join(f"{topic} {count}" for topic, count in self.topics.items())
        lines.append(f"topics: {topics}")
        if self.complete:
            lines.append(f"tier reached: {self.tier or 'none'}")
            if self.undeclared:
                lines.append(f"undeclared: {', '.join(self.undeclared)}")
        else:
            lines.append("tier reached: not told, as only a part of the suite ran")
        lines.append(", ".join(f"{name} {text}" for name, text in asdict(self.versions).items()))
        return "\n".join(lines)


def _stale_claims(results: Iterable[CaseResult]) -> list[str]:
    """One text for each feature: of a claim that is stale every case says the same."""
    cases: dict[str, list[CaseResult]] = {}
    for result in results:
        cases.setdefault(result.claim.feature, []).append(result)
    return [
        f"{Outcome.STALE_CLAIM.value}  {name}\n  declared: {name} {found[0].claim.level}"
        f' ("{found[0].claim.reason}"), but each of its {len(found)} cases holds:'
        " declare it full"
        for name, found in cases.items()
    ]


def _counts(results: Iterable[CaseResult]) -> dict[str, int]:
    counted = Counter(result.outcome for result in results)
    return {outcome.value: counted[outcome] for outcome in Outcome if counted[outcome]}


def _feature(line: FeatureLine) -> dict[str, Any]:
    return {
        "feature": line.feature,
        "tier": line.tier,
        "level": line.level,
        "reason": line.reason,
        "outcome": line.outcome and line.outcome.value,
        "passed": line.passed,
        "total": line.total,
        "counts": dict(line.counts),
    }


def _case(result: CaseResult) -> dict[str, Any]:
    return {
        "id": result.case.id,
        "topic": result.case.topic,
        "feature": result.case.feature,
        "since": result.case.since,
        "rule": result.case.rule,
        "level": result.claim.level,
        "outcome": result.outcome.value,
        "notes": list(result.notes),
        "seconds": round(result.observation.seconds, 4),
        "explanation": result.observation.explanation,
    }


def _table(lines: Sequence[FeatureLine]) -> str:
    header = ("feature", "tier", "declared", "cases", "outcome")
    rows = [
        (
            line.feature,
            line.tier,
            line.level.replace("_", " "),
            ", ".join(f"{count} {name}" for name, count in line.counts.items()) or "none",
            line.outcome.value if line.outcome is not None else "not tested",
        )
        for line in lines
    ]
    widths = [max(len(row[at]) for row in (header, *rows)) for at in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, tuple("-" * width for width in widths), *rows)
    )
