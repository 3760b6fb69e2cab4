"""What a case shows about a dialect's word: what was declared against what happened."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from attrs import evolve, field, frozen

from dataflow_core.conformance.registry import Case
from dataflow_core.features import Feature, Level

__all__ = [
    "CaseResult",
    "Claim",
    "Observation",
    "Outcome",
    "claim_about",
    "claim_behind",
    "claim_of",
    "judged",
    "settled",
    "stale_features",
]


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
        asked: the features that core asked for on behalf of the case.
        explanation: why the case did not hold, as text to print.
        seconds: how long the case took.
    """

    passed: bool
    refused: str | None = None
    sent: bool = False
    asked: tuple[str, ...] = ()
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


def stale_features(
    results: Sequence[CaseResult], cases: Sequence[Case], holding: Collection[str]
) -> tuple[str, ...]:
    """The features all of whose cases ran, and hold: if they are declared off, the claim is stale.

    Much of a feature can hold without the database's help, above all what core refuses by itself;
    so one case that holds says nothing, and a part of the cases no more than that.

    Parameters:
        results: of the run.
        cases: every case of the suite.
        holding: ids of those that were refused, and hold where the claims are ignored.
    """
    good = {
        result.case.id
        for result in results
        if result.observation.passed or result.case.id in holding
    }
    lacking = {item.feature for item in cases if item.id not in good}
    return tuple(dict.fromkeys(item.feature for item in cases if item.feature not in lacking))


def settled(
    results: Sequence[CaseResult], working: Collection[str], claims: Callable[[str], Claim]
) -> tuple[CaseResult, ...]:
    """The results, where those of features that are declared off and work say so.

    Parameters:
        results: of the run.
        working: what ``stale_features`` gives.
        claims: gives the claim about a feature.
    """
    return tuple(
        _stale(result, claims(result.case.feature)) if result.case.feature in working else result
        for result in results
    )


def _stale(result: CaseResult, claim: Claim) -> CaseResult:
    if claim.level in (None, "full"):
        return result
    note = f"{claim.feature} is declared {claim.level}, but it works"
    return evolve(result, claim=claim, outcome=Outcome.STALE_CLAIM, notes=(note,))


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
        # Whether the claim is stale shows when all cases of the feature have run.
        return Outcome.PASS, f"{claim.feature} is declared {claim.level}; this holds all the same"
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
