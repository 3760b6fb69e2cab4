"""What tests of the servers' building blocks share."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

from dataflow_core.conformance.servers import ServerProcess

ECHO = Path(__file__).with_name("echo.py")


def echo_command(process: ServerProcess, *words: str) -> tuple[str, ...]:
    """The command that starts the small server, by a Python that every account can run."""
    program = process.folder / "echo.py"
    if not program.exists():
        program.write_text(ECHO.read_text(encoding="utf-8"), encoding="utf-8")
        program.chmod(0o644)
    python = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin") or "python3"
    return (python, str(program), str(process.folder), *words)


def listens(process: ServerProcess) -> bool:
    """Whether the small server answers."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(process.folder / "socket")) == 0


def start_echo(process: ServerProcess, *words: str, timeout: float = 20) -> None:
    """Start the small server."""
    process.start(echo_command(process, *words), ready=lambda: listens(process), timeout=timeout)


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] not in ("Z", "X")


def soon(condition: Callable[[], bool], timeout: float = 15) -> bool:
    """Whether it becomes so in time."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
