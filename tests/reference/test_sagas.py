"""The reference's saga: three steps, each with the node that undoes it, and a time limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dataflow_core import Context, DataFlow, WorkflowBuilder
from tests.reference.support import ran

STEPS = [
    {"node": "DepositCreateNode", "compensation": "DepositRepayNode"},
    {"node": "BookingUpdateNode", "compensation": "BookingReopenNode"},
    {"node": "RoomUpdateNode", "compensation": "RoomReleaseNode"},
]


@pytest.fixture
def db(database_url: str) -> Iterator[DataFlow]:
    """A hotel with a booking and a room; the nodes that undo are functions of the user."""
    with DataFlow(database_url) as db:

        @db.model
        class Deposit:
            amount: int
            booking_id: int

        @db.model
        class Booking:
            guest: str
            state: str = "open"

        @db.model
        class Room:
            number: int
            state: str = "free"

            __dataflow__ = {"checks": {"known": {"state": {"$in": ["free", "confirmed"]}}}}

        @db.node("DepositRepayNode")
        async def repay(context: Context, deposit_id: int) -> dict:
            return await context.run("DepositDeleteNode", id=deposit_id)

        @db.node("BookingReopenNode")
        async def reopen(context: Context, booking_id: int) -> dict:
            return await context.run("BookingUpdateNode", id=booking_id, fields={"state": "open"})

        @db.node("RoomReleaseNode")
        async def release(context: Context, room_id: int) -> dict:
            return await context.run("RoomUpdateNode", id=room_id, fields={"state": "free"})

        db.run_sync("BookingCreateNode", guest="Mary")
        db.run_sync("RoomCreateNode", number=12)
        yield db


def pay(state: str) -> dict[str, Any]:
    """Run the saga; what it gives."""
    workflow = WorkflowBuilder()
    workflow.add_node(
        "TransactionManagerNode",
        "pay",
        {
            "transaction_type": "saga",
            "steps": STEPS,
            "timeout": 30,
            "context": {"booking_id": 1, "room_id": 1, "amount": 50, "fields": {"state": state}},
        },
    )
    return ran(workflow)["pay"]


def stored(db: DataFlow) -> tuple[Any, ...]:
    """The number of deposits, and the states of booking and room."""
    return (
        db.run_sync("DepositCountNode")["count"],
        db.run_sync("BookingReadNode", id=1)["state"],
        db.run_sync("RoomReadNode", id=1)["state"],
    )


def test_all_steps_are_done(db: DataFlow) -> None:
    """The steps take what they need from the context by name, and all of them are done."""
    result = pay("confirmed")
    assert result["status"] == "completed"
    assert [step["outcome"] for step in result["steps"]] == ["done"] * 3
    assert stored(db) == (1, "confirmed", "confirmed")


def test_what_was_done_is_undone(db: DataFlow) -> None:
    """When the last step cannot be done, the two before it are undone; nothing is raised."""
    result = pay("on fire")
    assert result["status"] == "compensated"
    outcomes = [step["outcome"] for step in result["steps"]]
    assert outcomes == ["compensated", "compensated", "failed"]
    assert result["steps"][2]["error"]["error"] == "CheckViolation"
    assert stored(db) == (0, "open", "free")
