"""SQLAlchemy Core with its asynchronous engine: a transaction for each call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.contestants.contract import Page
from benchmarks.contestants.peers.common import BUSY_SECONDS, CHANGED, Peer, Server
from benchmarks.data import Row

__all__ = ["SQLAlchemyCore", "made_engine", "moment_type", "upsert_of"]

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "mysql": "mariadb+aiomysql",
}


def moment_type() -> Any:
    """A time with microseconds, on each database."""
    return sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def made_engine(server: Server, connections: int) -> Any:
    """An engine with a pool of so many connections."""
    arguments = {"timeout": BUSY_SECONDS} if server.kind == "sqlite" else {}
    url = URL.create(
        _DRIVERS[server.kind],
        server.user or None,
        server.password or None,
        server.host or None,
        server.port or None,
        server.database,
    )
    return create_async_engine(url, pool_size=connections, max_overflow=0, connect_args=arguments)


def upsert_of(table: Any, kind: str) -> Any:
    """The insert that changes what is there."""
    if kind == "mysql":
        insert = mysql.insert(table)
        return insert.on_duplicate_key_update({name: insert.inserted[name] for name in CHANGED})
    dialect: Any = postgresql if kind == "postgres" else sqlite
    insert = dialect.insert(table)
    return insert.on_conflict_do_update(
        index_elements=["email"], set_={name: insert.excluded[name] for name in CHANGED}
    )


users = sa.Table(
    "users",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.String(768), nullable=False, unique=True),
    sa.Column("age", sa.BigInteger, nullable=False),
    sa.Column("department", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("score", sa.Double, nullable=False),
    sa.Column("created_at", moment_type(), nullable=False),
)


class SQLAlchemyCore(Peer):
    """Statements of the expression language; rows as dicts."""

    async def open(self, url: str, connections: int) -> None:
        server = Server.of(url)
        self._kind = server.kind
        self._engine = made_engine(server, connections)

    async def close(self) -> None:
        await self._engine.dispose()

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        answers = []
        for row in rows:
            async with self._engine.begin() as connection:
                found = await connection.execute(sa.insert(users).values(row).returning(users))
                answers.append(dict(found.mappings().one()))
        return answers

    async def read(self, keys: Sequence[int]) -> list[Any]:
        answers = []
        for key in keys:
            async with self._engine.connect() as connection:
                found = await connection.execute(sa.select(users).where(users.c.id == key))
                answers.append(dict(found.mappings().one()))
        return answers

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        answers = []
        for key, age in changes:
            change = sa.update(users).where(users.c.id == key).values(age=age)
            async with self._engine.begin() as connection:
                if self._kind == "mysql":
                    await connection.execute(change)
                    found = await connection.execute(sa.select(users).where(users.c.id == key))
                else:
                    found = await connection.execute(change.returning(users))
                answers.append(dict(found.mappings().one()))
        return answers

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
        answers = []
        for page in pages:
            wanted = (
                sa.select(users)
                .where(
                    users.c.age.between(page.youngest, page.oldest),
                    users.c.department.in_(page.departments),
                )
                .order_by(users.c.created_at.desc())
                .limit(page.limit)
            )
            async with self._engine.connect() as connection:
                found = await connection.execute(wanted)
                answers.append([dict(row) for row in found.mappings()])
        return answers

    async def everything(self, rows: int) -> list[Any]:
        async with self._engine.connect() as connection:
            found = await connection.execute(sa.select(users).order_by(users.c.id).limit(rows))
            return [dict(row) for row in found.mappings()]

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        async with self._engine.begin() as connection:
            await connection.execute(sa.insert(users), rows)
        return len(rows)

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        async with self._engine.begin() as connection:
            await connection.execute(upsert_of(users, self._kind), rows)
        return len(rows)
