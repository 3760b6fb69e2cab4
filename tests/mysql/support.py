"""What several test modules use."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from dataflow_core.contract import ConnectOptions, ErrorSituation
from dataflow_core.schema import Field, Model
from dataflow_core.types import FieldType, Integer
from dataflow_core.url import parse_url
from dataflow_mysql.driver import MySQLDriver
from dataflow_mysql.errors import translate_error
from dataflow_mysql.location import MySQLLocation, locate

SLOW = "SELECT SLEEP(30)"


def located(url: str, **options: Any) -> MySQLLocation:
    """What is opened for a URL and options."""
    return locate(parse_url(url), ConnectOptions(options=options))


def driver_of(url: str, *, fast: bool = True, timeout: float = 60, **options: Any) -> MySQLDriver:
    """A driver for a URL and options; ``timeout`` is that of statements."""
    connect = ConnectOptions(options=options, command_timeout=timeout)
    return MySQLDriver(locate(parse_url(url), connect), fast=fast)


async def connected(driver: MySQLDriver) -> Any:
    """A connection to the primary."""
    return await driver.connect(driver.lanes[-1])


def with_options(url: str, text: str) -> str:
    """A URL with more options."""
    return f"{url}{'&' if '?' in url else '?'}{text}"


async def value(connection: Any, sql: str, *parameters: Any) -> Any:
    """The only value that a statement gives."""
    ((found,),) = await connection.fetch(sql, parameters)
    return found


async def until(condition: Callable[[], Any], seconds: float = 5) -> None:
    """Wait until a condition, or what it gives to await, is true; fail if it takes too long."""
    for _ in range(round(seconds / 0.02)):
        found = condition()
        if await found if inspect.isawaitable(found) else found:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


async def make_table(connection: Any) -> None:
    """The table that most tests use."""
    await connection.fetch("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)", ())


async def count(connection: Any) -> int:
    """The number of rows of that table."""
    return int(await value(connection, "SELECT count(*) FROM t"))


def column(name: str, kind: FieldType, **options: Any) -> Field:
    """A field whose column has its name."""
    return Field(name, kind, name, **options)


def model(*fields: Field, table: str = "things", **options: Any) -> Model:
    """A model with a generated key and more fields."""
    key = Field("id", Integer(), "id", primary_key=True, generated="database")
    return Model("Thing", table, (key, *fields), **options)


def translated(error: BaseException, **situation: Any) -> Any:
    """The uniform error for what a statement raised."""
    assert isinstance(error, Exception)
    return translate_error(error, ErrorSituation(**situation))
