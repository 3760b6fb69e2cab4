"""One run of a workflow.

The nodes are taken in sequential order. Those that can be told apart from nobody run at the same
time, each as a task; where only one can run it is simply awaited. When a node fails, what comes
after it in the sequential order is cancelled, and what comes before it is brought to its end, so
that the run reports the same failure as a sequential one.
"""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Coroutine, Mapping
from heapq import heapify, heappop, heappush
from typing import Any, NoReturn

from attrs import frozen

from dataflow_core.errors import (
    InvalidType,
    NodeExecutionError,
    NodeTimeout,
)
from dataflow_core.nodes.base import Context
from dataflow_core.run.running import workflow_run
from dataflow_core.workflow.checks import check_retries
from dataflow_core.workflow.failures import comes_from, node_failure, undone
from dataflow_core.workflow.graph import (
    OnError,
    Step,
    TransactionPart,
    Unit,
    Workflow,
    WorkflowNode,
)
from dataflow_core.workflow.preflight import Constants
from dataflow_core.workflow.transactions import carried_out, check_part_feeds

__all__ = ["Execution", "RunSettings"]

Result = dict[str, Any]


@frozen
class RunSettings:
    """What holds for all nodes of one run; ``deadline`` is a time of the event loop's clock."""

    run_id: str
    on_error: OnError
    concurrency: int
    tenant_id: Any = None
    deadline: float | None = None


class Execution:
    """Runs the nodes of a workflow once. ``results`` holds what has finished so far."""

    def __init__(self, workflow: Workflow, constants: Constants, settings: RunSettings) -> None:
        self._workflow = workflow
        self._units = workflow.units
        self._constants = constants
        self._settings = settings
        self._results: dict[str, Result] = {}
        self._waits = [unit.waits for unit in workflow.units]
        self._ready = [place for place, waits in enumerate(self._waits) if not waits]
        self._running: dict[asyncio.Task[Result], int] = {}
        self._ended: list[asyncio.Task[Result]] = []
        self._wake: asyncio.Future[None] | None = None
        # The place of each unit that failed or was skipped, with the one that failed first.
        self._lost: dict[int, int] = {}
        # The node of a part at which it failed; none where it could not be begun or committed.
        self._failed_steps: dict[int, Step] = {}
        self._failed_at = len(workflow.units)
        self._failure: BaseException | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancels = 0

    @property
    def results(self) -> dict[str, Result]:
        """What has finished so far, in the order in which the nodes were added."""
        done = self._results
        return {node_id: done[node_id] for node_id in self._workflow.nodes if node_id in done}

    async def run(self) -> dict[str, Result]:
        """Run all nodes and return their results.

        Raises:
            NodeExecutionError: a node failed, and its failure was not to be passed over.
        """
        self._task = asyncio.current_task()
        self._cancels = self._task.cancelling() if self._task is not None else 0
        token = workflow_run.set(self._settings.run_id)
        try:
            await self._run_all()
        finally:
            workflow_run.reset(token)
            if self._running:
                await self._cancel_running()
        if self._failure is not None:
            raise self._error(self._failed_at, self._failure) from self._failure
        return self.results

    async def _run_all(self) -> None:
        ready, running, limit = self._ready, self._running, self._settings.concurrency
        while ready or running:
            if not running and (len(ready) == 1 or limit == 1):
                await self._run_here(heappop(ready))
                continue
            while ready and len(running) < limit:
                place = heappop(ready)
                task = asyncio.create_task(self._work(place))
                task.add_done_callback(self._note_end)
                running[task] = place
            await self._some_end()
            ended, self._ended = self._ended, []
            for task in ended:
                self._take(task, running.pop(task))

    async def _run_here(self, place: int) -> None:
        try:
            result = await self._work(place)
        except (Exception, asyncio.CancelledError) as error:
            if self._is_cancelled():
                self._end_as_cancelled(error)
            self._fail(place, error)
        else:
            self._settle(place, result)
            if self._is_cancelled():
                self._end_as_cancelled(None)

    def _take(self, task: asyncio.Task[Result], place: int) -> None:
        """Take in what a task has come to."""
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self._settle(place, task.result())
        elif place < self._failed_at:
            self._fail(place, error)

    def _fail(self, place: int, error: BaseException) -> None:
        unit = self._units[place]
        if self._passes_over(unit):
            self._lost[place] = place
            failure = {"success": False, "error": self._error(place, error).to_dict()["cause"]}
            if unit.part is not None:
                failure = undone(unit.part, self._failed_steps.get(place), failure)
            self._settle(place, failure)
            return
        self._failed_at, self._failure = place, error
        self._ready[:] = [other for other in self._ready if other < place]
        heapify(self._ready)
        for task, other in self._running.items():
            if other > place:
                task.cancel()

    def _passes_over(self, unit: Unit) -> bool:
        """Whether the run goes on when a unit fails; for a part no node of it may ask otherwise."""
        asked = [step.node.options.on_error or self._settings.on_error for step in unit.steps]
        return "raise" not in asked

    def _settle(self, place: int, result: Result) -> None:
        """Note the result of a node, or those of a part, and make ready what has waited for it."""
        settled = [(place, result)]
        while settled:
            place, result = settled.pop()
            unit = self._units[place]
            if unit.part is None:
                self._results[unit.steps[0].node.id] = result
            else:
                self._results.update(result)
            for follower in unit.followers:
                self._waits[follower] -= 1
                if self._waits[follower]:
                    continue
                if self._lost and (skipped := self._skipped(follower)) is not None:
                    settled.append((follower, skipped))
                elif follower < self._failed_at:
                    heappush(self._ready, follower)

    def _skipped(self, place: int) -> Result | None:
        """The result of a unit whose sources did not all succeed, or ``None``."""
        unit = self._units[place]
        lost = [self._lost[source] for source in unit.depends if source in self._lost]
        if not lost:
            return None
        failed = self._failed_node(min(lost)).id
        self._lost[place] = min(lost)
        skipped = {
            "success": False,
            "skipped": True,
            "failed_node": failed,
            "error": self._results[failed]["error"],
        }
        if unit.part is None:
            return skipped
        return {node_id: dict(skipped) for node_id in unit.part.nodes}

    def _work(self, place: int) -> Coroutine[Any, Any, Result]:
        unit = self._units[place]
        if unit.part is None:
            return self._perform(unit.steps[0], self._results)
        return self._perform_part(place, unit, unit.part)

    async def _perform_part(self, place: int, unit: Unit, part: TransactionPart) -> Result:
        """Run the nodes of a part in order, in one transaction; their results, once it is kept."""
        target = self._workflow.parts[part]
        # Within a transaction it is a savepoint: what is ended is the transaction, as a whole.
        retry = part.retry if target.in_force is None else 0
        if retry:
            check_part_feeds(unit, part, self._results)

        failures: list[tuple[Step, BaseException]] = []

        async def work() -> Result:
            inside: dict[str, Result] = {}
            results = ChainMap(inside, self._results)
            for step in unit.steps:
                try:
                    inside[step.node.id] = await self._perform(step, results)
                except BaseException as error:
                    failures.append((step, error))
                    raise
            return inside

        try:
            return await carried_out(target, work, isolation=part.isolation, retry=retry)
        except BaseException as error:
            # An earlier attempt may have failed at a node, and the last one at its begin or commit.
            if failures and comes_from(error, failures[-1][1]):
                self._failed_steps[place] = failures[-1][0]
            raise

    async def _perform(self, step: Step, results: Mapping[str, Result]) -> Result:
        node, settings = step.node, self._settings
        parameters = dict(self._constants.get(node.id, node.parameters))
        for feed in step.feeds:
            parameters[feed.parameter] = feed.output.follow(results[feed.source], feed.source)
        context = Context(
            node.type.owner,
            settings.run_id,
            node.id,
            settings.tenant_id,
            f"{settings.run_id}:{node.id}",
            settings.deadline,
        )
        with context.tenant():
            if node.options.timeout is None and not node.options.retries:
                result = await node.type.run(context, parameters)
            else:
                result = await self._try(node, context, parameters)
        if not isinstance(result, dict):
            raise InvalidType(
                f"the result of a node must be a dict, not {type(result).__name__}",
                expected="dict",
                got=type(result).__name__,
            )
        return result

    async def _try(self, node: WorkflowNode, context: Context, parameters: dict[str, Any]) -> Any:
        options = node.options
        check_retries(node, options, parameters)
        for number in range(options.retries):
            try:
                # A node may change the dict that it is given.
                return await self._within_time(node, context, dict(parameters))
            except Exception as error:
                if not _may_be_repeated(error) or self._is_cancelled():
                    raise
            await asyncio.sleep(options.retry_delay * 2**number)
        return await self._within_time(node, context, parameters)

    async def _within_time(
        self, node: WorkflowNode, context: Context, parameters: dict[str, Any]
    ) -> Any:
        seconds = node.options.timeout
        if seconds is None:
            return await node.type.run(context, parameters)
        end = asyncio.get_running_loop().time() + seconds
        overall = self._settings.deadline
        context.deadline = end if overall is None else min(end, overall)
        try:
            async with asyncio.timeout(seconds) as limit:
                return await node.type.run(context, parameters)
        except Exception as error:
            # A driver may answer the cancellation with an error of its own.
            if not limit.expired():
                raise
            raise NodeTimeout(
                f"the node took longer than its timeout of {seconds} s and was cancelled",
                node_id=node.id,
                node_type=node.type.name,
                timeout=seconds,
            ) from error

    def _note_end(self, task: asyncio.Task[Result]) -> None:
        self._ended.append(task)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _some_end(self) -> None:
        if not self._ended:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    async def _cancel_running(self) -> None:
        """Cancel what still runs and wait until it has ended, even if cancelled once more."""
        for task in self._running:
            task.cancel()
        again: asyncio.CancelledError | None = None
        while pending := [task for task in self._running if not task.done()]:
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError as error:
                again = error
        for task, place in self._running.items():
            if not task.cancelled() and task.exception() is None:
                unit, result = self._units[place], task.result()
                self._results.update(
                    result if unit.part is not None else {unit.steps[0].node.id: result}
                )
        self._running.clear()
        if again is not None:
            raise again

    def _is_cancelled(self) -> bool:
        """Whether the current task was asked to end, as opposed to a node that raised by itself."""
        task = asyncio.current_task()
        if task is None:
            return False
        return task.cancelling() > (self._cancels if task is self._task else 0)

    @staticmethod
    def _end_as_cancelled(error: BaseException | None) -> NoReturn:
        if isinstance(error, asyncio.CancelledError):
            raise error
        # The node has answered its cancellation in another way; the run ends all the same.
        raise asyncio.CancelledError from error

    def _error(self, place: int, cause: BaseException) -> NodeExecutionError:
        return node_failure(
            self._failed_node(place),
            cause,
            self.results,
            self._settings.run_id,
            part=self._units[place].part,
            at_node=place in self._failed_steps,
        )

    def _failed_node(self, place: int) -> WorkflowNode:
        """The node that failed; of a part that could not be begun or committed, the last."""
        return self._failed_steps.get(place, self._units[place].steps[-1]).node


def _may_be_repeated(error: BaseException) -> bool:
    """Whether trying again may help and cannot do twice what was already done."""
    return getattr(error, "retryable", False) is True and getattr(error, "outcome", None) in (
        None,
        "not done",
    )
