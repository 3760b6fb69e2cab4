"""One background event loop per process, through which synchronous calls reach asynchronous code.

Connections belong to the loop that opened them. As every synchronous call goes through the same
loop, pools outlive a call, `asyncio.run` may be used beside it as often as one likes, and calls
from a notebook, whose own loop is already running, work as well.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any, Final, Generic, ParamSpec, TypeVar

from dataflow_core.errors import BlockingCallRefused

__all__ = ["SyncBridge", "sync_bridge", "synchronous"]

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")
_THREAD_NAME: Final = "dataflow-event-loop"


class SyncBridge:
    """Runs coroutines on an event loop in a thread of its own, started at the first call.

    Calls may come from any thread and from any number of threads at once. After a fork the child
    starts a loop of its own; after ``close()`` the next call starts a new one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._inherited: list[asyncio.AbstractEventLoop] = []

    def run(self, coroutine: Coroutine[Any, Any, _Result], timeout: float | None = None) -> _Result:
        """Run a coroutine on the loop, wait for its end and return its result.

        The coroutine sees the context variables of the caller. A ``KeyboardInterrupt`` while
        waiting cancels it, and is raised when it has ended.

        Parameters:
            coroutine: what to run; it is closed if it cannot be run.
            timeout: seconds after which the coroutine is cancelled.

        Raises:
            BlockingCallRefused: called on the loop's own thread, which would wait for itself.
            TimeoutError: the coroutine was cancelled because ``timeout`` seconds were over.
        """
        call = _Call(coroutine)
        loop: asyncio.AbstractEventLoop | None = None
        try:
            with self._lock:
                loop = self._started_loop()
                loop.call_soon_threadsafe(call.start, loop)
            return call.ended.result(timeout)
        except BaseException as error:
            if loop is None:
                coroutine.close()
                raise
            if not call.ended.done():
                call.cancel(loop)
                # A second interrupt ends the waiting.
                wait([call.ended])
            if isinstance(error, TimeoutError) and call.came_to_an_end(error):
                return call.ended.result()
            raise

    def close(self) -> None:
        """Cancel what still runs, close the loop and wait for the thread to end."""
        with self._lock:
            loop, thread = self._loop, self._thread
            if loop is None or thread is None:
                return
            if thread is threading.current_thread():
                raise BlockingCallRefused(
                    "the background event loop cannot be closed by code that runs on it"
                )
            self._loop = self._thread = None
            loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _started_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._thread is None or self._loop.is_closed():
            return self._start()
        if self._thread.ident == threading.get_ident():
            raise BlockingCallRefused(
                "a synchronous call was made by code that runs on the background event loop:"
                " it would wait for itself"
            )
        return self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(
            target=self._serve, args=(started,), name=_THREAD_NAME, daemon=True
        )
        self._thread.start()
        self._loop = started.result()
        return self._loop

    def _serve(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        try:
            runner = asyncio.Runner()
            loop = runner.get_loop()
        except BaseException as error:
            started.set_exception(error)
            raise
        with runner:
            started.set_result(loop)
            serving = True
            while serving:
                try:
                    loop.run_forever()
                    serving = False
                except (KeyboardInterrupt, SystemExit):
                    # Raised by one coroutine, whose caller gets it; the others go on.
                    serving = True

    def after_fork(self) -> None:
        """Forget the loop in a child process, which has no thread that runs it."""
        self._lock = threading.Lock()
        if self._loop is not None:
            # Closing it would disturb the parent, with which its selector is shared; so it is
            # kept, lest it be closed when it is collected.
            self._inherited.append(self._loop)
        self._loop = self._thread = None


class _Call(Generic[_Result]):
    """One coroutine on its way: started and cancelled on the loop, waited for in another thread."""

    __slots__ = ("_coroutine", "_task", "ended")

    def __init__(self, coroutine: Coroutine[Any, Any, _Result]) -> None:
        self._coroutine = coroutine
        self._task: asyncio.Task[_Result] | None = None
        self.ended: Future[_Result] = Future()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the coroutine; called on the loop."""
        self._task = loop.create_task(self._coroutine)
        self._task.add_done_callback(self._end)

    def cancel(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the coroutine cancelled; called from any thread."""
        loop.call_soon_threadsafe(self._cancel_task)

    def came_to_an_end(self, error: TimeoutError) -> bool:
        """Whether the coroutine ended by itself although ``error`` says that time was over."""
        return not self.ended.cancelled() and self.ended.exception() is not error

    def _cancel_task(self) -> None:
        # The loop calls in order: if it has not been started by now, it never will be.
        if self._task is None:
            self._coroutine.close()
            self._give_up()
        else:
            self._task.cancel()

    def _give_up(self) -> None:
        self.ended.cancel()
        self.ended.set_running_or_notify_cancel()

    def _end(self, task: asyncio.Task[_Result]) -> None:
        if task.cancelled():
            self._give_up()
        elif (error := task.exception()) is not None:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(task.result())


_bridge: Final = SyncBridge()
# Registered when this module is imported, so that it runs after the exit functions of everything
# that was made later and still needs the loop in order to close.
atexit.register(_bridge.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_bridge.after_fork)


def sync_bridge() -> SyncBridge:
    """The bridge that all synchronous calls of this process share."""
    return _bridge


def synchronous(
    function: Callable[_Arguments, Coroutine[Any, Any, _Result]],
) -> Callable[_Arguments, _Result]:
    """The same for code that is not asynchronous."""

    @functools.wraps(function)
    def call(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        return sync_bridge().run(function(*arguments, **named))

    call.__name__ = function.__name__.removeprefix("a")
    call.__qualname__ = function.__qualname__.replace(function.__name__, call.__name__)
    return call
