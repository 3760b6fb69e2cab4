"""Servers for several processes: one process starts each once, the others ask it for databases."""

from __future__ import annotations

import secrets
import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from dataflow_core.conformance.servers.machine import ServerUnavailable, private_folder
from dataflow_core.contract import ControlledServer, TestServer

__all__ = ["Desk", "ServerDesk", "ServerDeskClient", "SharedServer"]

_REQUESTS: Final = (
    *("begin", "start", "new_database", "drop_database", "connections", "kill_connections"),
)


class Desk(Protocol):
    """Where servers are asked for, in this process or another."""

    def ask(self, request: str, *arguments: str) -> Any:
        """Have something done; raises ``ServerUnavailable`` if there is no such server."""
        ...


class ServerDesk:
    """Starts servers when they are asked for, each once, and stops them at the end.

    Parameters:
        offered: gives what can be asked for; called at the first question. Starts nothing.
        started: called with each server that was started.
    """

    def __init__(
        self,
        offered: Callable[[], Iterable[TestServer]],
        *,
        started: Callable[[TestServer], object] = lambda server: None,
    ) -> None:
        self._offered = offered
        self._servers: dict[str, TestServer] | None = None
        self._started = started
        self._lock = threading.Lock()
        self._offering = threading.Lock()
        self._starts: dict[str, Future[str]] = {}
        self._listener: Listener | None = None
        self._folder: Path | None = None
        self._address = ""
        self._key = secrets.token_bytes(16)

    @property
    def servers(self) -> dict[str, TestServer]:
        """What can be asked for, by name."""
        with self._offering:
            if self._servers is None:
                self._servers = {server.name: server for server in self._offered()}
            return self._servers

    def ask(self, request: str, *arguments: str) -> Any:
        """Do what ``SharedServer`` and ``ServerDeskClient`` ask for."""
        if request not in _REQUESTS:
            raise ValueError(f"no request is called {request!r}")
        return getattr(self, request)(*arguments)

    def begin(self, name: str) -> None:
        """Begin to start a server, and do not wait for it."""
        with self._lock:
            if name in self._starts:
                return
            future = self._starts[name] = Future()
        threading.Thread(target=self._start, args=(name, future), daemon=True).start()

    def start(self, name: str) -> str:
        """Start a server unless it runs; returns its description.

        Raises:
            ServerUnavailable: it cannot be had; with the reason.
        """
        self.begin(name)
        return self._starts[name].result()

    def new_database(self, name: str) -> str:
        """The URL of a new database of a server."""
        self.start(name)
        return self.servers[name].new_database()

    def drop_database(self, name: str, url: str) -> None:
        """Remove a database."""
        self.servers[name].drop_database(url)

    def connections(self, name: str, url: str) -> int:
        """How many clients are connected to a database."""
        return self._controlled(name).connections(url)

    def kill_connections(self, name: str, url: str) -> int:
        """End the connections to a database."""
        return self._controlled(name).kill_connections(url)

    def outcomes(self) -> dict[str, str | BaseException]:
        """Of each server that was asked for: its description, or why it cannot be had."""
        done = {name: future for name, future in self._starts.items() if future.done()}
        return {name: future.exception() or future.result() for name, future in done.items()}

    def open(self) -> tuple[str, bytes]:
        """Listen for other processes; returns what ``ServerDeskClient`` takes."""
        with self._lock:
            if self._listener is None:
                if sys.platform == "linux":
                    # No file, so that nothing is left of a desk whose program is killed.
                    self._address = f"\0dataflow-desk-{secrets.token_hex(8)}"
                else:
                    self._folder = private_folder("desk")
                    self._address = str(self._folder / "socket")
                self._listener = Listener(self._address, "AF_UNIX", backlog=64, authkey=self._key)
                threading.Thread(target=self._listen, args=(self._listener,), daemon=True).start()
            return self._address, self._key

    def close(self) -> None:
        """Stop every server that was started."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        for name, future in self._starts.items():
            # One that still starts when a run is interrupted is closed when the program ends.
            if future.done() and future.exception() is None:
                self.servers[name].stop()
        self._starts.clear()

    def _start(self, name: str, future: Future[str]) -> None:
        try:
            server = self.servers.get(name)
            if server is None:
                offered = ", ".join(self.servers) or "none"
                raise ServerUnavailable(
                    f"no plugin offers a server called {name}; offered: {offered}"
                )
            server.start()
            self._started(server)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(server.description)

    def _controlled(self, name: str) -> ControlledServer:
        server: Any = self.servers[name]
        if not hasattr(server, "connections"):
            raise ServerUnavailable(f"the server {name} does not tell its connections")
        controlled: ControlledServer = server
        return controlled

    def _listen(self, listener: Listener) -> None:
        while self._listener is listener:
            try:
                connection = listener.accept()
            except (OSError, EOFError, AuthenticationError):
                continue  # closed, or somebody without the key
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with connection:
            while True:
                try:
                    request, arguments = connection.recv()
                except (EOFError, OSError):
                    return
                try:
                    answer: tuple[str, Any] = "done", self.ask(request, *arguments)
                except ServerUnavailable as error:
                    answer = "unavailable", str(error)
                except Exception as error:
                    answer = "failed", f"{type(error).__name__}: {error}"
                connection.send(answer)


class ServerDeskClient:
    """A desk of another process.

    Parameters:
        address: as ``ServerDesk.open`` returned it.
        key: as ``ServerDesk.open`` returned it.
    """

    def __init__(self, address: str, key: bytes) -> None:
        self._connection = Client(address, "AF_UNIX", authkey=key)
        self._lock = threading.Lock()

    def ask(self, request: str, *arguments: str) -> Any:
        """Have something done at the desk; raises ``ServerUnavailable`` without such a server."""
        with self._lock:
            self._connection.send((request, arguments))
            outcome, value = self._connection.recv()
        if outcome == "unavailable":
            raise ServerUnavailable(value)
        if outcome == "failed":
            raise RuntimeError(value)
        return value


class SharedServer:
    """A server at a desk. ``stop`` does nothing: others use it too.

    Parameters:
        desk: where it is asked for.
        name: its name there.
        own: gives the server as its plugin offers it, which makes private ones in this process.
    """

    __test__ = False

    def __init__(self, desk: Desk, name: str, own: Callable[[], TestServer]) -> None:
        self.name = name
        self.description = f"{name} (not asked for)"
        self._desk = desk
        self._own = own

    @property
    def level(self) -> Literal["gate", "report"]:
        """Whether a run without it fails."""
        return self._own().level

    def start(self) -> None:
        """Have it started unless it runs."""
        self.description = self._desk.ask("start", self.name)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        url: str = self._desk.ask("new_database", self.name)
        return url

    def drop_database(self, url: str) -> None:
        """Remove a database."""
        self._desk.ask("drop_database", self.name, url)

    def stop(self) -> None:
        """Nothing: others use it too."""

    def private(self, *, durable: bool = False) -> ControlledServer:
        """A server of the same kind that nobody else uses; not started yet."""
        own: Any = self._own()
        server: ControlledServer = own.private(durable=durable)
        return server

    def kill(self) -> None:
        """Refused: others use it too."""
        raise ServerUnavailable(f"{self.name} is used by others; take a `private()` one")

    def restart(self) -> None:
        """Refused: others use it too."""
        self.kill()

    def connections(self, url: str) -> int:
        """How many clients are connected to a database."""
        count: int = self._desk.ask("connections", self.name, url)
        return count

    def kill_connections(self, url: str) -> int:
        """End every connection to a database from the server's side; returns how many."""
        count: int = self._desk.ask("kill_connections", self.name, url)
        return count
