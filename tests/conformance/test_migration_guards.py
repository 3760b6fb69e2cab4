"""Guards of the schema, as plugins offer them: asked, obeyed and told on every database."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.contract import SchemaReader, hookimpl
from dataflow_core.errors import PluginError, SchemaChangeRefused
from dataflow_core.operations import MigrationFinding, SchemaPlan, TableChange

ROOT = Path(__file__).resolve().parents[2]
Opened = Callable[..., DataFlow]


class Guard:
    """Says what it is told to say, and keeps what it is asked."""

    def __init__(self) -> None:
        self.findings: Any = []
        self.more: Any = ()
        self.error: Exception | None = None
        self.late: Exception | None = None
        self.seen: list[SchemaPlan] = []
        self.applied_plans: list[SchemaPlan] = []
        self.servers: list[str] = []

    @hookimpl
    def dataflow_migration_guard(self, database: str) -> Guard | None:
        """Guard the primary database only."""
        return self if database == "primary" else None

    async def check(self, plan: SchemaPlan, reader: SchemaReader) -> Sequence[MigrationFinding]:
        """Ask the database something, and answer as told."""
        self.seen.append(plan)
        [[one]] = await reader.fetch("SELECT 1")
        assert one == 1
        self.servers.append(reader.server.name)
        if self.error is not None:
            raise self.error
        return self.findings

    def statements(self, change: TableChange, reader: SchemaReader) -> Sequence[str]:
        """What it is, and more."""
        return self.more if isinstance(self.more, str) else (*change.statements, *self.more)

    async def applied(self, plan: SchemaPlan, seconds: float) -> None:
        """Keep the plan."""
        assert seconds > 0
        self.applied_plans.append(plan)
        if self.late is not None:
            raise self.late


@pytest.fixture
def guard() -> Guard:
    """A guard that has nothing to say."""
    return Guard()


def opened(url: str, plugin: object, model: type, **options: Any) -> DataFlow:
    """An instance with a plugin and one model, which is called Part whatever its shape."""
    db = DataFlow(url, plugins=[("guard", plugin)], **options)
    db.model(type("Part", (model,), {"__module__": __name__}), validation="off")
    return db


class First:
    name: str = field(max_length=50)


class Second:
    name: str = field(max_length=50, unique=True)
    note: str | None = None


async def test_a_guard_sees_every_plan_and_is_told(database_url: str, guard: Guard) -> None:
    """First use and `migrate` ask it, `plan` too; only what was done is told to it."""
    async with opened(database_url, guard, First) as db:
        await db.run("PartCreateNode", name="bolt")
    async with opened(database_url, guard, Second) as db:
        assert "add the column 'note'" in str(await db.aplan())
        await db.amigrate()
    assert [plan.on_first_use for plan in guard.seen] == [True, False, False, False]
    assert [plan.on_first_use for plan in guard.applied_plans] == [True, False]
    assert guard.applied_plans[-1].statements == guard.seen[-1].statements
    assert len(set(guard.servers)) == 1


async def test_a_refusal_changes_nothing(database_url: str, guard: Guard) -> None:
    """The error has the guard's words and the plan, the table stays, and `plan` says it too."""
    async with opened(database_url, guard, First) as db:
        await db.run("PartCreateNode", name="bolt")
    guard.findings = [MigrationFinding("refusal", "it is a holiday", "parts")]
    async with opened(database_url, guard, Second) as db:
        for _ in range(2):
            with pytest.raises(SchemaChangeRefused, match="it is a holiday") as caught:
                await db.run("PartListNode")
        assert "refusal: 'parts': it is a holiday" in caught.value.context["plan"]
        with pytest.raises(SchemaChangeRefused):
            await db.amigrate(allow_data_loss=True)
        assert (await db.aplan()).refusals == tuple(guard.findings)
        assert "note" not in (await db.adiscover_schema())["parts"]["columns"]
    assert len(guard.applied_plans) == 1
    async with opened(database_url, guard, First) as db:
        assert [row["name"] for row in (await db.run("PartListNode"))["records"]] == ["bolt"]


async def test_a_note_is_logged_and_the_plan_is_done(
    database_url: str, guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no refusal stops nothing."""
    guard.findings = [MigrationFinding("note", "parts are counted elsewhere too")]
    async with opened(database_url, guard, First) as db:
        await db.run("PartCreateNode", name="bolt")
    assert "parts are counted elsewhere too" in caplog.text


async def test_statements_of_a_guard_are_sent(database_url: str, guard: Guard) -> None:
    """They come after or instead of those of the plan, and `plan` shows them."""
    guard.more = ("CREATE TABLE beside (id INTEGER)",)
    async with opened(database_url, guard, First) as db:
        assert (await db.aplan()).statements[-1] == guard.more[0]
        await db.run("PartCreateNode", name="bolt")
        assert set(await db.adiscover_schema()) == {"parts", "beside"}


@pytest.mark.parametrize("answer", [None, "text", [1], [MigrationFinding("alarm", "?")]])  # type: ignore[arg-type]
async def test_a_wrong_answer_keeps_the_plan_from_being_done(
    database_url: str, guard: Guard, answer: object
) -> None:
    """A guard that does not keep its contract is named, and no table is made."""
    guard.findings = answer
    async with opened(database_url, guard, First) as db:
        with pytest.raises(PluginError, match=r"the plugin 'guard'.*nothing was changed"):
            await db.run("PartCreateNode", name="bolt")
        assert await db.adiscover_schema() == {}


async def test_wrong_statements_keep_the_plan_from_being_done(
    database_url: str, guard: Guard
) -> None:
    """One text is no list of statements."""
    guard.more = "DROP TABLE parts"
    async with opened(database_url, guard, First) as db:
        with pytest.raises(PluginError, match="expected a list of SQL"):
            await db.run("PartCreateNode", name="bolt")
        assert await db.adiscover_schema() == {}


async def test_a_guard_that_fails_keeps_the_plan_from_being_done(
    database_url: str, guard: Guard
) -> None:
    """Whoever cannot look does not let pass."""
    guard.error = RuntimeError("no disk")
    async with opened(database_url, guard, First) as db:
        with pytest.raises(PluginError, match="no disk"):
            await db.run("PartCreateNode", name="bolt")
        assert await db.adiscover_schema() == {}
        guard.error = None
        await db.run("PartCreateNode", name="bolt")


async def test_a_guard_that_fails_afterwards_undoes_nothing(
    database_url: str, guard: Guard
) -> None:
    """The error says that the schema was changed, and the next call goes on."""
    guard.late = RuntimeError("no disk")
    async with opened(database_url, guard, First) as db:
        with pytest.raises(PluginError, match="the schema was changed") as caught:
            await db.run("PartCreateNode", name="bolt")
        assert caught.value.outcome == "done"
        await db.run("PartCreateNode", name="bolt")
        assert (await db.run("PartListNode"))["count"] == 1


async def test_what_is_no_guard_is_refused(database_url: str) -> None:
    """A hook that returns something else names its plugin."""

    class Wrong:
        @hookimpl
        def dataflow_migration_guard(self, database: str) -> str:
            return database

    async with opened(database_url, Wrong(), First) as db:
        with pytest.raises(PluginError, match="expected MigrationGuard"):
            await db.run("PartCreateNode", name="bolt")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The plugin of `examples/`, for which three rows make a large table."""
    folder = ROOT / "examples" / "dataflow_schema_guard" / "dataflow_schema_guard"
    spec = importlib.util.spec_from_file_location("schema_guard_plugin", folder / "plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("SCHEMA_GUARD_ROWS", "3")
    monkeypatch.setenv("SCHEMA_GUARD_LOG", str(tmp_path / "schema.log"))
    return module


async def test_the_example_guards_large_tables(
    database_url: str, example: ModuleType, tmp_path: Path
) -> None:
    """A table of three rows is changed by `migrate` only, one of two on first use as well."""
    async with opened(database_url, example, First) as db:
        await db.run("PartBulkCreateNode", data=[{"name": text} for text in "ab"])
    async with opened(database_url, example, Second) as db:
        await db.run("PartCreateNode", name="c")

    class Third(Second):
        weight: int | None = None

    async with opened(database_url, example, Third) as db:
        with pytest.raises(SchemaChangeRefused, match="it has 3 rows or more"):
            await db.run("PartListNode")
        await db.amigrate()
        assert (await db.run("PartListNode"))["count"] == 3
    lines = [json.loads(line) for line in (tmp_path / "schema.log").read_text().splitlines()]
    assert [line["changes"][0] for line in lines] == [
        "make the table 'parts' of Part",
        "change the table 'parts' of Part:",
        "change the table 'parts' of Part:",
    ]
