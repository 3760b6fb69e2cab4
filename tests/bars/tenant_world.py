"""Models of several tenants, and the rows of each, told apart by marks."""

from __future__ import annotations

import decimal
import random
import re
import uuid
from collections.abc import Iterator
from typing import Any, Final

from dataflow_core import DataFlow
from dataflow_core.conformance.everything import TEXTS
from dataflow_core.schema import Model
from dataflow_core.schema.declare import field

OURS: Final = "acme"
THEIRS: Final = "acme "
THIRD: Final = "ACME"
"""Tenants whose names a careless comparison takes for one."""
MARKED: Final = re.compile(r"of-(them|third)-\d+|(?<!\w)770\d{6}(?!\w)")
"""What stands in rows of other tenants only."""

KEYS: Final = 40
"""Explicit counted keys of ours are 1 to this, those of theirs begin at `FOREIGN`."""
FOREIGN: Final = 1_001
ROWS: Final = 12
TABLES: Final = ("teams", "people", "tasks", "tags", "nodes")


def declare(db: DataFlow, *, secured: bool = False) -> None:
    """Register the models; ``secured``: the database keeps the rows of tenants apart too."""
    tenants: dict[str, Any] = {"multi_tenant": {"row_security": True} if secured else True}
    everything = {**tenants, "soft_delete": True, "versioned": True}

    @db.model(validation="off")
    class Region:
        __tablename__ = "regions"
        id: int
        name: str = field(unique=True, max_length=20)

    @db.model(validation="off")
    class Team:
        __tablename__ = "teams"
        __dataflow__ = everything
        code: str = field(primary_key=True, max_length=60)
        slug: str = field(unique=True, max_length=20)
        amount: int = field(default=0, bits=32)
        note: str = ""

    @db.model(validation="off")
    class Person:
        __tablename__ = "people"
        __dataflow__ = everything
        id: int
        code: str = field(unique=True, max_length=60)
        team_code: str | None = field(
            default=None, max_length=60, references="Team.code", on_delete="cascade"
        )
        region_id: int | None = field(default=None, references="Region.id", on_delete="restrict")
        amount: int = field(default=0, bits=32)
        label: str | None = field(default=None, max_length=8)
        price: decimal.Decimal | None
        flag: bool | None
        doc: dict[str, Any] | None
        numbers: list[int] | None
        note: str = ""

    @db.model(validation="off")
    class Task:
        __tablename__ = "tasks"
        __dataflow__ = everything
        id: uuid.UUID
        person_id: int = field(references="Person.id", on_delete="restrict")
        title: str = field(max_length=20)
        amount: int = field(default=0, bits=32)
        note: str = ""

    @db.model(validation="off")
    class Tag:
        __tablename__ = "tags"
        __dataflow__ = tenants
        code: str = field(primary_key=True, max_length=60)
        slug: str = field(unique=True, max_length=20)
        amount: int = field(default=0, bits=32)
        note: str = ""

    @db.model(validation="off")
    class Node:
        __tablename__ = "nodes"
        __dataflow__ = {**tenants, "versioned": True}
        id: int
        code: str = field(unique=True, max_length=60)
        parent_id: int | None = field(default=None, references="Node.id", on_delete="cascade")
        amount: int = field(default=0, bits=32)
        note: str = ""


def models(db: DataFlow) -> dict[str, Model]:
    """The models as they were extended, by name."""
    return {model.name: model for model in db._registry.models.values()}


def task_key(number: int) -> uuid.UUID:
    """Keys of tasks, which every tenant has alike."""
    return uuid.UUID(int=number)


def seed_rows(tenant: str, rng: random.Random) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The first rows of a tenant, parents first. Natural keys are those of every tenant."""
    first = {OURS: 1, THEIRS: FOREIGN, THIRD: 2 * FOREIGN}[tenant]
    mark = {OURS: "of-us", THEIRS: "of-them", THIRD: "of-third"}[tenant]
    foreign = tenant != OURS

    def own(number: int) -> dict[str, Any]:
        amount = 770_000_000 + first + number if foreign else rng.randint(-3, 9)
        return {"amount": amount, "note": f"{mark}-{number}"}

    numbers = range(ROWS)
    yield "Team", [{"code": f"c{n}", "slug": f"s{n}", **own(n)} for n in numbers[:6]]
    yield "Person", [
        {
            "id": first + n, "code": f"c{n}", "team_code": f"c{n % 4}" if n % 3 else None,
            "region_id": n % 3 + 1, "label": rng.choice([one for one in TEXTS if len(one) < 9]),
            "price": decimal.Decimal(n) / 2, "flag": n % 2 == 0, "doc": {"a": n},
            "numbers": [n, n + 1], **own(n),
        }
        for n in numbers
    ]  # fmt: skip
    yield (
        "Task",
        [
            {"id": task_key(n), "person_id": first + n % 6, "title": f"t{n}", **own(n)}
            for n in numbers
        ],
    )
    yield "Tag", [{"code": f"c{n}", "slug": f"s{n}", **own(n)} for n in numbers]
    yield (
        "Node",
        [
            {"id": first + n, "code": f"c{n}", "parent_id": first + n // 3 if n else None, **own(n)}
            for n in numbers
        ],
    )


async def fill(db: DataFlow, tenants: tuple[str, ...], seed: int) -> None:
    """Store the rows of the tenants, and those that belong to nobody."""
    regions = [{"id": number, "name": f"r{number}"} for number in (1, 2, 3)]
    await db.run("RegionBulkCreateNode", data=regions)
    for tenant in tenants:
        with db.tenant(tenant):
            for name, rows in seed_rows(tenant, random.Random(seed)):
                await db.run(f"{name}BulkCreateNode", data=rows)


async def rows_of_others(db: DataFlow) -> dict[str, list[dict[str, Any]]]:
    """All rows that are not ours, as they are stored, by raw SQL."""
    found = {}
    for table in TABLES:
        done = await db.run("SQLNode", sql=f"SELECT * FROM {table}")
        rows = [row for row in done["result"] if row["tenant_id"] != OURS]
        found[table] = sorted(rows, key=repr)
    return found
