"""The base of a dialect's test server: takes the first way that leads to one."""

from __future__ import annotations

import os
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, Literal, Self

from attrs import evolve, frozen

from dataflow_core.conformance.servers.docker import Container
from dataflow_core.conformance.servers.machine import ServerUnavailable
from dataflow_core.conformance.servers.process import ServerProcess
from dataflow_core.url import DatabaseURL, parse_url

__all__ = ["DatabaseServer", "Found", "Way", "answers"]

_READY_TIMEOUT: Final = 90.0


@frozen
class Found:
    """A server that a way led to.

    Attributes:
        url: a database of it that is there already, for administration.
        origin: where it comes from, in a few words.
        running: what was started for it; ``None`` for a server of somebody else.
    """

    url: DatabaseURL
    origin: str
    running: ServerProcess | Container | None = None


@frozen
class Way:
    """One way to a server.

    Attributes:
        name: what it is called where it is told that it leads nowhere.
        take: finds or starts the server; raises ``ServerUnavailable`` with the reason.
    """

    name: str
    take: Callable[[], Found]


class DatabaseServer(ABC):
    """A ``ControlledServer`` that is found or started by the first way that works.

    A server given by the variable comes first, then the ways of the dialect in its order. A
    dialect says which ways there are and speaks to the server; the rest is done here.

    Parameters:
        private: start an own server even where the variable gives one.
        durable: keep what was acknowledged through a crash; without that, it is quicker.
    """

    __test__ = False

    name: str
    level: Literal["gate", "report"] = "gate"
    advice: ClassVar[str]
    """How to get a server, for the error when no way worked."""

    def __init__(self, *, private: bool = False, durable: bool = False) -> None:
        self.is_private = private
        self.durable = durable
        self.description = f"{self.name} (not started)"
        self._found: Found | None = None
        self._starting = threading.Lock()

    @property
    def variable(self) -> str:
        """The environment variable that gives a server."""
        return f"DATAFLOW_TEST_{self.name.upper()}_URL"

    @abstractmethod
    def ways(self) -> Sequence[Way]:
        """The ways to a server, best first, beside the variable."""

    @abstractmethod
    def version(self, url: DatabaseURL) -> str:
        """Connect, and return product and version; raises what the driver raises."""

    @abstractmethod
    def create(self, url: DatabaseURL, name: str) -> None:
        """Make a database on the server."""

    @abstractmethod
    def drop(self, url: DatabaseURL, name: str) -> None:
        """Remove a database of the server, though clients are connected to it."""

    @abstractmethod
    def clients(self, url: DatabaseURL, name: str) -> int:
        """How many connections a database has."""

    @abstractmethod
    def disconnect(self, url: DatabaseURL, name: str) -> int:
        """End the connections of a database; returns how many."""

    def start(self) -> None:
        """Take the first way that leads to a server.

        Raises:
            ServerUnavailable: none does, or the given one does not answer; with every reason.
        """
        with self._starting:
            if self._found is not None:
                return
            given = os.environ.get(self.variable)
            found = self._given(given) if given and not self.is_private else self._first()
            self.description = f"{self.version(found.url)}, {found.origin}"
            self._found = found

    def new_database(self) -> str:
        """Make an empty database with a random name and return its URL."""
        name = f"dataflow_{secrets.token_hex(6)}"
        found = self._running()
        self.create(found.url, name)
        return evolve(found.url, database=name).render(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Remove a database that ``new_database`` made."""
        self.drop(self._running().url, _database(url))

    def connections(self, url: str) -> int:
        """How many clients are connected to a database."""
        return self.clients(self._running().url, _database(url))

    def kill_connections(self, url: str) -> int:
        """End every connection to a database from the server's side; returns how many."""
        return self.disconnect(self._running().url, _database(url))

    def private(self, *, durable: bool = False) -> Self:
        """A server of the same kind that nobody else uses; not started yet."""
        return type(self)(private=True, durable=durable)

    def kill(self) -> None:
        """Kill the server's processes at once; its files stay."""
        self._own().kill()

    def restart(self) -> None:
        """Start the server again, at the same URL."""
        self._own().restart()
        found = self._running()
        wait_until(lambda: answers(lambda: self.version(found.url)), self.name, self.log)

    def log(self) -> str:
        """The last lines that the server printed, where it is an own one."""
        running = None if self._found is None else self._found.running
        return "" if running is None else running.log()

    def stop(self) -> None:
        """Stop what was started, remove its files."""
        found, self._found = self._found, None
        if found is not None and found.running is not None:
            found.running.close()

    def found(self, url: DatabaseURL, origin: str, running: ServerProcess | Container) -> Found:
        """An own server once it answers at its URL; closed if it does not."""
        try:
            wait_until(lambda: answers(lambda: self.version(url)), self.name, running.log)
        except ServerUnavailable:
            running.close()
            raise
        return Found(url, origin, running)

    def _given(self, text: str) -> Found:
        url = parse_url(text)
        try:
            self.version(url)
        except Exception as error:
            # Whatever the driver raises: the URL itself may hold a password.
            raise ServerUnavailable(
                f"{self.variable} names {url}, which does not answer: {type(error).__name__}:"
                f" {error}"
            ) from error
        return Found(url, f"given by {self.variable}: {url}")

    def _first(self) -> Found:
        tried = [] if self.is_private else [f"{self.variable}: not set"]
        for way in self.ways():
            try:
                return way.take()
            except ServerUnavailable as reason:
                tried.append(f"{way.name}: {reason}")
        reasons = "".join(f"\n  - {line}" for line in tried)
        raise ServerUnavailable(f"no server for {self.name}. Tried:{reasons}\n{self.advice}")

    def _running(self) -> Found:
        self.start()
        if self._found is None:
            raise ServerUnavailable(f"{self.name} is not started")
        return self._found

    def _own(self) -> ServerProcess | Container:
        running = self._running().running
        if running is None or not self.is_private:
            raise ServerUnavailable(f"{self.name} may be used by others; take a `private()` one")
        return running


def answers(question: Callable[[], object]) -> bool:
    """Whether the server answers: a driver raises all sorts while it starts."""
    try:
        question()
    except Exception:
        return False
    return True


def wait_until(
    ready: Callable[[], bool], name: str, log: Callable[[], str], timeout: float = _READY_TIMEOUT
) -> None:
    """Wait until it is so; raises ``ServerUnavailable`` with the log when it takes too long."""
    end = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > end:
            raise ServerUnavailable(f"{name} did not answer within {timeout:g} s:\n{log()}")
        time.sleep(0.05)


def _database(url: str) -> str:
    name = parse_url(url).database
    if not name:
        raise ValueError("the URL names no database")
    return name
