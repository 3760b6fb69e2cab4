"""What an instance with ``existing_schema_mode`` sends: never a change of the schema."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.conformance.watched import Recording, WatchedDialect
from dataflow_core.errors import DataFlowError, SchemaChangeRefused, TableMissing

_CHANGE = re.compile(r"\s*(CREATE|ALTER|DROP|TRUNCATE|RENAME|COMMENT|REINDEX)\b", re.IGNORECASE)
_TEMPORARY = re.compile(
    r"\s*(CREATE\s+(TEMPORARY|TEMP)|DROP\s+TEMPORARY)\b|\s*DROP\s+TABLE\s+\W*__dataflow",
    re.IGNORECASE,
)
ROWS = [{"name": f"n{number}", "age": number} for number in range(300)]


def declare(db: DataFlow) -> None:
    """The model that there is a table for."""

    @db.model(validation="off")
    class Member:
        name: str = field(unique=True)
        age: int = field(index=True)
        boss_id: int | None = field(None, references="Member.id", on_delete="set_null")


def recorded(db: DataFlow) -> Recording:
    """Every statement that goes over the connections of an instance, which has none yet."""
    recording = Recording(deque())
    engine: Any = db.engine()
    engine.dialect = WatchedDialect(engine.dialect, recording, {})
    return recording


def changes(recording: Recording) -> list[str]:
    """The statements that change the schema; what is temporary is none of it."""
    found = (statement.sql for statement in recording.statements)
    return [sql for sql in found if _CHANGE.match(sql) and not _TEMPORARY.match(sql)]


async def every_node(db: DataFlow, path: Path) -> None:
    """Call every node of the model, most of them in more than one way."""
    member: Any = db.nodes.Member
    first = await member.create(name="first", age=1)
    await member.read(id=first["id"])
    await member.update(id=first["id"], fields={"name": "1st", "$inc": {"age": 1}})
    await member.upsert(name="second", age=3, match_fields=["name"])
    await member.list(filter={"age": {"$gt": 1}}, order_by=["-age"], limit=1)
    await member.list(aggregate=[{"$group": {"_id": "$age", "n": {"$count": {}}}}])
    await member.count(filter={"name": {"$startswith": "f"}})
    await member.bulk_create(data=ROWS)
    await member.bulk_update(filter={"age": {"$gt": 290}}, fields={"$inc": {"age": 1}})
    await member.bulk_update(data=[{"id": first["id"], "age": 9}])
    await member.bulk_upsert(data=ROWS, match_fields=["name"])
    await member.export_to(path, filter={"age": 5})
    await member.import_from(path, conflict="skip")
    assert len([row async for row in member.stream(filter={"age": {"$lt": 10}})]) > 5
    async with db.transaction():
        await member.delete(id=first["id"])
    await member.bulk_delete(filter={}, allow_all=True)


async def test_nothing_of_the_schema_is_changed(database_url: str, tmp_path: Path) -> None:
    """Every node, discovery and the registry: no statement changes the schema."""
    async with DataFlow(database_url) as maker:
        declare(maker)
        await maker.run("MemberCountNode")
    async with DataFlow(database_url, existing_schema_mode=True) as db:
        sent = recorded(db)
        declare(db)
        await every_node(db, tmp_path / "members.csv")
        schema = await db.adiscover_schema()
        assert set(schema) == {"members"}
        await db.aregister_schema_as_models()
        await db.areconstruct_models_from_registry()
        db.export_models(tmp_path / "models.json")
        db.import_models(tmp_path / "models.json")
        await db.aplan()
    assert changes(sent) == []
    assert len(sent.statements) > 40


async def test_a_missing_table_stays_missing(database_url: str) -> None:
    """Every node of a model without a table is refused, and so is asking for the change."""
    async with DataFlow(database_url, existing_schema_mode=True, auto_migrate=True) as db:
        sent = recorded(db)
        declare(db)
        calls: list[tuple[str, dict[str, Any]]] = [
            ("Create", {"name": "a", "age": 1}),
            ("Read", {"id": 1}),
            ("Update", {"id": 1, "fields": {"age": 2}}),
            ("Delete", {"id": 1}),
            ("List", {}),
            ("Count", {}),
            ("Upsert", {"id": 1, "name": "a", "age": 1}),
            ("BulkCreate", {"data": ROWS}),
            ("BulkUpdate", {"filter": {"age": 1}, "fields": {"age": 2}}),
            ("BulkDelete", {"filter": {"age": 1}}),
            ("BulkUpsert", {"data": ROWS, "match_fields": ["name"]}),
        ]
        for kind, parameters in calls:
            with pytest.raises(TableMissing, match="may not make it"):
                await db.run(f"Member{kind}Node", **parameters)
        with pytest.raises(SchemaChangeRefused):
            await db.amigrate()
        found = await db.areconstruct_models_from_registry()
        assert (found["success_count"], found["error_count"]) == (0, 0)
        assert await db.adiscover_schema() == {}
        assert "members" in str(await db.aplan())
    assert changes(sent) == []


async def test_a_registry_is_made_on_request(database_url: str) -> None:
    """Models that were discovered are kept once the table of the registry was asked for."""
    async with DataFlow(database_url, enable_model_persistence=False) as maker:
        declare(maker)
        await maker.run("MemberCreateNode", name="a", age=1)
        with pytest.raises(DataFlowError):
            await maker.run("SQLNode", sql="SELECT * FROM dataflow_models")
    async with DataFlow(database_url, existing_schema_mode=True) as engineer:
        await engineer.ainstall_registry()
        found = await engineer.aregister_schema_as_models(["members"])
        assert found["registered_models"] == ["Member"]
    async with DataFlow(database_url, existing_schema_mode=True) as developer:
        models = await developer.areconstruct_models_from_registry()
        assert models["reconstructed_models"] == ["Member"]
        listed = await developer.run(models["generated_nodes"]["members"]["list"])
        assert [row["name"] for row in listed["records"]] == ["a"]
