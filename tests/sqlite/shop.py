"""The models that the tests of nodes use, and an instance that has them."""

from __future__ import annotations

import enum
import uuid
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal

from dataflow_core import DataFlow, field
from dataflow_core.run.observing import EachStatement


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class User:
    name: str
    email: str | None = field(default=None, unique=True)
    age: int = 0
    department: str = ""
    status: str = "active"
    active: bool = True


class Order:
    user_id: int = field(references="User.id", on_delete="cascade")
    total: Decimal = Decimal(0)
    items: list = []


class Tag:
    __dataflow__ = {"timestamps": False, "primary_key": ["scope", "name"]}
    scope: str
    name: str
    weight: int | None = None


class Everything:
    id: uuid.UUID
    whole: int | None
    short: int | None = field(default=None, bits=32)
    real: float | None
    text: str | None
    flag: bool | None
    raw: bytes | None
    money: Decimal | None
    moment: datetime | None
    day: date | None
    clock: time | None
    token: uuid.UUID | None
    document: dict | None
    many: list[int] | None
    choice: Literal["a", "b"] | None
    colour: Colour | None


MODELS = (User, Order, Tag, Everything)


def register(db: DataFlow) -> DataFlow:
    """The instance, with every model."""
    for model in MODELS:
        db.model(model)
    return db


def watch(db: DataFlow, database: str = "primary") -> list[str]:
    """The statements that the instance sends from now on."""
    sent: list[str] = []
    db.engine(database).observe(EachStatement(lambda sql, parameters: sent.append(sql)))
    return sent


def idle(db: DataFlow) -> bool:
    """Whether nobody uses or waits for a connection."""
    return all(
        lane.used == 0 and lane.waiting == 0
        for lanes in db.pool_stats().values()
        for lane in lanes.values()
    )


async def people(db: DataFlow, number: int = 5, **fields: Any) -> list[Any]:
    """So many users, called u0, u1, ...; their keys."""
    rows = [{"name": f"u{at}", "age": at, **fields} for at in range(number)]
    result = await db.nodes.User.bulk_create(data=rows, return_ids=True)
    return list(result["ids"])
