"""Streams of a model whose table others made otherwise than this project would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.conformance.servers import SharedServer


@pytest.fixture
def db(database: SharedServer, database_url: str) -> Iterator[DataFlow]:
    """An instance that has not used its models; their tables lack the automatic timestamps."""
    with DataFlow(database_url) as others:
        for sql in (
            "CREATE TABLE makers (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL)",
            "INSERT INTO makers VALUES (1, 'Ada'), (2, 'Grace')",
            "CREATE TABLE tools (id INT PRIMARY KEY, maker_id INT NOT NULL REFERENCES makers (id))",
            "INSERT INTO tools VALUES (1, 2), (2, 1)",
        ):
            others.run_sync("SQLNode", sql=sql)
    with DataFlow(database_url, existing_schema_mode=True) as db:

        @db.model(validation="off")
        class Maker:
            id: int
            name: str

        @db.model(validation="off")
        class Tool:
            id: int
            maker_id: int = field(references="Maker.id")

        yield db


def test_a_stream_may_be_the_first_use(db: DataFlow) -> None:
    """The rows are those of the table as it is, without the columns that it lacks."""
    assert list(db.nodes.Maker.stream(order_by=["id"])) == [
        {"id": 1, "name": "Ada"},
        {"id": 2, "name": "Grace"},
    ]


async def test_an_asynchronous_stream_may_be_the_first_use(db: DataFlow) -> None:
    """So it is with ``async for``, in batches too."""
    assert [batch async for batch in db.nodes.Maker.stream(select=["id"]).batches()] == [
        [{"id": 1}, {"id": 2}]
    ]


def test_a_filter_may_lead_to_another_table_at_first_use(db: DataFlow) -> None:
    """Of several models each is fitted to its table."""
    assert list(db.nodes.Tool.stream(filter={"maker.name": "Ada"})) == [{"id": 2, "maker_id": 1}]


def test_what_is_asked_for_stays_what_it_was(db: DataFlow) -> None:
    """A filter that is changed after the call does not change the stream."""
    wanted = {"id": 1}
    rows = db.nodes.Maker.stream(filter=wanted)
    wanted["id"] = 2
    assert [row["name"] for row in rows] == ["Ada"]


def test_a_list_may_be_a_stream_at_first_use(db: DataFlow) -> None:
    """``stream=True`` of the node works by itself as well."""
    found = db.run_sync("MakerListNode", stream=True, order_by=["id"])
    assert [row["id"] for row in found["result"]] == [1, 2]


def test_an_export_may_be_the_first_use(db: DataFlow, tmp_path: Path) -> None:
    """A file is written from a stream of the rows."""
    assert db.run_sync("MakerExportNode", path=str(tmp_path / "makers.csv"))["rows"] == 2
