"""What several test modules use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dataflow_core.contract import ConnectOptions, ErrorSituation
from dataflow_core.errors import DataFlowError
from dataflow_core.schema import Field, Model
from dataflow_core.types import FieldType, Integer
from dataflow_core.url import parse_url
from dataflow_postgres.driver import PostgresDriver
from dataflow_postgres.errors import translate_error
from dataflow_postgres.location import PostgresLocation, locate

SLOW = "SELECT pg_sleep(60)"
READING = ErrorSituation()
WRITING = ErrorSituation(writing=True)


def located(url: str, **options: Any) -> PostgresLocation:
    """What is opened for a URL and options; ``replica``, and times, are not the dialect's own."""
    own = ("replica", "connect_timeout", "command_timeout")
    common = {name: options.pop(name) for name in own if name in options}
    if "replica" in common:
        common["replica"] = parse_url(common["replica"])
    return locate(parse_url(url), ConnectOptions(options=options, **common))


def driver_of(url: str, **options: Any) -> PostgresDriver:
    """A driver for a URL and options."""
    return PostgresDriver(located(url, **options))


def column(name: str, kind: FieldType, **options: Any) -> Field:
    """A field whose column has its name."""
    return Field(name, kind, name, **options)


def model(*fields: Field, table: str = "things", **options: Any) -> Model:
    """A model with an automatic key and more fields."""
    key = Field("id", Integer(), "id", primary_key=True, generated="database")
    return Model("Thing", table, (key, *fields), **options)


async def raised(
    connection: Any, sql: str, *parameters: Any, situation: ErrorSituation = WRITING
) -> DataFlowError:
    """The uniform error of a statement."""
    try:
        await connection.fetch(sql, parameters)
    except Exception as error:
        translated = translate_error(error, situation)
        assert translated is not None
        return translated
    raise AssertionError("no error")


async def value(connection: Any, sql: str, *parameters: Any) -> Any:
    """The one value that a statement gives."""
    ((result,),) = await connection.fetch(sql, parameters)
    return result


async def setting(connection: Any, name: str) -> str:
    """A setting of the session."""
    return str(await value(connection, "SELECT current_setting($1::text)", name))


async def until(condition: Callable[[], Any], seconds: float = 5) -> None:
    """Wait until something, which may have to be awaited, is so."""
    async with asyncio.timeout(seconds):
        while True:
            answer = condition()
            if await answer if isinstance(answer, Awaitable) else answer:
                return
            await asyncio.sleep(0.01)
