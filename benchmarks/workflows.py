"""What a runtime adds: to the asynchronous one, and for every node."""

from __future__ import annotations

import asyncio
import gc
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from dataflow_core import AsyncLocalRuntime, DataFlow, LocalRuntime, WorkflowBuilder

__all__ = ["NODES", "WorkflowFigures", "measure_workflows"]

NODES: Final = 1_000


@frozen
class WorkflowFigures:
    """Microseconds of a call and nodes in a second, medians over the rounds.

    ``synchronous_cost`` is what ``LocalRuntime`` adds to ``AsyncLocalRuntime``, in round trips of
    ``run_coroutine_threadsafe``.
    """

    asynchronous: float
    synchronous: float
    round_trip: float
    synchronous_cost: float
    nodes_apart: float
    nodes_chained: float


def no_op_workflow(db: DataFlow, nodes: int, *, chained: bool) -> Any:
    """A workflow of nodes that do nothing, each by itself or each fed by the one before."""
    builder = WorkflowBuilder(db)
    for number in range(nodes):
        builder.add_node("NoOpNode", f"node{number}", {})
        if chained and number:
            builder.add_connection(f"node{number - 1}", "result", f"node{number}", "value")
    return builder.build()


def measure_workflows(rounds: int, calls: int = 300) -> WorkflowFigures:
    """Measure the runtimes in interleaved rounds."""
    with DataFlow() as db:

        @db.node("NoOpNode")
        async def no_op(context: Any, value: int = 0) -> dict[str, Any]:
            return {"result": value}

        one = no_op_workflow(db, 1, chained=False)
        apart = no_op_workflow(db, NODES, chained=False)
        chain = no_op_workflow(db, NODES, chained=True)
        times: list[tuple[float, ...]] = []
        for _ in range(rounds):
            times.append(
                (
                    _asynchronous(one, calls),
                    _synchronous(one, calls),
                    _round_trip(calls),
                    _asynchronous(apart, 3),
                    _asynchronous(chain, 3),
                )
            )
    added = [(both - alone) / trip for alone, both, trip, *_ in times]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    return WorkflowFigures(
        asynchronous=medians[0] * 1e6,
        synchronous=medians[1] * 1e6,
        round_trip=medians[2] * 1e6,
        synchronous_cost=statistics.median(added),
        nodes_apart=NODES / medians[3],
        nodes_chained=NODES / medians[4],
    )


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _asynchronous(workflow: Any, calls: int) -> float:
    """Seconds of one call of ``AsyncLocalRuntime``."""
    runtime = AsyncLocalRuntime()

    async def run() -> float:
        gc.collect()
        start = time.perf_counter()
        for _ in range(calls):
            await runtime.execute(workflow)
        return time.perf_counter() - start

    return asyncio.run(run()) / calls


def _synchronous(workflow: Any, calls: int) -> float:
    """Seconds of one call of ``LocalRuntime``."""
    runtime = LocalRuntime()
    runtime.execute(workflow)

    def run() -> None:
        for _ in range(calls):
            runtime.execute(workflow)

    return _timed(run) / calls


def _round_trip(calls: int) -> float:
    """Seconds of one coroutine that does nothing, on a loop in another thread and back."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def nothing() -> None:
        return None

    def run() -> None:
        for _ in range(calls):
            asyncio.run_coroutine_threadsafe(nothing(), loop).result()

    try:
        asyncio.run_coroutine_threadsafe(nothing(), loop).result()
        return _timed(run) / calls
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
