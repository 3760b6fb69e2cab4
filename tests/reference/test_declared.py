"""Declared models whose tables refer to each other, made in one go on every database."""

from __future__ import annotations

from typing import ClassVar

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import ForeignKeyViolation, UnsupportedFeature

# The tables would be the same behind a pooler.
WITHOUT_DATABASES = ("pgbouncer",)


def test_models_that_refer_to_each_other(database_url: str) -> None:
    """Two tables with keys of each other are made, with both references."""
    with DataFlow(database_url) as db:

        @db.model
        class Team:
            title: str
            captain: int | None = field(
                references="Player.id", on_delete="set_null", default=None, nullable=True
            )

        @db.model
        class Player:
            team: int = field(references="Team.id")

        db.migrate()
        assert not db.plan()
        schema = db.discover_schema()
        assert [key["columns"] for key in schema["teams"]["foreign_keys"]] == [["captain"]]
        assert [key["columns"] for key in schema["players"]["foreign_keys"]] == [["team"]]
        assert db.run_sync("TeamCreateNode", title="red")["id"] == 1
        assert db.run_sync("PlayerCreateNode", team=1)["id"] == 1
        with pytest.raises(ForeignKeyViolation):
            db.run_sync("TeamCreateNode", title="blue", captain=7)


def test_references_in_another_order_than_the_key(database_url: str) -> None:
    """The columns of a reference may be declared in any order; an error names them in that."""
    with DataFlow(database_url) as db:

        @db.model
        class Part:
            maker: int
            code: str
            __dataflow__: ClassVar = {"primary_key": ["maker", "code"]}

        @db.model
        class Delivery:
            code: str
            maker: int
            __dataflow__: ClassVar = {
                "foreign_keys": [
                    {
                        "columns": ["code", "maker"],
                        "references": "parts",
                        "target_columns": ["code", "maker"],
                    }
                ]
            }

        db.run_sync("PartCreateNode", maker=1, code="a")
        assert db.run_sync("DeliveryCreateNode", maker=1, code="a")["id"] == 1
        assert not db.plan()
        with pytest.raises(ForeignKeyViolation) as caught:
            db.run_sync("DeliveryCreateNode", maker=2, code="a")
        assert tuple(caught.value.context["columns"]) == ("code", "maker")


def test_plans_are_refused_like_use(database_url: str) -> None:
    """What an engine cannot keep is refused by plans too, before a table is made without it."""
    with DataFlow(database_url) as db:

        @db.model
        class Seat:
            row: int
            state: str
            __dataflow__: ClassVar = {"indexes": [{"fields": ["row"], "where": {"state": "sold"}}]}

        if db.engine().dialect.features["schema.partial_index"].level == "full":
            db.migrate()
            assert not db.plan()
            return
        for call in (db.plan, db.migrate):
            with pytest.raises(UnsupportedFeature):
                call()
        assert db.discover_schema() == {}
