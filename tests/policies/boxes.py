"""Boxes and labels of two tenants, on shared shelves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dataflow_core import DataFlow, field

__all__ = ["BOXES_OF_OTHERS", "OTHERS", "UNITED", "declare", "filled", "looked_up", "weights"]

OTHERS = "acme "
"""The name of another tenant, which differs from `acme` by a blank at its end."""


def declare(db: DataFlow) -> DataFlow:
    """Boxes with a counted key, labels with a natural one, both of tenants, and shared shelves."""

    @db.model(validation="off")
    class Shelf:
        name: str

    @db.model(validation="off")
    class Box:
        __dataflow__ = {"multi_tenant": True}
        code: str = field(unique=True, max_length=20)
        shelf_id: int | None = field(default=None, references="Shelf.id")
        inside_id: int | None = field(default=None, references="Box.id", on_delete="cascade")
        weight: int = 0

    @db.model(validation="off")
    class Label:
        __dataflow__ = {"multi_tenant": True}
        name: str = field(primary_key=True, max_length=20)
        slug: str = field(unique=True, max_length=20)
        box_id: int | None = field(default=None, references="Box.id", on_delete="cascade")
        weight: int = 0

    return db


@asynccontextmanager
async def filled(url: str) -> AsyncIterator[DataFlow]:
    """Two tenants with rows under the same natural keys; those of others weigh a hundred more."""
    async with declare(DataFlow(url)) as db:
        await db.run("ShelfCreateNode", name="s")
        for tenant, more in (("acme", 0), (OTHERS, 100)):
            with db.tenant(tenant):
                first = await db.run("BoxCreateNode", code="one", shelf_id=1, weight=1 + more)
                second = {"code": "two", "inside_id": first["id"], "weight": 2 + more}
                await db.run("BoxCreateNode", **second)
                for name in ("x", "y"):
                    row = {"name": name, "slug": f"s{name}", "weight": 3 + more}
                    await db.run("LabelCreateNode", box_id=first["id"], **row)
        yield db


async def weights(db: DataFlow, tenant: str = OTHERS) -> list[Any]:
    """What a tenant has, row by row."""
    with db.tenant(tenant):
        boxes = (await db.run("BoxListNode"))["records"]
        labels = (await db.run("LabelListNode"))["records"]
    return [(row.get("code", row.get("name")), row["weight"]) for row in (*boxes, *labels)]


BOXES_OF_OTHERS = [("one", 101), ("two", 102), ("x", 103), ("y", 103)]


UNITED = {"$unionWith": {"coll": "Box", "pipeline": [{"$project": {"id": 1}}]}}


def looked_up(local: str, model: str, foreign: str, *, keep: bool = False) -> list[dict[str, Any]]:
    """The stages that put related rows beside rows."""
    lookup = {"from": model, "localField": local, "foreignField": foreign, "as": "it"}
    return [
        {"$lookup": lookup},
        {"$unwind": {"path": "$it", "preserveNullAndEmptyArrays": keep}},
        {"$project": {"_id": 0, "w": "$it.weight"}},
        {"$sort": {"w": 1}},
    ]
