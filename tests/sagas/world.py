"""A shop whose orders are sagas of five steps, and what must hold of it whatever was killed."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import Any

from dataflow_core import Context, DataFlow, field
from dataflow_core.errors import UniqueViolation
from dataflow_sagas import list_sagas
from dataflow_sagas.tables import inside

FUNDS = 1_000_000
LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


class Order:
    __dataflow__ = {"timestamps": False}

    number: int


class Account:
    __dataflow__ = {"timestamps": False}

    id: int = field(primary_key=True)
    balance: int


class Shipment:
    """What the user's own function did, by its idempotency key, and how often it was undone."""

    __dataflow__ = {"timestamps": False}

    key: str = field(primary_key=True, max_length=128)
    returns: int = 0


class Receipt:
    __dataflow__ = {"timestamps": False}

    number: int = field(unique=True)


class Stock:
    """In another database of the instance."""

    __dataflow__ = {"timestamps": False, "database": "warehouse", "table": "stock"}

    id: int = field(primary_key=True)
    pieces: int


def opened(url: str, warehouse: str, event: Any = lambda: None) -> DataFlow:
    """An instance with the models and the user's functions; ``event`` is called within those."""
    db = DataFlow(
        url, warehouse_db=warehouse, pool_size=3, enable_model_persistence=False, validation="off"
    )
    for model in (Order, Account, Shipment, Receipt, Stock):
        # Each instance gets a class of its own, as a decorator would give it.
        db.model(type(model.__name__, (model,), {"__module__": __name__}))

    @db.node("ShipNode")
    async def ship(context: Context, order_id: int) -> dict:
        event()
        try:
            await context.run("ShipmentCreateNode", values={"key": context.idempotency_key})
        except UniqueViolation:
            return {"shipment": context.idempotency_key, "repeated": True}
        event()
        return {"shipment": context.idempotency_key}

    @db.node("ReturnNode")
    async def send_back(context: Context) -> dict:
        # By the key alone: whether it was shipped may not be known.
        shipment = context.idempotency_key.removesuffix(":compensation")
        event()
        found = await context.run(
            "ShipmentBulkUpdateNode",
            filter={"key": shipment, "returns": 0},
            fields={"$inc": {"returns": 1}},
        )
        event()
        if not found["matched"]:
            with suppress(UniqueViolation):
                values = {"key": shipment, "returns": 1}
                await context.run("ShipmentCreateNode", values=values)
        return {}

    return db


async def prepare(db: DataFlow) -> None:
    """Make the tables and what the orders draw on; a receipt that makes order 0 fail."""
    await db.run("AccountUpsertNode", values={"id": 1, "balance": FUNDS})
    await db.run("StockUpsertNode", values={"id": 1, "pieces": FUNDS})
    await db.run("ReceiptCreateNode", values={"number": -1})
    await list_sagas(db)
    for model in ("Order", "Shipment"):
        await db.run(f"{model}CountNode")


def order(number: int, *, fails: bool = False, **given: Any) -> dict[str, Any]:
    """The parameters of the saga of an order; the last step of one that fails cannot be done."""

    def change(node: str, name: str, amount: int) -> dict[str, Any]:
        def parameters(amount: int) -> dict[str, Any]:
            return {"filter": {"id": 1}, "fields": {"$inc": {name: amount}}}

        return {
            "node": node,
            "parameters": parameters(-amount),
            "compensation": node,
            "compensation_parameters": parameters(amount),
        }

    return {
        "transaction_type": "saga",
        "context": {"number": number},
        "steps": [
            {"node": "OrderCreateNode", "compensation": "OrderDeleteNode"},
            change("AccountUpdateNode", "balance", 5),
            {"node": "ShipNode", "compensation": "ReturnNode"},
            change("StockUpdateNode", "pieces", 1),
            {"node": "ReceiptCreateNode", "parameters": {"number": -1 if fails else number}},
        ],
        **given,
    }


async def expire(db: DataFlow) -> None:
    """Let the leases be over, as if the time had passed."""
    await rewrite(db, lease_until=LONG_AGO)


async def rewrite(db: DataFlow, **fields: Any) -> None:
    """Change all sagas in the journal."""
    with inside():
        await db.run("DataflowSagaBulkUpdateNode", filter={}, allow_all=True, fields=fields)


async def check(db: DataFlow, sagas: list[dict[str, Any]]) -> dict[str, int]:
    """Every saga has ended, and each effect is there once, or is undone once; how many of which."""
    ends = [saga["status"] for saga in sagas]
    completed, compensated = ends.count("completed"), ends.count("compensated")
    assert completed + compensated == len(ends), ends
    account = await db.run("AccountReadNode", id=1)
    assert account["balance"] == FUNDS - 5 * completed
    stock = await db.run("StockReadNode", id=1)
    assert stock["pieces"] == FUNDS - completed
    orders = (await db.run("OrderListNode"))["records"]
    numbers = [row["number"] for row in orders]
    assert len(numbers) == len(set(numbers)) == completed
    receipts = (await db.run("ReceiptListNode"))["records"]
    assert sorted(row["number"] for row in receipts) == [-1, *sorted(numbers)]
    shipments = (await db.run("ShipmentListNode"))["records"]
    kept = {row["key"] for row in shipments if row["returns"] == 0}
    assert kept == {f"{saga['saga_id']}:2" for saga in sagas if saga["status"] == "completed"}
    assert all(row["returns"] <= 1 for row in shipments)
    return {"completed": completed, "compensated": compensated}
