"""A thread that runs one call after the other for whoever awaits them."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Worker"]

T = TypeVar("T")


class Worker:
    """One thread. It never keeps the process from ending.

    A call whose caller is cancelled before its turn is left out; one that runs already is finished.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None]
        self._calls = queue.SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run a call in the thread; awaiting the result gives what it returns or raises.

        Raises:
            RuntimeError: the worker is stopped.
        """
        if self._stopped:
            raise RuntimeError("the thread of this connection is stopped")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((call, future))
        return future

    def stop(self, last: Callable[[], object] | None = None) -> None:
        """Let the thread end after what is in the queue; ``last`` is run even if nobody waits."""
        if self._stopped:
            return
        self._stopped = True
        if last is not None:
            self._calls.put((last, _Unwatched()))  # type: ignore[arg-type]
        self._calls.put(None)

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            call, future = item
            if future.cancelled():
                continue
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:
                error = raised
            try:
                future.get_loop().call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                # The loop has ended meanwhile, so nobody waits.
                continue
            finally:
                # What was raised holds the frame, which would hold the result until the next call.
                del call, future, item, result, error


class _Unwatched:
    """Stands for the future of a call whose result nobody awaits."""

    def cancelled(self) -> bool:
        return False

    def get_loop(self) -> Any:
        raise RuntimeError("nobody waits")


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):
        # A future cannot raise it.
        future.set_exception(RuntimeError("the driver raised StopIteration"))
    else:
        future.set_exception(error)
