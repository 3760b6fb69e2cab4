"""Plans: what would be sent to make the tables what the models say."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from dataflow_core.naming_hints import quoted
from dataflow_core.operations.ddl import AlterTable, CreateTable, DropRowSecurity, Safety
from dataflow_core.operations.described import described

__all__ = ["MigrationFinding", "SchemaPlan", "TableChange"]


@frozen
class MigrationFinding:
    """What a guard of the schema has to say of a plan.

    Attributes:
        level: a ``note`` is shown and logged; a ``refusal`` keeps the whole plan from being done.
        message: a sentence: what was found, and the way out.
        table: the table that it is about; ``None``: the plan as a whole.
    """

    level: Literal["note", "refusal"]
    message: str
    table: str | None = None

    def __str__(self) -> str:
        place = "" if self.table is None else f"{quoted(self.table)}: "
        return f"{self.level}: {place}{self.message}"


@frozen
class TableChange:
    """What is to be done for one model.

    Attributes:
        operation: making its table, or changing it in steps.
        statements: the SQL, in order.
        problems: what no statement mends, a sentence each.
    """

    operation: CreateTable | AlterTable
    statements: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def safety(self) -> Safety:
        """The least safe of its steps."""
        found = {step.safety for step in getattr(self.operation, "steps", ())}
        return (
            "lossy" if "lossy" in found else "tightening" if "tightening" in found else "additive"
        )

    def lines(self) -> list[str]:
        """The change in words."""
        model = self.operation.model
        if isinstance(self.operation, CreateTable):
            head = f"make the table {quoted(model.table)} of {model.name}"
            return [head]
        lines = [f"change the table {quoted(model.table)} of {model.name}:"]
        for step, words in zip(self.operation.steps, described(self.operation.steps), strict=True):
            mark = {"additive": "", "tightening": " (if the rows fit)", "lossy": " (LOSES DATA)"}
            if isinstance(step, DropRowSecurity):
                mark = {"lossy": " (LOSES A LOCK)"}
            lines.append(f"  - {words}{mark[step.safety]}")
        return lines + [f"  ! {problem}" for problem in self.problems]


@frozen
class SchemaPlan:
    """What would be done on one database; printed, it is a readable list.

    Attributes:
        database: its name within the instance.
        changes: one for each model whose table is missing or differs.
        findings: what guards say of it.
        on_first_use: it comes from the first use of a model; nobody asked for it.
    """

    database: str
    changes: tuple[TableChange, ...] = ()
    findings: tuple[MigrationFinding, ...] = ()
    on_first_use: bool = False

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        lines = [line for change in self.changes for line in change.lines()]
        lines += [str(finding) for finding in self.findings]
        return "\n".join(lines) or "every table is what its model says"

    @property
    def operations(self) -> tuple[CreateTable | AlterTable, ...]:
        """The changes as operations on the schema."""
        return tuple(change.operation for change in self.changes)

    @property
    def statements(self) -> tuple[str, ...]:
        """The SQL of all changes, in order."""
        return tuple(sql for change in self.changes for sql in change.statements)

    @property
    def lossy(self) -> tuple[TableChange, ...]:
        """The changes that can lose data: done only where that is asked for."""
        return tuple(change for change in self.changes if change.safety == "lossy")

    @property
    def refusals(self) -> tuple[MigrationFinding, ...]:
        """The findings for which it cannot be done."""
        return tuple(finding for finding in self.findings if finding.level == "refusal")
