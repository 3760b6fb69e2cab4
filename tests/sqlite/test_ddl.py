from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from dataflow_core.operations import CreateTable
from dataflow_core.schema import Check, Field, ForeignKey, Index, Model, Reference
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_sqlite.compiler import SQLiteCompiler
from dataflow_sqlite.ddl import SQLiteDDLCompiler
from dataflow_sqlite.types import codec, field_type
from tests.sqlite.support import column, key, model


class PositiveOnly(SQLiteCompiler):
    """A compiler that knows one predicate."""

    def literal_predicate(self, model: Model, filter: Mapping[str, Any]) -> str:
        ((name, _),) = filter.items()
        return f'"{model.by_name[name].column}" > 0'


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """A database in memory with foreign keys on."""
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute("PRAGMA foreign_keys = ON")
    yield made
    made.close()


def create(connection: sqlite3.Connection, made: Model, *keys: ForeignKey) -> tuple[str, ...]:
    """Make the table of a model, twice: the second time nothing happens."""
    statements = SQLiteDDLCompiler(PositiveOnly({})).compile(CreateTable(made, keys))
    for statement in statements * 2:
        connection.execute(statement)
    return statements


WRONG: tuple[tuple[Any, tuple[Any, ...], tuple[Any, ...]], ...] = (
    # type, what fits, what is refused
    (Integer(), (2**63 - 1, -(2**63), 1.0, "12"), ("x", 1.5, b"1", 1e300)),
    (Integer(32), (2**31 - 1, -(2**31)), (2**31, -(2**31) - 1, "x")),
    (Float(), (1.5, 1), ("x", b"1")),
    (Boolean(), (0, 1), (2, -1, "true", 0.5)),
    (Text(), ("", "12", "ä"), (b"a",)),
    (Text(3), ("abc", "äöü"), ("abcd", b"a")),
    (Binary(), (b"", b"a"), ("a", 1)),
    (Decimal(5, 2), (99999, -99999), (100000, -100000, 0.5, "x")),
    (Decimal(20, 2), ("1" + "0" * 20,), ("1", b"1" * 21)),
    (Timestamp(), ("2024-01-01 00:00:00.000000+00:00",), ("2024-01-01", 5, b"x" * 32)),
    (Date(), ("2024-01-01",), ("2024-1-1", 5)),
    (Time(), ("08:30:00.000000",), ("08:30", 5)),
    (Uuid(), ("8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10",), ("x", b"x" * 16)),
    (Json(), ("{}", "1", '"a"', "null"), ("{", "", "NaN", b"1")),
    (Enumeration(("a", "it's"), Text()), ("a", "it's"), ("b", 1)),
    (Enumeration((1, 2), Integer()), (1, 2), (3, "a")),
)


@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize(("kind", "fitting", "refused"), WRONG)
def test_columns_are_as_strict_as_elsewhere(
    connection: sqlite3.Connection,
    kind: Any,
    fitting: tuple[Any, ...],
    refused: tuple[Any, ...],
    nullable: bool,
) -> None:
    """A column takes what its type holds and refuses everything else, NULL unless nullable."""
    create(connection, model(column("c", kind, nullable=nullable)))
    insert = 'INSERT INTO things ("c") VALUES (?)'
    for value in fitting:
        connection.execute(insert, (value,))
    for value in refused if nullable else (*refused, None):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(insert, (value,))
    if nullable:
        connection.execute(insert, (None,))


def test_ids_are_not_given_again(connection: sqlite3.Connection) -> None:
    """The id of a deleted row is never given to another one."""
    create(connection, model(column("name", Text())))
    connection.execute("INSERT INTO things (id, name) VALUES (41, 'a'), (NULL, 'b')")
    connection.execute("DELETE FROM things")
    ((identifier,),) = connection.execute(
        "INSERT INTO things (name) VALUES ('c') RETURNING id"
    ).fetchall()
    assert identifier == 43


def test_a_key_of_several_columns(connection: sqlite3.Connection) -> None:
    """A composite key is unique as a whole, and none of its parts is NULL."""
    parts = (
        Field("a", Text(), "a", primary_key=True),
        Field("b", Integer(), "b", primary_key=True),
    )
    create(connection, Model("Thing", "things", parts))
    connection.execute("INSERT INTO things VALUES ('x', 1), ('x', 2)")
    for row in (("x", 1), (None, 1), ("x", None)):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("INSERT INTO things VALUES (?, ?)", row)


def test_declared_types_rebuild_the_fields(connection: sqlite3.Connection) -> None:
    """The declared types of a table give the field types of its model back."""
    kinds = (Integer(), Text(40), Decimal(12, 3), Decimal(30, 3), Timestamp(), Json("object"))
    made = model(*(column(f"c{number}", kind) for number, kind in enumerate(kinds)))
    create(connection, made)
    rows = connection.execute("SELECT name, type FROM pragma_table_info('things')").fetchall()
    assert {name: field_type(declared) for name, declared in rows} == {
        field.column: field.type for field in made.fields
    }


DEFAULTS: tuple[tuple[Any, Any], ...] = (
    (Integer(), -(2**63)),
    (Integer(), 2**63 - 1),
    (Float(), -1.5e-300),
    (Float(), 2),
    (Boolean(), True),
    (Text(), 'it\'s "quoted"; DROP TABLE things; -- \n ?1'),
    (Binary(), b"\x00'"),
    (Decimal(10, 2), decimal.Decimal("-1.5")),
    (Decimal(38, 2), decimal.Decimal("-1.5")),
    (Timestamp(), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    (Date(), dt.date(2024, 1, 1)),
    (Json("object"), {"a": ["'", None]}),
    (Enumeration(("a", "b"), Text()), "b"),
)


@pytest.mark.parametrize(("kind", "value"), DEFAULTS)
def test_constant_defaults_are_in_the_table(
    connection: sqlite3.Connection, kind: Any, value: Any
) -> None:
    """A row that something else inserts gets the same default as one of ours."""
    create(connection, model(column("c", kind, default=value)))
    connection.execute("INSERT INTO things DEFAULT VALUES")
    ((raw,),) = connection.execute('SELECT "c" FROM things').fetchall()
    decode = codec(kind).decode
    assert (raw if decode is None else decode(raw)) == kind.check(value, "c")


def test_computed_defaults_are_the_client_s(connection: sqlite3.Connection) -> None:
    """A default that is computed is left to the client."""
    statements = create(connection, model(column("c", Json("array"), default=list)))
    assert "DEFAULT" not in statements[0]


def test_unique_fields_and_indexes(connection: sqlite3.Connection) -> None:
    """Unique fields and unique indexes refuse duplicates; indexes are made in their order."""
    made = model(
        column("a", Text(20), unique=True),
        column("b", Text(20), index=True),
        column("c", Integer()),
        indexes=(
            Index(("b", "c"), unique=True),
            Index(("c",), descending=frozenset("c")),
            Index(("c",), name="mine"),
            Index(("c",)),
        ),
    )
    create(connection, made)
    connection.execute("INSERT INTO things (a, b, c) VALUES ('a', 'b', 1)")
    for row in (("a", "x", 1), ("x", "b", 1)):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("INSERT INTO things (a, b, c) VALUES (?, ?, ?)", row)
    names = dict(
        connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        )
    )
    assert len(names) == 6
    assert "mine" in names
    assert sum('"c" DESC' in sql for sql in names.values()) == 1


def test_names_of_indexes_never_meet(connection: sqlite3.Connection) -> None:
    """Two tables whose names and columns run together still get both their indexes."""
    create(connection, model(column("b_c", Integer(), index=True), table="a"))
    create(connection, model(column("c", Integer(), index=True), table="a_b"))
    ((number,),) = connection.execute(
        "SELECT count(*) FROM sqlite_master WHERE type = 'index'"
    ).fetchall()
    assert number == 2


@pytest.mark.parametrize(
    ("action", "left"), [("cascade", []), ("set_null", [(None,)]), ("restrict", None)]
)
def test_foreign_keys(
    connection: sqlite3.Connection, action: Any, left: list[tuple[None]] | None
) -> None:
    """A reference is kept, and what happens to it on delete is what the model says."""
    create(connection, model(table="parents"))
    child = model(column("parent_id", Integer(), nullable=True))
    reference = Reference("parents", ("id",), action)
    create(connection, child, ForeignKey(("parent_id",), reference, "to parents"))
    connection.execute("INSERT INTO parents (id) VALUES (1)")
    connection.execute("INSERT INTO things (parent_id) VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO things (parent_id) VALUES (2)")
    if left is None:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("DELETE FROM parents")
        return
    connection.execute("DELETE FROM parents")
    assert connection.execute("SELECT parent_id FROM things").fetchall() == left


def test_checks_of_the_model(connection: sqlite3.Connection) -> None:
    """Checks of fields and of the model are in the table, under their names."""
    made = model(
        column("a", Integer(), check={"a": {"$gt": 0}}),
        column("b", Integer()),
        checks=(Check("b is positive", {"b": {"$gt": 0}}),),
    )
    create(connection, made)
    connection.execute("INSERT INTO things (a, b) VALUES (1, 1)")
    with pytest.raises(sqlite3.IntegrityError, match="things_a_check"):
        connection.execute("INSERT INTO things (a, b) VALUES (0, 1)")
    with pytest.raises(sqlite3.IntegrityError, match="b is positive"):
        connection.execute("INSERT INTO things (a, b) VALUES (1, 0)")


HOSTILE = ('a"b', "a'b", "a;b --", "a b ", "select", "ä😀", "a.b", "a,b", "?1", "[a]", "`a`", "a:b")


@pytest.mark.parametrize("name", HOSTILE)
def test_every_name_is_only_a_name(connection: sqlite3.Connection, name: str) -> None:
    """Any name of a table, a column, an index or a check is quoted and nothing else."""
    made = model(
        column(name, Enumeration(("a",), Text(5)), unique=True),
        column("other", Integer(), index=True),
        table=name,
        indexes=(Index((name, "other"), name=f"index {name}"),),
        checks=(Check(f"check {name}", {"other": {"$gt": 0}}),),
    )
    create(connection, made)
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (name,)).fetchall()
    assert [row[0] for row in rows] == ["id", name, "other"]
    assert key().column == "id"
