"""peewee, which is synchronous; so it takes no part where many tasks run at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import peewee

from benchmarks.contestants.contract import CannotDo, Page
from benchmarks.contestants.peers.common import BUSY_SECONDS, CHANGED, Peer, Server, in_parts
from benchmarks.data import Row

__all__ = ["PeeweeORM"]

_VALUES_AT_ONCE = 4_000
"""Rows of a statement: SQLite takes so many, with 7 values each."""


class _Moment(peewee.DateTimeField):
    """A time in UTC: peewee's field on SQLite reads no zone, on MySQL its driver drops it."""

    def python_value(self, value: Any) -> Any:
        return dt.datetime.fromisoformat(value) if isinstance(value, str) else value


class User(peewee.Model):
    id = peewee.BigAutoField()
    name = peewee.TextField()
    email = peewee.CharField(768, unique=True)
    age = peewee.BigIntegerField()
    department = peewee.TextField()
    active = peewee.BooleanField()
    score = peewee.DoubleField()
    created_at = _Moment()

    class Meta:
        table_name = "users"


class PeeweeORM(Peer):
    """Objects of a model; lists as its dicts."""

    async def open(self, url: str, connections: int) -> None:
        if connections > 1:
            raise CannotDo("is synchronous: no tasks at once")
        server = Server.of(url)
        self._kind = server.kind
        place: dict[str, Any] = {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "password": server.password,
        }
        if server.kind == "sqlite":
            self._database: Any = peewee.SqliteDatabase(server.database, timeout=BUSY_SECONDS)
        elif server.kind == "postgres":
            self._database = peewee.PostgresqlDatabase(
                server.database, **place, options="-c timezone=UTC"
            )
        else:
            self._database = peewee.MySQLDatabase(server.database, **place, charset="utf8mb4")
        User.bind(self._database)
        self._database.connect()

    async def close(self) -> None:
        if hasattr(self, "_database"):
            self._database.close()

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        return [User.create(**row) for row in rows]

    async def read(self, keys: Sequence[int]) -> list[Any]:
        return [User.get_by_id(key) for key in keys]

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        answers = []
        for key, age in changes:
            change = User.update(age=age).where(User.id == key)
            if self._kind == "mysql":
                change.execute()
                answers.append(User.get_by_id(key))
            else:
                answers += change.returning(User).execute()
        return answers

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
        return [
            list(
                User.select()
                .where(
                    User.age.between(page.youngest, page.oldest),
                    User.department.in_(page.departments),
                )
                .order_by(User.created_at.desc())
                .limit(page.limit)
                .dicts()
            )
            for page in pages
        ]

    async def everything(self, rows: int) -> list[Any]:
        return list(User.select().order_by(User.id).limit(rows).dicts())

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        with self._database.atomic():
            for part in in_parts(rows, _VALUES_AT_ONCE):
                User.insert_many(part).execute()
        return len(rows)

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        changed = [getattr(User, name) for name in CHANGED]
        target = {} if self._kind == "mysql" else {"conflict_target": [User.email]}
        with self._database.atomic():
            for part in in_parts(rows, _VALUES_AT_ONCE):
                User.insert_many(part).on_conflict(preserve=changed, **target).execute()
        return len(rows)
