"""Piccolo; it has engines for PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from piccolo.columns import (
    BigInt,
    Boolean,
    DoublePrecision,
    Serial,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.engine.postgres import PostgresEngine
from piccolo.engine.sqlite import SQLiteEngine
from piccolo.table import Table

from benchmarks.contestants.contract import Page
from benchmarks.contestants.peers.common import BUSY_SECONDS, CHANGED, Peer, Server, in_parts
from benchmarks.data import Row

__all__ = ["PiccoloORM"]


class User(Table, tablename="users"):  # type: ignore[call-arg]
    id = Serial(primary_key=True)
    name = Text()
    email = Varchar(768, unique=True)
    age = BigInt()
    department = Text()
    active = Boolean()
    score = DoublePrecision()
    created_at = Timestamptz()


class PiccoloORM(Peer):
    """Dicts, as its selects give them."""

    async def open(self, url: str, connections: int) -> None:
        server = Server.of(url)
        self._pooled = server.kind == "postgres"
        if self._pooled:
            self._engine: Any = PostgresEngine(
                config={
                    "host": server.host,
                    "port": server.port,
                    "user": server.user,
                    "password": server.password,
                    "database": server.database,
                }
            )
        else:
            self._engine = SQLiteEngine(path=server.database, timeout=BUSY_SECONDS)
        User._meta._db = self._engine
        if self._pooled:
            await self._engine.start_connection_pool(min_size=1, max_size=connections)

    async def close(self) -> None:
        if self._pooled:
            await self._engine.close_connection_pool()

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        answers: list[Any] = []
        for row in rows:
            answers += await User.insert(User(**row)).returning(*User.all_columns())
        return answers

    async def read(self, keys: Sequence[int]) -> list[Any]:
        return [await User.select().where(User.id == key).first() for key in keys]

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        answers: list[Any] = []
        for key, age in changes:
            changed = User.update({User.age: age}).where(User.id == key)
            answers += await changed.returning(*User.all_columns())
        return answers

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
        return [
            await User.select()
            .where(
                (User.age >= page.youngest)
                & (User.age <= page.oldest)
                & User.department.is_in(list(page.departments))
            )
            .order_by(User.created_at, ascending=False)
            .limit(page.limit)
            for page in pages
        ]

    async def everything(self, rows: int) -> list[Any]:
        found: list[Any] = await User.select().order_by(User.id).limit(rows)
        return found

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        async with self._engine.transaction():
            for part in in_parts(rows):
                await User.insert(*[User(**row) for row in part])
        return len(rows)

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        changed = [getattr(User, name) for name in CHANGED]
        async with self._engine.transaction():
            for part in in_parts(rows):
                await User.insert(*[User(**row) for row in part]).on_conflict(
                    target=User.email, action="DO UPDATE", values=changed
                )
        return len(rows)
