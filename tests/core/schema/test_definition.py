"""Models as documents and back."""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid
from decimal import Decimal
from typing import Any, ClassVar, Literal

import pytest

from dataflow_core.conformance.everything import Everything
from dataflow_core.errors import InvalidModel
from dataflow_core.schema.declare import declare_model, field
from dataflow_core.schema.definition import checksum, definition_of, model_of, plain, restored


class Kind(enum.Enum):
    """Two kinds."""

    ONE = 1
    TWO = 2


class Sample:
    """Something of everything that a model can say."""

    id: uuid.UUID
    name: str = field("n", max_length=40, index=True, comment="what it's called")
    email: str | None = field(None, unique=True, personal=True, retain="the law")
    price: Decimal = field(Decimal("1.50"), precision=10, scale=2, check={"$gte": Decimal(0)})
    kind: Kind = Kind.ONE
    size: Literal["s", "m"] = "s"
    small: int = field(3, bits=32)
    tags: list[str] = field(["a"])
    born: dt.date | None = dt.date(2020, 1, 2)
    at: dt.time | None = None
    old: str | None = field(None, renamed_from="older")
    owner_id: int | None = field(None, references="Other.id", on_delete="set_null")

    __dataflow__: ClassVar = {
        "indexes": [{"fields": ["-name", "size"], "where": {"small": {"$gt": 1}}, "name": "few"}],
        "unique": [["kind", "size"]],
        "checks": {"since": {"born": {"$gte": dt.date(2000, 1, 1)}}},
        "foreign_keys": [
            {
                "columns": ["kind", "size"],
                "references": "others",
                "target_columns": ["kind", "size"],
            }
        ],
    }


@pytest.mark.parametrize("declared", [Sample, Everything])
def test_a_model_comes_back_from_its_document(declared: type) -> None:
    """The document is JSON, and the model of it declares the same."""
    model = declare_model(declared)
    document = json.loads(json.dumps(definition_of(model)))
    back = model_of(document)
    assert [item for item in back.fields if not callable(item.default)] == [
        item for item in model.fields if not callable(item.default)
    ]
    assert (back.indexes, back.foreign_keys, back.checks) == (
        model.indexes,
        model.foreign_keys,
        model.checks,
    )
    assert definition_of(back) == {
        **document,
        "fields": [
            {name: value for name, value in item.items() if name != "default_made_by"}
            for item in document["fields"]
        ],
    }


def test_checksums_tell_documents_apart() -> None:
    """The order of keys does not count; any value does."""
    assert checksum({"a": 1, "b": 2}) == checksum({"b": 2, "a": 1})
    assert checksum({"a": 1}) != checksum({"a": 2})
    assert checksum({"a": 1}) != checksum({"a": "1"})


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"$gt": Decimal("1.10")}},
        {"a": {"$in": [uuid.UUID(int=1), b"\0x", dt.date(2020, 1, 2), dt.time(3)]}},
        {"a": dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "b": [True, None, 1.5]},
    ],
)
def test_values_that_json_does_not_have_come_back(value: Any) -> None:
    """Decimals, UUIDs, bytes and moments are written so that they are read as what they were."""
    assert restored(json.loads(json.dumps(plain(value)))) == value


@pytest.mark.parametrize(
    "document",
    [{}, {"name": "A", "table": "a"}, {"name": "A", "table": "a", "fields": [{"type": "x"}]}, []],
)
def test_what_is_no_definition_is_refused(document: Any) -> None:
    """A document that this project did not write gives a clear error."""
    with pytest.raises(InvalidModel, match="definition of a model"):
        model_of(document)
