"""A server process with a private folder, which ends when the program that started it does."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from dataflow_core.conformance.servers import guard
from dataflow_core.conformance.servers.machine import Account, ServerUnavailable, private_folder

__all__ = ["ServerProcess"]

_LOG_LINES: Final = 25
_PAUSE: Final = 0.02
# What a server started by us must not inherit: places and settings of other servers and programs.
_KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL", "TZ", "TZDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


class ServerProcess:
    """One server, started and stopped any number of times in one private folder.

    A guard process stands beside it: when this program is gone, even killed, the guard stops the
    server and removes the folder. The server has a session of its own, so that Ctrl-C in the
    terminal reaches the program and not the server.

    Parameters:
        name: what it is called in the folder's name and in errors.
        account: the account that it runs under; ``None`` for the own one.
        environment: variables that it gets in addition.
        stop_signal: the signal that makes it stop in good order.

    Attributes:
        folder: the private folder; the account's own, nobody else may enter it.
    """

    def __init__(
        self,
        name: str,
        *,
        account: Account | None = None,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.account = account
        self._owner = os.getpid()
        self.folder = private_folder(name, account)
        self._stop_signal = stop_signal
        inherited = {key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ}
        own = {"HOME": str(self.folder), "TMPDIR": str(self.folder)}
        self._environment = {**inherited, **own, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._command: tuple[str, ...] = ()
        self._ready: Callable[[], bool] = lambda: True
        self._log = self.folder / "server.log"
        self._guard: subprocess.Popen[str] | None = subprocess.Popen(  # noqa: S603 - our own file
            (sys.executable, "-I", guard.__file__, str(self.folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            cwd="/",
            start_new_session=True,
        )
        atexit.register(self.close)

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the server, or of the last one."""
        if self._process is None:
            raise ServerUnavailable(f"{self.name} was never started")
        return self._process.pid

    def log(self) -> str:
        """The last lines that the server or a tool printed."""
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-_LOG_LINES:])

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder that only the account can read; returns its path."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)
        return path

    def run(
        self,
        command: Sequence[str | Path],
        *,
        text: str | None = None,
        timeout: float = 120,
    ) -> str:
        """Run a tool to its end, under the account, in the folder; returns what it printed.

        Parameters:
            command: the program and its arguments.
            text: what it reads.
            timeout: seconds after which it is killed.

        Raises:
            ServerUnavailable: it failed, took too long, or cannot be run; with its output.
        """
        self._check_open()
        with self._log.open("ab") as log:
            start = log.tell()
            process = self._spawn(command, log, subprocess.PIPE)
        try:
            process.communicate((text or "").encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            guard.kill(process.pid)
            process.communicate()
            raise ServerUnavailable(
                f"{command[0]} took longer than {timeout:g} s:\n{self.log()}"
            ) from None
        finally:
            self._tell(f"ended {process.pid}")
        if process.returncode != 0:
            raise ServerUnavailable(f"{command[0]} failed:\n{self.log()}")
        with self._log.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")

    def start(
        self, command: Sequence[str | Path], *, ready: Callable[[], bool], timeout: float = 60
    ) -> None:
        """Start the server and wait until it answers.

        Parameters:
            command: the program, which stays in the foreground, and its arguments.
            ready: whether it answers; asked until it says so. Asks over the private folder rather
                than over a port: on a port another program may answer.
            timeout: seconds until it must answer.

        Raises:
            ServerUnavailable: it ended or did not answer in time; with the end of its log.
        """
        self._command = tuple(map(str, command))
        self._ready = ready
        self._start(timeout)

    def restart(self, timeout: float = 60) -> None:
        """Start the server again, as it was started before; stops it first if it runs.

        Raises:
            ServerUnavailable: it was never started, or does not come back; with its log.
        """
        if not self._command:
            raise ServerUnavailable(f"{self.name} was never started")
        self.stop()
        end = time.monotonic() + timeout
        while True:
            try:
                return self._start(end - time.monotonic())
            except ServerUnavailable:
                # What a killed server held (memory, a lock file) is free only after a moment.
                if time.monotonic() + 1 > end:
                    raise
                time.sleep(0.2)

    def kill(self) -> None:
        """Kill the server and everything below it, as a power cut would. Its files stay."""
        if self._process is not None:
            guard.kill(self._process.pid)
            self._process.wait()
            self._tell(f"ended {self._process.pid}")

    def stop(self, patience: float = 20) -> None:
        """Stop the server in good order, or kill it when it takes too long. Its files stay."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(self._stop_signal)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
        self._tell(f"ended {process.pid}")

    def close(self) -> None:
        """Stop the server, remove its folder, and let the guard go. Can be called again."""
        if os.getpid() != self._owner:
            return  # a fork of the program that started it
        self.stop(guard.PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)
        watcher, self._guard = self._guard, None
        if watcher is not None:
            self._tell("leave", watcher)
            watcher.communicate()
            atexit.unregister(self.close)

    def _start(self, timeout: float) -> None:
        self._check_open()
        if self.running:
            raise ServerUnavailable(f"{self.name} runs already")
        with self._log.open("ab") as log:
            self._process = self._spawn(self._command, log, subprocess.DEVNULL)
        end = time.monotonic() + timeout
        while not self._ready():
            if self._process.poll() is not None:
                self._tell(f"ended {self._process.pid}")
                raise ServerUnavailable(f"{self.name} ended at once:\n{self.log()}")
            if time.monotonic() > end:
                self.kill()
                raise ServerUnavailable(
                    f"{self.name} did not answer within {timeout:g} s:\n{self.log()}"
                )
            time.sleep(_PAUSE)

    def _spawn(
        self, command: Sequence[str | Path], log: IO[bytes], given: int
    ) -> subprocess.Popen[bytes]:
        user = None if self.account is None else self.account.uid
        group = None if self.account is None else self.account.gid
        try:
            process = subprocess.Popen(  # noqa: S603 - found by the dialect, arguments made by it
                [str(part) for part in command],
                stdin=given,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )
        except OSError as error:
            raise ServerUnavailable(f"{command[0]} does not start: {error}") from error
        self._tell(f"process {process.pid} {int(self._stop_signal)}")
        return process

    def _check_open(self) -> None:
        if self._guard is None:
            raise ServerUnavailable(f"{self.name} is closed")

    def at_end(self, command: Sequence[str]) -> None:
        """Have the guard run a command if this program ends without ``close``."""
        self._tell(f"command {json.dumps(list(command))}")

    def _tell(self, line: str, watcher: subprocess.Popen[str] | None = None) -> None:
        watcher = watcher or self._guard
        if watcher is None or watcher.stdin is None or watcher.poll() is not None:
            return
        watcher.stdin.write(f"{line}\n")
        watcher.stdin.flush()
