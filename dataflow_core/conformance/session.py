"""What a case works with: a database handle, models of its own, expectations that explain."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from attrs import define, evolve, field

from dataflow_core import DataFlow
from dataflow_core.compile.needs import offers
from dataflow_core.conformance.database import Database
from dataflow_core.conformance.equality import first_difference
from dataflow_core.conformance.oracle import Oracle
from dataflow_core.conformance.watched import Handle
from dataflow_core.errors import DataFlowError, TableMissing, UnsupportedFeature
from dataflow_core.run.scopes import TransactionScope
from dataflow_core.schema import Model

__all__ = ["CaseFailed", "Session", "cancelled", "expect_cancelled", "reached"]

_numbers: Final = itertools.count(1)
_RUN: Final = secrets.token_hex(4)


class CaseFailed(AssertionError):
    """A rule does not hold.

    Parameters:
        message: what is wrong.
        expected, got: the two sides, for the report.
    """

    def __init__(self, message: str, *, expected: Any = None, got: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.got = got


@define(eq=False)
class Session:
    """A database handle for one case. Tables have names of their own and are dropped at the end.

    Attributes:
        url: the database under test.
        options: further arguments of ``DataFlow``.
        db: the handle.
        ignore_claims: send even what the dialect declares off.
        last: the node and parameters of the latest call, over whichever handle, for the report.
        last_on: where that call went.
        classes: the models of the handle as they were registered, for the report.
        asked: the features that core asked for, in order.
    """

    url: str
    options: Mapping[str, Any] = field(factory=dict)
    ignore_claims: bool = False
    db: Any = field(init=False)
    database: Database = field(init=False)
    last_on: Database = field(init=False)
    last: tuple[str, dict[str, Any]] | None = None
    classes: list[type] = field(factory=list)
    asked: dict[str, None] = field(factory=dict)
    _others: dict[int, Database] = field(factory=dict)
    _loaded: dict[Model, list[Mapping[str, Any]]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.db, self.database = self._opened({})
        self.last_on = self.database

    def _opened(self, options: Mapping[str, Any], url: str | None = None) -> tuple[Any, Database]:
        """A handle that tells this session of its calls, and the database behind it."""
        inner = DataFlow(self.url if url is None else url, **{**self.options, **options})
        database = Database(inner, self.ignore_claims, self.asked)
        return Handle(inner, partial(self._note, database)), database

    def _note(self, database: Database, node: str, parameters: dict[str, Any]) -> None:
        self.last, self.last_on = (node, parameters), database

    async def close(self) -> None:
        """Drop the tables of the case and close every handle."""
        databases = (*self._others.values(), self.database)
        try:
            for database in databases:
                await database.drop_tables()
        finally:
            for database in databases:
                await database.db.aclose()

    def refused(self) -> str | None:
        """The latest feature that core asked for and that is declared off; so it was refused.

        A case that fails need not fail with that: it may have been refused in another task.
        """
        if self.ignore_claims:
            return None
        features, version = self.database.dialect.features, self.database.engine.server_version
        return next(
            (name for name in reversed(self.asked) if not offers(features, name, version)), None
        )

    def another(self, **options: Any) -> Any:
        """A second handle on the same URL. A database in memory is another one then."""
        handle, database = self._opened(options)
        self._others[id(handle)] = database
        return handle

    def in_memory(self) -> Any:
        """A handle on a database in memory, by the URL under test with another name in it.

        Raises:
            UnsupportedFeature: the dialect's plugin names none.
        """
        name = self.database.dialect.name
        specs = {spec.name: spec for spec in self.db.plugins.dialects()}
        memory = specs[name].memory if name in specs else None
        if memory is None:
            reason = "its plugin names no database in memory"
            raise UnsupportedFeature(
                f"{name} does not offer connection.memory: {reason}",
                feature="connection.memory",
                dialect=name,
                reason=reason,
            )
        url = evolve(self.db.url, database=memory).render(hide_password=False)
        handle, database = self._opened({}, url)
        self._others[id(handle)] = database
        return handle

    async def sees(self, handle: Any, table: str) -> bool:
        """Whether another handle has a table of the session: not in a database of its own."""
        return await self._others[id(handle)].has_table(table)

    async def second_handle(self, model: Model, **options: Any) -> Any | None:
        """Another handle that knows the table of a model; ``None`` if it is another database."""
        await self.run(model, "Count", filter={})
        handle = self.another(auto_migrate=False, **options)
        handle.model(self.class_of(model), validation="off")
        try:
            await handle.run(f"{model.name}CountNode", filter={})
        except TableMissing:
            return None
        return handle

    async def expendable_handle(self, model: Model) -> Any:
        """A handle that knows a model and that a case may close: no table is dropped over it."""
        handle = await self.second_handle(model)
        if handle is None:
            handle = self.another()
            handle.model(self.class_of(model), validation="off")
        return handle

    def class_of(self, model: Model) -> type:
        """The class that a model was registered with, its table's name included."""
        return next(cls for cls in self.classes if cls.__name__ == model.name)

    @property
    def token(self) -> str:
        """What makes a name unlike those of other cases and runs."""
        return f"{_RUN}_{next(_numbers)}"

    # Models and rows

    def model(self, cls: type, *, on: Any = None) -> Model:
        """Register a model under a table name of its own; timestamps are off unless it says so.

        Parameters:
            cls: the class, which stays as it is.
            on: another handle than the session's.
        """
        options = dict(getattr(cls, "__dataflow__", {}))
        options.setdefault("timestamps", False)
        options.setdefault("table", f"conformance_{self.token}")
        copy = type(
            cls.__name__,
            (cls,),
            {"__module__": cls.__module__, "__dataflow__": options, "__doc__": cls.__doc__},
        )
        database = self.database if on is None else self._others[id(on)]
        database.db.model(copy, validation="off")
        if database is self.database:
            self.classes.append(copy)
        return database.own(cls.__name__)

    async def load(self, model: Model, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Create rows one by one; the rows as stored."""
        rows = list(rows)
        self._loaded[model] = [*self._loaded.get(model, ()), *rows]
        return [dict((await self.run(model, "Create", values=row))["result"]) for row in rows]

    async def run(self, model: Model, kind: str, /, **parameters: Any) -> dict[str, Any]:
        """Run a node of a model: ``run(model, "List", filter={...})``."""
        node = f"{model.name}{kind}Node"
        self._note(self.database, node, parameters)
        await self.database.before_call(model)
        result: dict[str, Any] = await self.db.run(node, **parameters)
        self.database.after_call()
        return result

    def nested(self) -> TransactionScope:
        """A transaction inside another; refusing it is judged as a call of its own."""
        self.database.after_call()
        scope: TransactionScope = self.db.transaction()
        return scope

    async def rows(
        self, model: Model, document: Any = None, **parameters: Any
    ) -> list[dict[str, Any]]:
        """The rows that the list node gives."""
        result = await self.run(model, "List", filter=document or {}, **parameters)
        return list(result["records"])

    # Expectations

    def equal(self, got: Any, expected: Any, what: str = "", *, close: bool = False) -> None:
        """Two values are equal and of the same type, all the way down."""
        found = first_difference(got, expected, close=close)
        if found is not None:
            raise CaseFailed(f"{what}: {found}" if what else found, expected=expected, got=got)

    def true(self, condition: bool, message: str) -> None:
        """A condition holds."""
        if not condition:
            raise CaseFailed(message)

    async def expect_list(
        self, model: Model, document: Any, ids: Sequence[Any], **parameters: Any
    ) -> None:
        """The list node gives the rows with these keys, in this order."""
        await self._expect_keys(model, document, list(ids), None, **parameters)

    def _loaded_rows(self, model: Model, ids: Sequence[Any]) -> list[dict[str, Any]] | None:
        """The rows with these keys as the evaluator holds them; ``None`` if it does not know."""
        oracle = Oracle(model)
        [name] = model.key_names
        try:
            oracle.load(self._loaded.get(model, ()))
            known = {row[name]: row for row in oracle.all_rows()}
            return [known[key] for key in ids]
        except (DataFlowError, KeyError):  # rows that were stored in another way, or changed
            return None

    async def _expect_keys(
        self, model: Model, document: Any, ids: list[Any], meant: Any, **parameters: Any
    ) -> None:
        """Compare keys; the report shows the whole rows where the evaluator gives them."""
        [name] = model.key_names
        rows = await self.rows(model, document, **parameters)
        keys = [row[name] for row in rows]
        found = first_difference(keys, ids)
        if found is not None:
            if meant is None:
                meant = self._loaded_rows(model, ids)
            expected, got = (ids, keys) if meant is None else (meant, rows)
            raise CaseFailed(f"filter {document!r}: keys {found}", expected=expected, got=got)

    async def expect_filter(
        self, model: Model, rows: Sequence[Any], document: Any, ids: Any
    ) -> None:
        """List, count and complement agree on which of ``rows`` a filter lets through.

        ``ids`` are the keys by the rule of the case; the evaluator has to give them too.
        """
        [name] = model.key_names
        oracle = Oracle(model)
        oracle.load(rows)
        matching = oracle.matching(document)
        meant = [row[name] for row in matching]
        self.equal(meant, list(ids), f"the evaluator, filter {document!r}")
        await self._expect_keys(model, document, meant, matching)
        counted = await self.run(model, "Count", filter=document)
        self.equal(counted["count"], len(meant), f"count of {document!r}")
        rest = [row for row in oracle.all_rows() if row[name] not in meant]
        await self._expect_keys(model, {"$nor": [document]}, [row[name] for row in rest], rest)

    async def check_pipeline(
        self,
        model: Model,
        rows: Iterable[Any],
        pipeline: Any,
        expected: Any = None,
        *,
        close: bool = True,
    ) -> list[dict[str, Any]]:
        """A pipeline gives what the evaluator gives, and ``expected`` if that is given."""
        oracle = Oracle(model)
        oracle.load(rows)
        meant = oracle.aggregate(pipeline)
        if expected is not None:
            self.equal(meant, expected, "the evaluator", close=close)
        result = await self.run(model, "List", aggregate=pipeline)
        self.equal(result["result"], meant, f"pipeline {pipeline!r}", close=close)
        return meant

    async def check_update(
        self, model: Model, row: Mapping[str, Any], fields: Any, expected: Mapping[str, Any]
    ) -> None:
        """Both update nodes make of a stored row what the evaluator makes of it.

        ``row`` has the key 1 and is stored anew for each; ``expected`` are the fields that change.
        """
        [name] = model.key_names
        for kind in ("Update", "BulkUpdate"):
            await self.run(model, "BulkDelete", allow_all=True, filter={})
            [stored] = await self.load(model, [{name: 1, **row}])
            oracle = Oracle(model)
            oracle.load([{name: 1, **row}])
            [meant] = oracle.update({name: 1}, fields, one=True)
            self.equal(meant, {**stored, **expected}, f"the evaluator, fields {fields!r}")
            await self.run(model, kind, filter={name: 1}, fields=fields)
            [got] = await self.rows(model)
            self.equal(got, meant, f"{kind} with {fields!r}")

    async def expect_error(
        self,
        kind: type[DataFlowError],
        call: Callable[[], Awaitable[Any]],
        *,
        sent: bool | None = None,
        **attributes: Any,
    ) -> DataFlowError:
        """A call raises exactly this error, with these attributes.

        ``sent`` ``False``: and nothing is sent to the database.
        """
        before = self.database.statements
        raised = await self.expect_error_of(kind, call)
        if type(raised) is not kind and kind is not DataFlowError:
            raise CaseFailed(f"expected {kind.__name__}, got {_error(raised)}") from raised
        for name, value in attributes.items():
            self.equal(getattr(raised, name), value, f"{kind.__name__}.{name}")
        if sent is False and self.database.statements != before:
            raise CaseFailed(f"{kind.__name__} was raised after SQL had been sent")
        return raised

    async def expect_error_of(
        self, kind: type[DataFlowError], call: Callable[[], Awaitable[Any]]
    ) -> DataFlowError:
        """A call raises an error of this class or of one below it."""
        try:
            got = await call()
        except DataFlowError as error:
            if isinstance(error, kind):
                return error
            if isinstance(error, UnsupportedFeature):
                raise
            raise CaseFailed(f"expected {kind.__name__}, got {_error(error)}") from error
        raise CaseFailed(f"expected {kind.__name__}, but nothing was raised", got=got)


def _error(error: DataFlowError) -> str:
    return f"{type(error).__name__}: {error.message}"


async def cancelled(work: Awaitable[Any], after: float) -> None:
    """Start work, cancel it after some seconds, and wait until it has ended."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def expect_cancelled(session: Session, task: asyncio.Future[Any]) -> None:
    """A task that was cancelled ends as such. A refusal before is the outcome of the case."""
    outcome: object = (await asyncio.gather(task, return_exceptions=True))[0]
    if isinstance(outcome, UnsupportedFeature):
        raise outcome
    session.true(isinstance(outcome, asyncio.CancelledError), f"it ended with {outcome!r}")


async def reached(event: asyncio.Event, task: asyncio.Future[Any]) -> None:
    """Wait until a task has got somewhere; if it ends before, raise what it raised."""
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not event.is_set():
        await task
        raise CaseFailed("a task ended before it was half done")
