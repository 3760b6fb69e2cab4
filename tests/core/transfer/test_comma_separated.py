"""CSV: every text comes back, None is not the empty text, and what is no CSV is named by line."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import (
    DataFlowError,
    FileNotUsable,
    InvalidFileContent,
    MissingParameter,
    UnknownField,
)
from dataflow_core.schema import Field, Model
from dataflow_core.transfer.columns import Columns
from dataflow_core.transfer.comma_separated import CsvReader, CsvWriter
from dataflow_core.types import (
    Binary,
    Boolean,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
AWKWARD = st.text(st.sampled_from('",\r\n \t\ufeffaé\u2028'), max_size=8)


def column(name: str, kind: FieldType, *, nullable: bool = True, default: Any = None) -> Field:
    """A field that is not required."""
    return Field(name, kind, name, nullable=nullable, default=default)


def model(*fields: Field) -> Model:
    """A model with these fields, and a key that the database makes."""
    key = Field("id", Integer(), "id", primary_key=True, generated="database")
    return Model("Thing", "things", (key, *fields))


THING = model(column("a", Text()), column("b", Text(), nullable=False, default=""))


def read(path: Path, thing: Model = THING, mapping: Any = None) -> list[dict[str, Any]]:
    """The rows of a file."""
    reader = CsvReader(path, Columns.of("test", thing, mapping))
    try:
        return [row for batch in reader.batches() for row in batch]
    finally:
        reader.close()


def written(rows: list[dict[str, Any]], thing: Model = THING) -> bytes:
    """What a file of rows holds."""
    file = io.BytesIO()
    writer = CsvWriter(file, thing.fields)
    writer.write(rows)
    writer.finish()
    return file.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that does not exist yet."""
    return tmp_path / "things.csv"


@given(st.lists(st.tuples(st.none() | TEXTS | AWKWARD, TEXTS | AWKWARD), max_size=20))
def test_every_text_comes_back(tmp_path_factory, pairs):
    """Text of any kind, and None beside the empty text; Python's own reader understands it too."""
    path = tmp_path_factory.mktemp("csv") / "things.csv"
    rows = [{"id": number, "a": a, "b": b} for number, (a, b) in enumerate(pairs)]
    content = written(rows)
    path.write_bytes(content)
    assert read(path) == rows
    others = list(csv.reader(io.StringIO(content.decode(), newline="")))
    assert others[1:] == [[str(row["id"]), row["a"] or "", row["b"]] for row in rows]


@given(st.lists(st.lists(TEXTS | AWKWARD, min_size=2, max_size=2), min_size=1, max_size=20))
def test_what_others_write_is_read(tmp_path_factory, cells):
    """CSV as Python's module writes it, quoted where it has to be, has the same cells."""
    path = tmp_path_factory.mktemp("csv") / "things.csv"
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, quoting=quoting)
            writer.writerows([["a", "b"], *cells])
        empty = "" if quoting == csv.QUOTE_ALL else None
        assert read(path) == [{"a": a or empty, "b": b} for a, b in cells]


@pytest.mark.parametrize("text", ["a,b\nx,y", "a,b\nx,y\n", "a,b\r\nx,y\r\n", "\ufeffa,b\nx,y\n\n"])
def test_ends_of_lines(path, text):
    """Any end of a line, a missing one at the end, a byte order mark, and empty lines."""
    path.write_bytes(text.encode())
    assert read(path) == [{"a": "x", "b": "y"}]


def test_one_column_of_nothing(path):
    """With one column an empty line is a row of None, and two quotes are the empty text."""
    path.write_text('a\n\n""\nx\n')
    thing = model(column("a", Text()))
    assert read(path, thing) == [{"a": None}, {"a": ""}, {"a": "x"}]


KINDS = [
    (Integer(), ["1.0", "1_000", " 1", "١", "0x1", "1e3", "", "--1"], ["-5", "+7", "007"]),
    (Float(), ["nan", "inf", "1_0.5", "one", " 1", "1,5"], ["1", "-0.5e-3", ".5", "5."]),
    (Decimal(), ["NaN", "Infinity", "1_0", "1.2.3"], ["1.5", "-2", "1e2"]),
    (Boolean(), ["1", "0", "yes", "t"], ["true", "FALSE", "True"]),
    (Binary(), ["ÿ", "a", "a b=", "====!"], ["AAE=", '""']),
    (Timestamp(), ["yesterday", "2024-13-01"], ["2024-01-02T03:04:05+02:00", "2024-01-02"]),
    (Time(), ["25:00"], ["08:30", "08:30:00.000001"]),
    (Json(), ["{", "nan", "'a'", "[1,]"], ["[]", '"{""a"": 1}"']),
]


@pytest.mark.parametrize(("kind", "bad", "good"), KINDS, ids=lambda value: str(value)[:20])
def test_cells_of_every_type(path, kind, bad, good):
    """A cell that is no value of its field is refused with line, column and what was expected."""
    thing = model(column("v", kind, nullable=False, default=0))
    for cell in good:
        path.write_text(f"id,v\n1,{cell}\n", encoding="utf-8")
        (row,) = read(path, thing)
        assert kind.check(row["v"], "v") is not None
    for cell in bad:
        content = f'id,v\n1,{good[0]}\n2,"{cell.replace(chr(34), 2 * chr(34))}"\n'
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InvalidFileContent, match="line 3, column v: got") as caught:
            read(path, thing)
        assert caught.value.context["line"] == 3
        assert caught.value.context["column"] == "v"
        assert caught.value.context["expected"]
    path.write_text("id,v\n1,\n")
    with pytest.raises(InvalidFileContent, match="line 2, column v: is empty, expected"):
        read(path, thing)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty, expected a line of column names"),
        ("a,a\n", "names the column 'a' twice"),
        ("a,\n", "has an empty name"),
        ('a,b\nx,"y', "line 2: has a quote that is never closed"),
        ('a,b\nx,"y\n\n\nz\n', "line 2: has a quote that is never closed"),
        ('a,b\n"x\n",y\nx,y"\n,\n', "line 4: has a quote that is never closed"),
        ('a,b\n"x\n",y\nx,y"z"\n,\n', "line 4: cell 2 has a quote where none may be"),
        ('a,b\nx,"y"z\n', "line 2: cell 2 has a quote where none may be"),
        ("a,b\nx\n", "line 2: has 1 cells, expected 2"),
        ("a,b\n1,2\n1,2,3\n", "line 3: has 3 cells, expected 2"),
    ],
)
def test_what_is_no_csv(path, text, message):
    """Cells that cannot be told apart, and rows of another length, are refused by line."""
    path.write_text(text)
    with pytest.raises(InvalidFileContent, match=message):
        read(path)


def test_what_is_no_utf_8(path):
    """Bytes that are no UTF-8 are refused in their line."""
    path.write_bytes(b"a,b\nx,y\nx,\xff\n")
    with pytest.raises(InvalidFileContent, match="line 3: is no UTF-8 at character 3"):
        read(path)


def test_columns(path):
    """Columns are fields by name or by mapping; everything else is refused with the nearest."""
    path.write_text("A,extra,b\nx,?,y\n")
    assert read(path, mapping={"A": "a", "extra": None}) == [{"a": "x", "b": "y"}]
    with pytest.raises(UnknownField, match="column 'A'") as caught:
        read(path)
    assert caught.value.suggestion == "a"
    with pytest.raises(InvalidFileContent, match="no column 'extr'") as missing:
        read(path, mapping={"A": "a", "extr": None})
    assert missing.value.suggestion == "extra"
    with pytest.raises(InvalidFileContent, match=r"both for Thing\.b"):
        read(path, mapping={"A": "b", "extra": None})
    with pytest.raises(UnknownField):
        read(path, mapping={"A": "aa"})
    wrong: Any
    for wrong in ([], "a", {"A": 5}, {5: "a"}, {"A": "a", "extra": "a"}):
        with pytest.raises(DataFlowError, match="mapping"):
            read(path, mapping=wrong)
    required = model(Field("r", Text(), "r"), column("a", Text()))
    path.write_text("a\nx\n")
    with pytest.raises(MissingParameter, match=r"no column for Thing\.r"):
        read(path, required)


def test_files_that_cannot_be_read(path, tmp_path):
    """A file that is not there is an error with its path."""
    with pytest.raises(FileNotUsable, match="No such file"):
        read(path)


def test_an_enumeration_is_its_values(path):
    """A value of a closed set is written as what it is based on."""
    thing = model(column("n", Enumeration((1, 2), Integer())), column("u", Uuid()))
    path.write_bytes(written([{"id": 1, "n": 2, "u": None}], thing))
    assert path.read_text() == "id,n,u\n1,2,\n"
    assert read(path, thing) == [{"id": 1, "n": 2, "u": None}]


def test_rows_know_their_lines(path):
    """The position of a row is the line on which it begins, empty lines left out."""
    path.write_text('a,b\n"x\ny",z\n\nx,"\n\n"\nx,y\n')
    reader = CsvReader(path, Columns(THING))
    assert list(reader.positions()) == [2, 5, 8]
    reader.close()
