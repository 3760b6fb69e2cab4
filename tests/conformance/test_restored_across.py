"""What was sent is what is stored: what recorders are told of a bulk create without reading it."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Sequence
from typing import Any

from dataflow_core import DataFlow, field
from dataflow_core.contract import ChangeScope, RowChanges, hookimpl
from dataflow_core.schema import Model

WITHOUT_DATABASES = ("pgbouncer",)


class Teller:
    """Keeps the rows that it is told of."""

    models: Sequence[Model] = ()

    def __init__(self) -> None:
        self.rows: list[Any] = []

    @hookimpl
    def dataflow_change_recorder(self, model: Model) -> Teller:
        """Itself, for every model."""
        return self

    async def record(self, changes: RowChanges, scope: ChangeScope) -> None:
        """Keep the rows."""
        self.rows += [change.after for change in changes]

    async def before_commit(self, kept: Sequence[Any], scope: ChangeScope) -> None:
        """Nothing is left to do."""


class Everything:
    """A field of every type."""

    __dataflow__ = {"timestamps": False}

    id: int
    text: str
    whole: int
    real: float
    flag: bool
    exact: decimal.Decimal = field(precision=12, scale=3)
    moment: dt.datetime
    day: dt.date
    clock: dt.time
    unique: uuid.UUID
    raw: bytes
    document: dict
    items: list


async def test_what_was_sent_is_what_is_stored(database_url: str) -> None:
    """Of a bulk create the values are told as they were sent: they are those that are read."""
    plugin = Teller()
    async with DataFlow(database_url, plugins=[("teller", plugin)]) as db:
        db.model(Everything, validation="off")
        zone = dt.timezone(dt.timedelta(hours=2))
        row = {
            "text": "aé😀\n'\"",
            "whole": 2**60,
            "real": 0.1,
            "flag": True,
            "exact": decimal.Decimal("1.5"),
            "moment": dt.datetime(2024, 2, 29, 1, 2, 3, 456789, zone),
            "day": dt.date(2024, 2, 29),
            "clock": dt.time(23, 59, 59, 999999),
            "unique": uuid.UUID(int=5),
            "raw": b"\0\xff'",
            "document": {"b": [1, 2.5, None, {"c": "d"}], "a": True},
            "items": [1, "x"],
        }
        await db.run("EverythingBulkCreateNode", data=[row, {**row, "flag": False}])
        found = await db.run("EverythingListNode", limit=10)
    assert plugin.rows == found["records"]
    told = plugin.rows[0]
    assert [type(value) for value in told.values()] == [
        type(value) for value in found["records"][0].values()
    ]
