"""DataFlow, used as its documentation says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.contestants.contract import Page
from benchmarks.data import Row, declare_user
from dataflow_core import DataFlow

__all__ = ["Ours"]

_SETTINGS = ("journal_mode", "synchronous", "cache_size", "page_size", "wal_autocheckpoint")


class Ours:
    """``db.nodes.User``, with everything switched on that is on by default."""

    def __init__(self, name: str = "DataFlow") -> None:
        self.name = name

    async def open(self, database: str) -> None:
        self._db = DataFlow(database)
        declare_user(self._db)
        self._users = self._db.nodes.User

    async def close(self) -> None:
        await self._db.aclose()

    async def settings(self) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for writes in (False, True):
            session = await self._db.engine().borrow(writes=writes)
            try:
                for name in _SETTINGS:
                    rows = await session.connection.fetch(f"PRAGMA {name}", ())
                    value = rows[0][0]
                    assert found.setdefault(name, value) == value, f"{name} differs by connection"
            finally:
                await self._db.engine().give_back(session)
        return found

    async def create(self, rows: Sequence[Row]) -> list[Row]:
        create = self._users.create
        return [(await create(**row))["result"] for row in rows]

    async def read(self, keys: Sequence[int]) -> list[Row]:
        read = self._users.read
        return [(await read(id=key))["result"] for key in keys]

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Row]:
        update = self._users.update
        return [(await update(id=key, fields={"age": age}))["result"] for key, age in changes]

    async def page(self, pages: Sequence[Page]) -> list[list[Row]]:
        answers = []
        for page in pages:
            answer = await self._users.list(
                filter={
                    "age": {"$between": [page.youngest, page.oldest]},
                    "department": {"$in": list(page.departments)},
                },
                order_by=["-created_at"],
                limit=page.limit,
            )
            answers.append(answer["records"])
        return answers

    async def everything(self, rows: int) -> list[Row]:
        records: list[Row] = (await self._users.list(limit=rows))["records"]
        return records

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        return int((await self._users.bulk_create(data=rows))["inserted"])
