"""What the runs of workflows have done so far, by node; only while they run."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import define, field

from dataflow_core.contract import Ended, NodeRun, StatementRun, WorkflowRun

__all__ = ["RUNS", "RunRecord", "Runs"]


@define(eq=False)
class _NodeRecord:
    type: str
    rows: int = 0
    seconds: list[float] = field(factory=list)
    statements: int = 0

    def metrics(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "calls": len(self.seconds),
            "rows": self.rows,
            "seconds": _distribution(self.seconds),
            "statements": self.statements,
            "cache_hits": "not configured",
        }


@define(eq=False)
class RunRecord:
    """One run of a workflow; ``statements`` counts each once, whatever nodes share it."""

    nodes: dict[str, _NodeRecord] = field(factory=dict)
    statements: int = 0

    def metrics(self) -> dict[str, dict[str, Any]]:
        """By id of the nodes that have ended, and the totals under ``workflow``."""
        ended = {node_id: node for node_id, node in self.nodes.items() if node.seconds}
        result = {node_id: node.metrics() for node_id, node in ended.items()}
        seconds = [one for node in ended.values() for one in node.seconds]
        result["workflow"] = {
            "calls": len(seconds),
            "rows": sum(node.rows for node in ended.values()),
            "seconds": _distribution(seconds),
            "statements": self.statements,
            "cache_hits": "not configured",
        }
        return result


class Runs:
    """The runs that are under way, of all instances: a workflow may use several."""

    def __init__(self) -> None:
        self._records: dict[str, RunRecord] = {}
        self._lock = threading.Lock()

    def begin(self, run: WorkflowRun) -> None:
        """A run begins; each of its instances says so."""
        self._records.setdefault(run.run_id, RunRecord())

    def end(self, run: WorkflowRun) -> None:
        """A run has ended."""
        self._records.pop(run.run_id, None)

    def get(self, run_id: str) -> RunRecord | None:
        """What a run has done so far."""
        return self._records.get(run_id)

    def add_node(self, run: NodeRun, end: Ended) -> None:
        """A node has ended. One that another has called is part of that."""
        record = self._records.get(run.run_id)
        if record is None or (run.outer is not None and _place(run.outer) == _place(run)):
            return
        with self._lock:
            node = record.nodes.setdefault(run.node_id, _NodeRecord(run.node))
            node.type = run.node
            node.seconds.append(end.seconds)
            node.rows += end.rows or 0

    def add_statement(self, statement: StatementRun) -> None:
        """A statement was answered: it counts for each node that it was sent for."""
        if not self._records:
            return
        places: dict[tuple[str, str], str] = {}
        for node in statement.nodes:
            around: NodeRun | None = node
            while around is not None:
                # The outermost of a place is the node of the workflow.
                places[_place(around)] = around.node
                around = around.outer
        if not places:
            return
        with self._lock:
            for run_id in {run_id for run_id, _ in places}:
                if (record := self._records.get(run_id)) is not None:
                    record.statements += 1
            for (run_id, node_id), name in places.items():
                if (record := self._records.get(run_id)) is not None:
                    record.nodes.setdefault(node_id, _NodeRecord(name)).statements += 1


RUNS: Final = Runs()
"""The runs of this process."""


def _place(run: NodeRun) -> tuple[str, str]:
    return run.run_id, run.node_id


def _distribution(seconds: Sequence[float]) -> Mapping[str, float | None]:
    """The time that half of the calls, 95 of 100, and all of them took at most."""
    if not seconds:
        return {"p50": None, "p95": None, "max": None}
    ordered = sorted(seconds)

    def rank(hundredths: int) -> float:
        return ordered[-(-hundredths * len(ordered) // 100) - 1]

    return {"p50": rank(50), "p95": rank(95), "max": ordered[-1]}
