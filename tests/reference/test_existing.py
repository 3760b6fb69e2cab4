"""Databases that others made, as the reference takes them: discovered, registered, shared.

The tables are those of a bike rental, made by the plain drivers.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from dataflow_core import DataFlow, WorkflowBuilder
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import TableMissing
from tests.reference.support import bike_rental, made_by_others, ran

# The plain drivers make the tables; behind a pooler they would be the same.
WITHOUT_DATABASES = ("pgbouncer",)

TABLES = {"stations", "bikes", "trips"}
KINDS = {
    *("create", "read", "update", "delete", "list"),
    *("bulk_create", "bulk_update", "bulk_delete", "bulk_upsert"),
}


@pytest.fixture
def url(database: SharedServer, database_url: str) -> str:
    """A database with the tables of the bike rental."""
    bike_rental(database.name, database_url)
    return database_url


def column(schema: dict[str, dict[str, Any]], table: str, name: str) -> dict[str, Any]:
    """What is told of a column."""
    (found,) = (one for one in schema[table]["columns"] if one["name"] == name)
    return found


def test_tables_are_discovered(url: str) -> None:
    """Discovery tells the tables with columns, keys, references and unique columns."""
    with DataFlow(url, auto_migrate=False, existing_schema_mode=True) as db:
        schema = db.discover_schema(use_real_inspection=True)
    assert set(schema) == TABLES
    assert [one["name"] for one in schema["bikes"]["columns"]] == [
        *("id", "frame", "rentable", "bought", "station_id")
    ]
    assert all(table["primary_key"] == ["id"] for table in schema.values())
    assert all(table["kind"] == "table" for table in schema.values())
    assert column(schema, "bikes", "id")["generated"] == "counter"
    assert column(schema, "stations", "title")["unique"] is True
    assert column(schema, "trips", "fare")["nullable"] is True
    assert column(schema, "bikes", "frame")["nullable"] is False
    types = {name: column(schema, "bikes", name)["field_type"] for name in ("rentable", "bought")}
    assert types == {"rentable": "bool", "bought": "datetime"}
    (reference,) = schema["trips"]["foreign_keys"]
    assert reference["columns"] == ["bike_id"]
    assert reference["references"] == {"table": "bikes", "columns": ["id"]}


def test_without_looking_only_models_are_told(url: str) -> None:
    """`use_real_inspection=False` gives what the models of the instance say, and invents none."""
    with DataFlow(url, existing_schema_mode=True) as db:
        assert db.discover_schema(use_real_inspection=False) == {}
        db.register_schema_as_models(tables=["trips"])
        assert set(db.discover_schema(use_real_inspection=False)) == {"trips"}


def test_tables_become_models(url: str) -> None:
    """Registered tables have nodes at once, found by the name of the class or of the table; rows
    come as the values that they are."""
    with DataFlow(url, existing_schema_mode=True) as db:
        found = db.register_schema_as_models(tables=["bikes", "trips"])
        assert found["registered_models"] == ["Bike", "Trip"]
        assert (found["success_count"], found["error_count"], found["errors"]) == (2, 0, {})
        nodes = found["generated_nodes"]
        assert list(nodes) == ["Bike", "Trip"]
        assert nodes["bikes"] == nodes["Bike"]
        assert set(nodes["Bike"]) >= KINDS
        assert nodes["Bike"]["bulk_upsert"] == "BikeBulkUpsertNode"

        workflow = WorkflowBuilder()
        workflow.add_node(
            nodes["bikes"]["list"], "bikes", {"filter": {"rentable": True}, "limit": 2}
        )
        workflow.add_node(nodes["trips"]["list"], "trips", {"filter": {"fare": {"$gt": 0}}})
        results = ran(workflow)
        assert [row["frame"] for row in results["bikes"]["result"]] == ["red", "blue"]
        first = results["bikes"]["result"][0]
        assert first["rentable"] is True
        assert first["bought"] == dt.datetime(2024, 3, 1, 8, tzinfo=dt.UTC)
        fares = [row["fare"] for row in results["trips"]["records"]]
        assert fares == [Decimal("3.50"), Decimal("4.25"), Decimal("0.10")]


def test_rows_are_written_too(url: str) -> None:
    """Safe mode keeps the schema and not the rows: a registered table is written as any other."""
    with DataFlow(url, existing_schema_mode=True) as db:
        nodes = db.register_schema_as_models(tables=["stations"])["generated_nodes"]["stations"]
        workflow = WorkflowBuilder()
        workflow.add_node(nodes["create"], "made", {"title": "Castle"})
        workflow.add_node(
            nodes["update"], "moved", {"filter": {"title": "Castle"}, "fields": {"district": "old"}}
        )
        workflow.add_node(nodes["delete"], "gone", {"filter": {"title": "Castle"}})
        results = ran(workflow)
        assert results["made"]["result"] == {"id": 4, "title": "Castle", "district": "centre"}
        assert results["moved"]["district"] == "old"
        assert results["gone"]["deleted"] is True


def test_a_table_that_is_not_there(url: str) -> None:
    """What cannot be registered is counted with its reason, and the rest is registered."""
    with DataFlow(url, existing_schema_mode=True) as db:
        found = db.register_schema_as_models(tables=["station", "trips"])
        assert (found["registered_models"], found["success_count"]) == (["Trip"], 1)
        assert found["error_count"] == 1
        assert "station" in found["errors"]["station"]
        assert "station" not in found["generated_nodes"]


def test_models_are_shared(url: str) -> None:
    """What one instance registers another reconstructs from the registry, with nodes that work;
    it never saw the tables."""
    with DataFlow(url, existing_schema_mode=True) as keeper:
        keeper.install_registry()
        shared = keeper.register_schema_as_models(tables=["stations", "bikes", "trips"])
        assert shared["registered_models"] == ["Station", "Bike", "Trip"]

        # Both instances are open: the names of nodes know which one they belong to.
        with DataFlow(url, existing_schema_mode=True) as reader:
            models = reader.reconstruct_models_from_registry()
            assert set(models["reconstructed_models"]) == {"Station", "Bike", "Trip"}
            assert (models["success_count"], models["error_count"]) == (3, 0)
            workflow = WorkflowBuilder()
            workflow.add_node(
                models["generated_nodes"]["bikes"]["list"],
                "newest",
                {"filter": {"rentable": True}, "order_by": ["-bought"], "limit": 2},
            )
            rows = ran(workflow)["newest"]["records"]
            assert [row["frame"] for row in rows] == ["blue", "red"]
            assert set(reader.discover_schema(use_real_inspection=True)) == TABLES


def test_models_are_not_shared_where_that_is_off(url: str) -> None:
    """`enable_model_persistence=False` writes nothing into the registry; without its table there
    is nothing to reconstruct, and nothing fails."""
    with DataFlow(url, existing_schema_mode=True) as db:
        assert db.register_schema_as_models(tables=["trips"])["error_count"] == 0
        models = db.reconstruct_models_from_registry()
        assert (models["success_count"], models["reconstructed_models"]) == (0, [])
        db.install_registry()
    with DataFlow(url, existing_schema_mode=True, enable_model_persistence=False) as db:
        db.register_schema_as_models(tables=["trips"])
    with DataFlow(url, existing_schema_mode=True) as db:
        assert db.reconstruct_models_from_registry()["success_count"] == 0


def test_an_agent_explores(url: str) -> None:
    """A program that knows nothing takes samples of all tables: `order_by=[]` sorts by the key,
    and the tables of the project are no tables of the user."""
    with DataFlow(url, existing_schema_mode=True) as db:
        db.install_registry()
        schema = db.discover_schema(use_real_inspection=True)
        tables = [name for name in schema if not name.startswith("dataflow_")]
        found = db.register_schema_as_models(tables=tables[:5])
        workflow = WorkflowBuilder()
        for name in found["registered_models"]:
            workflow.add_node(
                found["generated_nodes"][name]["list"],
                f"some_{name}",
                {"limit": 3, "order_by": []},
            )
        samples = {name: result["result"] for name, result in ran(workflow).items()}
        assert {name: [row["id"] for row in rows] for name, rows in samples.items()} == {
            "some_Station": [1, 2, 3],
            "some_Bike": [1, 2, 3],
            "some_Trip": [1, 2, 3],
        }


@pytest.mark.parametrize("options", [{}, {"auto_migrate": True}, {"auto_migrate": False}])
def test_a_production_database_stays_as_it_is(url: str, options: dict[str, bool]) -> None:
    """A model that is declared by accident is known to the instance and makes no table, whatever
    `auto_migrate` says beside the safe mode."""
    with DataFlow(url, existing_schema_mode=True, **options) as db:

        @db.model
        class Helmet:
            size: str
            price: int

        assert "Helmet" in db.list_models()
        with pytest.raises(TableMissing, match="helmets"):
            db.run_sync("HelmetCreateNode", size="M", price=30)
        assert set(db.discover_schema(use_real_inspection=True)) == TABLES


def test_a_development_database_grows(url: str) -> None:
    """With `auto_migrate` the table of a new model is made at its first use, beside the others."""
    with DataFlow(url, auto_migrate=True, existing_schema_mode=False) as db:

        @db.model
        class Helmet:
            size: str

        assert set(db.discover_schema()) == TABLES
        assert db.run_sync("HelmetCreateNode", size="M")["id"] == 1
        assert set(db.discover_schema()) == TABLES | {"helmets"}


def test_names_that_are_words_of_sql(database: SharedServer, database_url: str) -> None:
    """Tables and columns whose names are words of SQL, or odd, are discovered and read."""
    mark = "`" if database.name == "mysql" else '"'
    made_by_others(
        database.name,
        database_url,
        [
            f"CREATE TABLE {mark}order{mark} (id INT PRIMARY KEY, {mark}select{mark} INT,"
            f" {mark}group by{mark} INT)",
            f"INSERT INTO {mark}order{mark} VALUES (7, 1, 2)",
        ],
    )
    with DataFlow(database_url, existing_schema_mode=True) as db:
        found = db.register_schema_as_models()
        assert (found["success_count"], found["errors"]) == (1, {})
        listed = db.run_sync(found["generated_nodes"]["order"]["list"], filter={"select": 1})
        assert [row["id"] for row in listed["records"]] == [7]
        assert sorted(listed["records"][0].values()) == [1, 2, 7]


def test_keys_called_as_parameters_are(database: SharedServer, database_url: str) -> None:
    """A part of a key may be called as what a policy asks for: it is the key there."""
    made_by_others(
        database.name,
        database_url,
        [
            "CREATE TABLE pages (tenant_id INT, version INT NOT NULL, body VARCHAR(9),"
            " PRIMARY KEY (tenant_id, version))",
            "INSERT INTO pages VALUES (1, 1, 'a'), (1, 2, 'b'), (2, 2, 'c')",
        ],
    )
    with DataFlow(database_url, existing_schema_mode=True) as db:
        nodes = db.register_schema_as_models()["generated_nodes"]["pages"]
        key = {"tenant_id": 1, "version": 2}
        assert db.run_sync(nodes["read"], **key)["body"] == "b"
        assert db.run_sync(nodes["update"], **key, fields={"body": "d"})["updated"]
        assert db.run_sync(nodes["delete"], **key)["body"] == "d"
        left = db.run_sync(nodes["list"], order_by=["tenant_id"])["records"]
    assert [row["body"] for row in left] == ["a", "c"]


def test_defaults_that_are_documents(database: SharedServer, database_url: str) -> None:
    """A column whose default is a document has it in each row that gives none."""
    column = f"args {'JSONB' if database.name == 'postgres' else 'JSON'} NOT NULL"
    made_by_others(
        database.name,
        database_url,
        [f"CREATE TABLE jobs (id INT PRIMARY KEY, {column} DEFAULT ('{{\"a\": [1]}}'))"],
    )
    with DataFlow(database_url, existing_schema_mode=True) as db:
        nodes = db.register_schema_as_models()["generated_nodes"]["jobs"]
        made = [db.run_sync(nodes["create"], id=number)["args"] for number in (1, 2)]
        listed = db.run_sync(nodes["list"])["records"]
    assert made == [row["args"] for row in listed] == [{"a": [1]}] * 2


def test_tables_come_in_the_order_of_their_names(database: SharedServer, database_url: str) -> None:
    """Tables are told by name, not as they were made; so the same ones of like names are taken."""
    made_by_others(
        database.name,
        database_url,
        [f"CREATE TABLE {table} (id INT PRIMARY KEY)" for table in ("zones", "areas", "area")],
    )
    with DataFlow(database_url, existing_schema_mode=True) as db:
        assert list(db.discover_schema()) == ["area", "areas", "zones"]
        found = db.register_schema_as_models()
    assert found["registered_models"] == ["Area", "Zone"]
    assert list(found["errors"]) == ["areas"]


def test_many_register_the_same_at_once(url: str) -> None:
    """Whoever comes second to the registry finds the model there; nobody fails."""
    with DataFlow(url) as db:
        db.install_registry()

    async def register(db: DataFlow) -> int:
        return int((await db.aregister_schema_as_models())["success_count"])

    async def all_of_them() -> list[int]:
        instances = [DataFlow(url, existing_schema_mode=True) for _ in range(6)]
        counts = await asyncio.gather(*(register(db) for db in instances))
        for db in instances:
            await db.aclose()
        return counts

    assert asyncio.run(all_of_them()) == [3] * 6
    with DataFlow(url, existing_schema_mode=True) as db:
        assert db.reconstruct_models_from_registry()["success_count"] == 3
