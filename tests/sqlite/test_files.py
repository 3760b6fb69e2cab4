"""Files in and out of a database: whole or not at all, exact, with errors that name the line."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import DataFlow, LocalRuntime
from dataflow_core.errors import (
    CheckViolation,
    DataFlowError,
    ExtraNotInstalled,
    FileNotUsable,
    InvalidFileContent,
    InvalidType,
    InvalidValue,
    MissingParameter,
    OutOfRange,
    StreamInTransaction,
    UniqueViolation,
    UnknownField,
    UnknownParameter,
)
from tests.sqlite.articles import ENDINGS, ROWS, filing, leftovers


@pytest.fixture
def db(tmp_path: Path) -> Iterator[DataFlow]:
    """An instance with models; nothing is borrowed at the end and no thread is left."""
    yield from filing(tmp_path)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_every_type_comes_back(db, tmp_path, ending):
    """What is exported is, imported, the same to the last digit, None and empty text apart."""
    nodes = db.nodes.Article
    await nodes.bulk_create(data=ROWS)
    before = (await nodes.list())["records"]
    path = tmp_path / f"articles.{ending}"
    done = await nodes.export_to(path, batch_size=2)
    assert done["result"] == {"path": str(path), "format": ending, "rows": len(ROWS)}
    assert done["success"] is True
    await nodes.bulk_delete(filter={}, allow_all=True)
    stored = await nodes.import_from(path)
    assert (stored["inserted"], stored["format"]) == (len(ROWS), ending)
    after = (await nodes.list())["records"]
    assert repr(after) == repr(before)
    assert leftovers(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_no_rows(db, tmp_path, ending):
    """A file of no rows is one that can be read."""
    path = tmp_path / f"none.{ending}"
    await db.nodes.Person.export_to(path)
    assert (await db.nodes.Person.import_from(path))["processed"] == 0


async def test_a_part_of_the_rows(db, tmp_path):
    """An export takes filter, order, columns and cuts, as a list does."""
    await db.nodes.Person.bulk_create(data=[{"name": f"p{n}", "age": n % 3} for n in range(10)])
    path = tmp_path / "people.txt"
    await db.nodes.Person.export_to(
        path, format="csv", filter={"age": 1}, order_by=["-name"], select=["name"], limit=2
    )
    assert path.read_text() == "name\np7\np4\n"


def test_in_a_workflow(db, tmp_path):
    """The nodes of a workflow write and read files, one after the other."""
    path = str(tmp_path / "people.csv")
    db.run_sync("PersonBulkCreateNode", data=[{"name": "Ada"}, {"name": "Bob", "age": 3}])
    workflow = db.workflow()
    workflow.add_node("PersonExportNode", "out", {"path": path})
    workflow.add_node("PersonImportNode", "back", {"conflict": "skip"})
    workflow.add_connection("out", "path", "back", "path")
    results, _ = LocalRuntime().execute(workflow.build())
    assert results["out"]["rows"] == 2
    assert (results["back"]["processed"], results["back"]["skipped"]) == (2, 2)


async def test_conflicts(db, tmp_path):
    """An import treats rows that are there as a bulk create does."""
    nodes, path = db.nodes.Person, tmp_path / "people.csv"
    await nodes.create(name="Ada", age=1)
    path.write_text("name,age\nAda,36\nBob,7\n")
    with pytest.raises(UniqueViolation, match=r"people\.csv, line 2") as caught:
        await nodes.import_from(path)
    assert caught.value.context["line"] == 2
    assert (await nodes.count())["count"] == 1
    done = await nodes.import_from(path, conflict="update")
    assert (done["inserted"], done["updated"]) == (1, 1)
    assert [row["age"] for row in (await nodes.list(order_by=["name"]))["records"]] == [36, 7]


LONG = "".join(f'"{n}\n",1\n' for n in range(1_200))


@pytest.mark.parametrize(
    ("last", "kind", "message"),
    [
        ("x,many\n", InvalidFileContent, "column age: got 'many', expected a whole number"),
        ("x,-5\n", CheckViolation, "line 2402"),
        ("x," + "9" * 19 + "\n", (OutOfRange, InvalidValue), r"Person\.age"),
        ("x,\n", InvalidFileContent, "column age: is empty, expected"),
        ('x,"1\n', InvalidFileContent, "never closed"),
        ('"' + "x" * 1_000 + '",1\n', DataFlowError, r"Person\.name"),
    ],
)
async def test_a_bad_line_far_down(db, tmp_path, last, kind, message):
    """Whatever is wrong, the line is named, nothing is stored, and the connection is free."""
    path = tmp_path / "people.csv"
    path.write_text(f"name,age\n{LONG}{last}")
    with pytest.raises(kind, match=message) as caught:
        await db.nodes.Person.import_from(path)
    assert caught.value.context["line"] == 2 + 2 * 1_200
    assert "line 2402" in caught.value.message
    assert str(path) == caught.value.context["path"]
    assert (await db.nodes.Person.count())["count"] == 0


async def test_a_bad_row_of_a_table_file(db, tmp_path):
    """In Parquet and Arrow files rows count from 1."""
    pa = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")

    path = tmp_path / "people.parquet"
    names = [f"p{n}" for n in range(3_000)]
    ages = [*range(2_999), -1]
    parquet.write_table(pa.table({"name": names, "age": ages}), path)
    with pytest.raises(CheckViolation, match=r"people\.parquet, row 3000") as caught:
        await db.nodes.Person.import_from(path)
    assert caught.value.context["row"] == 3_000
    moments = pa.array([1_000, 1_001], pa.timestamp("ns"))
    parquet.write_table(pa.table({"m": moments}), path)
    with pytest.raises(InvalidFileContent, match="row 2, column m: nanoseconds would be lost"):
        await db.nodes.Article.import_from(path)
    parquet.write_table(pa.table({"m": moments.slice(0, 1), "t": [None]}), path)
    await db.nodes.Article.import_from(path)
    (row,) = (await db.nodes.Article.list())["records"]
    assert row["m"] == datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)
    parquet.write_table(pa.table({"j": ["{}", "{"]}), path)
    with pytest.raises(InvalidFileContent, match="row 2, column j: is no JSON"):
        await db.nodes.Article.import_from(path)
    for name in ("x.parquet", "x.arrow"):
        wrong = tmp_path / name
        wrong.write_bytes(b"no such format" * 10)
        with pytest.raises(InvalidFileContent, match="file that can be read"):
            await db.nodes.Person.import_from(wrong)
    damaged = bytearray(path.read_bytes())
    damaged[4:60] = bytes(56)
    path.write_bytes(damaged)
    with pytest.raises(InvalidFileContent):
        await db.nodes.Article.import_from(path)


async def test_without_pyarrow(db, tmp_path, monkeypatch):
    """Without pyarrow an error names the extra, and no file is left."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for ending in ("parquet", "arrow"):
        path = tmp_path / f"a.{ending}"
        with pytest.raises(ExtraNotInstalled, match=r"dataflow-db\[arrow\]"):
            await db.nodes.Person.export_to(path)
        assert leftovers(tmp_path) == []
        path.touch()
        with pytest.raises(ExtraNotInstalled, match=r"dataflow-db\[arrow\]"):
            await db.nodes.Person.import_from(path)
        path.unlink()


async def test_a_file_that_is_there_stays(db, tmp_path):
    """An existing file is replaced only on request, and then at once."""
    path = tmp_path / "people.csv"
    path.write_text("mine")
    with pytest.raises(FileNotUsable, match="overwrite=True") as caught:
        await db.nodes.Person.export_to(path)
    assert caught.value.outcome == "not done"
    assert path.read_text() == "mine"
    await db.nodes.Person.export_to(path, overwrite=True)
    assert path.read_text() == "id,name,age\n"
    assert leftovers(tmp_path) == ["people.csv"]


async def test_a_file_that_appears_meanwhile(db, tmp_path):
    """A file that somebody makes during the export is not replaced."""
    path = tmp_path / "people.csv"
    await db.nodes.Person.create(name="Ada")
    with pytest.raises(FileNotUsable, match="exists already"):
        await db.nodes.Person.export_to(path, on_progress=lambda rows: path.write_text("mine"))
    assert path.read_text() == "mine"
    assert leftovers(tmp_path) == ["people.csv"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_failed_export_leaves_nothing(db, tmp_path, ending, overwrite):
    """An export that fails or is cancelled leaves no half file, and an old one as it was."""
    path = tmp_path / f"people.{ending}"
    await db.nodes.Person.bulk_create(data=[{"name": f"p{n}"} for n in range(50)])
    if overwrite:
        path.write_text("old")

    async def stop(rows: int) -> None:
        if rows == 30:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await db.nodes.Person.export_to(path, batch_size=10, overwrite=overwrite, on_progress=stop)
    tasks: list[asyncio.Task[Any]] = []
    for after in (1, 3, 5):

        def cancel(rows: int, after: int = after) -> None:
            if rows == after * 10:
                tasks[-1].cancel()

        work = db.nodes.Person.export_to(
            path, batch_size=10, overwrite=overwrite, on_progress=cancel
        )
        tasks.append(asyncio.ensure_future(work))
        with pytest.raises(asyncio.CancelledError):
            await tasks[-1]
        assert leftovers(tmp_path) == ([path.name] if overwrite else [])
    if overwrite:
        assert path.read_text() == "old"


async def test_files_that_cannot_be_used(db, tmp_path):
    """Folders, missing folders and missing files are refused with the path, before any SQL."""
    nodes = db.nodes.Person
    for path in (tmp_path, tmp_path / "no" / "a.csv"):
        with pytest.raises(FileNotUsable, match=str(tmp_path)):
            await nodes.export_to(path, format="csv")
        with pytest.raises(FileNotUsable, match=str(tmp_path)):
            await nodes.import_from(path, format="csv")
    for wrong in ("", 5, None, b"a.csv", "a\0.csv"):
        with pytest.raises((InvalidType, MissingParameter)):
            await nodes.export_to(wrong)
    with pytest.raises(InvalidValue, match="tells no format") as caught:
        await nodes.export_to("people.cvs")
    assert caught.value.suggestion == ".csv"
    with pytest.raises(InvalidValue, match="format is one of") as named:
        await nodes.import_from("a.csv", format="parket")
    assert named.value.suggestion == "parquet"


async def test_parameters_are_checked(db, tmp_path):
    """Parameters that the nodes do not have, or that cannot be, are refused."""
    nodes, path = db.nodes.Person, tmp_path / "people.csv"
    path.write_text("name\nAda\n")
    with pytest.raises(UnknownParameter):
        await nodes.export_to(path, conflict="skip")
    with pytest.raises(UnknownParameter):
        await nodes.import_from(path, filter={})
    with pytest.raises(UnknownField):
        await nodes.export_to(path, select=["nam"], overwrite=True)
    with pytest.raises(InvalidValue, match="PersonImportNode: conflict"):
        await nodes.import_from(path, conflict="skp")
    with pytest.raises(InvalidType, match="on_progress"):
        await nodes.import_from(path, on_progress=5)
    with pytest.raises(InvalidType, match="progress"):
        await nodes.import_from(path, progress="yes")
    async with db.transaction():
        with pytest.raises(StreamInTransaction):
            await nodes.export_to(path, overwrite=True)
        await nodes.import_from(path)
    assert (await nodes.count())["count"] == 1


async def test_batches_that_fail_alone(db, tmp_path):
    """With atomic="batch" good batches are stored, and the others are listed."""
    path = tmp_path / "people.csv"
    path.write_text("name,age\na,1\nb,1\nc,-1\nd,1\ne,1\n")
    done = await db.nodes.Person.import_from(path, atomic="batch", batch_size=2)
    assert (done["inserted"], done["success"]) == (3, False)
    assert done["failed"][0]["rows"] == [2, 4]
