from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import pytest

from dataflow_core.errors import InvalidOption, InvalidURL, UnknownOption
from tests.postgres.support import located

URL = "postgresql://ada@host/shop"
SECRET = "s3cret-value"


def test_all_parts_of_a_url() -> None:
    """Host, port, user, password and database are those of the URL."""
    location = located("postgresql://ada:p%40ss@db.example.com:6543/shop")
    assert (location.host, location.port) == ("db.example.com", 6543)
    assert (location.user, location.password, location.database) == ("ada", "p@ss", "shop")
    assert located("postgres://ada@[::1]/shop").host == "::1"


def test_what_a_url_leaves_out() -> None:
    """Without host, port and user it is this machine, the usual port and the user of the system."""
    location = located("postgresql:///shop")
    assert (location.host, location.port) == ("localhost", 5432)
    assert location.user == getpass.getuser()
    assert location.password == ""


def test_variables_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that the driver would read have no influence on what is opened."""
    before = located("postgresql:///shop")
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE"):
        monkeypatch.setenv(name, "elsewhere")
    assert located("postgresql:///shop") == before


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("postgresql://ada@host", "database"),
        ("postgresql://ada@host/", "database"),
        (f"postgresql://ada@host/{'d' * 64}", "database"),
        (f"postgresql://{'ä' * 32}@host/shop", "user"),
    ],
)
def test_a_part_that_is_missing_or_too_long(url: str, part: str) -> None:
    """A URL without a database is refused, and so is a name that the server would cut."""
    with pytest.raises(InvalidURL) as caught:
        located(url)
    assert caught.value.context["part"] == part


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """Neither the text nor the representation of a location shows a password."""
    file = tmp_path / "client.pem"
    file.touch()
    location = located(
        f"postgresql://ada:{SECRET}@host/shop",
        sslcert=str(file),
        sslpassword=SECRET,
        server_settings={"app.token": SECRET},
    )
    assert SECRET not in f"{location} {location!r}"
    assert str(location) == "host:5432/shop"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("sslmod", "sslmode"),
        ("SSLMODE", "sslmode"),
        ("ssl", "sslmode"),
        ("ssl_ca", "sslrootcert"),
        ("schema", "search_path"),
        ("options", "server_settings"),
        ("aplication_name", "application_name"),
        ("passfile", None),
    ],
)
def test_an_unknown_option_of_the_url(name: str, suggestion: str | None) -> None:
    """An option that nobody honours is refused, with the nearest right name and without itself."""
    with pytest.raises(UnknownOption) as caught:
        located(f"{URL}?{name}={SECRET}")
    assert SECRET not in str(caught.value)
    if suggestion is not None:
        assert caught.value.suggestion == suggestion


def test_an_unknown_option_as_an_argument() -> None:
    """An argument that no option is called like is refused as well."""
    with pytest.raises(UnknownOption, match="sslcrl"):
        located(URL, sslcrl="x")


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-full"])
def test_the_mode_of_tls(mode: str) -> None:
    """The mode is taken from the URL or an argument, in upper or lower case."""
    assert located(f"{URL}?sslmode={mode}").sslmode == mode
    assert located(URL, sslmode=mode.upper()).sslmode == mode
    assert located(URL).sslmode == "prefer"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("sslmode", "requier"),
        ("sslmode", 1),
        ("sslrootcert", "line\nbreak"),
        ("sslcert", 7),
        ("sslkey", ""),
        ("host", "relative/folder"),
        ("host", "/one,/two"),
        ("application_name", "ä"),
        ("application_name", "a" * 64),
        ("search_path", "a\nb"),
        ("target_session_attrs", "prefer-standby"),
        ("statement_cache_size", -1),
        ("statement_cache_size", True),
        ("statement_cache_size", "many"),
        ("pooler", "maybe"),
        ("pooler", 1),
        ("server_settings", "work_mem"),
        ("server_settings", {"timezone": "CET"}),
        ("server_settings", {"Work Mem": "1MB"}),
        ("server_settings", {"work_mem": 1}),
    ],
)
def test_a_wrong_value_is_refused_at_once(name: str, wrong: Any) -> None:
    """A value that an option cannot have is refused before anything is opened, by its name."""
    with pytest.raises(InvalidOption) as caught:
        located(URL if name != "host" else "postgresql:///shop", **{name: wrong})
    assert caught.value.context["option"] == name


def test_the_nearest_mode_is_named() -> None:
    """A misspelt word is answered with the right one."""
    with pytest.raises(InvalidOption) as caught:
        located(URL, sslmode="requier")
    assert caught.value.suggestion == "require"


def test_url_and_argument_have_to_agree() -> None:
    """An option that is given twice has to have one value."""
    assert (
        located(f"{URL}?statement_cache_size=7", statement_cache_size=7).statement_cache_size == 7
    )
    assert located(f"{URL}?pooler=yes", pooler=True).pooler is True
    with pytest.raises(InvalidOption, match="twice"):
        located(f"{URL}?sslmode=require", sslmode="prefer")


def test_options_that_exclude_each_other(tmp_path: Path) -> None:
    """What would have no effect is refused instead of being ignored."""
    file = str(tmp_path / "file.pem")
    Path(file).touch()
    useless: list[dict[str, Any]] = [
        {"sslmode": "disable", "sslcert": file},
        {"sslmode": "prefer", "sslrootcert": file},
        {"sslkey": file},
        {"sslpassword": "x"},
    ]
    for options in useless:
        with pytest.raises(InvalidOption):
            located(URL, **options)
    for options in ({"sslmode": "require"}, {"sslcert": file}):
        with pytest.raises(InvalidOption, match="socket"):
            located("postgresql://ada@/shop", host="/run/postgresql", **options)
    with pytest.raises(InvalidOption, match="socket"):
        located(URL, host="/run/postgresql")


def test_a_socket() -> None:
    """A socket is given by its folder, or by its path, which tells the port."""
    location = located("postgresql://ada@/shop?host=/run/postgresql/")
    assert (location.host, location.port, location.is_socket) == ("/run/postgresql", 5432, True)
    location = located("postgresql:///shop", host="/tmp/x/.s.PGSQL.5499")
    assert (location.host, location.port) == ("/tmp/x", 5499)


def test_whoever_names_authorities_wants_the_server_checked(tmp_path: Path) -> None:
    """With authorities and without a mode, certificate and host name are checked."""
    file = tmp_path / "authority.crt"
    file.touch()
    assert located(URL, sslrootcert=str(file)).sslmode == "verify-full"
    assert located(f"{URL}?sslrootcert=system").sslmode == "verify-full"
    assert located(URL, sslrootcert=str(file), sslmode="verify-ca").sslmode == "verify-ca"


def test_a_replica_has_the_same_options() -> None:
    """A replica has its own URL, and the arguments of both except for the kind of server."""
    location = located(
        URL,
        replica="postgresql://reader@copy/shop?target_session_attrs=standby",
        application_name="shop",
        target_session_attrs="primary",
    )
    replica = location.replica
    assert replica is not None
    assert (replica.user, replica.host, replica.target) == ("reader", "copy", "standby")
    assert location.target == "primary"
    assert replica.settings["application_name"] == "shop"
