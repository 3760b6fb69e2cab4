"""JSON Lines: exact values, one object for each line, errors by line."""

from __future__ import annotations

import decimal
import io
import json
from pathlib import Path
from typing import Any

import pytest

from dataflow_core.errors import InvalidFileContent, UnknownField
from dataflow_core.transfer.columns import Columns
from dataflow_core.transfer.json_lines import JsonLinesReader, JsonLinesWriter
from dataflow_core.types import Binary, Decimal, Float, Integer, Json, Text
from tests.core.transfer.test_comma_separated import column, model

THING = model(
    column("n", Integer()),
    column("f", Float()),
    column("d", Decimal()),
    column("t", Text()),
    column("raw", Binary()),
    column("j", Json()),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that does not exist yet."""
    return tmp_path / "things.jsonl"


def read(path: Path, mapping: Any = None) -> list[dict[str, Any]]:
    """The rows of a file."""
    reader = JsonLinesReader(path, Columns.of("test", THING, mapping))
    try:
        return [row for batch in reader.batches() for row in batch]
    finally:
        reader.close()


def test_values_come_back(path):
    """Every value comes back as it was, and each line is an object that others read too."""
    rows = [
        {"id": 1, "n": 2**63 - 1, "f": 0.1, "d": decimal.Decimal("0.3000"), "t": 'x\u2028\n"é',
         "raw": b"\xff\0", "j": {"a": [1.5, None]}},
        dict.fromkeys((item.name for item in THING.fields), None),
    ]  # fmt: skip
    file = io.BytesIO()
    writer = JsonLinesWriter(file, THING.fields)
    writer.write([dict(row) for row in rows])
    writer.finish()
    path.write_bytes(file.getvalue())
    assert read(path) == rows
    first, second = (json.loads(line) for line in path.read_bytes().split(b"\n") if line)
    assert (first["d"], first["raw"], second["raw"]) == ("0.3000", "/wA=", None)


def test_decimals_are_exact(path):
    """A Decimal may be text or a number, and no digit of a number is lost to floats."""
    path.write_text('{"d": 12345678901234.5678, "f": 0.5}\n{"d": "1.5"}\n{"d": 3}\n')
    found = [row["d"] for row in read(path)]
    assert found == [decimal.Decimal("12345678901234.5678"), decimal.Decimal("1.5"), 3]


def test_lines_may_have_different_keys(path):
    """What a line leaves out is not given; empty lines hold nothing; columns can be mapped."""
    path.write_text('{"n": 1}\n\n{"T": "x", "skip": {}}\r\n')
    assert read(path, {"T": "t", "skip": None}) == [{"n": 1}, {"t": "x"}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: is no JSON .*at character"),
        ("[1]", "line 2: got .*expected an object"),
        ("5", "line 2: got 5, expected an object"),
        ('{"f": NaN}', "line 2: is no JSON"),
        ('{"n": 1} {"n": 2}', "line 2: is no JSON"),
        ('{"raw": "ÿ"}', "line 2, column raw: got"),
        ('{"raw": 5}', "line 2, column raw: got 5"),
        ('{"d": "x"}', "line 2, column d: got 'x', expected a decimal number"),
        ("[" * 100_000, "line 2: is no JSON"),
    ],
)
def test_bad_lines(path, line, message):
    """A line that is no object of right values is refused by its number."""
    path.write_text(f'{{"n": 1}}\n{line}\n', encoding="utf-8")
    with pytest.raises(InvalidFileContent, match=message) as caught:
        read(path)
    assert caught.value.context["line"] == 2


def test_unknown_keys(path):
    """A key that is no field is refused with its line and the nearest field."""
    path.write_text('{"n": 1}\n{"rwa": ""}\n')
    with pytest.raises(UnknownField, match="line 2: the column 'rwa'") as caught:
        read(path)
    assert caught.value.suggestion == "raw"
