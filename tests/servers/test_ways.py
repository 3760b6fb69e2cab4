from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from dataflow_core.conformance.servers import DatabaseServer, Found, ServerUnavailable, Way
from dataflow_core.contract import DatabaseURL


class AcmeServer(DatabaseServer):
    """A server that only keeps a list of its databases."""

    name = "acme"
    advice: ClassVar[str] = "Buy one."

    def __init__(self, *, private: bool = False, durable: bool = False) -> None:
        super().__init__(private=private, durable=durable)
        self.databases: list[str] = []
        self.asked: list[str] = []
        self.missing: set[str] = {"first"}

    def ways(self) -> Sequence[Way]:
        """Two ways."""
        return [Way(name, lambda name=name: self.take(name)) for name in ("first", "second")]  # type: ignore[misc]

    def take(self, name: str) -> Found:
        self.asked.append(name)
        if name in self.missing:
            raise ServerUnavailable(f"{name} is closed today")
        return Found(DatabaseURL("acme", "ada", "geheim", "host", 1, "start"), f"the {name} one")

    def version(self, url: DatabaseURL) -> str:
        """Of servers on the host `nowhere` there is none."""
        if url.host == "nowhere":
            raise OSError("no route")
        return "Acme 7.1"

    def create(self, url: DatabaseURL, name: str) -> None:
        """Note it."""
        self.databases.append(name)

    def drop(self, url: DatabaseURL, name: str) -> None:
        """Forget it."""
        self.databases.remove(name)

    def clients(self, url: DatabaseURL, name: str) -> int:
        """Always two."""
        return 2

    def disconnect(self, url: DatabaseURL, name: str) -> int:
        """Always one."""
        return 1


def test_the_first_way_that_works_is_taken() -> None:
    """Ways are tried in their order; the description has version and origin."""
    server = AcmeServer()
    server.start()
    server.start()
    assert server.asked == ["first", "second"]
    assert server.description == "Acme 7.1, the second one"


def test_no_way_works() -> None:
    """The error has each way with its reason, and what to do."""
    server = AcmeServer()
    server.missing = {"first", "second"}
    with pytest.raises(ServerUnavailable) as caught:
        server.start()
    assert str(caught.value).splitlines() == [
        "no server for acme. Tried:",
        "  - DATAFLOW_TEST_ACME_URL: not set",
        "  - first: first is closed today",
        "  - second: second is closed today",
        "Buy one.",
    ]


def test_the_variable_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that the variable gives is used, with new databases inside and its options kept."""
    monkeypatch.setenv("DATAFLOW_TEST_ACME_URL", "acme://me:geheim@host:5/mine?tls=on")
    server = AcmeServer()
    url = server.new_database()
    assert server.asked == []
    assert url == f"acme://me:geheim@host:5/{server.databases[0]}?tls=on"
    assert "geheim" not in server.description
    server.drop_database(url)
    assert server.databases == []


def test_a_given_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other way is tried then, and the password is not told."""
    monkeypatch.setenv("DATAFLOW_TEST_ACME_URL", "acme://me:geheim@nowhere/mine")
    server = AcmeServer()
    with pytest.raises(ServerUnavailable, match="does not answer: OSError: no route") as caught:
        server.start()
    assert "geheim" not in str(caught.value)
    assert server.asked == []


def test_a_private_server_is_never_the_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test may kill is started for it."""
    monkeypatch.setenv("DATAFLOW_TEST_ACME_URL", "acme://me@host/mine")
    server = AcmeServer().private(durable=True)
    server.start()
    assert server.asked == ["first", "second"]
    assert server.durable


def test_a_server_of_somebody_else_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a given server nor a shared one can be killed or started again."""
    monkeypatch.setenv("DATAFLOW_TEST_ACME_URL", "acme://me@host/mine")
    server = AcmeServer()
    for violence in (server.kill, server.restart):
        with pytest.raises(ServerUnavailable, match="take a `private"):
            violence()


def test_databases_have_names_of_their_own() -> None:
    """Two runs on one server do not meet: names are random."""
    server = AcmeServer()
    names = {server.new_database() for _ in range(20)}
    assert len(names) == 20
    assert all("/dataflow_" in name for name in names)
    url = names.pop()
    assert (server.connections(url), server.kill_connections(url)) == (2, 1)


def test_stopping_forgets_the_server() -> None:
    """A stopped server is looked for anew."""
    server = AcmeServer()
    server.stop()
    server.start()
    server.stop()
    server.start()
    assert server.asked == ["first", "second"] * 2
