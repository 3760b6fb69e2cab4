from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.aggregate.names import check_alias, check_distinct
from dataflow_core.errors import InvalidPipeline
from dataflow_core.schema import Field
from dataflow_core.types import Integer


@pytest.mark.parametrize("name", ["a", "_id", "Total_2", "x" * 63])
def test_plain_identifiers_are_names(name: str) -> None:
    """Letters, digits and underscores, at most 63, a prefix counted."""
    assert name == check_alias(name, "here")
    assert check_alias("a", "here", "_id.") == "_id.a"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "1a",
        "é",
        "a.b",
        "$a",
        'a"',
        "a\0",
        "a\n",
        "\ud800",
        "x" * 64,
        "__a",
        5,
        None,
        ["a"],
    ],
)
def test_everything_else_is_refused(name: Any) -> None:
    """These names become column aliases, so their form is closed."""
    with pytest.raises(InvalidPipeline, match="here: a name made by a pipeline"):
        check_alias(name, "here")
    with pytest.raises(InvalidPipeline):
        check_alias("x" * 60, "here", "_id.")


def test_names_differ_by_more_than_case() -> None:
    """Two columns of a row that differ by case only are one column on some databases."""
    fields = [Field(name, Integer(), name) for name in ("a", "b", "A")]
    assert tuple(fields[:2]) == check_distinct(fields[:2], "here")
    for wrong in (fields, [fields[0], fields[0]]):
        with pytest.raises(InvalidPipeline, match=r"here: the names 'a' and '[aA]'"):
            check_distinct(wrong, "here")
