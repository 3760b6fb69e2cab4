"""Rows with given keys, as they are now, locked until the transaction ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dataflow_core.filters.ast import EVERYTHING, Predicate
from dataflow_core.operations import FindRows
from dataflow_core.run.inserts import keys_in, select
from dataflow_core.schema import Field, Model

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine

__all__ = ["encoders", "rows_by_key", "rows_by_parameters", "rows_with"]

Row = dict[str, Any]
Values = tuple[Any, ...]


async def rows_by_key(engine: Engine, model: Model, keys: Sequence[Values]) -> dict[Values, Row]:
    """The rows with these primary keys, by them, in their order; whatever its scopes say."""
    found = {
        tuple(row[name] for name in model.key_names): row
        for row in await rows_with(engine, model, model.primary_key, keys)
    }
    return {key: found[key] for key in keys if key in found}


async def rows_with(
    engine: Engine, model: Model, fields: tuple[Field, ...], values: Sequence[Values]
) -> list[Row]:
    """The rows whose fields have one of these combinations of values; whatever its scopes say."""
    model = model.variant(frozenset(scope.name for scope in model.declared.scopes))
    encode = encoders(engine, fields)
    parameters = [
        tuple(
            [
                value if make is None else make(value)
                for make, value in zip(encode, row, strict=True)
            ]
        )
        for row in values
    ]
    return [row for _, row in await _found(engine, model, fields, parameters)]


async def rows_by_parameters(
    engine: Engine,
    model: Model,
    fields: tuple[Field, ...],
    parameters: Sequence[Values],
    among: Predicate,
) -> dict[Values, Row]:
    """The rows whose fields have one of these combinations, as the driver takes them, by them."""
    return dict(await _found(engine, model, fields, parameters, among))


async def _found(
    engine: Engine,
    model: Model,
    fields: tuple[Field, ...],
    parameters: Sequence[Values],
    among: Predicate = EVERYTHING,
) -> list[tuple[Values, Row]]:
    if not parameters:
        return []
    plan = await engine.plan(FindRows(model, fields, model.fields, among))
    statement = plan.compiled.rows
    assert statement is not None
    async with engine.borrowed(writes=True) as runner:
        rows = await select(runner, plan, statement, parameters)
    return list(zip(keys_in(statement, rows), rows, strict=True))


def encoders(engine: Engine, fields: Sequence[Field]) -> list[Callable[[Any], Any] | None]:
    """How the values of fields become what the driver takes; ``None``: as they are."""
    return [engine.dialect.compiler.codec(item.type).encode for item in fields]
