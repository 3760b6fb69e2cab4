from __future__ import annotations

import pytest

from dataflow_monitoring.shapes import operation_of, shape_of


@pytest.mark.parametrize(
    ("sql", "operation"),
    [
        ("SELECT 1", "SELECT"),
        ("  (select 1)", "SELECT"),
        ("-- insert\n/* delete */ UPDATE a SET b = 1", "UPDATE"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "WITH"),
        ("", ""),
        ("-- nothing", ""),
    ],
)
def test_the_operation_is_the_first_word(sql: str, operation: str) -> None:
    """Behind comments and brackets, in capital letters."""
    assert operation_of(sql) == operation


@pytest.mark.parametrize("mark", ["?", "%s"])
def test_statements_of_one_shape_have_one_text(mark: str) -> None:
    """However long a list is, and however many rows are written."""
    lists = {shape_of(f"SELECT a WHERE b IN ({', '.join([mark] * n)})") for n in range(2, 9)}
    assert len(lists) == 1
    row = f"({', '.join([mark] * 3)})"
    rows = {shape_of(f"INSERT INTO a VALUES {', '.join([row] * n)}") for n in range(2, 9)}
    assert len(rows) == 1


def test_numbered_placeholders_are_alike() -> None:
    """Each list of another length has other numbers."""
    first = shape_of("INSERT INTO a VALUES ($1, $2::int), ($3, $4::int)")
    assert first == shape_of("INSERT INTO a VALUES ($1, $2::int), ($3, $4::int), ($5, $6::int)")


def test_what_is_no_list_stays_as_it_is() -> None:
    """Names and single placeholders are the shape."""
    for sql in ('SELECT "a", "b" FROM "c" WHERE "d" = ?', "SELECT f(?, a, ?) AS b"):
        assert shape_of(sql) == sql
