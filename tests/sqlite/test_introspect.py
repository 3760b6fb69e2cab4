"""Tables are read as they were declared, whoever declared them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow_core.conformance.everything import Everything
from dataflow_core.contract import ConnectOptions
from dataflow_core.schema import MISSING, Model
from dataflow_core.schema.declare import declare_model
from dataflow_core.schema.tables import Table
from tests.sqlite.schemas import PARENT, SQLITE, make, models, references, run
from tests.sqlite.support import read_url


@pytest.fixture
async def connection() -> AsyncIterator[Any]:
    """A database in memory."""
    driver = SQLITE.open(read_url(":memory:"), ConnectOptions())
    yield await driver.connect(driver.lanes[0])
    await driver.close()


def assert_tells(table: Table, model: Model, foreign_keys: tuple[Any, ...] = ()) -> None:
    """The table says everything that the model declares, and nothing else."""
    column_of = {item.name: item.column for item in model.fields}
    assert table.primary_key == tuple(item.column for item in model.primary_key)
    assert list(table.by_name) == list(column_of.values())
    for item in model.fields:
        column = table.by_name[item.column]
        assert column.type == item.type
        assert column.nullable == item.nullable
        assert column.comment == item.comment
        assert column.generated == ("counter" if item.generated == "database" else None)
        constant = item.default not in (MISSING, None) and not callable(item.default)
        wanted = item.type.check(item.default, "") if constant else MISSING
        assert column.default == wanted
        assert not column.notes
    assert [
        (index.columns, index.unique, index.descending, index.where is None, index.name)
        for index in table.indexes
    ] == [
        (
            tuple(column_of[name] for name in index.columns),
            index.unique,
            frozenset(column_of[name] for name in index.descending),
            index.where is None,
            SQLITE.ddl.index_name(model, index),
        )
        for index in model.all_indexes
    ]
    assert [check.name for check in table.checks] == [
        SQLITE.ddl.check_name(model, check.name) for check in model.all_checks
    ]
    assert [
        (key.columns, key.table, key.target, key.on_delete, key.name) for key in table.foreign_keys
    ] == [
        (
            key.columns,
            key.reference.table,
            key.reference.columns,
            key.reference.on_delete,
            key.name,
        )
        for key in foreign_keys
    ]
    assert not table.notes


async def test_everything_comes_back(connection: Any) -> None:
    """A table of a field of every type tells all of its model."""
    model = declare_model(Everything)
    assert_tells(await make(connection, model), model)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_models_come_back(connection: Any, data: st.DataObject) -> None:
    """Whatever a model declares, its table tells."""
    model = data.draw(models())
    keys = data.draw(references(model))
    await run(connection, "BEGIN")
    await make(connection, PARENT)
    assert_tells(await make(connection, model, *keys), model, keys)
    await run(connection, "ROLLBACK")
