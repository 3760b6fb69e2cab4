"""The defaults of a dialect: errors by rules, tables in the words of the standard, codecs."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.contract import ConnectOptions, DatabaseURL, Driver, ErrorSituation
from dataflow_core.dialect import (
    BOOLEAN_AS_INTEGER,
    DATE_AS_TEXT,
    JSON_AS_TEXT,
    TIME_AS_TEXT,
    TIMESTAMP_AS_TEXT,
    TIMESTAMP_WITHOUT_ZONE,
    UUID_AS_TEXT,
    BaseDialect,
    ErrorRule,
    decimal_as_integer,
    json_condition,
    json_matches,
    json_operand,
    json_operands,
)
from dataflow_core.errors import (
    CheckViolation,
    ConnectionLost,
    DatabaseError,
    ForeignKeyViolation,
    InvalidValue,
    OutOfRange,
    PatternRefused,
    TableMissing,
    UniqueViolation,
)
from dataflow_core.filters import Bindings, Pattern, Scope, matches, parse_filter
from dataflow_core.operations import CreateTable
from dataflow_core.schema import Check, Field, ForeignKey, Index, Model, Reference
from dataflow_core.types import Decimal, Enumeration, Integer, Json, Text, Timestamp, Uuid


class AcmeError(Exception):
    """What the driver raises."""

    def __init__(self, sqlstate: str | None, text: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


class AcmeDialect(BaseDialect):
    """A dialect that has nothing but its errors."""

    name = "acme"
    driver_errors = AcmeError
    error_rules = (
        ErrorRule(
            UniqueViolation,
            "a key is taken",
            "23505",
            r'"(?P<constraint>.+)" \((?P<columns>.+)\)',
        ),
        ErrorRule(ForeignKeyViolation, "a reference is broken", "23503"),
        ErrorRule(TableMissing, "", "42P01", r"relation (?P<table>\S+)"),
        ErrorRule(ConnectionLost, "the server is gone", "08006", outcome="unknown"),
        ErrorRule(CheckViolation, "a check failed", pattern="check (?P<constraint>.+)"),
        ErrorRule(OutOfRange, "a number is too large", "AcmeError", "overflow"),
    )

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        raise NotImplementedError


SINCE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ID = Field("id", Integer(), "id", primary_key=True, generated="database")
MODEL = Model(
    "Book",
    "books",
    (
        ID,
        Field("code", Text(5), 'co"de', unique=True),
        Field("kind", Enumeration(("it's", "b"), Text()), "kind", default="b", index=True),
        Field("price", Decimal(10, 2), "price", nullable=True, default=decimal.Decimal("1.5")),
        Field("author", Integer(32), "author_id", nullable=True, references="Author.id"),
        Field("at", Timestamp(), "at", nullable=True, check={"at": {"$gte": SINCE}}),
    ),
    indexes=(Index(("code", "price"), unique=True, descending=frozenset(("price",))),),
    foreign_keys=(ForeignKey(("author_id",), Reference("authors", ("id",), "cascade"), "fk"),),
    checks=(Check("cheap", {"price": {"$lt": 100}}),),
)
WRITING = ErrorSituation(MODEL, writing=True)


def translated(sqlstate: str | None, text: str, situation: ErrorSituation = WRITING) -> Any:
    """The error for what the driver raised."""
    return AcmeDialect().translate_error(AcmeError(sqlstate, text), situation)


def test_the_first_rule_that_fits_is_taken() -> None:
    """Class, message and fields come from the rule; the message names the model."""
    error = translated("23505", 'key "books_key" ("code", `price`) exists')
    assert type(error) is UniqueViolation
    assert (error.table, error.constraint, error.columns) == (
        "books",
        "books_key",
        ("code", "price"),
    )
    assert error.message == "Book: a key is taken (code, price)"
    assert error.outcome == "not done"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('"a"', "a"),
        ("`a`", "a"),
        ("'a'", "a"),
        ("[a]", "a"),
        ("a`", "a`"),
        ("'a", "'a"),
        ('"a`"', "a`"),
        ("`", "`"),
        (" a ", "a"),
    ],
)
def test_only_the_quotes_around_a_name_are_not_of_it(written: str, name: str) -> None:
    """One pair of quotes around a name goes; a quote that is a part of the name stays."""
    error = translated(None, f"check {written}")
    assert isinstance(error, CheckViolation)
    assert error.constraint == name


def test_a_broken_reference_has_a_side() -> None:
    """By the rule, or by what was being done; the only reference of a model is named."""
    error = translated("23503", "x")
    assert (error.side, error.columns) == ("child", ("author_id",))
    deleting = ErrorSituation(MODEL, writing=True, deleting=True)
    assert translated("23503", "x", deleting).side == "parent"


def test_other_errors_of_rules() -> None:
    """A missing table, a lost connection, a rule by message alone, one by the class."""
    assert translated("42P01", "relation books is not there").context["table"] == "books"
    assert translated("08006", "gone").outcome == "unknown"
    assert translated("08006", "gone", ErrorSituation()).outcome is None
    assert translated("x", "check cheap").constraint == "cheap"
    assert type(translated(None, "overflow")) is OutOfRange


def test_what_no_rule_knows() -> None:
    """An error of the driver stays one of the database; what is not the driver's is not touched."""
    error = translated("x", "strange")
    assert type(error) is DatabaseError
    assert error.message == "acme: strange"
    dialect = AcmeDialect()
    assert dialect.translate_error(KeyError("x"), WRITING) is None
    assert type(dialect.translate_error(OverflowError(), WRITING)) is OutOfRange
    surrogate = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
    assert type(dialect.translate_error(surrogate, WRITING)) is InvalidValue


TABLE = """CREATE TABLE IF NOT EXISTS "books" (
  "id" BIGINT NOT NULL GENERATED BY DEFAULT AS IDENTITY,
  "co""de" VARCHAR(5) NOT NULL,
  "kind" VARCHAR NOT NULL DEFAULT 'b',
  "price" DECIMAL(10, 2) DEFAULT 1.50,
  "author_id" INTEGER,
  "at" TIMESTAMP,
  PRIMARY KEY ("id"),
  UNIQUE ("co""de"),
  CONSTRAINT "fk" FOREIGN KEY ("author_id") REFERENCES "authors" ("id") ON DELETE CASCADE,
  CONSTRAINT "cheap" CHECK ("price" < 100.00),
  CONSTRAINT "books_at_check" CHECK ("at" >= TIMESTAMP '2020-01-01 00:00:00.000000+00:00'),
  CONSTRAINT "books_kind_enum" CHECK ("kind" IN ('it''s', 'b'))
)"""


def test_tables_are_made_in_the_words_of_the_standard() -> None:
    """Columns, keys, checks and references of a model, quoted; then its indexes."""
    statements = AcmeDialect().ddl.compile(CreateTable(MODEL, MODEL.foreign_keys))
    assert statements[0] == TABLE
    assert statements[1:] == (
        'CREATE INDEX IF NOT EXISTS "index:books:kind" ON "books" ("kind")',
        'CREATE UNIQUE INDEX IF NOT EXISTS "unique:books:co""de,-price" ON "books"'
        ' ("co""de", "price" DESC)',
    )


class Columns:
    """A connection that answers a question about columns."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Sequence[Any]]] = []

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> list[tuple[str]]:
        """Note the question."""
        self.asked.append((sql, parameters))
        return [("id",), ("name",)]


async def test_columns_are_looked_up_in_the_information_schema() -> None:
    """The name of the table is bound, the answer keeps its order."""
    connection: Any = Columns()
    [table] = await AcmeDialect().read_tables(connection, ["books"])
    assert [column.name for column in table.columns] == ["id", "name"]
    [(sql, parameters)] = connection.asked
    assert "information_schema.columns" in sql
    assert parameters == ("books",)


@given(
    st.lists(
        st.decimals(
            allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9
        ),
        min_size=2,
    )
)
@pytest.mark.parametrize("precision", [18, 30])
def test_stored_decimals_sort_as_the_numbers(
    precision: int, numbers: list[decimal.Decimal]
) -> None:
    """Scaled integers and wide texts keep the order, and give the same numbers back."""
    codec = decimal_as_integer(Decimal(precision, 3))
    assert codec.encode is not None
    assert codec.decode is not None
    stored = [codec.encode(number) for number in numbers]
    assert [codec.decode(item) for item in sorted(stored)] == sorted(numbers)


def test_values_as_text_come_back() -> None:
    """Every codec gives back what it was given."""
    moment = dt.datetime(1, 1, 1, 0, 0, 0, 1, dt.UTC)
    for codec, value in (
        (TIMESTAMP_AS_TEXT, moment),
        (TIMESTAMP_WITHOUT_ZONE, moment),
        (DATE_AS_TEXT, dt.date(9999, 12, 31)),
        (TIME_AS_TEXT, dt.time(0, 0, 0, 5)),
        (UUID_AS_TEXT, Uuid().check("8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10", "x")),
        (BOOLEAN_AS_INTEGER, True),
        (JSON_AS_TEXT, {"ä": [1, None, {"b": 1.5}]}),
    ):
        assert codec.encode is not None
        assert codec.decode is not None
        assert codec.decode(codec.encode(value)) == value


DOCUMENT = Model("Doc", "docs", (ID, Field("d", Json(), "d", nullable=True)))
FILTERS: list[dict[str, Any]] = [
    {"d.a": 1},
    {"d.a": {"$gt": 0.5, "$lte": 2}},
    {"d.a.0": {"$in": [1, "x", True]}},
    {"d.tags": {"$all": ["x"]}},
    {"d.tags": {"$size": 2}},
    {"d.tags": {"$elemMatch": {"$gt": 1, "$lt": 5}}},
    {"d.t": {"$icontains": "ä"}},
    {"d.t": {"$regex": "^a.c$"}},
    {"d.a": {"$exists": False}},
    {"d.a": {"$not": {"$eq": 1}}},
]
DOCUMENTS: list[Any] = [
    None,
    {},
    {"a": 1},
    {"a": 1.0, "t": "xÄ"},
    {"a": [1, 2], "tags": ["x", 3]},
    {"a": True, "t": "abc", "tags": []},
    [1],
    5,
]


@pytest.mark.parametrize("document", FILTERS, ids=map(str, FILTERS))
def test_conditions_inside_json_mean_what_filters_mean(document: dict[str, Any]) -> None:
    """A leaf that is sent as text is tested by the very definition of filters."""
    bindings = Bindings()
    tree = parse_filter(document, Scope.of(DOCUMENT), bindings)
    values = bindings.values
    condition = json_condition(tree)
    operands = [json_operand(tree, slot)(values[slot.index]) for slot in json_operands(tree)]
    for value in DOCUMENTS:
        text = None if value is None else json.dumps(value)
        expected = matches(tree, {"d": value}, values)
        assert json_matches(text, condition, *operands) is expected, value


def test_patterns_inside_json_are_refused_if_they_could_run_for_ever() -> None:
    """They are tested by Python's engine, which backtracks."""
    bindings = Bindings()
    tree = parse_filter({"d.t": {"$regex": "(a+)+$"}}, Scope.of(DOCUMENT), bindings)
    assert isinstance(tree, Pattern)
    with pytest.raises(PatternRefused):
        json_operand(tree, tree.slot)(bindings.values[tree.slot.index])


def test_random_order_is_no_matter_for_operands() -> None:
    """Operands are numbered by their slots, whatever else the statement binds."""
    bindings = Bindings()
    wanted = list(range(20))
    random.Random(1).shuffle(wanted)
    tree = parse_filter({"$or": [{f"d.k{n}": n} for n in wanted]}, Scope.of(DOCUMENT), bindings)
    operands = [
        json_operand(tree, slot)(bindings.values[slot.index]) for slot in json_operands(tree)
    ]
    assert json_matches(json.dumps({"k7": 7}), json_condition(tree), *operands)
    assert not json_matches(json.dumps({"k7": 8}), json_condition(tree), *operands)
