"""Tortoise ORM; on MySQL with asyncmy, the driver that its documentation names first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tortoise import Tortoise, fields
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.models import Model

from benchmarks.contestants.contract import Page
from benchmarks.contestants.peers.common import BUSY_SECONDS, CHANGED, NAMES, Peer, Server
from benchmarks.data import Row

__all__ = ["TortoiseORM"]


class User(Model):
    id = fields.BigIntField(primary_key=True)
    name = fields.TextField()
    email = fields.CharField(768, unique=True)
    age = fields.BigIntField()
    department = fields.TextField()
    active = fields.BooleanField()
    score = fields.FloatField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "users"


class TortoiseORM(Peer):
    """Objects of a model; lists as its dicts."""

    async def open(self, url: str, connections: int) -> None:
        server = Server.of(url)
        if server.kind == "sqlite":
            address = f"sqlite:///{server.database}?busy_timeout={BUSY_SECONDS * 1_000}"
        else:
            scheme = "asyncpg" if server.kind == "postgres" else "mysql"
            address = (
                f"{scheme}://{server.user}:{quote(server.password)}@{server.host}:{server.port}"
                f"/{server.database}?minsize=1&maxsize={connections}"
            )
        # It keeps statements by the name of a connection, also those for another database before.
        EXECUTOR_CACHE.clear()
        await Tortoise.init(db_url=address, modules={"models": [__name__]}, use_tz=True)

    async def close(self) -> None:
        await Tortoise.close_connections()

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        return [await User.create(**row) for row in rows]

    async def read(self, keys: Sequence[int]) -> list[Any]:
        return [await User.get(id=key) for key in keys]

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        answers = []
        for key, age in changes:
            user = await User.get(id=key)
            user.age = age
            await user.save(update_fields=["age"])
            answers.append(user)
        return answers

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
        return [
            await User.filter(
                age__range=(page.youngest, page.oldest), department__in=page.departments
            )
            .order_by("-created_at")
            .limit(page.limit)
            .values(*NAMES)
            for page in pages
        ]

    async def everything(self, rows: int) -> list[Any]:
        found: list[Any] = await User.all().order_by("id").limit(rows).values(*NAMES)
        return found

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        await User.bulk_create([User(**row) for row in rows])
        return len(rows)

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        await User.bulk_create(
            [User(**row) for row in rows], on_conflict=["email"], update_fields=CHANGED
        )
        return len(rows)
