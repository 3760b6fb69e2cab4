"""Public schemas that nobody here wrote: scripts of checkouts, and what installed packages make."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen

from tests.schemas.plain import Plain

__all__ = ["CHECKOUTS", "PACKAGES", "SCHEMAS", "Source", "Written", "chosen"]

SCHEMAS: Final = "DATAFLOW_SCHEMAS"
"""The environment variable that chooses, separated as in PATH: folders of checkouts, one
``owner+name`` each, and ``packages``."""

ROOT: Final = Path(__file__).resolve().parents[2]


@frozen
class Written:
    """A row that a test makes, changes and removes.

    Attributes:
        table: its table.
        column: a column of text that is changed.
        given: its other values; a key of one number that is not given is the next one.
    """

    table: str
    column: str
    given: Mapping[str, Any] = field(factory=dict)


@frozen
class Source:
    """A schema, and where it comes from.

    Attributes:
        name: what tests call it.
        licence: under which it is published.
        registered: how many tables and views become models, by database on which it exists.
        written: a row that a test may write, by database.
    """

    name: str
    licence: str
    registered: Mapping[str, int]
    written: Mapping[str, Written]

    async def fill(self, plain: Plain, database: str, url: str) -> None:
        """Make the tables and rows in an empty database."""
        raise NotImplementedError


@frozen
class Checkout(Source):
    """A schema that scripts of a repository make.

    Attributes:
        repository: ``owner/name`` on GitHub.
        scripts: the paths of its scripts by database, in the order in which they run.
        rows: a script of COPY blocks of PostgreSQL, whose rows the other databases get too.
        folder: the folder of checkouts.
    """

    repository: str
    scripts: Mapping[str, tuple[str, ...]]
    rows: str | None = field(default=None, kw_only=True)
    folder: Path = field(default=Path(), kw_only=True)

    async def fill(self, plain: Plain, database: str, url: str) -> None:
        scripts = [self._text(path) for path in self.scripts[database]]
        await plain.load(scripts, None if self.rows is None else self._text(self.rows))

    def _text(self, path: str) -> str:
        return (self.folder / self.repository.replace("/", "+") / path).read_text("utf-8-sig")


@frozen
class Package(Source):
    """A schema that an installed package makes, by a program of this folder.

    Attributes:
        package: its name on PyPI.
        program: the module of ``programs`` that makes tables and rows by the package's own tools.
        collation: what the package asks of a database of MySQL, where that differs.
    """

    package: str
    program: str
    collation: str | None = field(default=None, kw_only=True)

    async def fill(self, plain: Plain, database: str, url: str) -> None:
        if database == "mysql" and self.collation is not None:
            await plain.load([f"ALTER DATABASE COLLATE {self.collation};"], None)
        # A program of its own: packages keep settings and connections for the whole process.
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"tests.schemas.programs.{self.program}", url,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await program.communicate()
        assert program.returncode == 0, output.decode()


_EVERYWHERE: Final = ("sqlite", "postgres", "mysql")
_CHINOOK: Final = "ChinookDatabase/DataSources/Chinook_"

_OWN_TIME: Final = {"last_update": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}

CHECKOUTS: Final = (
    Checkout(
        "chinook",
        "MIT",
        dict.fromkeys(_EVERYWHERE, 11),
        {
            "sqlite": Written("Genre", "Name"),
            "postgres": Written("genre", "name"),
            "mysql": Written("Genre", "Name"),
        },
        "lerocha/chinook-database",
        {
            "sqlite": (f"{_CHINOOK}Sqlite.sql",),
            "postgres": (f"{_CHINOOK}PostgreSql.sql",),
            "mysql": (f"{_CHINOOK}MySql.sql",),
        },
    ),
    Checkout(
        "sakila",
        "BSD-2-Clause",
        {"sqlite": 21, "postgres": 28, "mysql": 22},
        {
            "sqlite": Written("category", "name", _OWN_TIME),
            "postgres": Written("category", "name", _OWN_TIME),
            "mysql": Written("category", "name"),
        },
        "jOOQ/sakila",
        {name: (f"{name}-sakila-db/{name}-sakila-schema.sql",) for name in _EVERYWHERE},
        rows="postgres-sakila-db/postgres-sakila-insert-data-using-copy.sql",
    ),
    Checkout(
        "northwind",
        "MIT",
        {"sqlite": 29},
        {"sqlite": Written("Shippers", "CompanyName")},
        "jpwhite3/northwind-SQLite3",
        {"sqlite": ("src/create.sql",)},
    ),
    Checkout(
        "northwind",
        "MS-PL",
        {"postgres": 14},
        {"postgres": Written("shippers", "company_name")},
        "pthom/northwind_psql",
        {"postgres": ("northwind.sql",)},
    ),
    Checkout(
        "mywind",
        "BSD-2-Clause",
        {"mysql": 20},
        {"mysql": Written("shippers", "company")},
        "dalers/mywind",
        {"mysql": ("northwind.sql", "northwind-data.sql")},
    ),
)

PACKAGES: Final = (
    Package(
        "django",
        "BSD-3-Clause",
        dict.fromkeys(_EVERYWHERE, 14),
        dict.fromkeys(_EVERYWHERE, Written("auth_group", "name")),
        "Django",
        "django_apps",
        collation="utf8mb4_general_ci",
    ),
    Package(
        "optuna",
        "MIT",
        dict.fromkeys(_EVERYWHERE, 13),
        dict.fromkeys(_EVERYWHERE, Written("studies", "study_name")),
        "optuna",
        "optuna_studies",
    ),
    Package(
        "trac",
        "BSD-3-Clause",
        dict.fromkeys(_EVERYWHERE, 21),
        dict.fromkeys(_EVERYWHERE, Written("version", "description", {"name": "new"})),
        "Trac",
        "trac_environment",
        collation="utf8mb4_bin",
    ),
    Package(
        "procrastinate",
        "MIT",
        {"postgres": 4},
        {"postgres": Written("procrastinate_jobs", "task_name", {"queue_name": "new"})},
        "procrastinate",
        "procrastinate_jobs",
    ),
    Package(
        "proj",
        "MIT",
        {"sqlite": 44},
        {
            "sqlite": Written(
                "scope", "scope", {"auth_name": "new", "code": "1", "deprecated": False}
            )
        },
        "pyproj",
        "proj_database",
    ),
)


def chosen() -> list[Source]:
    """The schemas that the run is to test; none unless the variable says so."""
    sources: list[Source] = []
    for place in filter(None, os.environ.get(SCHEMAS, "").split(os.pathsep)):
        if place == "packages":
            sources += PACKAGES
        else:
            sources += [evolve(source, folder=Path(place)) for source in CHECKOUTS]
    return sources
