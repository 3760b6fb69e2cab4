"""The guards of a schema: asked before a plan is done, told when it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from dataflow_core.contract import ErrorSituation, MigrationGuard
from dataflow_core.errors import PluginError, SchemaChangeRefused
from dataflow_core.operations import MigrationFinding, SchemaPlan

if TYPE_CHECKING:
    from dataflow_core.contract import Server
    from dataflow_core.run.session import Session

__all__ = ["Guards"]

logger = logging.getLogger("dataflow")


@frozen
class _Reader:
    """What a guard may ask."""

    session: Session

    @property
    def dialect(self) -> str:
        """The name of the dialect."""
        return self.session.dialect.name

    @property
    def server(self) -> Server:
        """The server of this connection."""
        return self.session.connection.server

    def quote(self, name: str) -> str:
        """A name as it stands in SQL."""
        return self.session.dialect.compiler.quote(name)

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """The rows of one statement."""
        return await self.session.fetch(sql, parameters, ErrorSituation())


@frozen
class Guards:
    """The guards of one database, in the order of their plugins, each with that plugin's name."""

    guards: tuple[tuple[str, MigrationGuard], ...] = ()

    async def reviewed(self, plan: SchemaPlan, session: Session) -> SchemaPlan:
        """The plan with the statements and the findings of the guards.

        Raises ``PluginError`` where one of them fails.
        """
        if not plan:
            return plan
        reader = _Reader(session)
        for origin, guard in self.guards:
            try:
                changes = tuple(
                    evolve(change, statements=_texts(guard.statements(change, reader)))
                    for change in plan.changes
                )
                plan = evolve(plan, changes=changes)
                found = _findings(await guard.check(plan, reader))
            except Exception as error:
                raise PluginError(
                    f"the guard of the schema of {origin} failed, so nothing was changed: {error}"
                ) from error
            plan = evolve(plan, findings=(*plan.findings, *found))
        return plan

    def enforce(self, plan: SchemaPlan) -> None:
        """Raise ``SchemaChangeRefused`` if a guard refuses; log what else they say."""
        if plan.refusals:
            told = "; ".join(str(finding).removeprefix("refusal: ") for finding in plan.refusals)
            raise SchemaChangeRefused(
                f"the schema of {plan.database} is guarded, and nothing was changed: {told}",
                database=plan.database,
                plan=str(plan).splitlines(),
            )
        for finding in plan.findings:
            logger.warning("schema of %s: %s", plan.database, finding)

    async def tell(self, plan: SchemaPlan, started: float) -> None:
        """Tell the guards that a plan was done, which began at a moment of the monotonic clock."""
        seconds = time.monotonic() - started
        for origin, guard in self.guards:
            try:
                await guard.applied(plan, seconds)
            except Exception as error:
                raise PluginError(
                    f"the schema was changed, but the guard of {origin} failed afterwards: {error}",
                    outcome="done",
                ) from error


def _texts(statements: object) -> tuple[str, ...]:
    if isinstance(statements, str) or not isinstance(statements, Sequence):
        raise TypeError(f"statements returned {type(statements).__name__}, expected a list of SQL")
    wrong = next((one for one in statements if not isinstance(one, str)), None)
    if wrong is not None:
        raise TypeError(f"statements returned a {type(wrong).__name__}, expected SQL as text")
    return tuple(statements)


def _findings(found: object) -> tuple[MigrationFinding, ...]:
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise TypeError(f"check returned {type(found).__name__}, expected a list of findings")
    for one in found:
        if not isinstance(one, MigrationFinding) or one.level not in ("note", "refusal"):
            raise TypeError(f"check returned {one!r}, expected a MigrationFinding")
    return tuple(found)
