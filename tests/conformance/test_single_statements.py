from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "create": ("NoteCreateNode", {"id": 10, "text": "a"}),
    "create without a key": ("NoteCreateNode", {"text": "a"}),
    "read": ("NoteReadNode", {"id": 1}),
    "update": ("NoteUpdateNode", {"filter": {"id": 1}, "fields": {"text": "b"}}),
    "delete": ("NoteDeleteNode", {"filter": {"id": 1}}),
    "list": ("NoteListNode", {"filter": {"id": {"$gt": 0}}, "limit": 10}),
    "count": ("NoteCountNode", {}),
    "aggregate": ("NoteListNode", {"aggregate": [{"$count": "notes"}]}),
    "bulk update": ("NoteBulkUpdateNode", {"filter": {"id": 1}, "fields": {"text": "b"}}),
    "bulk delete": ("NoteBulkDeleteNode", {"filter": {"id": 1}}),
}


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """An instance with a row."""
    async with DataFlow(database_url) as db:

        @db.model
        class Note:
            text: str

        await db.run("NoteCreateNode", id=1, text="a")
        yield db


class Begun(Exception):
    """A transaction was to be begun."""


@pytest.fixture
async def no_transactions(db: DataFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection of this kind begins a transaction any more."""
    session = await db.engine().borrow(writes=True)
    kind: Any = type(session.connection)
    await db.engine().give_back(session)

    async def begin(*_arguments: Any, **_options: Any) -> None:
        raise Begun

    monkeypatch.setattr(kind, "begin", begin)


@pytest.mark.usefixtures("no_transactions")
@pytest.mark.parametrize("call", CALLS)
async def test_no_transaction_around_a_single_statement(
    call: str, db: DataFlow, database: SharedServer
) -> None:
    """What one statement does is sent without a transaction around it, or in one trip with it where
    the row that was written has to be read. Only MySQL, which does not give back a row that it
    deletes, begins one before, to read it."""
    node, parameters = CALLS[call]
    maria = database.description.startswith("MariaDB")
    if call == "delete" and database.name == "mysql" and not maria:
        with pytest.raises(Begun):
            await db.run(node, **parameters)
    else:
        await db.run(node, **parameters)


@pytest.mark.usefixtures("no_transactions")
async def test_several_rows_are_one_transaction(db: DataFlow) -> None:
    """What may take several statements is all or nothing, and so in a transaction."""
    with pytest.raises(Begun):
        await db.run("NoteBulkCreateNode", data=[{"text": "a"}, {"text": "b"}])
