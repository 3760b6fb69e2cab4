from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataflow_core.contract import ConnectOptions
from dataflow_core.errors import InvalidOption, InvalidURL, UnknownOption
from dataflow_core.url import parse_url
from dataflow_mysql.location import locate
from dataflow_mysql.protocol.login import tls_context
from tests.mysql.support import located

URL = "mysql://ada:secret@db.example/shop"


def test_the_parts_of_a_url() -> None:
    """Host, port, user, password and database come from the URL; the port has a default."""
    location = located("mariadb://ada:se%40cret@db.example:3307/shop")
    assert (location.host, location.port, location.database) == ("db.example", 3307, "shop")
    assert (location.user, location.password) == ("ada", "se@cret")
    assert located(URL).port == 3306
    assert located("mysql://ada@[::1]/shop").host == "::1"


def test_no_password_is_shown() -> None:
    """A location shows where it leads and never the password."""
    location = located(URL)
    assert "secret" not in repr(location) + str(location)
    assert str(location) == "db.example:3306/shop"
    assert str(located("mysql://ada@[::1]/shop")) == "[::1]:3306/shop"


@pytest.mark.parametrize("url", ["mysql://ada@db.example", "mysql://ada@db.example/"])
def test_a_database_is_needed(url: str) -> None:
    """A URL without a database is refused with the form that works."""
    with pytest.raises(InvalidURL, match="names no database") as caught:
        located(url)
    assert "mysql://user:password@host:port/name" in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 65, "a%2Fb", "shop%20"])
def test_a_name_that_no_database_has(name: str) -> None:
    """What the server would refuse or cut as a name is refused before."""
    with pytest.raises(InvalidURL, match="no name of a database"):
        located(f"mysql://ada@db.example/{name}")


def test_a_socket_instead_of_a_host() -> None:
    """unix_socket takes the place of the host; with another host there are two places."""
    location = located("mysql://ada@localhost/shop?unix_socket=/run/my.sock")
    assert location.unix_socket == "/run/my.sock"
    assert str(location) == "/run/my.sock/shop"
    assert located("mysql:///shop", unix_socket="/run/my.sock").unix_socket == "/run/my.sock"
    with pytest.raises(InvalidOption, match="two places"):
        located(URL, unix_socket="/run/my.sock")
    with pytest.raises(InvalidOption, match="absolute path"):
        located("mysql://ada@localhost/shop", unix_socket="my.sock")
    with pytest.raises(InvalidOption, match="not encrypted"):
        located("mysql:///shop", unix_socket="/run/my.sock", ssl_mode="required")


def test_the_socket_of_a_primary_is_not_that_of_its_replica() -> None:
    """The option unix_socket leads to the primary; a replica has one where its URL says so."""
    options = {"unix_socket": "/run/my.sock"}
    for text, host, own in (
        ("mysql://ada@db.example/shop", "db.example", None),
        ("mysql://ada@localhost/shop?unix_socket=/run/copy.sock", "localhost", "/run/copy.sock"),
    ):
        both = ConnectOptions(options=options, replica=parse_url(text))
        location = locate(parse_url("mysql://ada@localhost/shop"), both)
        assert location.unix_socket == "/run/my.sock"
        assert location.replica is not None
        assert (location.replica.host, location.replica.unix_socket) == (host, own)


@pytest.mark.parametrize("charset", ["utf8", "utf8mb3", "latin1", "", "binary"])
def test_other_character_sets_are_refused(charset: str) -> None:
    """A character set that loses characters is refused, with the right one."""
    with pytest.raises(InvalidOption) as caught:
        located(URL, charset=charset)
    assert caught.value.suggestion == "utf8mb4"


def test_the_right_character_set_is_taken() -> None:
    """charset=utf8mb4 in the URL, or as an argument, in any case, is what is used anyway."""
    assert located(f"{URL}?charset=utf8mb4", charset="UTF8MB4") == located(URL)


@pytest.mark.parametrize("collation", ["latin1_bin", "utf8_bin", "utf8mb4_x; DROP", "utf8mb4_"])
def test_collations_of_other_character_sets_are_refused(collation: str) -> None:
    """A collation belongs to utf8mb4; anything else never reaches the server."""
    with pytest.raises(InvalidOption, match="utf8mb4_unicode_ci"):
        located(URL, collation=collation)


def test_a_collation_in_the_url() -> None:
    """The collation is taken from the URL or from the argument; both have to agree."""
    url = f"{URL}?charset=utf8mb4&collation=utf8mb4_unicode_ci"
    assert located(url).collation == "utf8mb4_unicode_ci"
    assert located(url, collation="utf8mb4_unicode_ci").collation == "utf8mb4_unicode_ci"
    with pytest.raises(InvalidOption, match="given twice"):
        located(url, collation="utf8mb4_bin")


@pytest.mark.parametrize(
    ("option", "suggestion"),
    [("colation", "collation"), ("ssl-cert2", "ssl_cert"), ("wholly_other", None)],
)
def test_unknown_options_are_refused(option: str, suggestion: str | None) -> None:
    """An option of the URL that nobody knows is refused with the nearest name."""
    with pytest.raises(UnknownOption) as caught:
        located(f"{URL}?{option}=1")
    assert caught.value.suggestion == suggestion
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["ssl_ca", "ssl_cert", "ssl_key"])
def test_missing_certificates_are_refused_when_they_are_needed(name: str, tmp_path: Path) -> None:
    """A file may be put there later; without it nothing is sent, and the error names it."""
    path = tmp_path / "missing.pem"
    more = {"ssl_cert": _file(tmp_path, "there.pem")} if name == "ssl_key" else {}
    location = located(URL, **{name: str(path), **more})
    with pytest.raises(InvalidOption, match=rf"{name}: .*missing\.pem.* cannot be read: No such"):
        tls_context(location)


def _file(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text("x")
    return str(path)


def test_the_mode_follows_from_what_is_given(tmp_path: Path) -> None:
    """Certificates to check against are checked; what stays on this machine is not encrypted."""
    certificate = _file(tmp_path, "a.pem")
    assert located(URL).ssl_mode == "preferred"
    assert located("mysql://ada@127.0.0.1/shop").ssl_mode == "disabled"
    assert located("mysql://ada@localhost/shop").ssl_mode == "disabled"
    assert located(URL, ssl_ca=certificate).ssl_mode == "verify_identity"
    assert located(URL, ssl_cert=certificate, ssl_key=certificate).ssl_mode == "required"
    assert located(URL, ssl_ca=certificate, ssl_mode="VERIFY_CA").ssl_mode == "verify_ca"
    assert located(f"{URL}?ssl-mode=REQUIRED").ssl_mode == "required"
    assert located(URL, ssl_mode="required").encrypted
    assert not located(URL).encrypted


def test_options_without_an_effect_are_refused(tmp_path: Path) -> None:
    """A certificate that the mode would not use, or a key without one, is an error."""
    certificate = _file(tmp_path, "a.pem")
    with pytest.raises(InvalidOption, match="leaves ssl_cert unused"):
        located(URL, ssl_cert=certificate, ssl_mode="disabled")
    with pytest.raises(InvalidOption, match="ssl_ca is unused"):
        located(URL, ssl_ca=certificate, ssl_mode="required")
    with pytest.raises(InvalidOption, match="give ssl_cert"):
        located(URL, ssl_key=certificate)
    with pytest.raises(InvalidOption) as caught:
        located(URL, ssl_mode="verify_identiti")
    assert caught.value.suggestion == "verify_identity"


def test_a_replica_is_located_with_the_same_options() -> None:
    """The URL of a replica is checked like the first; options hold for both."""
    replica = parse_url("mysql://bob:other@copy.example/shop")
    options: dict[str, Any] = {"collation": "utf8mb4_unicode_ci"}
    location = locate(parse_url(URL), ConnectOptions(options=options, replica=replica))
    assert location.replica is not None
    assert (location.replica.host, location.replica.user) == ("copy.example", "bob")
    assert location.replica.collation == location.collation == "utf8mb4_unicode_ci"
    assert "other" not in repr(location)
    with pytest.raises(InvalidURL):
        locate(parse_url(URL), ConnectOptions(replica=parse_url("mysql://bob@copy.example")))
