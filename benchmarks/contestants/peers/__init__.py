"""What people use today, each as its documentation recommends. None is needed but to measure."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from benchmarks.contestants.contract import Contestant

__all__ = ["PEERS", "PEER_DISTRIBUTIONS", "peers_of"]

PEERS: Final[dict[str, tuple[str, ...]]] = {}
"""By what the report calls it: module and class, and the databases that it has a driver for."""

PEER_DISTRIBUTIONS: Final = ()


def peers_of(database: str) -> list[Contestant]:
    """A new contestant for each peer with a driver for a database."""
    return [
        getattr(import_module(f"{__name__}.{module}"), cls)(name)
        for name, (module, cls, *databases) in PEERS.items()
        if database in databases
    ]
