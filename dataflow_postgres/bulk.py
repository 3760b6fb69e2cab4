"""Many rows at once: COPY, and upserts by way of a temporary table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.compile import LoadStatement, StagedStatements, names_list
from dataflow_core.errors import OutOfRange
from dataflow_core.operations import Upsert
from dataflow_core.schema import Field, Model
from dataflow_postgres.types import bound_type

if TYPE_CHECKING:
    from dataflow_postgres.compiler import PostgresCompiler

__all__ = ["copied", "load_statement", "staged_statements"]

_LEAST_ROWS: Final = 100
"""Below, the round trips beside the COPY take longer than an INSERT."""
_STAGE: Final = "__dataflow_rows"

Rows = Sequence[Sequence[Any]]


async def copied(connection: Any, statement: LoadStatement, rows: Rows) -> str:
    """Copy rows into a table over a connection of the driver; what the server says of it."""
    status: str = await connection.copy_records_to_table(
        statement.table,
        records=rows if statement.encode is None else statement.encode(rows),
        columns=[item.column for item in statement.columns],
    )
    return status


def load_statement(
    compiler: PostgresCompiler, table: str, columns: Sequence[Field], model: Model | None
) -> LoadStatement | None:
    """The COPY into a table. Its rows are those that an INSERT would bind, but for dates."""
    if model is not None and model.secured_by is not None:
        return None  # The server takes no COPY where row security is on.
    if not columns or any(_only_as_text(item) for item in columns):
        return None
    counter = None
    key = next((item for item in columns if item.generated == "database"), None)
    if key is not None and model is not None:
        written = f"SELECT $1::bigint AS {compiler.quote(key.column)}"
        counter = f'WITH "__written" AS ({written}) {compiler.moved_counter(model, key)}'
    # What the driver sends; it is made there.
    text = (
        f"COPY {compiler.quote(table)} ({names_list(compiler, columns)}) FROM STDIN (FORMAT binary)"
    )
    return LoadStatement(table, tuple(columns), _LEAST_ROWS, text, _with_dates(columns), counter)


def _only_as_text(field: Field) -> bool:
    """Whether the driver knows only the text of a type, which COPY does not take from it."""
    return (field.type.storage or "").startswith("text:")


def _with_dates(columns: Sequence[Field]) -> Callable[[Rows], Rows] | None:
    """Makes dates of what is bound as text: COPY takes each value as its column has it."""
    places = [
        at
        for at, item in enumerate(columns)
        if bound_type(item.type) == "text" and item.type.name == "date"
    ]
    if not places:
        return None

    def encode(rows: Rows) -> Rows:
        result = []
        for row in rows:
            cells = list(row)
            for at in places:
                if cells[at] is not None:
                    cells[at] = _date(cells[at])
            result.append(cells)
        return result

    return encode


def _date(text: str) -> dt.date:
    """A date, but for those that the driver sends as infinite ones."""
    value = dt.date.fromisoformat(text)
    if value in (dt.date.min, dt.date.max):
        raise OutOfRange("the first and the last day cannot be copied")
    return value


def staged_statements(compiler: PostgresCompiler, operation: Upsert) -> StagedStatements | None:
    """The upsert of rows that a COPY has put into a temporary table, in their order."""
    model, columns = operation.model, operation.columns
    load = load_statement(compiler, _STAGE, columns, None)
    if load is None:
        return None
    stage, names = compiler.quote(_STAGE), names_list(compiler, columns)
    table = compiler.table(model)
    key = next((item for item in columns if item.generated == "database"), None)
    back = f'{compiler.inserted_flag} AS "__new"'
    if key is not None:
        back += f", {compiler.quote(key.column)}"
    upsert = (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {stage}"
        f"{compiler.on_conflict(operation)} RETURNING {back}"
    )
    counted = 'SELECT COUNT(*) FILTER (WHERE "__new"), COUNT(*) FROM "__written"'
    insert = f'WITH "__written" AS ({upsert})'
    if key is not None:
        insert += f', "__moved" AS MATERIALIZED ({compiler.moved_counter(model, key)})'
        counted += ' WHERE (SELECT COUNT(*) FROM "__moved") >= 0'
    return StagedStatements(
        create=(
            f"CREATE TEMPORARY TABLE {stage} ON COMMIT DROP AS"
            f" SELECT {names} FROM {table} WITH NO DATA",
        ),
        load=load,
        writes=(),
        counts=f"{insert} {counted}",
        drop=f"DROP TABLE {stage}",
    )
