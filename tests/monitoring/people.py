"""The model of these tests, and instances that have it."""

from __future__ import annotations

from typing import Any

from dataflow_core import DataFlow, field


class Person:
    __dataflow__ = {"timestamps": False}

    name: str | None = field(default=None, unique=True)
    age: int = 0


def instance(url: str | None = None, **options: Any) -> DataFlow:
    """An instance of the installed plugins."""
    db = DataFlow(url, **options)
    db.model(type("Person", (Person,), {"__module__": __name__}), validation="off")
    return db


async def fill(db: DataFlow, count: int = 8) -> None:
    """Store so many people, called p1, p2, ..."""
    await db.run("PersonBulkCreateNode", data=[{"name": f"p{at + 1}"} for at in range(count)])
