"""SQLAlchemy's ORM with asynchronous sessions: a session for each call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.contestants.contract import Page
from benchmarks.contestants.peers.common import Peer, Server
from benchmarks.contestants.peers.sqlalchemy_core import made_engine, moment_type, upsert_of
from benchmarks.data import Row

__all__ = ["SQLAlchemyORM"]


class _Base(DeclarativeBase):
    pass


class User(_Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    email: Mapped[str] = mapped_column(sa.String(768), unique=True)
    age: Mapped[int] = mapped_column(sa.BigInteger)
    department: Mapped[str] = mapped_column(sa.Text)
    active: Mapped[bool] = mapped_column(sa.Boolean)
    score: Mapped[float] = mapped_column(sa.Double)
    created_at: Mapped[dt.datetime] = mapped_column(moment_type())


class SQLAlchemyORM(Peer):
    """Objects of a mapped class."""

    async def open(self, url: str, connections: int) -> None:
        server = Server.of(url)
        self._kind = server.kind
        self._engine = made_engine(server, connections)
        self._session = async_sessionmaker(self._engine, expire_on_commit=False)

    async def close(self) -> None:
        await self._engine.dispose()

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        answers = []
        for row in rows:
            user = User(**row)
            async with self._session() as session:
                session.add(user)
                await session.commit()
            answers.append(user)
        return answers

    async def read(self, keys: Sequence[int]) -> list[Any]:
        answers = []
        for key in keys:
            async with self._session() as session:
                answers.append(await session.get(User, key))
        return answers

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        answers = []
        for key, age in changes:
            async with self._session() as session:
                user = await session.get(User, key)
                user.age = age
                await session.commit()
            answers.append(user)
        return answers

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
        answers = []
        for page in pages:
            wanted = (
                sa.select(User)
                .where(
                    User.age.between(page.youngest, page.oldest),
                    User.department.in_(page.departments),
                )
                .order_by(User.created_at.desc())
                .limit(page.limit)
            )
            async with self._session() as session:
                answers.append(list(await session.scalars(wanted)))
        return answers

    async def everything(self, rows: int) -> list[Any]:
        async with self._session() as session:
            return list(await session.scalars(sa.select(User).order_by(User.id).limit(rows)))

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        async with self._session() as session:
            await session.execute(sa.insert(User), rows)
            await session.commit()
        return len(rows)

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        async with self._session() as session:
            await session.execute(upsert_of(User, self._kind), rows)
            await session.commit()
        return len(rows)
