from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from dataflow_core.conformance import Case, Session
from dataflow_core.conformance.observing import observe
from dataflow_core.conformance.watched import EVERYTHING, Recording
from dataflow_core.contract import (
    ConnectOptions,
    DatabaseURL,
    DialectSpec,
    Driver,
    hookimpl,
)
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.features import Feature
from dataflow_core.url import parse_url
from dataflow_sqlite.compiler import SQLiteCompiler
from dataflow_sqlite.dialect import SQLiteDialect


class ShoutingCompiler(SQLiteCompiler):
    """Spells names in another way."""

    def quote(self, name: str) -> str:
        """Brackets."""
        return f"[{name}]"


class OtherDialect(SQLiteDialect):
    """A second installed dialect, which is never connected to."""

    name = "other"
    compiler_class = ShoutingCompiler


class RefusingDialect(SQLiteDialect):
    """A dialect that declares everything off."""

    name = "refusing"
    features = dict.fromkeys(SQLiteDialect.features, Feature("unsupported", "no pages here"))

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        """A database in memory."""
        return super().open(parse_url(":memory:"), options)


def broken() -> Any:
    """A dialect whose driver is not installed."""
    raise ModuleNotFoundError("No module named 'driver'")


class Plugin:
    """A plugin with one dialect."""

    def __init__(self, name: str, load: Any) -> None:
        self.name, self.load = name, load

    @hookimpl
    def dataflow_dialect(self) -> DialectSpec:
        return DialectSpec(name=self.name, schemes=(self.name,), load=self.load, contract=1)


PLUGINS: Mapping[str, Any] = {
    "plugins": [
        ("other", Plugin("other", OtherDialect)),
        ("refusing", Plugin("refusing", RefusingDialect)),
        ("broken", Plugin("broken", broken)),
    ]
}


class Thing:
    """What the cases here work with."""

    id: int
    t: str | None


async def failing(session: Session) -> None:
    """A case whose evaluator and database agree, and that expects something else."""
    model = session.model(Thing)
    rows = [{"id": 1, "t": "apple"}, {"id": 2, "t": "pear"}]
    await session.load(model, rows)
    await session.expect_list(model, {"t": "apple", "$expr": {"$eq": ["$id", 1]}}, [2])


CASE = Case("made.failing", "filters.expression", "A rule.", "0.2", failing)


async def test_a_failure_shows_statement_values_and_both_sides() -> None:
    """The statement that was sent, its values, what was expected and what came are all there."""
    seen = await observe(":memory:", CASE, PLUGINS)
    lines = seen.explanation.splitlines()
    assert lines[1].startswith("operation: ThingListNode({'filter': {'t': 'apple'")
    [statement] = [line for line in lines if line.startswith("statement: ")]
    assert statement.startswith('statement: SELECT "id", "t" FROM "conformance_')
    values = lines[lines.index(statement) + 1]
    assert values.startswith("  values: ['apple', ")
    assert "expected: [{'id': 2, 't': 'pear'}]" in lines
    assert "got:      [{'id': 1, 't': 'apple'}]" in lines


async def test_a_failure_shows_how_other_dialects_spell_it() -> None:
    """Every other installed dialect compiles the same call, or says why it does not."""
    seen = await observe(":memory:", CASE, PLUGINS)
    head, _, elsewhere = seen.explanation.partition("as other dialects spell it:\n")
    assert "[id]" not in head
    assert "  other: SELECT [id], [t] FROM [conformance_" in elsewhere
    assert "    values: ['apple', " in elsewhere
    assert "  refusing: refused: " in elsewhere
    assert "no pages here" in elsewhere
    assert "  broken: cannot be told: ModuleNotFoundError: No module named 'driver'" in elsewhere


async def test_whole_rows_are_shown_where_the_evaluator_gives_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A filter that the database gets wrong is shown with the rows of both sides."""

    async def check(session: Session) -> None:
        model = session.model(Thing)
        rows = [{"id": 1, "t": "b"}, {"id": 2, "t": "a"}]
        await session.load(model, rows)
        monkeypatch.setattr(
            SQLiteCompiler, "order_item", lambda _, sql, **__: f"{sql} DESC", raising=True
        )
        await session.expect_filter(model, rows, {"t": {"$in": ["a", "b"]}}, [1, 2])

    seen = await observe(":memory:", Case("made.rows", "filters.membership", "A.", "0.2", check))
    assert "expected: [{'id': 1, 't': 'b'}, {'id': 2, 't': 'a'}]" in seen.explanation
    assert "got:      [{'id': 2, 't': 'a'}, {'id': 1, 't': 'b'}]" in seen.explanation


async def test_what_was_refused_before_sql_shows_no_statement() -> None:
    """A call that sent nothing says so."""

    async def check(session: Session) -> None:
        model = session.model(Thing)
        await session.run(model, "List", filter={"no_such_field": 1})

    seen = await observe(":memory:", Case("made.unsent", "paging", "A rule.", "0.2", check))
    assert "statement: none was sent" in seen.explanation


async def test_values_reach_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """What the suite notes of values for its report is never logged, not even with echo."""
    caplog.set_level(logging.DEBUG)
    await observe(":memory:", CASE, {"echo": True})
    own = [one.getMessage() for one in caplog.records if one.name.startswith("dataflow")]
    assert any("SELECT" in text for text in own)
    assert not [text for text in own if "apple" in text]


def test_a_recording_keeps_the_latest_statements() -> None:
    """Of many statements the latest are kept, of many values the first; both count the rest."""
    recording = Recording()
    for number in range(30):
        recording.add(f"statement {number}", list(range(100)))
    assert [one.sql for one in recording.statements] == [f"statement {n}" for n in range(10, 30)]
    assert recording.left_out == 10
    assert len(recording.statements[0].values) + recording.statements[0].more == 100
    recording.clear()
    assert not recording.statements
    assert recording.left_out == 0


async def test_claims_can_be_set_aside() -> None:
    """With claims ignored core sends what the dialect declares off, otherwise it refuses."""

    async def check(session: Session) -> None:
        model = session.model(Thing)
        await session.load(model, [{"id": 1, "t": "a"}])
        await session.expect_list(model, {"$expr": {"$eq": ["$t", "a"]}}, [1])

    item = Case("made.claims", "filters.expression", "A rule.", "0.2", check)
    url = "refusing://host/db"
    options = {"plugins": [("refusing", Plugin("refusing", RefusingDialect))]}
    refused = await observe(url, item, options)
    assert refused.refused is not None
    assert refused.refused in EVERYTHING
    assert (await observe(url, item, options, ignore_claims=True)).passed


async def test_a_repeated_case_stops_at_the_first_failure() -> None:
    """A case runs as often as asked for, unless it fails; then it is told which time it was."""
    runs = 0

    async def check(_session: Session) -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            raise UnsupportedFeature("no", feature="paging", dialect="x", reason="no")

    item = Case("made.flaky", "paging", "A rule.", "0.2", check)
    assert (await observe(":memory:", item, repeat=2)).passed
    seen = await observe(":memory:", item, repeat=9)
    assert runs == 3
    assert seen.refused == "paging"
    runs = 0
    seen = await observe(":memory:", item, repeat=9)
    assert seen.explanation.startswith("passed 2 times, then:")


async def test_calls_over_every_handle_are_shown() -> None:
    """A case that works with a handle of its own shows the latest call and what that sent."""

    async def check(session: Session) -> None:
        handle = session.another()
        session.model(Thing, on=handle)
        await handle.run("ThingCreateNode", id=1, t="pear")
        session.equal((await handle.run("ThingReadNode", id=1))["t"], "plum")

    seen = await observe(":memory:", Case("made.handle", "paging", "A rule.", "0.2", check))
    lines = seen.explanation.splitlines()
    assert "operation: ThingReadNode({'id': 1})" in lines
    assert any(line.startswith('statement: SELECT "id", "t" FROM') for line in lines)


async def test_a_list_is_shown_beside_the_rows_of_the_evaluator() -> None:
    """`expect_list` compares keys, and shows whole rows: those loaded, those that came."""

    async def check(session: Session) -> None:
        model = session.model(Thing)
        await session.load(model, [{"id": 1, "t": "a"}, {"id": 2, "t": "b"}])
        await session.expect_list(model, {}, [2, 1])

    seen = await observe(":memory:", Case("made.list", "paging", "A rule.", "0.2", check))
    lines = seen.explanation.splitlines()
    assert "expected: [{'id': 2, 't': 'b'}, {'id': 1, 't': 'a'}]" in lines
    assert "got:      [{'id': 1, 't': 'a'}, {'id': 2, 't': 'b'}]" in lines
