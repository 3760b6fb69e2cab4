"""Public schemas that the tests take from checkouts outside this repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import field, frozen

__all__ = ["CHECKOUTS", "SOURCES", "Source", "checkouts"]

CHECKOUTS: Final = "DATAFLOW_SCHEMAS"
"""The environment variable that names the folder of checkouts, one ``owner+name`` each."""


@frozen
class Source:
    """A schema: where its scripts are, by database, in the order in which they run.

    Attributes:
        name: what tests call it.
        repository: ``owner/name`` on GitHub.
        licence: under which its scripts are published.
        scripts: the paths of its scripts by database.
        rows: a script of COPY blocks of PostgreSQL, whose rows the other databases get too.
        registered: how many tables and views become models, by database.
        written: a table and a column of text that a test may change, by database.
    """

    name: str
    repository: str
    licence: str
    scripts: Mapping[str, tuple[str, ...]]
    registered: Mapping[str, int]
    written: Mapping[str, tuple[str, str]]
    rows: str | None = field(default=None, kw_only=True)

    def text(self, folder: Path, path: str) -> str:
        """The text of a script."""
        return (folder / self.repository.replace("/", "+") / path).read_text("utf-8-sig")


_CHINOOK: Final = "ChinookDatabase/DataSources/Chinook_"

SOURCES: Final = (
    Source(
        "chinook",
        "lerocha/chinook-database",
        "MIT",
        {
            "sqlite": (f"{_CHINOOK}Sqlite.sql",),
            "postgres": (f"{_CHINOOK}PostgreSql.sql",),
            "mysql": (f"{_CHINOOK}MySql.sql",),
        },
        {"sqlite": 11, "postgres": 11, "mysql": 11},
        {
            "sqlite": ("Genre", "Name"),
            "postgres": ("genre", "name"),
            "mysql": ("Genre", "Name"),
        },
    ),
    Source(
        "sakila",
        "jOOQ/sakila",
        "BSD-2-Clause",
        {
            name: (f"{name}-sakila-db/{name}-sakila-schema.sql",)
            for name in ("sqlite", "postgres", "mysql")
        },
        {"sqlite": 21, "postgres": 28, "mysql": 22},
        dict.fromkeys(("sqlite", "postgres", "mysql"), ("category", "name")),
        rows="postgres-sakila-db/postgres-sakila-insert-data-using-copy.sql",
    ),
    Source(
        "northwind",
        "jpwhite3/northwind-SQLite3",
        "MIT",
        {"sqlite": ("src/create.sql",)},
        {"sqlite": 29},
        {"sqlite": ("Shippers", "CompanyName")},
    ),
    Source(
        "northwind",
        "pthom/northwind_psql",
        "MS-PL",
        {"postgres": ("northwind.sql",)},
        {"postgres": 14},
        {"postgres": ("shippers", "company_name")},
    ),
    Source(
        "mywind",
        "dalers/mywind",
        "BSD-2-Clause",
        {"mysql": ("northwind.sql", "northwind-data.sql")},
        {"mysql": 20},
        {"mysql": ("shippers", "company")},
    ),
)
"""Every schema; a database that has none of its scripts is not asked."""


def checkouts() -> Path | None:
    """The folder of checkouts; ``None`` where the run has none."""
    folder = os.environ.get(CHECKOUTS)
    return Path(folder) if folder else None
