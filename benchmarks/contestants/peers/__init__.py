"""What people use today, each as its documentation recommends. None is needed but to measure."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from benchmarks.contestants.contract import Contestant

__all__ = ["PEERS", "PEER_DISTRIBUTIONS", "absent_from", "peers_of"]

_EVERYWHERE: Final = ("sqlite", "postgres", "mysql")

PEERS: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "SQLAlchemy Core": ("sqlalchemy_core", "SQLAlchemyCore", _EVERYWHERE),
    "SQLAlchemy ORM": ("sqlalchemy_orm", "SQLAlchemyORM", _EVERYWHERE),
    "Tortoise": ("tortoise_orm", "TortoiseORM", _EVERYWHERE),
    "Piccolo": ("piccolo_orm", "PiccoloORM", ("sqlite", "postgres")),
    "Django": ("django_orm", "DjangoORM", _EVERYWHERE),
    "peewee": ("peewee_orm", "PeeweeORM", _EVERYWHERE),
}
"""By what the report calls it: module, class, and the databases that it has a driver for."""

PEER_DISTRIBUTIONS: Final = (
    *("SQLAlchemy", "tortoise-orm", "piccolo", "Django", "peewee"),
    *("asyncmy", "psycopg", "psycopg2-binary"),
)


def peers_of(database: str) -> list[Contestant]:
    """A new contestant for each peer with a driver for a database.

    Raises:
        ImportError: one is not installed; with what to do.
    """
    wanted = {name: peer for name, peer in PEERS.items() if database in peer[-1]}
    try:
        return [
            getattr(import_module(f"{__name__}.{module}"), cls)(name)
            for name, (module, cls, _) in wanted.items()
        ]
    except ImportError as error:
        error.add_note("`pip install --group bench` installs the peers; --without-peers needs none")
        raise


def absent_from(database: str) -> dict[str, str]:
    """The peers without a driver for a database, with the reason."""
    return {
        name: "has no driver for this database"
        for name, (_, _, databases) in PEERS.items()
        if database not in databases
    }
