"""Large tables are changed by ``db.migrate()`` only, never on the first use of a model.

Settings, from the environment: ``SCHEMA_GUARD_ROWS``, how many rows make a table large (100,000);
``SCHEMA_GUARD_LOG``, a file that takes a line of JSON for every plan that was done.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from dataflow_core.contract import SchemaReader, hookimpl
from dataflow_core.operations import AlterTable, MigrationFinding, SchemaPlan, TableChange

__all__ = ["SchemaGuard", "dataflow_migration_guard"]

LOCK_TIMEOUTS = {"postgres": ("SET LOCAL lock_timeout = '5s'",)}
"""What keeps a change from waiting long for readers, behind which others queue, by dialect."""


@hookimpl
def dataflow_migration_guard(database: str) -> SchemaGuard:
    """Guard every database of an instance, all by the same settings."""
    log = os.environ.get("SCHEMA_GUARD_LOG")
    rows = int(os.environ.get("SCHEMA_GUARD_ROWS", "100000"))
    return SchemaGuard(rows, None if log is None else Path(log))


@frozen
class SchemaGuard:
    """Refuses changes of tables of ``rows`` rows or more on first use; writes a ``log``."""

    rows: int
    log: Path | None

    async def check(self, plan: SchemaPlan, reader: SchemaReader) -> Sequence[MigrationFinding]:
        """A refusal for every large table that nobody asked to change, a note if one did."""
        level = "refusal" if plan.on_first_use else "note"
        hint = "; db.migrate() does it at a moment of your choosing" if plan.on_first_use else ""
        return [
            MigrationFinding(level, f"it has {self.rows} rows or more{hint}", operation.model.table)
            for operation in plan.operations
            if isinstance(operation, AlterTable) and await self._is_large(operation, reader)
        ]

    async def _is_large(self, operation: AlterTable, reader: SchemaReader) -> bool:
        table = reader.quote(operation.before.name)
        sql = f"SELECT COUNT(*) FROM (SELECT 1 AS one FROM {table} LIMIT {self.rows}) AS one"
        return bool((await reader.fetch(sql))[0][0] >= self.rows)

    def statements(self, change: TableChange, reader: SchemaReader) -> Sequence[str]:
        """A change of a table that is there gives up early, where the dialect can say so."""
        if not isinstance(change.operation, AlterTable):
            return change.statements
        return (*LOCK_TIMEOUTS.get(reader.dialect, ()), *change.statements)

    async def applied(self, plan: SchemaPlan, seconds: float) -> None:
        """A line for the log."""
        if self.log is None:
            return
        line = {
            "at": datetime.now(UTC).isoformat(),
            "database": plan.database,
            "seconds": round(seconds, 3),
            "changes": [line for change in plan.changes for line in change.lines()],
        }
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
