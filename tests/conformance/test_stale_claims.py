"""What is declared off and works: found only where all cases of the feature ran, and hold."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from dataflow_core.conformance import Outcome
from dataflow_core.conformance.outcome import (
    CaseResult,
    Claim,
    Observation,
    judged,
    settled,
    stale_features,
)
from dataflow_core.contract import ConnectOptions, Driver
from dataflow_core.features import Feature
from dataflow_core.url import DatabaseURL
from tests.conformance.test_runner import CASE, REFUSED, LyingDialect, outcomes, run_on


class Replaced:
    """Something with other attributes."""

    def __init__(self, inner: Any, **others: Any) -> None:
        self._inner = inner
        self._others = others

    def __getattr__(self, name: str) -> Any:
        return self._others[name] if name in self._others else getattr(self._inner, name)


async def test_declared_off_but_works_is_a_stale_claim() -> None:
    """What is declared off and works all the same is a stale claim, at both levels below full."""
    for level in ("unsupported", "not_implemented"):
        feature = Feature(level, "we never looked")
        told: list[CaseResult] = []
        report = await run_on(
            LyingDialect({"select.distinct": feature}),
            features=["select.distinct"],
            on_result=told.append,
        )
        assert outcomes(report) == {Outcome.STALE_CLAIM}
        assert not report.passed
        assert tuple(told[-len(report.results) :]) == report.results


async def test_a_part_of_the_cases_makes_no_claim_stale() -> None:
    """Where not every case of a feature ran, nothing is said about whether its claim is stale."""
    told: list[Outcome] = []
    report = await run_on(
        LyingDialect({"select.distinct": Feature("unsupported", "we never looked")}),
        cases=["select.distinct"],
        on_result=lambda result: told.append(result.outcome),
    )
    assert Outcome.STALE_CLAIM not in (*outcomes(report), *told)
    assert report.passed


async def test_a_claim_is_right_if_a_case_fails_without_it() -> None:
    """What core refuses is run again as if it were claimed: one case that fails is enough."""

    class WithoutDistinct(LyingDialect):
        def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
            driver: Any = super().open(url, options)
            connect = driver.connect

            async def connected(lane: Any) -> Any:
                connection = await connect(lane)
                fetch = connection.fetch

                def fetched(sql: str, parameters: Any) -> Any:
                    return fetch(sql.replace("DISTINCT", "DISTINKT"), parameters)

                return Replaced(connection, fetch=fetched)

            return Replaced(driver, connect=connected)

    dialect = WithoutDistinct({"select.distinct": Feature("unsupported", "it has none")})
    report = await run_on(dialect, features=["select.distinct"])
    assert outcomes(report) <= {Outcome.DECLINED, Outcome.PASS}
    assert report.passed


def test_a_claim_is_stale_only_if_all_of_the_feature_works() -> None:
    """What core refuses by itself holds on every database, also where the feature is off."""
    claim = Claim("filters.regex", "unsupported", "no engine")
    passed, refused = (judged(CASE, claim, seen) for seen in (Observation(passed=True), REFUSED))
    other = evolve(CASE, id="made.other")
    cases, both = [CASE, other], [passed, evolve(refused, case=other)]

    def results(holding: set[str]) -> list[Outcome]:
        working = stale_features(both, cases, holding)
        return [one.outcome for one in settled(both, working, lambda _: claim)]

    assert results(set()) == [Outcome.PASS, Outcome.DECLINED]
    assert results({"made.other"}) == [Outcome.STALE_CLAIM] * 2
    assert stale_features(both, [*cases, evolve(CASE, id="made.third")], {"made.other"}) == ()


def test_a_case_that_lacks_another_feature_makes_no_claim_stale() -> None:
    """A case that was refused for a second feature counts for its own one as well."""
    second = Claim("paging", "unsupported", "no pages")
    refused = judged(CASE, second, Observation(passed=False, refused="paging"))
    other = judged(evolve(CASE, id="made.other"), second, Observation(passed=True))
    assert stale_features([refused, other], [refused.case, other.case], set()) == ()
