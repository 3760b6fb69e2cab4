from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve

from dataflow_core.conformance import Case, CaseFailed, Outcome, Report, Session, run
from dataflow_core.conformance import registry as registry_module
from dataflow_core.conformance.equality import first_difference, same
from dataflow_core.conformance.outcome import (
    Claim,
    Observation,
    claim_behind,
    claim_of,
    judged,
)
from dataflow_core.conformance.registry import all_cases, register
from dataflow_core.conformance.runner import observe, selected
from dataflow_core.contract import ConnectOptions, DialectSpec, Driver, hookimpl
from dataflow_core.errors import InvalidValue, UnsupportedFeature
from dataflow_core.features import Feature
from dataflow_core.url import DatabaseURL
from dataflow_sqlite.dialect import SQLiteDialect


class LyingDialect(SQLiteDialect):
    """SQLite under another name, with another table of features."""

    name = "lying"

    def __init__(self, changes: Mapping[str, Feature | None]) -> None:
        super().__init__()
        table = {**SQLiteDialect.features, **changes}
        self.features = {name: feature for name, feature in table.items() if feature is not None}

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        from dataflow_core.url import parse_url

        return super().open(parse_url(":memory:"), options)


def plugin(dialect: SQLiteDialect) -> Any:
    """A plugin that declares the dialect."""

    class Plugin:
        @hookimpl
        def dataflow_dialect(self) -> DialectSpec:
            return DialectSpec(name="lying", schemes=("lying",), load=lambda: dialect, contract=1)

    return Plugin()


async def run_on(dialect: SQLiteDialect, **chosen: Any) -> Report:
    """Run a part of the suite on a dialect."""
    options = {"plugins": [("lying", plugin(dialect))]}
    return await run("lying://user:secret@host/db", options=options, **chosen)


def outcomes(report: Report) -> set[Outcome]:
    """The outcomes of a run."""
    return {result.outcome for result in report.results}


async def test_an_honest_dialect_passes() -> None:
    """With a true table every case passes, and the report says so."""
    report = await run_on(LyingDialect({}), features=["order.null_first"])
    assert report.passed
    assert outcomes(report) == {Outcome.PASS}


async def test_silence_is_undeclared() -> None:
    """A feature that the dialect does not mention is undeclared, though its case passes."""
    report = await run_on(LyingDialect({"paging": None}), cases=["paging.limit_offset"])
    assert outcomes(report) == {Outcome.UNDECLARED}
    assert report.undeclared == ("paging",)
    assert not report.passed


async def test_declared_on_but_refused_is_a_broken_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is declared full and refused is a broken claim."""
    dialect = LyingDialect({})

    def refuse(*_: Any) -> str:
        raise UnsupportedFeature("no", feature="filters.regex", dialect="lying", reason="no")

    monkeypatch.setattr(type(dialect.compiler), "text_match", refuse)
    report = await run_on(dialect, cases=["filters.regex.dot"])
    assert outcomes(report) == {Outcome.BROKEN_CLAIM}


async def test_wrong_results_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that differ from the evaluator's are a failure that explains itself."""
    dialect = LyingDialect({})
    monkeypatch.setattr(
        type(dialect.compiler),
        "order_item",
        lambda self, sql, *, descending, nullable: f"{sql} DESC",
    )
    report = await run_on(dialect, cases=["order.of_n"])
    [result] = report.results
    assert result.outcome is Outcome.FAIL
    text = report.to_text()
    assert result.case.rule in text
    assert "SortedListNode" in text
    assert "ORDER BY" in text
    assert "expected:" in text
    assert "as other dialects spell it:" in text
    assert f'run "$URL" --case {result.case.id}  # URL: lying://user:***@host/db' in text
    assert "secret" not in text


CASE = Case("made.case", "filters.regex", "A rule.", "0.1", observe, also=("paging",))  # type: ignore[arg-type]
REFUSED = Observation(passed=False, refused="filters.regex")


@pytest.mark.parametrize(
    ("claim", "seen", "outcome"),
    [
        (Claim("filters.regex", "full"), Observation(passed=True), Outcome.PASS),
        (Claim("filters.regex", "full"), Observation(passed=False), Outcome.FAIL),
        (Claim("filters.regex", "full"), REFUSED, Outcome.BROKEN_CLAIM),
        (Claim("filters.regex", "unsupported", "no engine"), REFUSED, Outcome.DECLINED),
        (
            Claim("filters.regex", "unsupported", "no engine"),
            Observation(passed=True),
            Outcome.PASS,
        ),
        (
            Claim("filters.regex", "unsupported", "no engine"),
            Observation(passed=False),
            Outcome.FAIL,
        ),
        (
            Claim("filters.regex", "unsupported", "no engine"),
            Observation(passed=False, refused="paging"),
            Outcome.BROKEN_CLAIM,
        ),
        (
            Claim("filters.regex", "unsupported", "no engine"),
            Observation(passed=False, refused="filters.regex", sent=True),
            Outcome.BROKEN_CLAIM,
        ),
        (
            Claim("filters.regex", "not_implemented", "later"),
            Observation(passed=False),
            Outcome.KNOWN_GAP,
        ),
        (Claim("filters.regex", "not_implemented", "later"), REFUSED, Outcome.KNOWN_GAP),
        (Claim("filters.regex", "not_implemented"), Observation(passed=False), Outcome.FAIL),
        (Claim("filters.regex", "unsupported"), REFUSED, Outcome.FAIL),
        (Claim("filters.regex", None), Observation(passed=True), Outcome.UNDECLARED),
    ],
)
def test_outcomes(claim: Claim, seen: Observation, outcome: Outcome) -> None:
    """The declared level decides what an observation means."""
    assert judged(CASE, claim, seen).outcome is outcome


def test_refusing_what_is_declared_off_is_honest_in_any_case() -> None:
    """A case that uses, beside its own, a feature that is declared off is judged by that one."""
    features = {
        "filters.regex": Feature("full"),
        "paging": Feature("unsupported", "no pages"),
        "limits": Feature("not_implemented", "later"),
        "select.distinct": Feature("full"),
    }
    full = Claim("filters.regex", "full")
    for refused, outcome in (
        ("paging", Outcome.DECLINED),
        ("limits", Outcome.KNOWN_GAP),
        ("select.distinct", Outcome.BROKEN_CLAIM),
        ("no.feature", Outcome.BROKEN_CLAIM),
    ):
        seen = Observation(passed=False, refused=refused)
        claim = claim_behind(full, seen, features, None)
        assert judged(CASE, claim, seen).outcome is outcome, refused


def test_a_claim_depends_on_the_server() -> None:
    """A feature that is full from some version on is unsupported before it."""
    features = {
        "filters.regex": Feature("full", "from version 8", server=lambda version: version >= (8,)),
        "paging": Feature("full"),
    }
    assert claim_of(features, CASE, (8, 1)).level == "full"
    assert claim_of(features, CASE, (5, 7)) == Claim(
        "filters.regex", "unsupported", "from version 8"
    )


def test_a_claim_is_that_of_the_missing_feature() -> None:
    """A case that needs a second feature is judged by the one that is off."""
    features = {"filters.regex": Feature("full"), "paging": Feature("unsupported", "no")}
    assert claim_of(features, CASE, None) == Claim("paging", "unsupported", "no")


async def test_a_refusal_before_sql_is_declined() -> None:
    """A case whose call is refused at plan time sends nothing in that call."""

    async def check(session: Session) -> None:
        class Thing:
            id: int

        model = session.model(Thing)
        await session.run(model, "Create", id=1)
        await session.database.before_call(model)
        raise UnsupportedFeature("no", feature="paging", dialect="x", reason="no")

    seen = await observe(":memory:", Case("made.refused", "paging", "A rule.", "0.1", check))
    assert (seen.passed, seen.refused, seen.sent) == (False, "paging", False)


async def test_a_crash_is_a_failure() -> None:
    """Whatever a case raises is its outcome, and the run goes on."""

    async def check(session: Session) -> None:
        raise KeyError("x")

    seen = await observe(":memory:", Case("made.crash", "paging", "A rule.", "0.1", check))
    assert not seen.passed
    assert "KeyError" in seen.explanation


async def test_a_stray_cancellation_is_a_failure() -> None:
    """A CancelledError that nobody asked for is the outcome of its case, and the run goes on."""

    async def check(session: Session) -> None:
        raise asyncio.CancelledError

    item = Case("made.stray", "paging", "A rule.", "0.1", check)
    seen = await observe(":memory:", item)
    assert not seen.passed
    assert "nobody had cancelled" in seen.explanation

    async def waits(session: Session) -> None:
        await asyncio.sleep(60)

    running = asyncio.ensure_future(observe(":memory:", evolve(item, check=waits)))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_closing_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handle that cannot be closed does not hold the run up, and fails its case."""
    monkeypatch.setattr("dataflow_core.conformance.observing.CLOSING", 0.05)

    async def hangs(_: Session) -> None:
        await asyncio.sleep(60)

    async def check(session: Session) -> None:
        monkeypatch.setattr(Session, "close", hangs)

    seen = await observe(":memory:", Case("made.open", "paging", "A rule.", "0.1", check))
    assert not seen.passed
    assert "afterwards: did not end" in seen.explanation


async def test_a_case_that_hangs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case has a time limit."""
    monkeypatch.setattr("dataflow_core.conformance.observing.LIMIT", 0.05)

    async def check(session: Session) -> None:
        await asyncio.sleep(60)

    seen = await observe(":memory:", Case("made.hangs", "paging", "A rule.", "0.1", check))
    assert not seen.passed
    assert "did not end" in seen.explanation


async def test_the_evaluator_is_held_to_the_rule() -> None:
    """A case that expects other rows than the evaluator fails, whatever the database does."""

    async def check(session: Session) -> None:
        class Thing:
            id: int
            n: int | None

        model = session.model(Thing)
        rows = [{"id": 1, "n": 1}]
        await session.load(model, rows)
        await session.expect_filter(model, rows, {"n": 1}, [])

    seen = await observe(":memory:", Case("made.wrong", "paging", "A rule.", "0.1", check))
    assert "the evaluator" in seen.explanation


def test_registering(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id is taken once and well formed, the feature exists, the rule is a sentence."""
    all_cases()
    monkeypatch.setattr(registry_module, "_cases", dict(registry_module._cases))
    register("made.fine", observe, feature="paging", rule="A rule.")  # type: ignore[arg-type]
    for identifier, feature, rule in (
        ("made.fine", "paging", "A rule."),
        ("Made.case", "paging", "A rule."),
        ("nodot", "paging", "A rule."),
        ("made.other", "pagin", "A rule."),
        ("made.other", "paging", ""),
    ):
        with pytest.raises(ValueError, match=r".+"):
            register(identifier, observe, feature=feature, rule=rule)  # type: ignore[arg-type]


def test_choosing() -> None:
    """Topics, features and ids narrow a run; an unknown one is refused with the nearest."""
    assert {item.topic for item in selected(topics=["upsert"])} == {"upsert"}
    assert {item.feature for item in selected(features=["filters.bits"])} == {"filters.bits"}
    assert [item.id for item in selected(cases=["order.ties"])] == ["order.ties"]
    with pytest.raises(InvalidValue) as caught:
        selected(topics=["upserts"])
    assert caught.value.suggestion == "upsert"
    with pytest.raises(InvalidValue, match="no case"):
        selected(topics=["upsert"], features=["filters.bits"])
    assert {item.id for item in selected(topics=["filters.regex"])} == {
        item.id for item in all_cases() if item.id.startswith("filters.regex.")
    }


def test_equality_is_strict() -> None:
    """Values are the same only with their types, at any depth; computed floats may be close."""
    assert same({"a": [1, None]}, {"a": [1, None]})
    assert not same(1, True)
    assert not same(1, 1.0)
    assert not same([1], [1, 2])
    assert not same({"a": 1}, {"b": 1})
    assert not same(0.1 + 0.2, 0.3)
    assert same(0.1 + 0.2, 0.3, close=True)
    assert first_difference({"a": [{"b": 1}]}, {"a": [{"b": 2}]}) == "a[0].b: expected 2, got 1"


def test_case_failed_keeps_both_sides() -> None:
    """A failure carries what was expected and what came."""
    failure = CaseFailed("no", expected=1, got=2)
    assert (failure.expected, failure.got, str(failure)) == (1, 2, "no")
