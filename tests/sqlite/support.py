"""What several test modules use."""

from __future__ import annotations

from typing import Any

from dataflow_core.schema import Field, Model
from dataflow_core.types import FieldType, Integer
from dataflow_core.url import DatabaseURL, parse_url
from dataflow_sqlite.driver import SQLiteDriver

SLOW = (
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers"
    " WHERE n < 1000000000) SELECT count(*) FROM numbers"
)


def read_url(text: str) -> DatabaseURL:
    """The URL of a test."""
    return parse_url(text)


def key() -> Field:
    """A key that the database counts."""
    return Field("id", Integer(), "id", primary_key=True, generated="database")


def column(name: str, kind: FieldType, **options: Any) -> Field:
    """A field whose column has its name."""
    return Field(name, kind, name, **options)


def model(*fields: Field, table: str = "things", **options: Any) -> Model:
    """A model with an automatic key and more fields."""
    return Model("Thing", table, (key(), *fields), **options)


async def pragma(connection: Any, name: str) -> Any:
    """The value of a setting."""
    ((value,),) = await connection.fetch(f"PRAGMA {name}", ())
    return value


async def count(connection: Any) -> int:
    """The number of rows of the table that most tests make."""
    ((number,),) = await connection.fetch("SELECT count(*) FROM t", ())
    return int(number)


async def make_table(connection: Any) -> None:
    """The table that most tests use."""
    await connection.fetch("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", ())


async def read_lane(driver: SQLiteDriver) -> Any:
    """A connection for reading only."""
    return await driver.connect(driver.lanes[0])


async def write_lane(driver: SQLiteDriver) -> Any:
    """A connection for writing."""
    return await driver.connect(driver.lanes[-1])
