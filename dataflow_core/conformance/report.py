"""The report of a run: a table by feature, totals, the tier reached, versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from dataflow_core.conformance.outcome import CaseResult, Outcome
from dataflow_core.features import FEATURES, Feature, Tier, features_of

__all__ = ["FeatureLine", "Report", "Versions"]

_TIERS: tuple[Tier, ...] = ("core", "standard", "extended")


@frozen
class Versions:
    """What took part in a run."""

    suite: str
    core: str
    dialect: str
    server: str


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


@frozen
class Report:
    """The results of a run.

    Attributes:
        url: the database, without its password.
        results: one for each case, in the order of the suite.
        features: the dialect's table.
        versions: of suite, core, dialect and server.
        complete: whether every case of the suite ran.
    """

    url: str
    results: tuple[CaseResult, ...]
    features: Mapping[str, Feature]
    versions: Versions
    complete: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many cases have each outcome."""
        return _counts(self.results)

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
        declared = self.features.get(name)
        outcomes = [result.outcome for result in results]
        return FeatureLine(
            feature=name,
            tier=FEATURES[name].tier,
            level="UNDECLARED" if declared is None else declared.level,
            reason="" if declared is None else declared.reason,
            counts=_counts(results),
            outcome=max(outcomes, key=list(Outcome).index, default=None),
        )

    @property
    def tier(self) -> Tier | None:
        """The highest tier that works with all below it; only of a complete run."""
        if not self.complete:
            return None
        good = {line.feature for line in self.lines if line.outcome is Outcome.PASS}
        reached: Tier | None = None
        for tier in _TIERS:
            if not set(features_of(tier)) <= good:
                break
            reached = tier
        return reached

    def to_dict(self) -> dict[str, Any]:
        """The report as values that the json module accepts."""
        return {
            "url": self.url,
            "versions": {
                "suite": self.versions.suite,
                "core": self.versions.core,
                "dialect": self.versions.dialect,
                "server": self.versions.server,
            },
            "complete": self.complete,
            "passed": self.passed,
            "tier": self.tier,
            "counts": self.counts,
            "features": [
                {
                    "feature": line.feature,
                    "tier": line.tier,
                    "level": line.level,
                    "reason": line.reason,
                    "counts": dict(line.counts),
                    "outcome": line.outcome and line.outcome.value,
                }
                for line in self.lines
            ],
            "cases": [_case(result) for result in self.results],
        }

    def to_text(self) -> str:
        """The report for a terminal: what is bad in full, then the table, then totals."""
        parts = [self._explanation(result) for result in self.bad]
        parts.append(_table(self.lines))
        parts.append(self._totals())
        return "\n\n".join(parts)

    def _explanation(self, result: CaseResult) -> str:
        lines = [f"{result.outcome.value}  {result.case.id}", f"  rule: {result.case.rule}"]
        lines += [f"  {note}" for note in result.notes]
        lines.append(f"  declared: {result.claim.feature} {result.claim.level or 'not at all'}")
        lines += [f"  {line}" for line in result.observation.explanation.splitlines()]
        lines.append(
            f"  alone: python -m dataflow_core.conformance {self.url} --case {result.case.id}"
        )
        return "\n".join(lines)

    def _totals(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        lines = [f"{len(self.results)} cases: {counts or 'none'}"]
        by_topic = Counter(result.case.topic for result in self.results)
        lines.append(
            "topics: " + ", ".join(f"{topic} {count}" for topic, count in by_topic.items())
        )
        if self.complete:
            lines.append(f"tier reached: {self.tier or 'none'}")
            if self.undeclared:
                lines.append(f"undeclared: {', '.join(self.undeclared)}")
        versions = self.versions
        lines.append(
            f"suite {versions.suite}, core {versions.core}, dialect {versions.dialect},"
            f" server {versions.server}"
        )
        return "\n".join(lines)


def _counts(results: Iterable[CaseResult]) -> dict[str, int]:
    counted = Counter(result.outcome for result in results)
    return {outcome.value: counted[outcome] for outcome in Outcome if counted[outcome]}


def _case(result: CaseResult) -> dict[str, Any]:
    return {
        "id": result.case.id,
        "feature": result.case.feature,
        "since": result.case.since,
        "rule": result.case.rule,
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
