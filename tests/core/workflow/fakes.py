"""Instances and nodes that need no database: they keep their tables in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from dataflow_core.errors import Deadlock, UnknownNode
from dataflow_core.nodes.base import (
    NOTHING_TOUCHED,
    Context,
    Effect,
    NodeType,
    Output,
    Parameter,
)
from dataflow_core.nodes.registry import register_owner
from dataflow_core.run.observing import Observers
from dataflow_core.run.tenancy import Tenancy
from dataflow_core.types import Integer, Json, Text, Uuid

EVERYTHING = Effect(everything=True)


def touching(
    reads: Iterable[str] = (), writes: Iterable[str] = (), database: str = "primary"
) -> Effect:
    """The effect of a node on tables of one database."""
    return Effect(
        reads=frozenset((database, table) for table in reads),
        writes=frozenset((database, table) for table in writes),
        databases=frozenset({database}),
    )


class Scope:
    """What `transaction` gives: to be entered, or attempts until one of them fails in no way."""

    def __init__(self, opened: Any, database: str, retry: int) -> None:
        self._opened, self._database, self._retry = opened, database, retry
        self._entered: Any = None

    async def __aenter__(self) -> None:
        self._entered = self._opened(self._database)
        await self._entered.__aenter__()

    async def __aexit__(self, *raised: Any) -> bool | None:
        left: bool | None = await self._entered.__aexit__(*raised)
        return left

    async def __aiter__(self) -> AsyncIterator[Any]:
        for number in range(self._retry + 1):
            attempt = Attempt(self._opened(self._database), number == self._retry)
            yield attempt
            if not attempt.failed:
                return


class Attempt:
    """One attempt; swallows a deadlock unless it is the last one."""

    def __init__(self, entered: Any, last: bool) -> None:
        self._entered, self._last, self.failed = entered, last, False

    async def __aenter__(self) -> None:
        await self._entered.__aenter__()

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        self.failed = error is not None
        await self._entered.__aexit__(kind, error, traceback)
        ended = isinstance(error, Deadlock) or isinstance(
            getattr(error, "__cause__", None), Deadlock
        )
        return ended and not self._last


async def echo(context: Context, parameters: dict[str, Any]) -> dict[str, Any]:
    """A node's work: give back what it was given."""
    return {"result": dict(parameters), **parameters}


class FakeOwner:
    """What stands for a ``DataFlow`` instance: node types by name, and transactions in a log."""

    def __init__(self, name: str = "fake", *, live: bool = True) -> None:
        self.name = name
        self.types: dict[str, NodeType] = {}
        self.log: list[str] = []
        self.commit_error: Exception | None = None
        self.observers: Observers | None = None
        self._tenancy = Tenancy()
        self._transaction: ContextVar[str | None] = ContextVar("transaction", default=None)
        if live:
            register_owner(self)

    def node_type(self, name: str) -> NodeType:
        """The node type of that name."""
        if name not in self.types:
            raise UnknownNode(f"unknown node type {name!r}")
        return self.types[name]

    def absent_nodes(self) -> dict[str, str]:
        """Nothing is missing with a reason."""
        return {}

    def node_names(self) -> tuple[str, ...]:
        """All names."""
        return tuple(self.types)

    @property
    def current_tenant(self) -> Any:
        """The tenant in force."""
        return self._tenancy.current

    def tenant(self, tenant_id: Any) -> AbstractContextManager[None]:
        """A tenant in force."""
        return self._tenancy.entered(tenant_id)

    def transaction(
        self, database: str = "primary", *, isolation: str | None = None, retry: int = 0
    ) -> Scope:
        """A transaction that only notes how it began and ended, or attempts at it."""
        return Scope(partial(self._opened, isolation=isolation), database, retry)

    @asynccontextmanager
    async def _opened(self, database: str, *, isolation: str | None) -> AsyncIterator[None]:
        nested = self._transaction.get() == database
        begun = "savepoint" if nested else "begin"
        self.log.append(f"{begun} {database}{f' {isolation}' if isolation else ''}")
        token = self._transaction.set(database)
        try:
            yield
            if not nested and self.commit_error is not None:
                raise self.commit_error
        except BaseException:
            self.log.append("roll back to" if nested else "rollback")
            raise
        else:
            self.log.append("release" if nested else "commit")
        finally:
            self._transaction.reset(token)

    def current_transaction(self, database: str = "primary") -> str | None:
        """The database, if a transaction is in force there."""
        return database if self._transaction.get() == database else None

    def add(
        self,
        name: str,
        run: Callable[[Context, dict[str, Any]], Any] = echo,
        *,
        parameters: Iterable[Parameter | str] | None = None,
        outputs: Iterable[Output | str] | None = None,
        effect: Effect = NOTHING_TOUCHED,
        check: Callable[[Mapping[str, Any]], None] | None = None,
        last: bool = False,
        common: bool = False,
        repeatable: bool = True,
    ) -> NodeType:
        """Register a node type; without ``parameters`` it takes any name."""
        taken = [Parameter(one) if isinstance(one, str) else one for one in parameters or ()]
        given = None
        if outputs is not None:
            found = [Output(one) if isinstance(one, str) else one for one in outputs]
            given = {one.name: one for one in found}
        self.types[name] = NodeType(
            name=name,
            owner=self,
            run=run,
            parameters={one.name: one for one in taken},
            outputs=given,
            effect=lambda: effect,
            check=check,
            open_parameters=parameters is None,
            confined=any(one.name == "tenant_id" for one in taken),
            last=last,
            common=common,
            repeatable=repeatable,
        )
        return self.types[name]


def user_owner() -> FakeOwner:
    """An instance with nodes that make a row, change one, and take anything."""
    owner = FakeOwner(live=False)
    owner.add(
        "UserCreateNode",
        parameters=[
            Parameter("name", required=True, type=Text(), unless=("values",)),
            Parameter("values"),
            Parameter("age", type=Integer()),
        ],
        outputs=[Output("result"), Output("id", Integer()), Output("name", Text())],
    )
    owner.add(
        "UserUpdateNode",
        parameters=[
            Parameter("id", required=True, type=Integer()),
            Parameter("user_id", type=Integer(), alias_of="id"),
            Parameter("fields", type=Json("object")),
            Parameter("ids", type=Json("array")),
            Parameter("key", type=Uuid()),
        ],
        outputs=["result"],
    )
    owner.add("FreeNode")
    return owner


class Gate:
    """Counts the nodes that are inside at the same time, and can hold them there."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.cancelled: list[str] = []
        self.finished: list[str] = []

    async def pass_through(self, name: str, seconds: float = 0.0) -> None:
        """Stay inside for a while."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(seconds)
            self.finished.append(name)
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            self.inside -= 1
