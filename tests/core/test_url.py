"""Database URLs: every form that people write, hostile passwords, and no leak."""

from __future__ import annotations

import copy
import json
import pickle
import re
import time
from typing import Any

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dataflow_core.errors import AmbiguousURL, DataFlowError, InvalidURL
from dataflow_core.url import URL_LENGTH, DatabaseURL, parse_url
from tests.limits import at_most

HOSTILE = "#$@?!/:%&=+[]().,;*~'\"\\ <>{}|^`-_aZ09é"
WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=9)
TEXT = st.none() | WORD


def parts(text: str) -> tuple[str | None, str | None, str | None, int | None, str | None]:
    """User, password, host, port and database of a URL."""
    url = parse_url(text)
    return url.username, url.password, url.host, url.port, url.database


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "postgresql://admin:MySecret#123$@localhost:5432/mydb",
            ("admin", "MySecret#123$", "localhost", 5432, "mydb"),
        ),
        (
            "postgresql://admin:MySecret#123$@localhost/db",
            ("admin", "MySecret#123$", "localhost", None, "db"),
        ),
        (
            "postgresql://readonly:Complex@Pass!@replica:5432/production",
            ("readonly", "Complex@Pass!", "replica", 5432, "production"),
        ),
        (
            "postgresql://user:P@ssw0rd!@db.example.com:5432/production",
            ("user", "P@ssw0rd!", "db.example.com", 5432, "production"),
        ),
        (
            "postgresql://readonly:temp#pass@replica.host:5432/reports",
            ("readonly", "temp#pass", "replica.host", 5432, "reports"),
        ),
        (
            "mysql://service:Complex$ecret?@mysql.internal:3306/analytics",
            ("service", "Complex$ecret?", "mysql.internal", 3306, "analytics"),
        ),
        (
            "mysql://user:P@ssw0rd!@db.example.com:3306/ecommerce",
            ("user", "P@ssw0rd!", "db.example.com", 3306, "ecommerce"),
        ),
        (
            "mysql://app_user:SecurePass123!@db.production.com:3306/ecommerce",
            ("app_user", "SecurePass123!", "db.production.com", 3306, "ecommerce"),
        ),
        (
            "postgresql://user:password@localhost/database",
            ("user", "password", "localhost", None, "database"),
        ),
        ("mysql://user:pass@staging-host:3306/s", ("user", "pass", "staging-host", 3306, "s")),
        ("scheme://user:a/b:c?d@host/db", ("user", "a/b:c?d", "host", None, "db")),
        ("scheme://user:one@two@three", ("user", "one@two", "three", None, None)),
        ("scheme://user:a@b/c@host/db", ("user", "a@b/c", "host", None, "db")),
        ("scheme://user:a@b?c@host/db", ("user", "a@b?c", "host", None, "db")),
        ("scheme://user:a@/?@host/db", ("user", "a@/?", "host", None, "db")),
        ("scheme://user:12/3@host/db", ("user", "12/3", "host", None, "db")),
        ("scheme://user:/@host/db", ("user", "/", "host", None, "db")),
        ("scheme://user@host/db", ("user", None, "host", None, "db")),
        ("scheme://user:@host/db", ("user", "", "host", None, "db")),
        ("scheme://:pass@host:6379/0", (None, "pass", "host", 6379, "0")),
        ("scheme://me@corp.com:pw@host/db", ("me@corp.com", "pw", "host", None, "db")),
        ("scheme://host", (None, None, "host", None, None)),
        ("scheme://host/", (None, None, "host", None, None)),
        ("scheme://host:1/db", (None, None, "host", 1, "db")),
        ("scheme://my_host.internal.:65535", (None, None, "my_host.internal.", 65535, None)),
        ("scheme://u:p@127.0.0.1:5/db", ("u", "p", "127.0.0.1", 5, "db")),
        ("scheme://u:p@[::1]:5/db", ("u", "p", "::1", 5, "db")),
        ("scheme://[2001:db8::1]/db", (None, None, "2001:db8::1", None, "db")),
        ("scheme://u:[@host/db", ("u", "[", "host", None, "db")),
        ("scheme://user:pw@/db", ("user", "pw", None, None, "db")),
        ("scheme://u%40x:p%40%2F%3f@host/a%2Fb", ("u@x", "p@/?", "host", None, "a/b")),
        ("scheme://u:100%@host/db", ("u", "100%", "host", None, "db")),
        ("scheme://u:%zz%4@host/db", ("u", "%zz%4", "host", None, "db")),
        ("scheme://u:ünï@host/dätä", ("u", "ünï", "host", None, "dätä")),
        ("sqlite:///path/to/database.db", (None, None, None, None, "path/to/database.db")),
        ("sqlite:////app/data/production.db", (None, None, None, None, "/app/data/production.db")),
        ("sqlite:///C:/data/a b.db", (None, None, None, None, "C:/data/a b.db")),
        ("sqlite:///a@b#c.db", (None, None, None, None, "a@b#c.db")),
        ("sqlite:///100%25%3F.db", (None, None, None, None, "100%?.db")),
        ("sqlite:///:memory:", (None, None, None, None, ":memory:")),
        ("sqlite:///", (None, None, None, None, None)),
        ("sqlite://", (None, None, None, None, None)),
        (":memory:", (None, None, None, None, ":memory:")),
    ],
)
def test_forms(text: str, expected: tuple[Any, ...]) -> None:
    """Every documented form is read, passwords as they are written."""
    assert parts(text) == expected


def test_scheme() -> None:
    """The scheme is in lower case; `:memory:` has none."""
    assert parse_url("PostgreSQL://host").scheme == "postgresql"
    assert parse_url(":memory:").scheme == ""


def test_query() -> None:
    """Options are decoded, `+` is no space, and they cannot be changed."""
    text = "mysql://user:pass@host:3306/db?charset=utf8mb4&collation=utf8mb4_unicode_ci"
    assert parse_url(text).query == {"charset": "utf8mb4", "collation": "utf8mb4_unicode_ci"}
    url = parse_url("scheme://host?a=1+%26&b=%3D=&c=")
    assert url.query == {"a": "1+&", "b": "==", "c": ""}
    assert parse_url("scheme:///a.db?mode=ro").query == {"mode": "ro"}
    assert parse_url("scheme://?host=/run/db").query == {"host": "/run/db"}
    assert parse_url("scheme://host/db?").query == {}
    with pytest.raises(TypeError):
        url.query["a"] = "2"  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("host/db", "no '://'"),
        ("file.db", "no '://'"),
        (":other:", "no '://'"),
        ("postgresql://...", "placeholder"),
        ("redis://...", "placeholder"),
        ("scheme://[username[:password]@]host[:port]/database", "no valid host"),
        ("postgresql+asyncpg://user@host/db", "write postgresql:// instead"),
        ("1scheme://host", "begins with a letter"),
        ("sch eme://host", "begins with a letter"),
        ("://host", "begins with a letter"),
        ("scheme://user:pass@", "no valid host"),
        ("scheme://user:pass", "no valid host"),
        ("scheme://user:pw@ho st/db", "no valid host"),
        ("scheme://user:pw@-host/db", "no valid host"),
        ("scheme://user:pw@ho..st/db", "no valid host"),
        ("scheme://user:pw@höst/db", "no valid host"),
        ("scheme://user:pw@a,b/db", "no valid host"),
        ("scheme://user:pw@host:/db", "no valid host"),
        ("scheme://user:pw@host:x/db", "no valid host"),
        ("scheme://user:pw@:5432/db", "no valid host"),
        ("scheme://user:pw@256.0.0.1/db", "no valid host"),
        ("scheme://user:pw@1.2.3/db", "no valid host"),
        ("scheme://user:pw@[::1/db", "no valid host"),
        ("scheme://user:pw@[::g]/db", "no valid host"),
        ("scheme://user:pw@[fe80::1%25eth0]/db", "no valid host"),
        ("scheme://user:pw@" + "a" * 64 + "/db", "no valid host"),
        ("scheme://user:pw@" + "a." * 130 + "a/db", "no valid host"),
        ("scheme://user:pw@host/db?mail=a@!", "no valid host"),
        ("scheme://host:0/db", "port is a number from 1 to 65535"),
        ("scheme://host:65536/db", "port is a number from 1 to 65535"),
        ("scheme://host:" + "9" * 4_000, "port is a number from 1 to 65535"),
        ("scheme://host/db/more", "%2F"),
        ("scheme://host/db#part", "%23"),
        ("scheme://host/db?a=1#part", "%23"),
        ("scheme://host/db?a", "name=value"),
        ("scheme://host/db?=1", "name=value"),
        ("scheme://host/db?a=1&&b=2", "name=value"),
        ("scheme://host/db?a=1&%61=2", "twice"),
        ("scheme://host/d\x00b", "control character"),
        ("scheme://host/db\n", "control character"),
        ("scheme://host/db\x85", "control character"),
        ("scheme://host/db\u2028", "control character"),
        ("scheme://host/d%00b", "encoded control character"),
        ("scheme://host/d%0Ab", "encoded control character"),
        ("scheme://u:p%00@host/db", "encoded control character"),
        ("scheme://u:p%FF@host/db", "no UTF-8"),
        ("scheme://host/%ED%A0%80", "no UTF-8"),
        ("scheme://host/\ud800", "lone surrogate"),
        (" scheme://host/db", "white space"),
        ("scheme://host/db ", "white space"),
        ("scheme://host/" + "a" * URL_LENGTH, "at most 4096"),
    ],
)
def test_refused(text: str, words: str) -> None:
    """What cannot be read is refused, in words that say what is wrong."""
    with pytest.raises(InvalidURL, match=re.escape(words)):
        parse_url(text)


@pytest.mark.parametrize("text", [None, 1, True, b"scheme://host", ["scheme://host"], object()])
def test_only_text_is_read(text: object) -> None:
    """What is no text is refused, naming its type."""
    with pytest.raises(InvalidURL, match=f"not {type(text).__name__}"):
        parse_url(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "scheme://user:a@b/c@host",
        "scheme://user:p@host/db?a=b/c@d/e",
        "scheme://user:p@host?a=b@c",
        "scheme://user:p@/db?a=b@c",
        "scheme://user:p@host/db?mail=me@corp.com",
        "scheme://host/db?mail=me@corp.com",
        "scheme://user:p@host/db@other",
        "scheme://user:12/3@host",
        "scheme://user:a@one:99999/x@two",
        "scheme://user:a@/x@host",
    ],
)
def test_ambiguous(text: str) -> None:
    """A URL with more than one possible host is refused, and the way out is shown."""
    with pytest.raises(AmbiguousURL, match=r"percent-encode the password.*`password=`"):
        parse_url(text)


def test_driver_is_suggested_away() -> None:
    """A scheme with a driver is answered with the scheme to write."""
    with pytest.raises(InvalidURL) as caught:
        parse_url("toy+driver://host/db")
    assert caught.value.suggestion == "toy://"


def test_separate_password_is_exact() -> None:
    """`password=` is never decoded, and makes any password possible."""
    password = "a@b/c%41@host:1/x?\n"
    url = parse_url("scheme://user@host/db", password=password)
    assert (url.username, url.password, url.host) == ("user", password, "host")


@pytest.mark.parametrize(
    ("text", "password", "words"),
    [
        ("scheme://user:pw@host/db", "pw", "given twice"),
        ("scheme://user:@host/db", "pw", "given twice"),
        ("scheme:///a.db", "pw", "no host to log in to"),
        (":memory:", "pw", "takes no password"),
        ("scheme://user@host/db", b"pw", "not bytes"),
        ("scheme://user@host/db", "p\x00w", "NUL"),
        ("scheme://user@host/db", "p\udfffw", "lone surrogate"),
    ],
)
def test_separate_password_refused(text: str, password: Any, words: str) -> None:
    """A password that is given twice, cannot be used, or is no text is refused."""
    with pytest.raises(InvalidURL, match=words):
        parse_url(text, password=password)


def test_printing_hides_secrets() -> None:
    """No rendering but the one that asks for it shows a password or a secret option."""
    url = parse_url("scheme://user:hunter2@host:1/db?sslpassword=hunter2&sslmode=require")
    assert str(url) == "scheme://user:***@host:1/db?sslpassword=***&sslmode=require"
    assert repr(url) == f"DatabaseURL({str(url)!r})"
    assert "hunter2" not in f"{url} {url!r} {[url]} {url.render()}"
    assert "hunter2" in url.render(hide_password=False)


@pytest.mark.parametrize(
    "text",
    [
        "scheme://user:HUNTER2@ho st/db",
        "scheme://user:HUNTER2@host:99999/db",
        "scheme://user:HUNTER2@host/db/x",
        "scheme://user:HUNTER2@x/HUNTER2@host",
        "scheme://user:HUNTER2",
        "scheme://user:a@HUNTER2!",
        "scheme://user?HUNTER2&HUNTER2=1",
        "scheme://host/db?HUNTER2",
        "scheme://host/db?HUNTER2=1&HUNTER2=2",
        "scheme://user:HUNTER2%FF@host/db",
        "scheme://user:HUNTER2%00@host/db",
        "scheme://user:HUNTER2@host/%FF",
        "HUNTER2",
        "HUNTER2@host://x",
        "HUNTER2 ://x",
        "scheme://user:HUNTER2@host/db\n",
        "scheme://user:HUNTER2\ud800@host/db",
        "scheme://user:HUNTER2@host/" + "x" * URL_LENGTH,
    ],
)
def test_errors_show_no_part_of_the_url_but_the_scheme(text: str) -> None:
    """Whatever is wrong, the error and what it is chained to hold nothing of the password."""
    with pytest.raises((InvalidURL, AmbiguousURL)) as caught:
        parse_url(text)
    error = caught.value
    shown = f"{error} {error!r} {error.context} {json.dumps(error.to_dict())}"
    assert "HUNTER2" not in shown
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


def test_values_compare_copy_and_travel() -> None:
    """A URL is a value: equal by content, hashable, frozen, copied and pickled whole."""
    text = "scheme://user:hunter2@host:1/db?a=1"
    url = parse_url(text)
    assert url == parse_url(text) != parse_url(text + "2")
    assert hash(url) == hash(parse_url(text))
    for again in (
        copy.copy(url),
        copy.deepcopy(url),
        pickle.loads(pickle.dumps(url)),  # noqa: S301 - what was just written
    ):
        assert again == url
        assert again.password == "hunter2"
    assert attrs.evolve(url, host="other").query == {"a": "1"}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        url.host = "other"  # type: ignore[misc]


def test_hostile_texts_are_read_quickly() -> None:
    """The longest texts of separators take no time to refuse or read."""
    start = time.perf_counter()
    for piece in ("@", "a@", "[", "@[", "@1:1", "%", "%41", "?", "&", "a.", "://", "@a/"):
        text = "scheme://" + (piece * URL_LENGTH)[: URL_LENGTH - 9]
        try:
            parse_url(text)
        except DataFlowError as error:
            assert error.code in ("DF-401", "DF-402")
    assert time.perf_counter() - start < at_most(0.5)


@given(
    username=TEXT,
    password=TEXT,
    host=st.none() | st.sampled_from(["host", "db.example.com", "::1", "10.0.0.1", "my_host"]),
    port=st.none() | st.integers(1, 65535),
    database=TEXT,
    query=st.dictionaries(WORD, WORD, max_size=3),
)
def test_rendering_is_read_back(**values: Any) -> None:
    """What `render` writes, `parse_url` reads: the same value comes back."""
    if values["host"] is None:
        values["port"] = None
        # Without a host a user needs a database behind it, a password a user.
        assume(values["database"] or (values["username"] is None and values["password"] is None))
    url = DatabaseURL(scheme="scheme", **values)
    assert parse_url(url.render(hide_password=False)) == url


@given(st.text(max_size=60) | st.text(st.sampled_from(HOSTILE + "://@"), max_size=60))
def test_any_text_is_read_or_refused(rest: str) -> None:
    """Any text is read into valid parts or refused with a code; nothing else is raised."""
    for text in (rest, "scheme://" + rest):
        try:
            url = parse_url(text)
        except (InvalidURL, AmbiguousURL):
            continue
        assert url.host is None or re.fullmatch(r"[A-Za-z0-9._:-]+", url.host)
        assert url.port is None or 1 <= url.port <= 65535
        assert "@" not in (url.host or "")
