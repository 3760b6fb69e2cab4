"""DataFlow, used as its documentation says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.contestants.contract import Page, at_once
from benchmarks.data import Row, declare_user
from dataflow_core import DataFlow

__all__ = ["Ours"]


class Ours:
    """``db.nodes.User``, with everything switched on that is on by default."""

    def __init__(self, name: str = "DataFlow") -> None:
        self.name = name

    async def open(self, url: str, connections: int) -> None:
        if connections > 1:
            self._db = DataFlow(url, pool_size=connections, max_overflow=0)
        else:
            self._db = DataFlow(url)
        declare_user(self._db)
        self._users = self._db.nodes.User

    async def close(self) -> None:
        await self._db.aclose()

    async def ask(self, sql: str) -> Any:
        answer = await self._db.run("SQLNode", sql=sql, fetch="one")
        return next(iter(answer["result"].values()))

    def plain(self, answer: Any) -> Any:
        return answer

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        create = self._users.create
        return [(await create(**row))["result"] for row in rows]

    async def read(self, keys: Sequence[int]) -> list[Any]:
        read = self._users.read
        return [(await read(id=key))["result"] for key in keys]

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        update = self._users.update
        return [(await update(id=key, fields={"age": age}))["result"] for key, age in changes]

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
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

    async def everything(self, rows: int) -> list[Any]:
        records: list[Row] = (await self._users.list(limit=rows))["records"]
        return records

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        return int((await self._users.bulk_create(data=rows))["inserted"])

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        answer = await self._users.bulk_upsert(data=rows, match_fields=["email"])
        return int(answer["inserted"] + answer["updated"])

    async def read_at_once(self, parts: Sequence[Sequence[int]]) -> list[list[Any]]:
        return await at_once(self.read, parts)

    async def create_at_once(self, parts: Sequence[Sequence[Row]]) -> list[list[Any]]:
        return await at_once(self.create, parts)
