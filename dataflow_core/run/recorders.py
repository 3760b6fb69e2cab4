"""Who is told of the changes of which models, and what they can do."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import define, field

from dataflow_core.contract import ChangeKind, ChangeRecorder, RowChanges
from dataflow_core.operations import CreateMany
from dataflow_core.run.explain import Explanation
from dataflow_core.run.inserts import insert
from dataflow_core.run.kept import Kept
from dataflow_core.run.running import workflow_run
from dataflow_core.run.transactions import Transaction, current_transaction
from dataflow_core.schema import Model
from dataflow_core.schema.relations import affected_by_deletion
from dataflow_core.types import Json

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine

__all__ = ["Recorders", "failing"]

Row = Mapping[str, Any]
Run = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


@define(eq=False)
class Recorders:
    """The recorders of the models of one instance.

    Attributes:
        ask: the recorders of a model that is registered.
        run: runs a node of the instance by its name.
        tenant: the tenant in force.
        by_name: the recorders of each model that has any.
    """

    ask: Callable[[Model], Sequence[ChangeRecorder]]
    run: Run
    tenant: Callable[[], Any]
    by_name: dict[str, tuple[ChangeRecorder, ...]] = field(factory=dict)
    _deletions: dict[Model, bool] = field(factory=dict)

    def register(self, model: Model) -> list[Model]:
        """Ask who records the changes of a model; the models that they write."""
        found = tuple(self.ask(model))
        self._deletions.clear()
        self.by_name.pop(model.name, None)
        if found:
            self.by_name[model.name] = found
        return [written for recorder in found for written in recorder.models]

    def of(self, model: Model) -> tuple[ChangeRecorder, ...]:
        """The recorders of a model."""
        return self.by_name.get(model.name, ())

    def see_deletions(self, model: Model, engine: Engine) -> bool:
        """Whether deleting rows of a model changes rows that are recorded."""
        model = model.declared
        found = self._deletions.get(model)
        if found is None:
            models = [model, *affected_by_deletion(model, engine.tables.models())]
            found = self._deletions[model] = any(item.name in self.by_name for item in models)
        return found

    async def record(
        self,
        engine: Engine,
        model: Model,
        kind: ChangeKind,
        *,
        before: Sequence[Row] | None = None,
        after: Sequence[Row] | None = None,
    ) -> None:
        """Tell of changes, in the transaction in force. Updates that change nothing are none."""
        if kind == "update" and before is not None and after is not None:
            pairs = [pair for pair in zip(before, after, strict=True) if not _same(model, *pair)]
            before, after = [old for old, _ in pairs], [new for _, new in pairs]
        if before or after:
            names = tuple(item.name for item in model.fields)
            old, new = _values(names, before), _values(names, after)
            await self.tell(engine, RowChanges(model, kind, names, old, new))

    async def tell(self, engine: Engine, changes: RowChanges) -> None:
        """Tell of changes, and keep what the recorders return until the commit."""
        transaction = current_transaction(engine)
        assert transaction is not None
        if isinstance(transaction, Explanation):
            return
        if transaction.kept is None:
            transaction.kept = Kept()
        kept = transaction.kept
        scope = _Scope(engine, self.run, self.tenant, kept.transaction_id)
        with failing(transaction):
            for recorder in self.of(changes.model):
                returned = await recorder.record(changes, scope)
                if returned is not None:
                    kept.items.append((recorder, scope, returned))


def _same(model: Model, one: Row, other: Row) -> bool:
    """Whether two rows are the same; 1, 1.0 and True in a document are not."""
    return one == other and all(
        json.dumps(one[item.name], sort_keys=True) == json.dumps(other[item.name], sort_keys=True)
        for item in model.fields
        if isinstance(item.type, Json) and item.type.item is None
    )


def _values(names: tuple[str, ...], rows: Sequence[Row] | None) -> list[tuple[Any, ...]] | None:
    return None if rows is None else [tuple([row[name] for name in names]) for row in rows]


@contextmanager
def failing(transaction: Transaction | Explanation) -> Iterator[None]:
    """What fails within fails the transaction: a change stays never without its record."""
    try:
        yield
    except BaseException as error:
        if isinstance(transaction, Transaction) and transaction.failed is None:
            transaction.failed = error
        raise


@define(eq=False)
class _Scope:
    """What a recorder can do in the transaction in force."""

    engine: Engine
    _run: Run
    _tenant: Callable[[], Any]
    transaction_id: str

    @property
    def database(self) -> str:
        """The name of the database within the instance."""
        return self.engine.name

    @property
    def run_id(self) -> str:
        """The id of the workflow's run; empty outside of workflows."""
        return workflow_run.get()

    @property
    def tenant_id(self) -> Any:
        """The tenant in force, or ``None``."""
        return self._tenant()

    async def insert(self, model: Model, rows: Sequence[Row]) -> None:
        """Insert rows, all with the same fields."""
        transaction = current_transaction(self.engine)
        assert transaction is not None
        writer = self.engine.writers(model).writer(rows[0])
        now = dt.datetime.now(dt.UTC)
        parameters = [writer.write(row, now) for row in rows]
        plan = await self.engine.plan(CreateMany(model, writer.columns))
        assert plan.compiled.rows is not None
        most = plan.compiled.rows.most_rows
        for at in range(0, len(parameters), most):
            await insert(transaction, plan, parameters[at : at + most])

    async def run(self, node: str, /, **parameters: Any) -> dict[str, Any]:
        """Run a node of the instance."""
        return await self._run(node, **parameters)
