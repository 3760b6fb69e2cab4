"""What a model declares comes back from the database."""

from __future__ import annotations

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dataflow_core.conformance.everything import Everything
from dataflow_core.errors import InvalidModel
from dataflow_core.schema.declare import declare_model
from dataflow_core.types import Json
from tests.mysql.schema import Database
from tests.mysql.tables import TARGET, found, models, wanted


def test_every_type_comes_back(schema: Database) -> None:
    """The table of the model with every type tells all that the model declares."""
    model = declare_model(Everything)
    schema.make(model)
    (table,) = schema.read(model.table)
    got, expected = found(table), wanted(model, (), schema.dialect.ddl)
    # A database does not tell the shape of a document.
    plain = [
        (name, Json() if isinstance(kind, Json) else kind, *rest)
        for name, kind, *rest in expected.pop("columns")
    ]
    assert got.pop("columns") == plain
    assert got == expected


@given(st.data())
@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_models_come_back(schema: Database, data: st.DataObject) -> None:
    """Types, keys, defaults, comments, indexes, references and checks are read as declared."""
    schema.run("DROP TABLE IF EXISTS things")
    schema.make(TARGET)
    model, keys = data.draw(models())
    try:
        schema.make(model, *keys)
    except InvalidModel:
        assume(False)
    (table,) = schema.read("things")
    assert found(table) == wanted(model, keys, schema.dialect.ddl)
