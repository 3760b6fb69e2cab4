"""The background event loop that synchronous calls go through."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dataflow_core.errors import BlockingCallRefused
from dataflow_core.run.sync_bridge import SyncBridge, sync_bridge

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def bridge() -> Iterator[SyncBridge]:
    """A bridge of its own."""
    bridge = SyncBridge()
    yield bridge
    bridge.close()


async def give(value: Any) -> Any:
    """Give back a value after a turn of the loop."""
    await asyncio.sleep(0)
    return value


async def this_loop() -> asyncio.AbstractEventLoop:
    """Tell the loop."""
    return asyncio.get_running_loop()


def test_results_and_errors_come_back(bridge):
    """A coroutine's result is returned, its error is raised as it is."""

    async def fail() -> None:
        raise KeyError("x")

    assert bridge.run(give(3)) == 3
    with pytest.raises(KeyError, match="x"):
        bridge.run(fail())


def test_the_process_has_one_bridge():
    """Everybody gets the same bridge, whose loop stays."""
    assert sync_bridge() is sync_bridge()
    assert sync_bridge().run(this_loop()) is sync_bridge().run(this_loop())


def test_threads_may_call_at_once(bridge):
    """Calls of many threads run at the same time on one loop, started once."""
    inside: set[int] = set()

    async def meet(number: int) -> tuple[int, Any]:
        inside.add(number)
        async with asyncio.timeout(20):
            while len(inside) < 16:  # noqa: ASYNC110 - an event would belong to one loop
                await asyncio.sleep(0.001)
        return number, asyncio.get_running_loop()

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: bridge.run(meet(number)), range(16)))
    assert [number for number, _ in found] == list(range(16))
    assert len({id(loop) for _, loop in found}) == 1


def test_a_call_on_the_loop_itself_is_refused(bridge):
    """Code that runs on the loop cannot wait for it: it is told so, and the coroutine is closed."""

    async def nested() -> None:
        bridge.run(give(1))

    with pytest.raises(BlockingCallRefused, match="would wait for itself") as caught:
        bridge.run(nested())
    assert caught.value.code == "DF-517"

    async def close() -> None:
        bridge.close()

    with pytest.raises(BlockingCallRefused):
        bridge.run(close())


async def test_a_call_beside_a_running_loop_works(bridge):
    """Where another loop is running, the call blocks and works."""
    assert bridge.run(give(1)) == 1


def test_time_may_be_limited(bridge):
    """A call that takes too long is cancelled, and has ended when the error is raised."""
    ended = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
            ended.append(True)

    with pytest.raises(TimeoutError):
        bridge.run(slow(), timeout=0.02)
    assert ended == [True]


def test_a_result_that_comes_late_is_still_a_result(bridge):
    """A coroutine that finishes although it was cancelled gives its result."""

    async def deaf() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "done"
        return "slept"

    assert bridge.run(deaf(), timeout=0.02) == "done"


def test_a_timeout_of_the_coroutine_is_its_own(bridge):
    """A TimeoutError that the coroutine raises is raised as it is."""
    mine = TimeoutError("mine")

    async def fail() -> None:
        raise mine

    with pytest.raises(TimeoutError) as caught:
        bridge.run(fail(), timeout=60)
    assert caught.value is mine


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_coroutine_that_exits_does_not_end_the_loop(bridge, kind):
    """A coroutine that raises SystemExit gives it to its caller; others go on."""

    async def leave() -> None:
        raise kind

    loop = bridge.run(this_loop())
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(bridge.run, asyncio.sleep(0.1, "other"))
        with pytest.raises(kind):
            bridge.run(leave())
        assert other.result() == "other"
    assert bridge.run(this_loop()) is loop


def test_closing_cancels_what_runs(bridge):
    """Closing cancels what runs and ends the thread; done twice is once; a new call starts anew."""
    loop = bridge.run(this_loop())
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bridge.run, asyncio.sleep(60))
        while len(asyncio.all_tasks(loop)) < 1:
            time.sleep(0.001)
        bridge.close()
        with pytest.raises(CancelledError):
            running.result()
    bridge.close()
    assert loop.is_closed()
    assert bridge.run(this_loop()) is not loop


def test_a_stopped_loop_is_replaced(bridge):
    """A loop that somebody stopped is replaced at the next call."""
    loop = bridge.run(this_loop())
    loop.call_soon_threadsafe(loop.stop)
    while not loop.is_closed():
        time.sleep(0.001)
    assert bridge.run(give(1)) == 1


def run_program(text: str) -> str:
    """Run a program of this checkout and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(text)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_an_interrupt_cancels_the_coroutine():
    """Ctrl-C while waiting cancels the coroutine, and is raised when that has ended."""
    printed = run_program(
        """
        import asyncio, os, signal, threading
        from dataflow_core.run.sync_bridge import sync_bridge
        # A process that was started in the background may have inherited that it ignores this.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ended = []
        async def slow():
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.02)
                ended.append(True)
        try:
            sync_bridge().run(slow())
        except KeyboardInterrupt:
            print(ended, sync_bridge().run(asyncio.sleep(0, "goes on")))
        """
    )
    assert printed == "[True] goes on\n"


def test_a_process_ends_without_closing():
    """A process that used the bridge ends by itself, at once and silently."""
    start = time.perf_counter()
    printed = run_program(
        """
        import asyncio
        from dataflow_core.run.sync_bridge import sync_bridge
        print(sync_bridge().run(asyncio.sleep(0, "done")))
        """
    )
    assert printed == "done\n"
    assert time.perf_counter() - start < 10


def test_what_closes_at_exit_may_still_use_the_bridge():
    """Exit functions registered after the import run before the loop is closed."""
    printed = run_program(
        """
        import asyncio, atexit
        from dataflow_core.run.sync_bridge import sync_bridge
        async def tell():
            return asyncio.get_running_loop()
        first = sync_bridge().run(tell())
        atexit.register(lambda: print(sync_bridge().run(tell()) is first))
        """
    )
    assert printed == "True\n"


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit()"])
def test_a_forked_child_gets_a_loop_of_its_own(end):
    """After a fork parent and child both go on, each with its own loop."""
    assert hasattr(os, "fork")
    printed = run_program(
        f"""
        import asyncio, os, sys
        from dataflow_core.run.sync_bridge import sync_bridge
        async def tell():
            return id(asyncio.get_running_loop())
        first = sync_bridge().run(tell())
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            assert sync_bridge().run(tell()) != first
            assert sync_bridge().run(asyncio.sleep(0.01, "child")) == "child"
            {end}
        assert os.waitpid(child, 0)[1] == 0
        assert sync_bridge().run(tell()) == first
        print(sync_bridge().run(asyncio.sleep(0.01, "parent")))
        """
    )
    assert printed == "parent\n"
