from __future__ import annotations

import datetime as dt
import math
from typing import Any
from uuid import UUID

import pytest

from dataflow_core.compile import WriterCache
from dataflow_core.errors import (
    DataFlowError,
    InvalidType,
    InvalidValue,
    MissingParameter,
    UnknownField,
)
from dataflow_core.schema.declare import declare_model, field
from tests.core.compile.toy import ITEM, TOY
from tests.core.language import NOW, USER


class Made:
    id: UUID
    code: str = field(max_length=3)
    note: str | None
    level: int = field(5, bits=32)
    ratio: float = 0.5
    tags: list = []
    number: int = field(lambda: 7)


MADE = declare_model(Made)


def written(row: dict[Any, Any], model: Any = MADE) -> dict[str, Any]:
    """What the driver gets, by column."""
    writer = WriterCache(model, TOY.codec).writer(row)
    values = writer.write(row, NOW)
    return dict(zip((column.name for column in writer.columns), values, strict=True))


def test_what_is_not_given_is_filled_in() -> None:
    """Keys made by the client, defaults, factories, NULL, and one moment for both timestamps."""
    found = written({"code": "abc"})
    key = found.pop("id")
    assert isinstance(key, UUID) and key.version == 7
    assert {
        "code": "abc",
        "note": None,
        "level": 5,
        "ratio": 0.5,
        "tags": [],
        "number": 7,
        "created_at": str(NOW),
        "updated_at": str(NOW),
    } == found
    assert key != written({"code": "abc"})["id"]


def test_what_is_given_is_kept() -> None:
    """Given values win, a given `created_at` too; defaults are not shared between rows."""
    moment = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    found = written({"code": "a", "created_at": moment, "note": "é", "level": -1})
    assert [str(moment), "é", -1] == [found[name] for name in ("created_at", "note", "level")]
    first, second = (written({"code": "a"})["tags"] for _ in range(2))
    assert first is not second


def test_a_key_of_the_database_is_left_out() -> None:
    """It is no column of the statement unless it is given."""
    assert written({"name": "a"}, ITEM) == {"name": "a", "size": None, "price": None, "sold": "N"}
    assert written({"id": 7, "name": "a", "sold": True}, ITEM)["id"] == 7


def test_values_are_encoded() -> None:
    """The codec of a type is applied to given values and to defaults, never to None."""
    assert [written({"name": "a", **row}, ITEM)["sold"] for row in ({"sold": True}, {})] == [
        "Y",
        "N",
    ]


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ({}, MissingParameter, "Made: code is missing"),
        ({"code": "a", "cod": "b"}, UnknownField, "'cod'"),
        ({"code": "a", 5: 1}, UnknownField, "no field 5"),
        ({"code": "a", None: 1}, UnknownField, "no field None"),
        ({"code": "a", "x\0": 1}, UnknownField, "no field"),
        ({"code": None}, InvalidType, r"Made\.code: expected str, got None"),
        ({"code": 5}, InvalidType, r"Made\.code: expected str, got int"),
        ({"code": "abcd"}, InvalidValue, "at most 3 fit"),
        ({"code": "ééé é"}, InvalidValue, "at most 3 fit"),
        ({"code": "\0"}, InvalidValue, "NUL"),
        ({"code": "\ud800"}, InvalidValue, "surrogate"),
        ({"code": "a", "level": True}, InvalidType, "expected int"),
        ({"code": "a", "level": "5"}, InvalidType, "expected int"),
        ({"code": "a", "level": 2**31}, InvalidValue, "32 bits"),
        ({"code": "a", "number": 2**63}, InvalidValue, "64 bits"),
        ({"code": "a", "ratio": math.nan}, InvalidValue, "NaN"),
        ({"code": "a", "ratio": -math.inf}, InvalidValue, "NaN"),
        ({"code": "a", "ratio": 2**53 + 1}, InvalidValue, "not exactly a float"),
        ({"code": "a", "tags": {}}, InvalidType, "expected list"),
        ({"code": "a", "tags": [{1: 2}]}, InvalidType, "keys are text"),
        ({"code": "a", "id": None}, InvalidType, "leave the key out"),
        ({"code": "a", "updated_at": None}, InvalidType, "got None"),
    ],
)
def test_what_does_not_fit_is_refused(
    row: dict[Any, Any], error: type[DataFlowError], message: str
) -> None:
    """Every value is checked against its field, whatever way it takes through the writer."""
    with pytest.raises(error, match=message):
        written(row)


@pytest.mark.parametrize("value", [5, -1, 0, True, "5", 5.0, 2**31 - 1, 2**31, None, b"5", 10**30])
def test_the_short_way_accepts_what_the_type_accepts(value: Any) -> None:
    """The writer has a fast test of its own; it never decides otherwise than the type."""
    kind = MADE.field("level").type
    try:
        expected = kind.check(value, "x")
    except DataFlowError as error:
        with pytest.raises(type(error)):
            written({"code": "a", "level": value})
        return
    assert expected == written({"code": "a", "level": value})["level"]


def test_a_factory_is_checked() -> None:
    """What a default factory makes is checked like a given value, and the error says so."""
    model = declare_model(type("X", (), {"__annotations__": {"a": int}, "a": field(lambda: "no")}))
    with pytest.raises(InvalidType, match=r"X\.a \(default\): expected int"):
        written({}, model)


def test_an_unknown_field_names_the_nearest() -> None:
    """The suggestion is a field of the model."""
    with pytest.raises(UnknownField) as caught:
        written({"code": "a", "levle": 1})
    assert caught.value.suggestion == "level"


def test_one_writer_for_one_set_of_keys() -> None:
    """The second row of the same keys makes nothing; the number of writers is bounded."""
    cache = WriterCache(USER, TOY.codec)
    assert cache.writer({"name": "a"}) is cache.writer({"name": "b"})
    names = [item.name for item in USER.fields if item.nullable]
    for number in range(400):
        chosen = [name for at, name in enumerate(names) if number >> at & 1]
        cache.writer({"name": "a", **dict.fromkeys(chosen)})
    assert len(cache.writers) == 256
