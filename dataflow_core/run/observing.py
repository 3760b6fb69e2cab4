"""Telling the observers of an instance what it does. Where there are none, nothing of this runs.

Which nodes a statement is sent for is kept in a context variable, which the runs of nodes set.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextvars import Context, ContextVar
from functools import partial
from time import perf_counter
from typing import Any, Final, TypeVar

from attrs import define, field

from dataflow_core.contract import (
    Ended,
    ErrorSituation,
    Failure,
    NodeRun,
    Observer,
    StatementRun,
    WorkflowRun,
)
from dataflow_core.errors import DatabaseError, DataFlowError

__all__ = [
    "DatabaseObservers",
    "EachStatement",
    "Observers",
    "SharedBy",
    "WatchedStatement",
    "failure_of",
    "nodes_running",
    "observed_workflow",
    "with_observer",
]

logger = logging.getLogger("dataflow")

T = TypeVar("T")

nodes_running: Final[ContextVar[Sequence[NodeRun]]] = ContextVar("dataflow_nodes", default=())
"""The node runs that the current task works for; set only where there are observers."""


_EVENTS: Final = [name for name in vars(Observer) if not name.startswith("_")]


@define(eq=False)
class Observers:
    """The observers of one instance, each with the plugin that it is of.

    ``failures`` counts, by plugin, how often one has raised.
    """

    members: Sequence[tuple[str, Observer]]
    failures: dict[str, int] = field(factory=dict, init=False)
    _methods: Mapping[str, Sequence[tuple[str, Callable[..., None]]]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._methods = {event: self._that_hear(event) for event in _EVENTS}

    def _that_hear(self, event: str) -> Sequence[tuple[str, Callable[..., None]]]:
        """The method for an event of each observer that has one."""
        return [
            (origin, getattr(observer, event))
            for origin, observer in self.members
            if getattr(type(observer), event) is not getattr(Observer, event)
        ]

    def tell(self, event: str, *arguments: Any) -> None:
        """Call the method of each observer; what one raises changes nothing."""
        for origin, method in self._methods[event]:
            try:
                method(*arguments)
            except Exception:
                self._failed(origin, event)

    def _failed(self, origin: str, event: str) -> None:
        """Log the first failure of an observer; there may be one for every statement."""
        count = self.failures[origin] = self.failures.get(origin, 0) + 1
        if count == 1:
            logger.warning(
                "%s of %s failed; further failures are only counted, in db.observers.failures",
                event,
                origin,
                exc_info=True,
            )

    def find(self, kind: type[T]) -> T | None:
        """The first observer of a class."""
        return next((item for _, item in self.members if isinstance(item, kind)), None)

    def of_database(self, name: str) -> DatabaseObservers:
        """The same observers, for one database."""
        return DatabaseObservers(name, self)


@define(eq=False)
class DatabaseObservers:
    """The observers of an instance, told of one of its databases."""

    database: str
    observers: Observers

    def begin(
        self,
        sql: str,
        parameters: int,
        situation: ErrorSituation,
        dialect: str,
        *,
        control: bool = False,
    ) -> WatchedStatement:
        """Tell that a statement is sent."""
        table = None if situation.model is None else situation.model.key
        nodes = nodes_running.get()
        if type(nodes) is not tuple:  # those that share it: one may have asked for several rows
            nodes = tuple(dict.fromkeys(nodes))
        run = StatementRun(self.database, dialect, sql, parameters, table, nodes, control)
        self.observers.tell("statement_began", run)
        return WatchedStatement(self.observers, run)

    async def answered(
        self,
        work: Awaitable[T],
        counted: Callable[[T], int] | None,
        sql: str,
        parameters: int,
        situation: ErrorSituation,
        dialect: str,
    ) -> T:
        """Send a statement and await its answer; ``counted`` gives its rows, ``None``: control."""
        control = counted is None
        watched = self.begin(sql, parameters, situation, dialect, control=control)
        return await watched.answered(work, counted)

    async def answered_together(
        self,
        work: Awaitable[Sequence[T]],
        statements: Sequence[tuple[str, Sequence[Any]]],
        situation: ErrorSituation,
        dialect: str,
    ) -> Sequence[T]:
        """Send statements at once and await the rows of the last one.

        The first has the time of all, and the failure: those behind it were not done then.
        """
        first, *behind = [
            self.begin(sql, len(values), situation, dialect) for sql, values in statements
        ]
        failure: Failure | None = _NOT_DONE
        try:
            rows = await first.answered(work, None if behind else len)
            failure = None
            if behind:
                behind[-1].rows = len(rows)
            return rows
        finally:
            for statement in behind:
                statement.end(failure)

    def pool_events(self, lane: str) -> Callable[..., None]:
        """What a pool calls with the name of an event."""
        return partial(self._pool_event, lane)

    def _pool_event(self, lane: str, event: str, *arguments: Any) -> None:
        self.observers.tell(event, self.database, lane, *arguments)


def with_observer(
    known: DatabaseObservers | None, observer: Observer, database: str
) -> DatabaseObservers:
    """The observers of a database, and one more."""
    members = () if known is None else known.observers.members
    return Observers([*members, ("observe", observer)]).of_database(database)


@define(eq=False)
class WatchedStatement:
    """A statement that is under way."""

    observers: Observers
    run: StatementRun
    _seconds: float = 0.0
    rows: int | None = None
    _ended: bool = False

    async def answered(self, work: Awaitable[T], counted: Callable[[T], int] | None = None) -> T:
        """Await the answer; ``counted`` gives its rows."""
        began = perf_counter()
        try:
            result = await work
        except BaseException as error:
            self._seconds = perf_counter() - began
            self.end(failure_of(error))
            raise
        self._seconds = perf_counter() - began
        self.rows = None if counted is None else counted(result)
        self.end()
        return result

    async def part(self, work: Awaitable[Sequence[T]]) -> Sequence[T]:
        """Await the next rows of a stream; without any it has ended."""
        began = perf_counter()
        try:
            rows = await work
        except BaseException as error:
            self._seconds += perf_counter() - began
            self.end(failure_of(error))
            raise
        self._seconds += perf_counter() - began
        self.rows = (self.rows or 0) + len(rows)
        if not rows:
            self.end()
        return rows

    def end(self, failure: Failure | None = None) -> None:
        """Tell that it has ended, once."""
        if not self._ended:
            self._ended = True
            end = Ended(self._seconds, self.rows, failure)
            self.observers.tell("statement_ended", self.run, end)


_NOT_DONE: Final = Failure("NotDone")


@define(eq=False)
class SharedBy:
    """The node runs whose calls share statements. Only what still waits for an answer counts."""

    _by_call: dict[asyncio.Future[Any], Sequence[NodeRun]] = field(factory=dict)
    _now: list[NodeRun] = field(factory=list)

    def add(self, call: asyncio.Future[Any]) -> None:
        """Note who makes a call."""
        nodes = self._by_call[call] = tuple(nodes_running.get())
        self._now += nodes

    def narrow(self, calls: Iterable[tuple[asyncio.Future[Any], Any]]) -> None:
        """What is sent from now on is for these calls."""
        self._now[:] = [node for call, _ in calls for node in self._by_call.get(call, ())]

    def rest(self, calls: Iterable[tuple[asyncio.Future[Any], Any]]) -> SharedBy:
        """Those of calls that are sent with another statement."""
        other = SharedBy(self._by_call)
        other.narrow(calls)
        return other

    def context(self) -> Context:
        """A new context in which these are the nodes that run."""
        context = Context()
        context.run(nodes_running.set, self._now)
        return context


async def observed_workflow(
    observers: Sequence[Observers], run: WorkflowRun, work: Coroutine[Any, Any, T]
) -> T:
    """Run a workflow, and tell the observers of the instances that it uses."""
    for one in observers:
        one.tell("run_began", run)
    began = perf_counter()
    failure: Failure | None = None
    try:
        return await work
    except BaseException as error:
        failure = failure_of(error)
        raise
    finally:
        end = Ended(perf_counter() - began, None, failure)
        for one in reversed(observers):
            one.tell("run_ended", run, end)


def failure_of(error: BaseException) -> Failure:
    """What observers are told of an error."""
    if isinstance(error, DataFlowError):
        code = error.database_code if isinstance(error, DatabaseError) else None
        return Failure(type(error).__name__, error.code, code)
    return Failure(type(error).__name__)


class EachStatement(Observer):
    """Calls a function with the text of each statement and the number of its parameters."""

    def __init__(self, tell: Callable[[str, int], object]) -> None:
        self._tell = tell

    def statement_began(self, statement: StatementRun) -> None:
        """Tell of a statement, but not of where transactions begin and end."""
        if not statement.control:
            self._tell(statement.sql, statement.parameters)
