"""Running workflows in this process: one asynchronous runtime, and a synchronous face of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self

from attrs import define, field

from dataflow_core.contract import WorkflowRun
from dataflow_core.errors import InvalidType, InvalidValue, WorkflowTimeout
from dataflow_core.naming_hints import quoted
from dataflow_core.run.observing import observed_workflow
from dataflow_core.run.sync_bridge import sync_bridge
from dataflow_core.uuid7 import uuid7
from dataflow_core.workflow.arguments import checked_on_error, checked_seconds
from dataflow_core.workflow.execution import Execution, RunSettings
from dataflow_core.workflow.graph import OnError, TransactionTarget, Workflow
from dataflow_core.workflow.preflight import (
    Constants,
    check_one_transaction,
    check_parts,
    check_readers,
    check_tenant,
    checked_workflow,
    in_transaction,
    run_constants,
    transaction_retries,
)
from dataflow_core.workflow.transactions import carried_out, transaction_target

__all__ = ["AsyncLocalRuntime", "LocalRuntime", "Results"]

Results = dict[str, dict[str, Any]]
"""The result of each node by its id, in the order in which the nodes were added."""


class AsyncLocalRuntime:
    """Runs workflows on the current event loop; one runtime may run many at the same time.

    Parameters:
        on_error: what a failing node does where neither run nor node says otherwise.
        concurrency: how many nodes of one run may be under way at the same time.
    """

    def __init__(self, *, on_error: OnError = "raise", concurrency: int = 10) -> None:
        self._on_error: OnError = checked_on_error(on_error, "on_error") or "raise"
        self._concurrency = _checked_concurrency(concurrency)

    async def execute(
        self,
        workflow: Workflow,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        transaction: bool = False,
        tenant_id: Any = None,
        timeout: float | None = None,
        on_error: OnError | None = None,
    ) -> tuple[Results, str]:
        """Run a workflow; the result is that of running its nodes one after the other.

        Cancelling the call cancels the nodes that run, and ends when they have ended.

        Parameters:
            workflow: what ``build()`` returned.
            parameters: ``{node_id: {name: value}}``: parameters for this run, which replace the
                constants of the workflow.
            transaction: run all nodes in one transaction, in order, over one connection. Where
                the database ends it for another one's sake it is run again, up to 4 times, unless
                a node may do something outside of the database.
            tenant_id: the tenant whose rows are meant, for nodes that are not given one.
            timeout: seconds after which the run is cancelled.
            on_error: ``"raise"`` or ``"continue"``; left out, what the runtime was made with.

        Returns:
            The results by node id, and the run's id: unique, and sorted by time.

        Raises:
            InvalidWorkflow, ParameterError, TransactionSpansDatabases: the call cannot be carried
                out as it was asked; nothing was run.
            NodeExecutionError: a node failed; ``error.results`` holds what finished.
            WorkflowTimeout: the time was over.
        """
        workflow = checked_workflow(workflow)
        mode = checked_on_error(on_error, "on_error") or self._on_error
        seconds = checked_seconds(timeout, "timeout")
        if not isinstance(transaction, bool):
            raise InvalidType(
                f"transaction must be True or False, not {quoted(transaction)}",
                where="transaction",
                expected="bool",
            )
        check_tenant(workflow, tenant_id)
        target = transaction_target(workflow.steps) if transaction else None
        ordered = transaction or in_transaction(workflow)
        if ordered:
            check_one_transaction(workflow, mode)
        constants = run_constants(workflow, parameters)
        check_parts(workflow, constants, transaction=transaction)
        run_id = str(uuid7())
        check_readers(workflow, constants, run_id)
        settings = RunSettings(
            run_id=run_id,
            on_error=mode,
            concurrency=1 if ordered else self._concurrency,
            tenant_id=tenant_id,
            deadline=None if seconds is None else asyncio.get_running_loop().time() + seconds,
        )
        running = _Running(workflow, constants, settings)
        # Within a transaction of the caller's there is none to do again.
        alone = transaction and not in_transaction(workflow)
        retries = transaction_retries(workflow, constants) if alone else 0
        work = running.run(target, retries)
        if workflow.observers:
            run = WorkflowRun(run_id, workflow.order)
            work = observed_workflow(workflow.observers, run, work)
        if seconds is None:
            return await work, run_id
        try:
            async with asyncio.timeout(seconds) as limit:
                return await work, run_id
        except Exception as error:
            if not limit.expired():
                raise
            raise WorkflowTimeout(
                f"the workflow took longer than its timeout of {seconds} s and was cancelled",
                run_id=run_id,
                timeout=seconds,
                finished=list(running.results),
            ) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held open between calls."""


class LocalRuntime:
    """Runs workflows from synchronous code, on the background event loop of this process.

    Works from scripts, threads and notebooks; needs no closing, and may be used with ``with``.

    Parameters:
        on_error, concurrency: as for ``AsyncLocalRuntime``.
    """

    def __init__(self, *, on_error: OnError = "raise", concurrency: int = 10) -> None:
        self._runtime = AsyncLocalRuntime(on_error=on_error, concurrency=concurrency)

    def execute(
        self,
        workflow: Workflow,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        transaction: bool = False,
        tenant_id: Any = None,
        timeout: float | None = None,
        on_error: OnError | None = None,
    ) -> tuple[Results, str]:
        """Run a workflow and wait for its end; all as in ``AsyncLocalRuntime.execute``.

        Raises:
            BlockingCallRefused: called by code that runs on the background event loop itself.
        """
        return sync_bridge().run(
            self._runtime.execute(workflow, parameters, transaction, tenant_id, timeout, on_error)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open between calls."""


@define(eq=False)
class _Running:
    """One run: its execution, or the latest of several where its transaction is done again."""

    workflow: Workflow
    constants: Constants
    settings: RunSettings
    results: Results = field(factory=dict)

    async def run(self, target: TransactionTarget | None, retries: int) -> Results:
        """Run all nodes, in a transaction if there is a target."""
        if target is None:
            return await self._once()
        return await carried_out(target, self._once, retry=retries)

    async def _once(self) -> Results:
        execution = Execution(self.workflow, self.constants, self.settings)
        try:
            return await execution.run()
        finally:
            self.results = execution.results


def _checked_concurrency(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidType(
            f"concurrency must be a whole number, not {type(value).__name__} {quoted(value)}",
            where="concurrency",
            expected="int",
        )
    if value < 1:
        raise InvalidValue(
            f"concurrency must be at least 1, not {value}",
            where="concurrency",
            expected="1 or more",
        )
    return value
