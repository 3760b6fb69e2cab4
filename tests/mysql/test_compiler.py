from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.compile import Build
from dataflow_core.dialect import BaseDialect
from dataflow_core.errors import OutOfRange, UnsupportedFeature
from dataflow_core.features import FEATURES
from dataflow_core.filters import Bindings, Scope, parse_filter
from dataflow_core.operations import Delete, Update, Upsert
from dataflow_core.schema import Check, Field, Model
from dataflow_core.types import Boolean, Decimal, Float, Integer, Json, Text, Uuid
from dataflow_core.updates.parse import parse_update
from dataflow_mysql.compiler import MariaDBCompiler, MySQLCompiler
from dataflow_mysql.dialect import MariaDBDialect, MySQLDialect, OldMariaDBDialect


def column(name: str, kind: Any, **options: Any) -> Field:
    """A field whose column has its name."""
    return Field(name, kind, name, **options)


THING = Model(
    "Thing",
    "things",
    (
        column("id", Integer(), primary_key=True),
        column("a", Integer(), nullable=True),
        column("b", Integer(), nullable=True),
        column("t", Text(), nullable=True),
        column("doc", Json(), nullable=True),
    ),
)
COMPILER = MySQLCompiler(MySQLDialect.features)


def updated(document: Any, *, compiler: MySQLCompiler = COMPILER) -> str:
    """The statement of an update of the one row that a filter finds."""
    bindings = Bindings()
    predicate = parse_filter({"id": 1}, Scope.of(THING), bindings)
    parsed = parse_update(document, THING, bindings, now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
    operation = Update(THING, predicate, tuple(parsed.assignments), unique=True)
    statement = compiler.compile(operation).statement
    assert statement is not None
    return statement.sql


@pytest.mark.parametrize("dialect", [MySQLDialect, MariaDBDialect, OldMariaDBDialect])
def test_every_feature_is_declared(dialect: type[BaseDialect]) -> None:
    """No feature is left out, and few are beyond the server."""
    assert dialect.features.keys() == FEATURES.keys()
    off = [name for name, feature in dialect.features.items() if feature.level != "full"]
    of_tables = ["schema.partial_index", "schema.partitions", "schema.row_security"]
    assert off == [*of_tables, "connection.memory"]


def test_names_are_quoted() -> None:
    """A backtick is doubled; nothing else is special in a name."""
    assert COMPILER.quote('a`b"%s?') == '`a``b"%s?`'


def test_an_offset_needs_a_limit() -> None:
    """There is no sign for no limit, so the largest number stands for it."""
    assert COMPILER.paging(None, "5") == ["LIMIT 18446744073709551615", "OFFSET 5"]
    assert COMPILER.paging("1", None) == ["LIMIT 1"]
    assert COMPILER.paging(None, None) == []


def test_assignments_are_put_in_order() -> None:
    """What reads a field is assigned before that field is: the server goes from left to right."""
    text = updated({"$inc": {"a": 1}, "b": {"$add": ["$a", 1]}})
    assert text.index("`b` = ") < text.index("`a` = ")
    assert "JOIN" not in text


def test_assignments_in_a_circle_read_the_old_row() -> None:
    """Fields that read each other are computed from the row as it was, which is locked."""
    text = updated({"a": {"$add": ["$b", 1]}, "b": {"$add": ["$a", 1]}})
    assert "JOIN (SELECT `id` AS `__key0`, `a` AS `__value0`, `b` AS `__value1` FROM" in text
    assert "WHERE `id` = ? FOR UPDATE) AS `__old`" in text


def test_upserts_look_rows_up() -> None:
    """A duplicate of another unique key must not change that row, so rows are looked up first."""
    fields = THING.fields
    compiled = COMPILER.compile(Upsert(THING, fields[:4], fields[:2], fields[2:4], ()))
    assert compiled.only_inserts
    assert compiled.existing is not None
    assert "WHERE (`id`, `a`) IN ((?, ?), (?, ?)) FOR UPDATE" in compiled.existing.sql(2)
    assert compiled.changes is not None
    text = compiled.changes.sql(2)
    assert text.startswith("UPDATE `things` JOIN (SELECT ")
    assert "UNION ALL SELECT ?, ?, ?, ?) AS `__new`" in text
    assert "CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin AS `__value3`" in text


def test_a_delete_that_returns_wraps_its_limit() -> None:
    """One server takes no LIMIT in IN, so the two rows are found one level deeper."""
    bindings = Bindings()
    predicate = parse_filter({"a": 1}, Scope.of(THING), bindings)
    operation = Delete(THING, predicate, unique=False)
    maria = MariaDBCompiler(MySQLDialect.features).compile(operation).statement
    assert maria is not None
    assert "FROM (SELECT `id` FROM `things` WHERE `a` = ? LIMIT 2) AS `__found`" in maria.sql
    plain = COMPILER.compile(operation)
    assert plain.found is not None
    assert plain.found.sql.endswith("LIMIT 2 FOR UPDATE")


def test_a_check_does_not_look_into_arrays() -> None:
    """The server takes no subquery in a CHECK: refused by name, before any SQL."""
    with pytest.raises(UnsupportedFeature, match="no subquery"):
        COMPILER.literal_predicate(THING, {"doc.a": 1})
    assert "JSON_LENGTH" in COMPILER.literal_predicate(THING, {"doc.a": {"$size": 2}})
    assert Check("c", {"doc.a": {"$size": 2}}).name == "c"


def test_literals_do_not_depend_on_modes() -> None:
    """A backslash, a quote and an emoji read alike whatever the session's modes are."""
    assert COMPILER.literal("it's", None) == "'it''s'"
    assert COMPILER.literal("a\\b", None) == "CONVERT(UNHEX('615c62') USING utf8mb4)"
    assert COMPILER.literal("😀", None).startswith("CONVERT(UNHEX('f09f9880')")
    assert COMPILER.literal(True, None) == "1"
    assert COMPILER.literal(0.1, None) == "0.1e0"
    assert COMPILER.literal(1e300, None) == "1e+300"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Text(), "? COLLATE utf8mb4_0900_bin"),
        (Uuid(), "CONVERT(? USING ascii) COLLATE ascii_bin"),
        (Integer(), "CAST(? AS SIGNED)"),
        (Boolean(), "CAST(? AS SIGNED)"),
        (Decimal(38, 0), "CAST(? AS DECIMAL(38,0))"),
        (Decimal(38, 2), "?"),
        (Float(), "?"),
    ],
)
def test_literals_have_their_types(kind: Any, text: str) -> None:
    """A literal says its type where its own text does not; an int could be a position."""
    assert COMPILER.typed("?", kind) == text


def test_digits_that_the_server_does_not_keep_are_refused() -> None:
    """A product with more digits after the point than the server has is not rounded silently."""
    kind = Decimal(38, 36)
    sides = [("a", Decimal(38, 18)), ("b", Decimal(38, 18))]
    with pytest.raises(UnsupportedFeature, match="at most 30 digits"):
        COMPILER.multiply(sides, kind)
    assert MariaDBCompiler({}).multiply(sides, kind) == "(a * b)"


def test_a_build_writes_the_path_as_json_does() -> None:
    """Names in a path are quoted, whatever they hold."""
    bindings = Bindings()
    scope = Scope.of(THING)
    predicate = parse_filter({"doc.x y.0": {"$exists": True}}, scope, bindings)
    text = COMPILER.predicate(predicate, Build(COMPILER))
    assert """'$."x y"[0]'""" in text
    assert """JSON_TYPE(JSON_EXTRACT(`doc`, '$."x y"')) IN ('ARRAY'""" in text


# On the server


@pytest.fixture
async def db(mysql_url: str) -> Any:
    """An instance whose connection compares text in a way of its own."""
    url = f"{mysql_url}{'&' if '?' in mysql_url else '?'}collation=utf8mb4_unicode_ci"
    async with DataFlow(url) as instance:

        @instance.model
        class Row:
            a: int | None
            b: int | None
            c: int | None
            d: int | None
            x: float | None
            doc: dict | None

        yield instance


async def test_updates_read_the_old_row(db: DataFlow, seed: int) -> None:
    """Random assignments that read each other give what each gives of the row as it was."""
    rng = random.Random(seed)
    names = "abcd"
    for _ in range(60):
        old = {name: rng.choice((None, rng.randint(-9, 9))) for name in names}
        made = await db.run("RowCreateNode", **old)
        fields, expected = {}, dict(old)
        for name in rng.sample(names, rng.randint(1, 4)):
            one, other = rng.choice(names), rng.choice(names)
            fields[name] = {"$subtract": [f"${one}", f"${other}"]}
            left, right = old[one], old[other]
            expected[name] = None if left is None or right is None else left - right
        changed = await db.run("RowUpdateNode", filter={"id": made["id"]}, fields=fields)
        assert {name: changed["result"][name] for name in names} == expected
        await db.run("RowBulkUpdateNode", filter={"id": made["id"]}, fields={"$rename": {"a": "b"}})
        [row] = (await db.run("RowListNode", filter={"id": made["id"]}))["result"]
        kept = expected["b"] if expected["a"] is None else expected["a"]
        assert (row["a"], row["b"]) == (None, kept)


@pytest.mark.parametrize(
    ("operator", "operand", "found"),
    [
        ("$eq", 2**53, [1, 3]),
        ("$eq", float(2**53), [1, 3]),
        ("$eq", 2**53 + 1, [2]),
        ("$gt", float(2**53), [2, 4]),
        ("$gte", 2**53 + 1, [2, 4]),
        ("$lt", 2**53 + 1, [1, 3, 5]),
        ("$lte", 1.5, [5]),
        ("$in", [2**53 + 1, 1e300], [2, 4]),
        ("$in", [True, "1"], [6, 7]),
    ],
)
async def test_numbers_in_json_are_compared_exactly(
    db: DataFlow, operator: str, operand: Any, found: list[int]
) -> None:
    """Ints beyond 2**53 and floats are what they are, and a bool or a text is no number."""
    values = [2**53, 2**53 + 1, float(2**53), 1e300, 1, True, "1"]
    for number, value in enumerate(values, 1):
        await db.run("RowCreateNode", id=number, doc={"v": value, "list": [[value], value]})
    for path in ("doc.v", "doc.list"):
        listed = await db.run("RowListNode", filter={path: {operator: operand}})
        assert [row["id"] for row in listed["result"]] == found


async def test_lists_are_not_cut(db: DataFlow) -> None:
    """A list that the server would cut short is an error, not a shorter list."""
    rows = [{"a": number, "x": -1.2345678901234567e-300 * number} for number in range(1, 300)]
    await db.run("RowBulkCreateNode", data=rows)
    group = {"_id": None, "all": {"$push": "$x"}, "set": {"$addToSet": "$x"}}
    [whole] = (await db.run("RowListNode", aggregate=[{"$group": group}]))["result"]
    assert whole["all"] == [row["x"] for row in rows]
    assert whole["set"] == sorted(whole["all"])
    for accumulator in ("$push", "$addToSet", "$median"):
        stage = {"$group": {"_id": None, "made": {accumulator: "$x"}}}
        with pytest.raises(OutOfRange):
            async with db.transaction():
                await db.run("SQLNode", sql="SET SESSION group_concat_max_len = 1000")
                await db.run("RowListNode", aggregate=[stage])


async def test_arithmetic_at_the_limits(db: DataFlow) -> None:
    """Where one server or another errs: differences and products that just fit or just do not."""
    await db.run("RowCreateNode", id=1, a=0, b=-(2**63), c=2**62, d=-1, x=1.7e308)

    async def computed(expression: Any) -> Any:
        stages = [{"$project": {"v": expression}}]
        [row] = (await db.run("RowListNode", aggregate=stages))["result"]
        return row["v"]

    assert await computed({"$subtract": ["$d", "$b"]}) == 2**63 - 1
    assert await computed({"$multiply": ["$c", "$d"]}) == -(2**62)
    assert await computed({"$mod": ["$b", "$d"]}) == 0
    for expression in (
        {"$subtract": ["$a", "$b"]},
        {"$multiply": ["$b", "$d"]},
        {"$abs": "$b"},
        {"$add": ["$c", "$c"]},
        {"$multiply": ["$x", 10.0]},
    ):
        with pytest.raises(OutOfRange):
            await computed(expression)


async def test_deviations_of_large_floats(db: DataFlow) -> None:
    """A variance that fits is found, however large; one that does not is an error, not NULL."""

    async def computed(values: list[float], function: str) -> float:
        await db.run("RowBulkDeleteNode", filter={}, allow_all=True)
        await db.run("RowBulkCreateNode", data=[{"x": value} for value in values])
        stage = {"$group": {"_id": None, "v": {function: "$x"}}}
        [row] = (await db.run("RowListNode", aggregate=[stage]))["result"]
        return float(row["v"])

    assert await computed([1e154, -1e154], "$stdDevPop") == pytest.approx(1e154)
    assert await computed([3.0, 1.0], "$stdDevSamp") == pytest.approx(2**0.5)
    assert await computed([1e-140, -1e-140], "$stdDevPop") == pytest.approx(1e-140)
    assert await computed([5e-324], "$median") == 5e-324
    assert await computed([1.7e308, 1.7e308], "$median") == 1.7e308
    for values in ([1.7e308, -1.7e308, 1.0], [1e160, 2.0]):
        for function in ("$stdDevPop", "$stdDevSamp"):
            with pytest.raises(OutOfRange):
                await computed(values, function)


async def test_years_are_signed(db: DataFlow) -> None:
    """A difference that is less than 0 is no error, though the server's years are unsigned."""
    stages: list[Any] = [{"$project": {"v": {"$subtract": [{"$year": "$created_at"}, 9999]}}}]
    await db.run("RowCreateNode", a=1)
    [row] = (await db.run("RowListNode", aggregate=stages))["result"]
    assert row["v"] == dt.datetime.now(dt.UTC).year - 9999


async def test_sums_of_floats_do_not_overflow_inside(db: DataFlow) -> None:
    """Only the result has to fit, and large ones that cancel out leave the small ones."""
    values = [1.7e308, 1.7e308, -1.7e308, -1.7e308, 1e22, -1e22, 2.5, 5e-324]
    await db.run("RowBulkCreateNode", data=[{"x": value} for value in values])
    group = {"_id": None, "sum": {"$sum": "$x"}, "avg": {"$avg": "$x"}}
    [row] = (await db.run("RowListNode", aggregate=[{"$group": group}]))["result"]
    assert (row["sum"], row["avg"]) == (2.5, 2.5 / 8)
    await db.run("RowBulkCreateNode", data=[{"x": 1.7e308}] * 2)
    with pytest.raises(OutOfRange):
        await db.run("RowListNode", aggregate=[{"$group": {"_id": None, "s": {"$sum": "$x"}}}])
