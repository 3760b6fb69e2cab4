"""Several instances and several databases in one program, as the reference has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow_core import DataFlow, WorkflowBuilder
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import (
    AmbiguousNode,
    TableMissing,
    UnknownDatabase,
    UnknownNode,
    UnsupportedFeature,
)
from tests.databases import new_database
from tests.reference.support import ran


@pytest.fixture
def second_url(database: SharedServer) -> Iterator[str]:
    """A second new database of the same server."""
    yield from new_database(database)


def test_instances_share_nothing(database_url: str, tmp_path: Path) -> None:
    """The models, nodes and tables of an instance are its own: the one may make tables, the other
    may not."""
    with (
        DataFlow(
            f"sqlite:///{tmp_path}/notes.db", auto_migrate=True, existing_schema_mode=False
        ) as workshop,
        DataFlow(database_url, auto_migrate=False, existing_schema_mode=True) as live,
    ):

        @workshop.model
        class Draft:
            id: str

        @live.model
        class Poster:
            id: str

        assert (workshop.list_models(), live.list_models()) == (["Draft"], ["Poster"])
        workflow = WorkflowBuilder()
        workflow.add_node("DraftCreateNode", "draft", {"id": "d-1"})
        assert ran(workflow)["draft"]["id"] == "d-1"
        with pytest.raises(UnknownNode):
            live.run_sync("DraftListNode")
        with pytest.raises(TableMissing):
            live.run_sync("PosterCreateNode", id="p-1")
        assert set(workshop.discover_schema()) == {"drafts"}
        assert live.discover_schema() == {}


def test_one_class_in_several_instances(database_url: str, second_url: str) -> None:
    """Stacked decorators give each instance the same nodes, with its own rows; a builder that
    could mean several is refused, and one that says which is not."""
    with (
        DataFlow(":memory:") as trial,
        DataFlow(second_url) as rehearsal,
        DataFlow(database_url) as live,
    ):

        @trial.model
        @rehearsal.model
        @live.model
        class Song:
            title: str
            loud: bool = True

        every = (trial, rehearsal, live)
        assert isinstance(Song, type)
        assert trial.node_names() == rehearsal.node_names() == live.node_names()
        for number, db in enumerate(every, 1):
            for row in range(number):
                assert db.run_sync("SongCreateNode", title=f"t{row}")["loud"] is True
        unclear = WorkflowBuilder()
        unclear.add_node("SongCountNode", "songs")
        with pytest.raises(AmbiguousNode, match="3 open instances"):
            unclear.build()
        for number, db in enumerate(every, 1):
            workflow = WorkflowBuilder(db)
            workflow.add_node("SongListNode", "songs", {"filter": {"loud": True}})
            assert ran(workflow)["songs"]["count"] == number


def test_databases_of_one_instance(database_url: str, second_url: str) -> None:
    """A model names the database that it lives in; one workflow spans them, and each has only its
    own tables."""
    with DataFlow(database_url=database_url, figures_db=second_url) as db:

        @db.model
        class Guest:
            name: str

            __dataflow__ = {"database": "primary"}

        @db.model
        class Click:
            guest_id: int
            button: str

            __dataflow__ = {"database": "figures"}

        workflow = WorkflowBuilder()
        workflow.add_node("GuestCreateNode", "guest", {"name": "Nils"})
        workflow.add_node("ClickCreateNode", "click", {"button": "save"})
        workflow.add_connection("guest", "id", "click", "guest_id")
        results = ran(workflow)
        assert results["click"]["guest_id"] == results["guest"]["id"]
        assert set(db.discover_schema()) == {"guests"}
        assert set(db.discover_schema(database="figures")) == {"clicks"}


def test_a_database_that_the_instance_does_not_have(database_url: str) -> None:
    """A model that names an unknown database is refused when it is used, with those there are."""
    with DataFlow(database_url) as db:

        @db.model
        class Click:
            button: str

            __dataflow__ = {"database": "figures"}

        with pytest.raises(UnknownDatabase, match="primary"):
            db.run_sync("ClickCreateNode", button="save")


def test_a_copy_that_takes_reads(database: SharedServer, database_url: str) -> None:
    """`read_replica` is taken where servers have copies, and rows are read as before; a file has
    none, so there the first use is refused."""
    if database.name == "sqlite":
        with (
            DataFlow(database_url, read_replica=database_url) as db,
            pytest.raises(UnsupportedFeature, match="read_replica"),
        ):
            db.run_sync("SQLNode", sql="SELECT 1 AS one")
        return
    with DataFlow(database_url, read_replica=database_url) as db:

        @db.model
        class Guest:
            name: str

        made = db.run_sync("GuestCreateNode", name="Nils")
        assert db.run_sync("GuestReadNode", id=made["id"])["result"] == made["result"]
