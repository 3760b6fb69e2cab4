"""The rows that every contestant starts from, and the model that makes their table."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from dataflow_core import DataFlow, field

__all__ = ["DEPARTMENTS", "FIELDS", "Row", "changed", "declare_user", "users", "users_one_by_one"]

Row = dict[str, Any]

DEPARTMENTS: Final = ("accounts", "engineering", "legal", "marketing", "research", "sales")
FIELDS: Final = ("name", "email", "age", "department", "active", "score", "created_at")
"""The fields that are given; ``id`` is made by the database."""

_FIRST_MOMENT: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def declare_user(db: DataFlow) -> None:
    """Declare the model. Its table is the one that all contestants write to."""

    @db.model(validation="off")
    class User:
        name: str
        email: str = field(unique=True)
        age: int
        department: str
        active: bool
        score: float
        created_at: dt.datetime

        __dataflow__: ClassVar = {"timestamps": False}


def users(count: int, start: int = 0) -> list[Row]:
    """``count`` rows, the same on every call; no two starts give the same email or moment."""
    chance = random.Random(start)
    return [
        {
            "name": f"User number {number}",
            "email": f"user{number}@example.org",
            "age": chance.randrange(18, 80),
            "department": chance.choice(DEPARTMENTS),
            "active": chance.random() < 0.8,
            # Two binary places, so that text and sums are exact everywhere.
            "score": chance.randrange(4_000) / 4,
            "created_at": _FIRST_MOMENT + dt.timedelta(seconds=number, microseconds=number % 1_000),
        }
        for number in range(start, start + count)
    ]


def users_one_by_one(count: int) -> Iterator[Row]:
    """Rows that are made while they are asked for, with as little work as can be."""
    second = dt.timedelta(seconds=1)
    moment = _FIRST_MOMENT
    for number in range(count):
        moment += second
        yield {
            "name": f"User number {number}",
            "email": f"user{number}@example.org",
            "age": 18 + number % 62,
            "department": DEPARTMENTS[number % 6],
            "active": number % 5 != 0,
            "score": (number % 4_000) / 4,
            "created_at": moment,
        }


def changed(rows: list[Row]) -> list[Row]:
    """The same users with other values: what an upsert of them has to write."""
    return [{**row, "age": row["age"] + 1, "active": not row["active"]} for row in rows]
