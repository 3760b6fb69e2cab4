from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import InvalidModel, ValueTooLong
from dataflow_core.operations import CreateTable
from dataflow_core.schema import Check, Field, ForeignKey, Index, Model, Reference
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Integer,
    Json,
    Text,
    Uuid,
)
from dataflow_mysql.dialect import MariaDBDialect, MySQLDialect
from dataflow_mysql.indexes import constraint_name
from tests.mysql.support import connected, driver_of

DIALECTS = {"MariaDB": MariaDBDialect, "MySQL": MySQLDialect}


def column(name: str, kind: FieldType, **options: Any) -> Field:
    """A field whose column has its name."""
    return Field(name, kind, name, **options)


def model(*fields: Field, table: str = "things", **options: Any) -> Model:
    """A model with an automatic key and more fields."""
    key = column("id", Integer(), primary_key=True, generated="database")
    return Model("Thing", table, (key, *fields), **options)


def sql(made: Model, *keys: ForeignKey, dialect: type[MySQLDialect] = MySQLDialect) -> str:
    """The statement that makes the table of a model."""
    (text,) = dialect().ddl.compile(CreateTable(made, keys))
    return text


async def create(connection: Any, made: Model, *keys: ForeignKey) -> None:
    """Make the table of a model, twice: the second time nothing happens."""
    text = sql(made, *keys, dialect=DIALECTS[connection.server.name])
    for _ in range(2):
        await connection.execute(text, ())


async def refusal(connection: Any, statement: str, *parameters: Any) -> int:
    """The number of the error that a statement raises."""
    with pytest.raises(Exception) as caught:
        await connection.execute(statement, parameters)
    return int(getattr(caught.value, "number", 0))


def test_a_table_is_one_statement() -> None:
    """Each statement commits, so indexes, references and checks are part of the table's."""
    made = model(
        column("a", Integer(), index=True),
        column("b", Integer(), unique=True),
        indexes=(Index(("a", "b"), descending=frozenset("b"), name="own"),),
        checks=(Check("positive", {"a": {"$gt": 0}}),),
    )
    text = sql(made, ForeignKey(("a",), Reference("others", ("id",), "cascade"), "to_others"))
    assert "KEY `dataflow_index:things:a` (`a`)" in text
    assert "UNIQUE KEY `dataflow_unique:things:b` (`b`)" in text
    assert "KEY `own` (`a`, `b` DESC)" in text
    assert "CONSTRAINT `things:to_others` FOREIGN KEY (`a`) REFERENCES `others` (`id`)" in text
    assert "ON DELETE CASCADE" in text
    assert "CONSTRAINT `things:positive` CHECK (`a` > 0)" in text
    assert text.endswith("ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin")


def test_texts_stand_in_the_row_where_that_is_of_use() -> None:
    """A bounded text has one character to spare; a long or an open-ended one stands apart."""
    text = sql(
        model(
            column("short", Text(10)),
            column("long", Text(768)),
            column("open", Text()),
            column("word", Enumeration(("one", "three"), Text())),
            column("key", Text(768), unique=True),
            column("blob", Binary(), unique=True),
        )
    )
    for name, declared in {
        "short": "VARCHAR(11)",
        "long": "LONGTEXT",
        "open": "LONGTEXT",
        "word": "VARCHAR(6)",
        "key": "VARCHAR(768)",
        "blob": "VARBINARY(3072)",
    }.items():
        assert f"`{name}` {declared} " in text
    assert "CHECK (CHAR_LENGTH(`short`) <= 10)" in text
    assert "CHECK (CHAR_LENGTH(`key`) <= 768)" in text
    assert "CHECK (CHAR_LENGTH(`open`)" not in text


def test_a_row_has_room_for_its_texts_only() -> None:
    """The server takes 65,535 bytes of a row: further texts stand apart, the longest first."""
    text = sql(model(*(column(f"t{at}", Text(700)) for at in range(40)), column("s", Text(5))))
    assert "`s` VARCHAR(6)" in text
    assert 0 < text.count("LONGTEXT") < 40


def test_open_ended_texts_share_an_index() -> None:
    """Open-ended texts of one unique key share its bytes with what else is in it."""
    made = model(
        column("a", Text(768)),
        column("b", Text(768)),
        column("n", Integer()),
        column("u", Uuid()),
        column("d", Decimal(38, 18)),
        column("day", Date()),
        indexes=(Index(("a", "b", "n", "u", "d", "day"), unique=True),),
    )
    text = sql(made)
    assert "`a` VARCHAR(375)" in text
    assert "CHECK (CHAR_LENGTH(`a`) < 375 AND CHAR_LENGTH(`a`) <= 768)" in text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((column("a", Text(500)), column("b", Text(500))), "takes 4008 bytes"),
        ((column("a", Json()), column("b", Integer())), "JSON cannot be part"),
    ],
)
def test_what_no_index_holds_is_refused(fields: tuple[Field, ...], message: str) -> None:
    """A unique key that the server cannot hold is refused before any SQL."""
    made = model(*fields, indexes=(Index(("a", "b"), unique=True),))
    with pytest.raises(InvalidModel, match=message):
        sql(made)


def test_digits_that_the_server_does_not_keep_are_refused() -> None:
    """A scale of more than 30 is refused for the server that has no more, and only there."""
    made = model(column("d", Decimal(38, 31)))
    with pytest.raises(InvalidModel, match="at most 30 digits"):
        sql(made)
    assert "DECIMAL(38,31)" in sql(made, dialect=MariaDBDialect)


def test_long_names_get_a_digest() -> None:
    """A name is cut at 63 bytes, and two long ones never become one."""
    one, other = (constraint_name("dataflow_index", "é" * 40, end) for end in ("a", "b"))
    assert one != other
    assert len(one.encode()) <= 63
    assert constraint_name("a", "b") == "a:b"


async def test_plain_indexes_hold_the_beginning_of_long_values(connection: Any) -> None:
    """An index that only makes things faster never refuses a value, whatever its length."""
    made = model(
        column("t", Text(768), index=True),
        column("b", Binary(), index=True),
        column("doc", Json(), index=True),
        column("n", Integer()),
        indexes=(Index(("n", "t", "b"), descending=frozenset("t")), Index(("t",), name="x`y")),
    )
    await create(connection, made)
    row = ("é" * 768, b"\xff" * 10_000, "[]", 1)
    await connection.execute("INSERT INTO things (t, b, doc, n) VALUES (?, ?, ?, ?)", row)
    assert await connection.fetch("SELECT t, b, n FROM things", ()) == [(row[0], row[1], 1)]


@pytest.mark.parametrize("text", ["abcd", "abc ", "abc    ", "    "])
async def test_a_space_too_many_is_too_long(connection: Any, text: str) -> None:
    """No text is cut: the server would drop spaces at its end without a word."""
    await create(connection, model(column("t", Text(3))))
    assert await refusal(connection, "INSERT INTO things (t) VALUES (?)", text) in (
        1406,
        3819,
        4025,
    )
    await connection.execute("INSERT INTO things (t) VALUES (?)", ("ab ",))
    assert await connection.fetch("SELECT t FROM things WHERE t = 'ab '", ()) == [("ab ",)]
    assert await connection.fetch("SELECT t FROM things WHERE t = 'ab'", ()) == []


async def test_checks_hold(connection: Any) -> None:
    """A bool is 0 or 1, an enumeration one of its values, JSON is JSON."""
    made = model(
        column("flag", Boolean(), nullable=True),
        column("word", Enumeration(("one", "it's"), Text()), nullable=True),
        column("doc", Json(), nullable=True),
    )
    await create(connection, made)
    await connection.execute("INSERT INTO things (flag, word, doc) VALUES (1, 'it''s', '{}')", ())
    await connection.execute("INSERT INTO things () VALUES ()", ())
    for name, value in {"flag": 2, "word": "ONE", "doc": "{"}.items():
        number = await refusal(connection, f"INSERT INTO things ({name}) VALUES (?)", value)
        assert number in (3819, 4025, 3140)


async def test_tables_name_their_rules_alike(connection: Any) -> None:
    """Checks and references of two tables may have one name, also where they are set to NULL."""
    parent = model(column("code", Text(768), unique=True), table="parents")
    await create(connection, parent)
    reference = ForeignKey(("code",), Reference("parents", ("code",), "set_null"), "to_parent")
    for table in ("one", "two"):
        child = model(
            column("code", Text(20), nullable=True),
            column("n", Integer()),
            table=table,
            checks=(Check("small", {"n": {"$lt": 10}}),),
        )
        await create(connection, child, reference)
        assert await refusal(connection, f"INSERT INTO {table} (n) VALUES (10)") in (3819, 4025)
        assert await refusal(connection, f"INSERT INTO {table} (n, code) VALUES (1, 'x')") == 1452


async def test_many_make_a_table_at_once(mysql_url: str) -> None:
    """Sixteen connections make the same table, with all that belongs to it, and none fails."""
    made = model(
        column("t", Text(768), unique=True),
        column("parent", Integer(), nullable=True, index=True),
        checks=(Check("named", {"t": {"$ne": ""}}),),
    )
    key = ForeignKey(("parent",), Reference("things", ("id",), "cascade"), "up")
    driver = driver_of(mysql_url)
    connections = [await connected(driver) for _ in range(16)]
    text = sql(made, key, dialect=DIALECTS[connections[0].server.name])
    try:
        await asyncio.gather(*(item.execute(text, ()) for item in connections))
        await connections[0].execute("INSERT INTO things (t) VALUES ('a')", ())
        assert await connections[1].fetch("SELECT t FROM things", ()) == [("a",)]
    finally:
        for item in connections:
            await item.close()
        await driver.close()


async def test_a_shared_key_is_never_cut(mysql_url: str) -> None:
    """A text that the index has no room for is ValueTooLong, and nothing is cut to fit."""
    async with DataFlow(mysql_url) as db:

        @db.model
        class Person:
            first: str
            last: str
            __dataflow__ = {"unique": [["first", "last"]]}

        await db.run("PersonCreateNode", first="a" * 383, last="b" * 383)
        for longer in ("a" * 384, "a" * 383 + "  "):
            with pytest.raises(ValueTooLong, match="first is longer"):
                await db.run("PersonCreateNode", first=longer, last="c")
        assert (await db.run("PersonListNode"))["count"] == 1
