from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from dataflow_core.conformance.servers import (
    ServerDesk,
    ServerDeskClient,
    ServerUnavailable,
    SharedServer,
)

ROOT = Path(__file__).resolve().parents[2]


class Counted:
    """A server that counts its starts; a broken one cannot be started."""

    __test__ = False
    level: Literal["gate", "report"] = "report"

    def __init__(self, name: str, broken: bool = False) -> None:
        self.name, self.broken = name, broken
        self.description = "not started"
        self.starts = self.stops = 0
        self.databases: list[str] = []

    def start(self) -> None:
        """Take a moment."""
        self.starts += 1
        time.sleep(0.2)
        if self.broken:
            raise ServerUnavailable("it rains")
        self.description = "Acme 7"

    def new_database(self) -> str:
        """Number them."""
        self.databases.append(f"acme://host/{len(self.databases)}")
        return self.databases[-1]

    def drop_database(self, url: str) -> None:
        """Forget it."""
        self.databases.remove(url)

    def stop(self) -> None:
        """Count."""
        self.stops += 1


@pytest.fixture
def servers() -> dict[str, Counted]:
    """One that starts and one that does not."""
    return {"acme": Counted("acme"), "broken": Counted("broken", broken=True)}


@pytest.fixture
def desk(servers: dict[str, Counted]) -> Iterator[ServerDesk]:
    """A desk with a server that starts and one that does not."""
    desk = ServerDesk(servers.values)
    yield desk
    desk.close()


def test_nothing_is_started_unasked(desk: ServerDesk, servers: dict[str, Counted]) -> None:
    """A server that nobody asks for is neither started nor stopped."""
    SharedServer(desk, "acme", lambda: servers["acme"])
    desk.close()
    assert (servers["acme"].starts, servers["acme"].stops) == (0, 0)


def test_a_server_starts_once(desk: ServerDesk, servers: dict[str, Counted]) -> None:
    """However many ask at the same time, one start serves all."""
    shared = [SharedServer(desk, "acme", lambda: servers["acme"]) for _ in range(8)]
    threads = [threading.Thread(target=server.start) for server in shared]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {server.description for server in shared} == {"Acme 7"}
    assert servers["acme"].starts == 1
    shared[0].stop()
    assert servers["acme"].stops == 0
    desk.close()
    assert servers["acme"].stops == 1


def test_another_process_asks(desk: ServerDesk, servers: dict[str, Counted]) -> None:
    """A desk is asked over a socket: for databases, and for the reason when there is no server."""
    client = ServerDeskClient(*desk.open())
    shared = SharedServer(client, "acme", lambda: servers["acme"])
    url = shared.new_database()
    assert servers["acme"].databases == [url]
    shared.drop_database(url)
    assert servers["acme"].databases == []
    with pytest.raises(ServerUnavailable, match="it rains"):
        client.ask("start", "broken")
    with pytest.raises(ServerUnavailable, match="offered: acme, broken"):
        client.ask("start", "other")
    with pytest.raises(ServerUnavailable, match="does not tell its connections"):
        shared.connections(url)


def test_only_requests_are_answered(desk: ServerDesk) -> None:
    """What is no request is refused, and the desk goes on."""
    client = ServerDeskClient(*desk.open())
    with pytest.raises(RuntimeError, match="no request"):
        client.ask("close")
    assert client.ask("start", "acme") == "Acme 7"


def test_a_stranger_is_not_served(desk: ServerDesk) -> None:
    """Without the key nobody is served, and those who have it still are."""
    address, key = desk.open()
    program = (
        "import json, sys; from dataflow_core.conformance.servers import ServerDeskClient;"
        "ServerDeskClient(json.loads(sys.argv[1]), b'wrong')"
    )
    stranger = subprocess.run(
        [sys.executable, "-c", program, json.dumps(address)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "AuthenticationError" in stranger.stderr
    assert ServerDeskClient(address, key).ask("start", "acme") == "Acme 7"


def test_what_became_of_each(desk: ServerDesk) -> None:
    """The desk tells of each server that was asked for what it is, or why it is missing."""
    desk.start("acme")
    with pytest.raises(ServerUnavailable):
        desk.start("broken")
    outcomes = desk.outcomes()
    assert outcomes["acme"] == "Acme 7"
    assert str(outcomes["broken"]) == "it rains"


def test_a_shared_server_is_left_alone(desk: ServerDesk, servers: dict[str, Counted]) -> None:
    """Nobody kills or restarts what others use."""
    shared = SharedServer(desk, "acme", lambda: servers["acme"])
    assert shared.level == "report"
    for violence in (shared.kill, shared.restart):
        with pytest.raises(ServerUnavailable, match="used by others"):
            violence()
