"""Placeholders in the style of a driver."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.dialect.paramstyles import Paramstyle, placed

SQL = "SELECT '$1%', \"a$2\", `$1` FROM t -- $1\nWHERE a = $2 /* $1 */ AND b % 2 = $1 AND c = $2"
BODY = "SELECT '$1%', \"a$2\", `$1` FROM t -- $1\nWHERE a = {} /* $1 */ AND b % 2 = {} AND c = {}"

CASES: list[tuple[Paramstyle, str, Any]] = [
    ("dollar", SQL, ("one", "two")),
    ("qmark", BODY.format("?", "?", "?"), ["two", "one", "two"]),
    ("numeric", BODY.format(":2", ":1", ":2"), ("one", "two")),
    ("named", BODY.format(":p2", ":p1", ":p2"), {"p1": "one", "p2": "two"}),
    ("format", BODY.replace("%", "%%").format("%s", "%s", "%s"), ["two", "one", "two"]),
    (
        "pyformat",
        BODY.replace("%", "%%").format("%(p2)s", "%(p1)s", "%(p2)s"),
        {"p1": "one", "p2": "two"},
    ),
]


@pytest.mark.parametrize(("style", "text", "values"), CASES, ids=[case[0] for case in CASES])
def test_placeholders_outside_of_quotes_are_translated(
    style: Paramstyle, text: str, values: Any
) -> None:
    """Only placeholders change; quoted texts, names and comments stay as they are."""
    assert placed(SQL, ("one", "two"), style) == (text, values)


def test_a_statement_without_parameters_is_left_alone() -> None:
    """No placeholder, no value."""
    assert placed("SELECT 1", (), "qmark") == ("SELECT 1", [])
