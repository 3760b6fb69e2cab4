"""Two small models, and sagas of a step or two over them."""

from __future__ import annotations

from typing import Any

from dataflow_core import DataFlow, field

ADD = {"node": "EntryCreateNode", "compensation": "EntryDeleteNode"}


class Entry:
    __dataflow__ = {"timestamps": False}

    name: str
    status: str = "new"


class Note:
    __dataflow__ = {"timestamps": False}

    id: int = field(primary_key=True)
    entry_id: int
    status: str = "open"


async def saga(db: DataFlow, *steps: dict[str, Any], **given: Any) -> dict[str, Any]:
    """Run a saga."""
    return await db.run("TransactionManagerNode", steps=list(steps), **given)


async def names(db: DataFlow) -> list[str]:
    """The names of the entries."""
    return [row["name"] for row in (await db.run("EntryListNode"))["records"]]
