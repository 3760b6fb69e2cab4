"""Calls that are a transaction of their own, made again where the database has ended it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from dataflow_core.run.chunks import BulkWrite
from dataflow_core.run.engine import Engine
from dataflow_core.run.retries import repeated

__all__ = ["again_where_alone"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Owner = TypeVar("Owner")
Method = Callable[Concatenate[Owner, Engine, Arguments], Coroutine[Any, Any, Result]]


def again_where_alone(
    method: Method[Owner, Arguments, Result],
) -> Method[Owner, Arguments, Result]:
    """Make a call again after a deadlock or a serialization failure, if nothing else was done.

    Not within a transaction in force, which is the caller's to do again; nor where the rows can be
    read only once, batches stay by themselves, or somebody was told of progress.
    """

    @functools.wraps(method)
    async def call(
        self: Owner, engine: Engine, /, *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        def work() -> Coroutine[Any, Any, Result]:
            return method(self, engine, *arguments, **named)

        if engine.current_transaction() is not None or not _again_the_same(arguments):
            return await work()
        return await repeated(work, engine.turnstile)

    return call


def _again_the_same(arguments: tuple[Any, ...]) -> bool:
    """Whether the arguments of a call that writes many rows are the same the second time."""
    write = next((one for one in arguments if isinstance(one, BulkWrite)), None)
    if write is not None and (write.on_progress is not None or write.atomic != "all"):
        return False
    return not any(hasattr(one, "__next__") or hasattr(one, "__anext__") for one in arguments)
