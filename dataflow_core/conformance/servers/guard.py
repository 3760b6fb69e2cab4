"""Runs as a program beside a server: ends it when the program that started it is gone.

That program holds the other end of the standard input. When it ends, in whatever way, the input
ends too: then the processes are stopped, the commands run, and the folder is removed. Stands
alone, so that it starts quickly and needs nothing installed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 5.0
"""Seconds that a process gets to stop by itself before it is killed."""


def is_alive(group: int) -> bool:
    """Whether a process of the group runs; one that only waits to be collected does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{group}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    return state.rpartition(")")[2].split()[0] not in ("Z", "X")


def descendants(root: int) -> list[int]:
    """The process ids below a process, where the system has a process table to read."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(entry.parent.name))
    found, waiting = [], [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def kill(group: int) -> None:
    """Kill a process, its group, and everything below it, at once."""
    below = descendants(group)
    for end, number in ((os.killpg, group), *((os.kill, child) for child in below)):
        try:
            end(number, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def stop(group: int, number: int, patience: float = PATIENCE) -> None:
    """Ask the group to stop with a signal, and kill it when it has not done so in time."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
    end = time.monotonic() + patience
    while is_alive(group):
        if time.monotonic() > end:
            kill(group)
            return
        time.sleep(0.02)


def main() -> None:
    """Read what is guarded until the input ends: ``process``, ``ended``, ``command``, ``leave``."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    folder = sys.argv[1]
    processes: dict[int, int] = {}
    commands: list[list[str]] = []
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "process":
            group, wanted = map(int, rest.split())
            processes[group] = wanted
        elif word == "ended":
            processes.pop(int(rest), None)
        elif word == "command":
            commands.append(json.loads(rest))
        elif word == "leave":
            return
    for group, stop_signal in processes.items():
        stop(group, stop_signal)
    for command in commands:
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - from our parent
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
