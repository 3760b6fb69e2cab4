"""Strings of connection and the options beside them, as the reference lists them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import DatabaseError, InvalidOption, UnknownOption
from tests.reference.support import made_by_others

# Roles and what they may do are the server's; a pooler has passwords of its own.
WITHOUT_DATABASES = ("pgbouncer",)

PASSWORDS = [
    *("Blue#Heron7$", "L0ng@Walk!", "rain#or@shine", "Half$Moon?", "a/b:c", "50%off", "x y+z"),
    *("&=;,", "ä€ö", "[::1]", "#@?", "p@ss@word"),
]
PLACES = [
    ("postgresql://keeper:{}@localhost:5432/zoo", "postgresql", "localhost", 5432, "zoo"),
    ("postgresql://keeper:{}@copy.example/zoo", "postgresql", "copy.example", None, "zoo"),
    ("mysql://keeper:{}@db.example:3306/aviary", "mysql", "db.example", 3306, "aviary"),
]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(("url", "scheme", "host", "port", "name"), PLACES)
def test_passwords_are_written_as_they_are(
    url: str, scheme: str, host: str, port: int | None, name: str, password: str
) -> None:
    """A password with any signs is read as it is, is never shown, and moves no other part."""
    with DataFlow(database_url=url.format(password)) as db:
        assert (db.url.scheme, db.url.host, db.url.port) == (scheme, host, port)
        assert (db.url.username, db.url.password, db.url.database) == ("keeper", password, name)
        assert password not in f"{db.url} {db.url!r} {db!r}"


def test_encoded_passwords_still_work() -> None:
    """A password that was encoded by hand, as it had to be before, means the same."""
    encoded = DataFlow("postgresql://keeper:Blue%23Heron7%24@localhost/zoo")
    plain = DataFlow("postgresql://keeper:Blue#Heron7$@localhost/zoo")
    assert encoded.url.password == plain.url.password == "Blue#Heron7$"
    apart = DataFlow("postgresql://keeper@localhost/zoo", password="Blue%23")
    assert apart.url.password == "Blue%23"


@pytest.fixture
def role(database: SharedServer, database_url: str, password: str) -> Iterator[str]:
    """The name of a role of the server that has this password."""
    name = f"keeper_{secrets.token_hex(4)}"
    if database.name == "postgres":
        make = f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{password}'"
        remove = f"DROP ROLE {name}"
    else:
        account = f"'{name}'@'%'"
        make = f"CREATE USER {account} IDENTIFIED BY '{password}';\nGRANT ALL ON *.* TO {account}"
        remove = f"DROP USER {account}"
    made_by_others(database.name, database_url, [make])
    yield name
    made_by_others(database.name, database_url, [remove])


@pytest.mark.parametrize("password", PASSWORDS)
def test_passwords_open_databases(
    request: pytest.FixtureRequest, database: SharedServer, database_url: str, password: str
) -> None:
    """The server takes the password that stands in the URL as it is, and no other one. A file has
    no password."""
    if database.name == "sqlite":
        return
    role = request.getfixturevalue("role")
    parts = urlsplit(database_url)
    place = f"{parts.hostname}:{parts.port}{parts.path}"
    with DataFlow(f"{parts.scheme}://{role}:{password}@{place}") as db:
        assert db.run_sync("SQLNode", sql="SELECT 1 AS one")["records"] == [{"one": 1}]
    with (
        DataFlow(f"{parts.scheme}://{role}:{password}x@{place}") as db,
        pytest.raises(DatabaseError),
    ):
        db.run_sync("SQLNode", sql="SELECT 1 AS one")


SHARED: dict[str, Any] = {
    "pool_size": 3,
    "max_overflow": 4,
    "pool_recycle": 1800,
    "pool_pre_ping": True,
    "command_timeout": 45,
    "connect_timeout": 8,
    "echo": False,
}
OWN: dict[str, dict[str, Any]] = {
    "postgres": {"sslmode": "prefer"},
    "mysql": {"charset": "utf8mb4", "collation": "utf8mb4_unicode_ci"},
    "sqlite": {
        "enable_wal": True,
        "cache_size_mb": 16,
        "journal_mode": "WAL",
        "synchronous": "NORMAL",
    },
}


def test_options_beside_the_url(database: SharedServer, database_url: str) -> None:
    """The pool's options hold on every database, together with those that are its own."""
    with DataFlow(database_url, **SHARED, **OWN[database.name]) as db:

        @db.model
        class Cage:
            number: int

        db.run_sync("CageBulkCreateNode", data=[{"number": 1}, {"number": 2}])
        assert db.run_sync("CageCountNode")["count"] == 2
        assert (db.settings.pool_size, db.settings.max_overflow) == (3, 4)
        assert (db.settings.command_timeout, db.settings.connect_timeout) == (45, 8)


def test_options_in_the_url(database: SharedServer, database_url: str) -> None:
    """The options of a database may stand in its URL too."""
    own = {"postgres": "sslmode=prefer", "sqlite": "synchronous=NORMAL"}
    query = own.get(database.name, "charset=utf8mb4&collation=utf8mb4_unicode_ci")
    with DataFlow(f"{database_url}{'&' if '?' in database_url else '?'}{query}") as db:
        assert db.url.query.items() >= dict(pair.split("=") for pair in query.split("&")).items()
        assert db.run_sync("SQLNode", sql="SELECT 1 AS one")["records"] == [{"one": 1}]


def test_what_a_file_is_set_to(tmp_path: Path) -> None:
    """The options of SQLite reach the file."""
    with DataFlow(f"sqlite:///{tmp_path}/zoo.db", **OWN["sqlite"], pool_size=5) as db:
        for sql, value in (("journal_mode", "wal"), ("synchronous", 1)):
            (row,) = db.run_sync("SQLNode", sql=f"PRAGMA {sql}")["records"]
            assert list(row.values()) == [value]


def test_where_a_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slashes are relative to the working directory, four absolute; a folder that is missing
    is told with the path."""
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///near.db", f"sqlite:///{tmp_path}/far.db"):
        with DataFlow(url) as db:
            db.run_sync("SQLNode", sql="SELECT 1 AS one")
    assert (tmp_path / "near.db").exists()
    assert (tmp_path / "far.db").exists()
    with DataFlow("sqlite:///no/such/zoo.db") as db, pytest.raises(Exception, match="no/such"):
        db.run_sync("SQLNode", sql="SELECT 1 AS one")


@pytest.mark.parametrize("url", [":memory:", "sqlite:///:memory:"])
def test_databases_in_memory(url: str) -> None:
    """A database in memory belongs to its instance."""
    with DataFlow(url) as db, DataFlow(url) as other:

        @db.model
        @other.model
        class Cage:
            number: int

        db.run_sync("CageCreateNode", number=1)
        assert (
            db.run_sync("CageCountNode")["count"],
            other.run_sync("CageCountNode")["count"],
        ) == (
            1,
            0,
        )


CERTIFICATES = {
    "mysql": ("ssl_ca", "ssl_cert", "ssl_key"),
    "postgresql": ("sslrootcert", "sslcert", "sslkey"),
}


@pytest.mark.parametrize("scheme", CERTIFICATES)
def test_certificates_are_given(scheme: str, tmp_path: Path) -> None:
    """Files of certificates are named when the instance is made, and read, or missed, at its first
    use."""
    authority = CERTIFICATES[scheme][0]
    files: dict[str, Any] = {name: str(tmp_path / f"{name}.pem") for name in CERTIFICATES[scheme]}
    with DataFlow(f"{scheme}://keeper:secret@db.example/zoo", **files) as db:
        assert db.url.host == "db.example"
        with pytest.raises(InvalidOption, match=rf"{authority}: .* cannot be read"):
            db.run_sync("SQLNode", sql="SELECT 1")


def test_encryption_is_asked_for_in_the_url() -> None:
    """`sslmode` stands in the URL and reaches the connection; nothing is opened before."""
    with DataFlow("postgresql://keeper:secret@db.example/zoo?sslmode=require") as db:
        assert db.url.query == {"sslmode": "require"}


@pytest.mark.parametrize(
    ("url", "option", "meant"),
    [
        ("postgresql://keeper@localhost/zoo", "pool_sise", "pool_size"),
        ("mysql://keeper@localhost/zoo", "charse", "charset"),
        ("sqlite:///zoo.db", "enable_val", "enable_wal"),
    ],
)
def test_an_option_that_nobody_knows(url: str, option: str, meant: str) -> None:
    """A misspelt option is refused with the name that is nearest."""
    with pytest.raises(UnknownOption, match=meant):
        DataFlow(url, **dict[str, Any]({option: 1}))
