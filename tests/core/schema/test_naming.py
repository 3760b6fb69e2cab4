from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import InvalidModel
from dataflow_core.schema.naming import (
    PLURALS,
    SINGULARS,
    check_name,
    class_name,
    plural,
    singular,
    snake_case,
    table_name,
)

WORDS = st.text("abehiosuxyz", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("OrderItem", "order_items"),
        ("Category", "categories"),
        ("Person", "persons"),
        ("User", "users"),
        ("Bus", "buses"),
        ("Box", "boxes"),
        ("Match", "matches"),
        ("Dish", "dishes"),
        ("Day", "days"),
        ("Key", "keys"),
        ("HTTPServer", "http_servers"),
        ("A", "as"),
        ("Sha256Sum", "sha256_sums"),
        ("user", "users"),
    ],
)
def test_the_table_of_a_class(name: str, table: str) -> None:
    """The plural snake case of the class, by the table of rules and no dictionary."""
    assert table == table_name(name)


def test_the_examples_of_the_table_hold() -> None:
    """The example beside each rule is what the rule does."""
    for _, _, example in PLURALS:
        word, _, many = example.partition(" -> ")
        assert (many, word) == (plural(word), singular(many))


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("order_items", "OrderItem"),
        ("categories", "Category"),
        ("sales.orders", "SalesOrder"),
        ("ORDERS", "ORDERS"),
        ("2fa_codes", "Table2faCode"),
        ("таблица", "Table"),
        ("fish", "Fish"),
        ("orders_status", "OrdersStatus"),
        ("statuses", "Status"),
        ("address", "Address"),
        ("addresses", "Address"),
        ("analysis", "Analysis"),
        ("buses", "Bus"),
        ("class", "Class"),
    ],
)
def test_the_class_of_a_table(table: str, name: str) -> None:
    """The singular by the same table, always an identifier."""
    assert name == class_name(table)


def test_the_name_of_a_schema_is_no_plural() -> None:
    """The name of a schema, put before that of a class, keeps its number and its capitals."""
    assert class_name("sales", singly=False) == "Sales"
    assert class_name("our EU_sales", singly=False) == "OurEUSales"


@given(WORDS)
def test_singular_undoes_plural(word: str) -> None:
    """The singular of a plural has that plural; so a discovered class leads back to its table.

    What looks like a singular stays what it is.
    """
    many = plural(word)
    assert plural(singular(many)) == many or (many.endswith(SINGULARS) and singular(many) == many)


@given(st.text(max_size=80))
def test_the_class_of_any_table_is_an_identifier(table: str) -> None:
    """Whatever a table is called, its class can be written in Python."""
    assert class_name(table).isidentifier()


@given(st.from_regex(r"[A-Z][A-Za-z0-9]{0,20}", fullmatch=True))
def test_snake_case_keeps_the_letters(name: str) -> None:
    """Only underscores are added."""
    assert name.lower() == snake_case(name).replace("_", "")


@pytest.mark.parametrize("name", ["name", "x y", 'quo"te', "a`b", "select", "é" * 31, "имя", "%"])
def test_any_name_that_every_database_keeps(name: str) -> None:
    """Spaces inside, quotes and words of SQL are allowed: names are always quoted."""
    assert name == check_name(name, "a field")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        (" a", "begins or ends with a space"),
        ("a ", "begins or ends with a space"),
        ("\u00a0a", "begins or ends with a space"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\u200bb", "control, format"),
        ("\ud800", "control"),
        ("a😀", "beyond the basic plane"),
        ("a" * 64, "longer than 63 bytes"),
        ("é" * 32, "longer than 63 bytes"),
        (5, "a name is text"),
        (None, "a name is text"),
        (["a"], "a name is text"),
    ],
)
def test_other_names_are_refused(name: object, reason: str) -> None:
    """What one database would cut, lose or refuse is refused, with the reason."""
    with pytest.raises(InvalidModel, match=f"^DF-601: a field: .*{reason}"):
        check_name(name, "a field")


@given(st.text(max_size=70))
def test_an_accepted_name_fits_everywhere(name: str) -> None:
    """A name is at most 63 bytes, printable in UTF-8, without NUL, or refused with a code."""
    try:
        assert name == check_name(name, "a field")
    except InvalidModel:
        return
    assert 1 <= len(name.encode()) <= 63
    assert "\0" not in name
