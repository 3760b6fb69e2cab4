"""Explaining: what an operation would send, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen

from dataflow_core.contract import ErrorSituation
from dataflow_core.run.session import Rows
from dataflow_core.schema import Model

__all__ = ["ExplainedStatement", "Explanation"]


@frozen
class ExplainedStatement:
    """A statement that would be sent, and the values to be bound, as the driver has them."""

    sql: str
    parameters: tuple[Any, ...]

    def __str__(self) -> str:
        return self.sql


@define(eq=False)
class Explanation:
    """Stands in for a transaction: writes down what is sent and answers with nothing."""

    statements: list[ExplainedStatement] = field(factory=list)
    made_tables: list[Model] = field(factory=list)
    recovers: bool = True
    over: bool = False
    has_savepoints: bool = True

    async def fetch(self, sql: str, parameters: Sequence[Any], situation: ErrorSituation) -> Rows:
        """Write a statement down; no rows."""
        self.statements.append(ExplainedStatement(sql, tuple(parameters)))
        return ()

    async def fetch_named(
        self, sql: str, parameters: Sequence[Any], situation: ErrorSituation
    ) -> tuple[tuple[str, ...], Rows]:
        """Write a statement down; no columns, no rows."""
        return (), await self.fetch(sql, parameters, situation)

    async def execute(self, sql: str, parameters: Sequence[Any], situation: ErrorSituation) -> int:
        """Write a statement down; no rows."""
        await self.fetch(sql, parameters, situation)
        return 0

    async def ping(self) -> float:
        """Nothing is sent."""
        return 0.0

    async def mark(self) -> str | None:
        """Nothing is sent."""
        return None

    async def undo(self, mark: str | None) -> None:
        """Nothing is sent."""

    async def again(self) -> bool:
        """Nothing is sent."""
        return True

    async def savepoint(self) -> str:
        """Nothing is sent."""
        return ""

    async def release(self, name: str) -> None:
        """Nothing is sent."""

    async def roll_back_to(self, name: str) -> None:
        """Nothing is sent."""
