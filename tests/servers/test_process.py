from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow_core.conformance.servers import (
    ServerProcess,
    ServerUnavailable,
    unprivileged_account,
)
from tests.servers.support import alive, echo_command, listens, soon, start_echo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def process() -> Iterator[ServerProcess]:
    """A process that runs nothing yet, under an account that is not root's."""
    process = ServerProcess("echo", account=unprivileged_account())
    yield process
    process.close()


def child(process: ServerProcess) -> int:
    """The process below the server."""
    return int((process.folder / "child").read_text())


def test_the_folder_is_private(process: ServerProcess) -> None:
    """Nobody but the account may enter the folder; files written into it are the account's."""
    status = process.folder.stat()
    assert stat.S_IMODE(status.st_mode) == 0o700
    assert status.st_uid == (process.account.uid if process.account else os.getuid())
    file = process.write("password", "geheim")
    assert file.stat().st_uid == status.st_uid
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_server_starts_and_stops_in_good_order(process: ServerProcess) -> None:
    """A server that answers has started, under the account; stopping lets it end by itself."""
    start_echo(process)
    assert f"runs as {process.folder.stat().st_uid}" in process.log()
    process.stop()
    assert not process.running
    assert (process.folder / "stopped").exists()


def test_a_killed_server_starts_again(process: ServerProcess) -> None:
    """Killing ends the server and all below it at once; restarting brings it back."""
    start_echo(process)
    below, first = child(process), process.pid
    process.kill()
    assert not process.running
    assert soon(lambda: not alive(below))
    assert not (process.folder / "stopped").exists()
    process.restart()
    assert listens(process)
    assert process.pid != first


def test_closing_leaves_nothing(process: ServerProcess) -> None:
    """Closing stops server and guard and removes the folder; again it does nothing."""
    start_echo(process)
    pid = process.pid
    process.close()
    process.close()
    assert not alive(pid)
    assert not process.folder.exists()
    with pytest.raises(ServerUnavailable, match="closed"):
        process.run(["true"])


def test_a_stubborn_server_is_killed(process: ServerProcess) -> None:
    """A server that does not stop when asked is killed."""
    start_echo(process, "stubborn")
    process.stop(patience=0.3)
    assert not process.running


def test_a_broken_server_shows_its_log(process: ServerProcess) -> None:
    """A server that ends at once is an error with what it printed."""
    with pytest.raises(ServerUnavailable, match="this server is broken"):
        start_echo(process, "broken")


def test_a_silent_server_is_given_up(process: ServerProcess) -> None:
    """A server that never answers is killed, and that is an error."""
    with pytest.raises(ServerUnavailable, match=r"did not answer within 0\.5 s"):
        process.start(echo_command(process), ready=lambda: False, timeout=0.5)
    assert not process.running


def test_a_server_is_not_started_twice(process: ServerProcess) -> None:
    """Starting what runs is refused."""
    start_echo(process)
    with pytest.raises(ServerUnavailable, match="runs already"):
        start_echo(process)


def test_a_tool_returns_what_it_printed(process: ServerProcess) -> None:
    """A tool runs in the folder, reads what it is given, and its output comes back."""
    assert process.run(["cat"], text="hello") == "hello"
    assert process.run(["pwd"]).strip() == str(process.folder)


def test_a_failing_tool_shows_its_output(process: ServerProcess) -> None:
    """A tool that fails, is missing or takes too long is an error that says so."""
    with pytest.raises(ServerUnavailable, match="failed:\nnot today"):
        process.run(["sh", "-c", "echo not today; exit 3"])
    with pytest.raises(ServerUnavailable, match="does not start"):
        process.run(["/no/such/tool"])
    with pytest.raises(ServerUnavailable, match=r"longer than 0\.2 s"):
        process.run(["sleep", "30"], timeout=0.2)


def test_a_server_inherits_no_settings(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that would lead a server elsewhere do not reach it."""
    monkeypatch.setenv("PGDATA", "/elsewhere")
    monkeypatch.setenv("LD_PRELOAD", "")
    names = {line.partition("=")[0] for line in process.run(["env"]).splitlines()}
    assert not {"PGDATA", "LD_PRELOAD"} & names


PROGRAM = """
import signal, sys, time

# As in a terminal, whatever started the tests may ignore.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

from dataflow_core.conformance.servers import ServerProcess, unprivileged_account
from tests.servers.support import start_echo

process = ServerProcess("echo", account=unprivileged_account())
start_echo(process, *sys.argv[1:])
print(process.pid, (process.folder / "child").read_text(), process.folder, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("end", "word"),
    [
        (signal.SIGKILL, "orderly"),
        (signal.SIGTERM, "orderly"),
        (signal.SIGINT, "orderly"),
        (signal.SIGHUP, "orderly"),
        (signal.SIGKILL, "stubborn"),
    ],
)
def test_a_server_ends_with_its_program(end: signal.Signals, word: str) -> None:
    """However the program ends that started a server, the server ends and its folder is removed."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, word],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert program.stdout is not None
    with program.stdout as output:
        pid, below, folder = output.readline().split()
        assert alive(int(pid))
        # The whole group, as a terminal does it.
        os.killpg(program.pid, end)
        program.wait(30)
    assert soon(lambda: not Path(folder).exists(), timeout=25)
    assert not alive(int(pid))
    assert soon(lambda: not alive(int(below)))
