"""Passwords in database URLs, random and hostile: read exactly or refused, never misread."""

from __future__ import annotations

import random
import re
import string
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import AmbiguousURL, InvalidURL
from dataflow_core.url import DatabaseURL, parse_url

HOSTILE = "#$@?!/:%&=+[]().,;*~'\"\\ <>{}|^`-_aZ09é"
GENERATED = string.ascii_letters + string.digits + string.punctuation
ENCODED = re.compile("%[0-9a-fA-F]{2}")


def read_with(password: str) -> DatabaseURL | None:
    """The URL with this password as it is, or None where it is refused honestly."""
    text = f"scheme://user:{password}@db.example.com:5432/production?sslmode=require"
    try:
        return parse_url(text)
    except (InvalidURL, AmbiguousURL):
        return None


@given(st.text(st.sampled_from(HOSTILE)) | st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_raw_password_is_exact_or_refused(password: str) -> None:
    """A raw password is read exactly or refused: never a wrong host, user or database."""
    url = read_with(password)
    if url is None:
        return
    assert (url.username, url.host, url.port) == ("user", "db.example.com", 5432)
    assert (url.database, url.query) == ("production", {"sslmode": "require"})
    assert url.password == password or ENCODED.search(password)


def test_many_raw_passwords(seed: int) -> None:
    """Of 20,000 hostile passwords none is misread, and nearly all of them are read.

    Of those made of separators one in a hundred may be ambiguous or no UTF-8, of those that a
    password generator could make one in two hundred.
    """
    chance = random.Random(seed)
    refused = [0, 0]
    for number in range(20_000):
        half = number % 2
        password = "".join(chance.choices((HOSTILE, GENERATED)[half], k=chance.randint(1, 24)))
        url = read_with(password)
        if url is None:
            refused[half] += 1
            continue
        assert (url.username, url.host, url.port) == ("user", "db.example.com", 5432), password
        assert (url.database, url.query) == ("production", {"sslmode": "require"}), password
        assert url.password == password or ENCODED.search(password), password
    assert refused[0] < 100
    assert refused[1] < 50


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_encoded_password_is_exact(password: str) -> None:
    """A percent-encoded password is always read exactly, whatever it holds."""
    encoded = quote(password, safe="")
    url = parse_url(f"scheme://user:{encoded}@host:1/db")
    assert (url.username, url.password, url.host) == ("user", password, "host")
