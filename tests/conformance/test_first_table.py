from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataflow_core.conformance import Case, all_cases
from dataflow_core.conformance.command import main
from dataflow_core.conformance.first_table import first_table, levels, table_text
from dataflow_core.conformance.outcome import Observation
from dataflow_core.features import FEATURES, Feature

GOOD = Observation(passed=True)
BAD = Observation(passed=False, explanation='it is "odd" \\ here\nand more')


async def unused(_session: Any) -> None:
    """No case here is ever run."""


def made(name: str, feature: str, *also: str) -> Case:
    """A case that is judged and not run."""
    return Case(name, feature, "A rule.", "0.2", unused, also)


def test_levels_come_from_the_cases() -> None:
    """A feature is full where all its cases pass; else not implemented, with the first failure."""
    cases = [made("a.one", "paging"), made("a.two", "paging"), made("b.one", "limits")]
    table = levels(cases, {"a.one": GOOD, "a.two": BAD, "b.one": GOOD})
    assert table["limits"] == Feature("full")
    assert table["paging"].level == "not_implemented"
    assert table["paging"].reason == 'a.two: it is "odd" \\ here'
    assert set(table) == set(FEATURES)
    assert table["identifiers"].level == "not_implemented"
    assert "no case" in table["identifiers"].reason


def test_a_case_says_nothing_where_a_second_feature_is_missing() -> None:
    """A failure for want of another feature is not counted against the case's own."""
    cases = [made("a.one", "paging"), made("b.one", "limits"), made("b.two", "limits", "paging")]
    table = levels(cases, {"a.one": BAD, "b.one": GOOD, "b.two": BAD})
    assert table["limits"] == Feature("full")
    table = levels(cases, {"a.one": GOOD, "b.one": GOOD, "b.two": BAD})
    assert table["limits"].reason.startswith("b.two")


def test_the_table_is_python() -> None:
    """The text is a module with a table of every feature, whatever the reasons hold."""
    table = {**levels([], {}), "paging": Feature("not_implemented", "a\"b'c \\ ü 😀")}
    text = table_text(table, "Product 1.2, suite 0.2")
    namespace: dict[str, Any] = {}
    exec(compile(text, "features.py", "exec"), namespace)  # noqa: S102 - what was just written
    assert namespace["FEATURES"] == table
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.timeout(120)
async def test_a_database_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every case runs whatever is claimed, and the table is what came out."""
    from dataflow_sqlite.compiler import SQLiteCompiler

    chosen = [item for item in all_cases() if item.topic in ("order", "paging", "select")]
    monkeypatch.setattr("dataflow_core.conformance.first_table.all_cases", lambda: tuple(chosen))
    monkeypatch.setattr(SQLiteCompiler, "order_item", lambda _, sql, **__: f"{sql} DESC")
    told: list[str] = []
    text = await first_table(":memory:", on_seen=lambda item, _: told.append(item.id))
    assert sorted(told) == sorted(item.id for item in chosen)
    assert '"order.null_first": Feature(\n        "not_implemented",\n        "order.' in text
    assert "SQLite 3" in text


def test_init_never_writes_over_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init --output` writes the table to a new file, and refuses one that is there."""
    chosen = tuple(item for item in all_cases() if item.topic == "select")
    monkeypatch.setattr("dataflow_core.conformance.first_table.all_cases", lambda: chosen)
    path = tmp_path / "features.py"
    assert main(["init", ":memory:", "--output", str(path)]) == 0
    written = path.read_text(encoding="utf-8")
    assert '"select.distinct": Feature("full")' in written
    assert main(["init", ":memory:", "--output", str(path)]) == 2
    assert "not written over" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == written
    assert main(["init", ":memory:", "--quiet"]) == 0
    assert '"select.distinct": Feature("full")' in capsys.readouterr().out
