"""Dotted paths of connections."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import InvalidPath
from dataflow_core.workflow.paths import parse_path

RESULT: dict[str, Any] = {
    "id": 7,
    "result": [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}],
    "nothing": None,
    "pair": (1, 2),
    "by_number": {"0": "zero"},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("id", 7),
        ("result.0.id", 1),
        ("result.1", {"id": 2, "tags": []}),
        ("result.*.id", [1, 2]),
        ("result.*.tags.*", [["a", "b"], []]),
        ("result.0.tags.*", ["a", "b"]),
        ("pair.1", 2),
        ("pair.*", [1, 2]),
        ("by_number.0", "zero"),
        ("nothing", None),
    ],
)
def test_a_path_leads_to_its_value(path, expected):
    """A step is a key of a dict, an index of a list, or `*` for each item of a list."""
    assert parse_path(path).follow(RESULT, "node") == expected


@pytest.mark.parametrize(
    ("path", "step", "found"),
    [
        ("result.2.id", "2", "a list of 2"),
        ("result.id", "id", "a list of 2"),
        ("nothing.id", "id", "None"),
        ("id.deeper", "deeper", "a value of type int"),
        ("result.*.tags.0", "0", "a list of 0"),
        ("by_number.*", "*", "a dict with '0'"),
        ("absent", "absent", "a dict with 'id', 'result', 'nothing', 'pair', 'by_number'"),
    ],
)
def test_a_path_that_leads_nowhere_names_the_step(path, step, found):
    """The error names the path, the step that failed and what was there."""
    with pytest.raises(InvalidPath) as caught:
        parse_path(path).follow(RESULT, "node")
    assert caught.value.context == {"source": "node", "path": path, "step": step, "found": found}
    assert found in caught.value.message


def test_the_nearest_key_is_suggested():
    """A misspelt key is answered with the nearest one."""
    with pytest.raises(InvalidPath) as caught:
        parse_path("result.0.ID").follow(RESULT, "node")
    assert caught.value.suggestion == "id"


def test_the_error_shows_no_values():
    """What the result holds does not appear in the error."""
    with pytest.raises(InvalidPath) as caught:
        parse_path("row.missing").follow({"row": {"name": "confidential"}}, "node")
    assert "confidential" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "a..b", ".a", "a.", "*", "*.id", "0", "0.id", "a." * 40 + "b", "x" * 2_000),
        *(None, 3, ("a", "b"), b"id"),
    ],
)
def test_what_is_no_path_is_refused(path):
    """Empty parts, a start that is no output, endless paths and what is no text are refused."""
    with pytest.raises(InvalidPath):
        parse_path(path)
