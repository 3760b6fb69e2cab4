"""Django's ORM through its asynchronous methods; on MySQL with PyMySQL in place of mysqlclient.

mysqlclient is no wheel and has to be compiled; it would be quicker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import django
import pymysql
from asgiref.sync import sync_to_async
from django.conf import settings

from benchmarks.contestants.contract import Page
from benchmarks.contestants.peers.common import (
    BUSY_SECONDS,
    CHANGED,
    NAMES,
    ROWS_AT_ONCE,
    Peer,
    Server,
)
from benchmarks.data import Row

__all__ = ["DjangoORM"]

pymysql.install_as_MySQLdb()
if not settings.configured:
    settings.configure(
        USE_TZ=True,
        TIME_ZONE="UTC",
        INSTALLED_APPS=[],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()

from django.db import connections, models  # noqa: E402 - wants to be set up before

_ENGINES = {"sqlite": "sqlite3", "postgres": "postgresql", "mysql": "mysql"}


class User(models.Model):
    name = models.TextField()
    email = models.CharField(max_length=768, unique=True)
    age = models.BigIntegerField()
    department = models.TextField()
    active = models.BooleanField()
    score = models.FloatField()
    created_at = models.DateTimeField()

    class Meta:
        app_label = "benchmarks"
        db_table = "users"


class DjangoORM(Peer):
    """Objects of a model; lists as its dicts."""

    async def open(self, url: str, connections: int) -> None:
        server = Server.of(url)
        self._options: dict[str, Any] = {}
        if server.kind != "mysql":
            # MySQL finds out by itself which key is meant, and Django refuses to hear of one.
            self._options["unique_fields"] = ["email"]
        await sync_to_async(_use)(server)

    async def close(self) -> None:
        await sync_to_async(_leave)()

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        return [await User.objects.acreate(**row) for row in rows]

    async def read(self, keys: Sequence[int]) -> list[Any]:
        return [await User.objects.aget(pk=key) for key in keys]

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        answers = []
        for key, age in changes:
            user = await User.objects.aget(pk=key)
            user.age = age
            await user.asave(update_fields=["age"])
            answers.append(user)
        return answers

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
        answers = []
        for page in pages:
            found = User.objects.filter(
                age__range=(page.youngest, page.oldest), department__in=page.departments
            ).order_by("-created_at")[: page.limit]
            answers.append([row async for row in found.values(*NAMES)])
        return answers

    async def everything(self, rows: int) -> list[Any]:
        return [row async for row in User.objects.order_by("id")[:rows].values(*NAMES)]

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        made = [User(**row) for row in rows]
        return len(await User.objects.abulk_create(made, batch_size=ROWS_AT_ONCE))

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        made = await User.objects.abulk_create(
            [User(**row) for row in rows],
            batch_size=ROWS_AT_ONCE,
            update_conflicts=True,
            update_fields=CHANGED,
            **self._options,
        )
        return len(made)


def _use(server: Server) -> None:
    """Make a database the default one, in the thread that all of Django's work is done in."""
    options = {"timeout": BUSY_SECONDS} if server.kind == "sqlite" else {}
    connections.settings = connections.configure_settings(
        {
            "default": {
                "ENGINE": f"django.db.backends.{_ENGINES[server.kind]}",
                "NAME": server.database,
                "HOST": server.host,
                "PORT": server.port or "",
                "USER": server.user,
                "PASSWORD": server.password,
                "OPTIONS": options,
            }
        }
    )
    connections["default"].ensure_connection()


def _leave() -> None:
    connections["default"].close()
    del connections["default"]
