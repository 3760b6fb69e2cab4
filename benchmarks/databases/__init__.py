"""The databases that are measured, and the servers that they are on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.databases.contract import DatabaseMaker, Place
from benchmarks.databases.mysql import MySQLPlace
from benchmarks.databases.postgres import PostgresPlace
from benchmarks.databases.sqlite import SQLitePlace
from dataflow_core.contract.manager import Plugins

__all__ = ["PLACES", "Place", "durable", "place_on"]

PLACES: Final[dict[str, type[Place]]] = {
    place.name: place for place in (SQLitePlace, PostgresPlace, MySQLPlace)
}
"""By name, in the order of the report."""


def place_on(server: DatabaseMaker) -> Place:
    """The databases of a server that runs."""
    return PLACES[server.name](server)


@contextmanager
def durable(name: str) -> Iterator[Place]:
    """A server of its own that keeps what it has acknowledged, while it is needed.

    Raises:
        ServerUnavailable: there is none; with what was tried.
    """
    offered: dict[str, Any] = {server.name: server for server in Plugins().test_servers()}
    server = offered[name]
    if hasattr(server, "private"):
        server = server.private(durable=True)
    server.start()
    try:
        yield place_on(server)
    finally:
        server.stop()
