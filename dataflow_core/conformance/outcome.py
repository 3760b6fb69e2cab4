"""What a case shows about a dialect's word: what was declared against what happened."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import evolve, field, frozen

from dataflow_core.conformance.registry import Case
from dataflow_core.features import Feature, Level

__all__ = ["CaseResult", "Claim", "Observation", "Outcome", "claim_about", "claim_of", "judged"]


class Outcome(enum.StrEnum):
    """The outcomes, from the best to the worst."""

    PASS = "pass"  # noqa: S105 - no password
    DECLINED = "declined"
    KNOWN_GAP = "known gap"
    STALE_CLAIM = "STALE CLAIM"
    BROKEN_CLAIM = "BROKEN CLAIM"
    UNDECLARED = "UNDECLARED"
    FAIL = "FAIL"

    @property
    def bad(self) -> bool:
        """Whether the outcome makes a run fail."""
        return self not in _GOOD


_GAP: Final = Outcome.KNOWN_GAP
_GOOD: Final = (Outcome.PASS, Outcome.DECLINED, Outcome.KNOWN_GAP)


@frozen
class Claim:
    """What a dialect says about a feature on this server; ``level`` is ``None`` if nothing."""

    feature: str
    level: Level | None
    reason: str = ""


@frozen
class Observation:
    """What happened when a case ran.

    Attributes:
        passed: the case held.
        refused: the feature id that an ``UnsupportedFeature`` named.
        sent: whether anything was sent to the database by the call that was refused.
        explanation: why the case did not hold, as text to print.
        seconds: how long the case took.
    """

    passed: bool
    refused: str | None = None
    sent: bool = False
    explanation: str = ""
    seconds: float = 0.0


@frozen
class CaseResult:
    """A case and its outcome; ``notes`` say why it is not a plain pass."""

    case: Case
    claim: Claim
    observation: Observation
    outcome: Outcome
    notes: tuple[str, ...] = field(default=())


def claim_of(features: Mapping[str, Feature], case: Case, version: tuple[int, ...] | None) -> Claim:
    """The claim that a case is judged by: its own feature's, or that of one it lacks."""
    claims = [claim_about(name, features, version) for name in case.features]
    return next((claim for claim in claims if claim.level != "full"), claims[0])


def claim_about(
    name: str, features: Mapping[str, Feature], version: tuple[int, ...] | None
) -> Claim:
    """What a table says about one feature on this version of the server."""
    declared = features.get(name)
    if declared is None:
        return Claim(name, None)
    if declared.level == "full" and not declared.holds(version):
        return Claim(name, "unsupported", declared.reason or "not on this version of the server")
    return Claim(name, declared.level, declared.reason)


def claim_behind(
    claim: Claim,
    seen: Observation,
    features: Mapping[str, Feature],
    version: tuple[int, ...] | None,
) -> Claim:
    """The claim that an observation is judged by: that of a feature that was rightly refused.

    A case may use, beside its own feature, one that is declared off: to refuse it is honest.
    """
    if seen.refused is None or seen.refused == claim.feature or seen.refused not in features:
        return claim
    other = claim_about(seen.refused, features, version)
    return claim if other.level in (None, "full") or claim.level is None else other


def settled(results: Sequence[CaseResult]) -> tuple[CaseResult, ...]:
    """The results, where a claim is stale only if all that was tried of its feature works.

    Much of a feature can hold without the database's help, above all what core refuses by itself.
    """
    lacking = {
        result.claim.feature for result in results if result.outcome in (_GAP, Outcome.DECLINED)
    }
    return tuple(
        evolve(result, outcome=Outcome.PASS)
        if result.outcome is Outcome.STALE_CLAIM and result.claim.feature in lacking
        else result
        for result in results
    )


def judged(case: Case, claim: Claim, seen: Observation) -> CaseResult:
    """The outcome of a case: the declared level decides what the observation means."""
    outcome, note = _judge(claim, seen)
    return CaseResult(case, claim, seen, outcome, (note,) if note else ())


def _judge(claim: Claim, seen: Observation) -> tuple[Outcome, str]:
    if claim.level is None:
        return Outcome.UNDECLARED, f"the dialect says nothing about {claim.feature}"
    if claim.level == "full":
        if seen.passed:
            return Outcome.PASS, ""
        if seen.refused is not None:
            return Outcome.BROKEN_CLAIM, f"declared full, but {seen.refused} was refused"
        return Outcome.FAIL, ""
    if seen.passed:
        return Outcome.STALE_CLAIM, f"{claim.feature} is declared {claim.level}, but it works"
    if not claim.reason:
        return Outcome.FAIL, f"{claim.feature} is declared {claim.level} without a reason"
    if claim.level == "not_implemented":
        return Outcome.KNOWN_GAP, claim.reason
    if seen.refused is None:
        return Outcome.FAIL, f"{claim.feature} is declared unsupported, but was not refused"
    if seen.refused != claim.feature:
        return (
            Outcome.BROKEN_CLAIM,
            f"{claim.feature} is declared unsupported, but {seen.refused} was refused",
        )
    if seen.sent:
        return Outcome.BROKEN_CLAIM, f"{claim.feature} was refused after SQL had been sent"
    return Outcome.DECLINED, claim.reason
