"""The errors about tables that differ from their models."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence

from dataflow_core.contract import Dialect, ErrorSituation
from dataflow_core.errors import (
    RegistryConflict,
    SchemaChangeRefused,
    SchemaMismatch,
    TableMissing,
    UnsupportedFeature,
)
from dataflow_core.evolve.compare import Comparison
from dataflow_core.evolve.conversions import converts
from dataflow_core.evolve.finding import Finding
from dataflow_core.evolve.registry import Record
from dataflow_core.naming_hints import quoted
from dataflow_core.operations import (
    AddColumn,
    AddRowSecurity,
    AlterTable,
    ChangeNullable,
    ChangeType,
    DropRowSecurity,
    RenameColumn,
    Step,
    TableChange,
)
from dataflow_core.operations.described import sized
from dataflow_core.run.session import Session
from dataflow_core.schema import Field, Model
from dataflow_core.schema.definition import Definition, definition_of
from dataflow_core.schema.tables import Table

__all__ = [
    "conflict",
    "difference",
    "mismatch",
    "missing",
    "refuse_change",
    "refuse_conversions",
    "refuse_passing_over",
    "refuse_unsecured",
]


def mismatch(model: Model, differing: Comparison) -> SchemaMismatch:
    """The error for a table that cannot be used as it is."""
    told = list(differing.problems)
    if differing.missing:
        told.insert(0, f"it has no column {', '.join(map(quoted, differing.missing))}")
    automatic = {item.column for item in model.fields if item.managed is not None}
    hint = (
        "; without automatic timestamps: __dataflow__ = {'timestamps': False}"
        if differing.missing and automatic.issuperset(differing.missing)
        else ""
    )
    return SchemaMismatch(
        f"the table {quoted(model.table)} does not fit {model.name}: {'; '.join(told)}{hint}",
        model=model.name,
        table=model.table,
        missing=list(differing.missing),
        problems=list(differing.problems),
    )


def refuse_unsecured(found: Iterable[Finding], *, changes: bool) -> None:
    """``SchemaMismatch`` where a table lacks the row security that is asked for, and will lack it.

    ``changes``: tables are changed. Those of a newer program are not, and views have none.
    """
    for item in found:
        if item.table is None or not any(
            isinstance(step, AddRowSecurity) for step in item.differing.steps
        ):
            continue
        if not changes or item.is_older or item.table.kind == "view":
            problem = f"the database does not keep its rows apart by {item.model.secured_by}"
            raise mismatch(item.model, Comparison(problems=(problem,)))


def missing(model: Model, *, may_create: bool) -> TableMissing:
    """The error for a table that is not there, where none may be made."""
    reason = "the database is read-only" if may_create else "this instance may not make it"
    return TableMissing(
        f"there is no table {quoted(model.table)} for {model.name}, and {reason}",
        model=model.name,
        table=model.table,
    )


def _lossy(change: TableChange, before: Record | None, model: Model) -> SchemaChangeRefused:
    """The error for a change that can lose data."""
    lines = change.lines()
    told = (
        ""
        if before is None
        else "".join(f"\n{line}" for line in difference(before.definition, definition_of(model)))
    )
    lossy = {
        type(step) for step in getattr(change.operation, "steps", ()) if step.safety == "lossy"
    }
    what = "its row security" if lossy == {DropRowSecurity} else "data"
    return SchemaChangeRefused(
        f"the table {quoted(model.table)} would lose {what} to be what {model.name} says:"
        f" {'; '.join(line.strip(' -') for line in lines[1:])}{told}",
        model=model.name,
        table=model.table,
        plan=lines,
    )


def refuse_passing_over(model: Model, dialect: Dialect) -> None:
    """``UnsupportedFeature`` where row security is asked for, and does not hold for this role."""
    if model.secured_by is None:
        return
    security = dialect.compiler.row_security
    reason = "its dialect does not say how" if security is None else security.passed_over
    if reason:
        raise UnsupportedFeature(
            f"{model.name} asks for row security, which {dialect.name} cannot give here: {reason}",
            feature="schema.row_security",
            dialect=dialect.name,
            reason=reason,
        )


def conflict(model: Model, before: Record) -> RegistryConflict:
    """The error for a model whose name the registry has for another table."""
    return RegistryConflict(
        f"{model.name} is registered for the table {quoted(before.table_name)}, by"
        f" {before.registered_by}, and not for {quoted(model.key)}",
        model=model.name,
        table=before.table_name,
    )


async def _refuse_rows(change: TableChange, session: Session) -> None:
    """``SchemaChangeRefused`` where rows have no value for a column that needs one in each."""
    assert isinstance(change.operation, AlterTable)
    steps = [step for step in change.operation.steps if step.safety == "tightening"]
    added = [step.field for step in steps if isinstance(step, AddColumn)]
    if added and await _has_row(change.operation, "", session):
        raise _rows_lack(change, added, "give a default")
    former = {
        step.field.column: step.before
        for step in change.operation.steps
        if isinstance(step, RenameColumn)
    }
    quote = session.dialect.compiler.quote
    for step in steps:
        if isinstance(step, ChangeNullable):
            column = former.get(step.field.column, step.field.column)
            if await _has_row(change.operation, f" WHERE {quote(column)} IS NULL", session):
                raise _rows_lack(change, [step.field], "fill it in")


async def _has_row(operation: AlterTable, where: str, session: Session) -> bool:
    table = session.dialect.compiler.quote(operation.before.name)
    sql = f"SELECT COUNT(*) FROM (SELECT 1 AS one FROM {table}{where} LIMIT 1) AS one"
    rows = await session.fetch(sql, (), ErrorSituation())
    return bool(rows[0][0])


def _rows_lack(change: TableChange, fields: Sequence[Field], way: str) -> SchemaChangeRefused:
    model = change.operation.model
    names = ", ".join(quoted(item.column) for item in fields)
    return SchemaChangeRefused(
        f"rows of {quoted(model.table)} have no value for {names} of {model.name}:"
        f" {way}, or make the field optional",
        model=model.name,
        table=model.table,
        plan=change.lines(),
    )


def refuse_conversions(model: Model, table: Table, steps: Iterable[Step]) -> None:
    """``SchemaChangeRefused`` for a type whose stored values do not become those of the field."""
    for step in steps:
        stored = step.before.type if isinstance(step, ChangeType) else None
        if not isinstance(step, ChangeType) or (stored and converts(stored, step.field.type)):
            continue
        told = step.before.native if stored is None else sized(stored)
        wanted = sized(step.field.type)
        raise SchemaChangeRefused(
            f"{model.name}.{step.field.name}: values of the type {told} do not become values of the"
            f" type {wanted}; add a field of the new type, fill it, and then remove the old one",
            model=model.name,
            table=table.name,
            field=step.field.name,
            before=told,
            after=wanted,
        )


def difference(before: Definition, after: Definition) -> list[str]:
    """Two definitions of a model, side by side: lines that went and lines that came."""
    lines = difflib.unified_diff(
        _text(before), _text(after), "registered", "declared", lineterm="", n=0
    )
    return [line for line in lines if not line.startswith("@@")]


def _text(definition: Definition) -> list[str]:
    """One line for each field, index and so on."""
    lines = []
    for key, value in definition.items():
        if isinstance(value, list):
            lines += [f"{key}: {_line(item)}" for item in value]
        else:
            lines.append(f"{key}: {_line(value)}")
    return lines


def _line(value: object) -> str:
    # Some databases keep the keys of a document in an order of their own.
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


async def refuse_change(
    found: Finding, change: TableChange, session: Session, allow_data_loss: bool
) -> None:
    """Refuse a change that cannot be made, or can lose data and was not asked for."""
    model, table = found.model, found.table
    if found.differing.problems:
        raise mismatch(model, found.differing)
    if table is None:
        return
    if change.safety == "lossy" and not allow_data_loss:
        raise _lossy(change, found.latest, model)
    await _refuse_rows(change, session)
