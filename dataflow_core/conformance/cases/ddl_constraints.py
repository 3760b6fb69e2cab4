"""Constraints of tables that are made: each that is declared bites, under any name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.cases.ddl import model_class
from dataflow_core.conformance.registry import case
from dataflow_core.errors import (
    CheckViolation,
    ForeignKeyViolation,
    OutOfRange,
    UniqueViolation,
    ValueTooLong,
)
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_NAMES: Final = "identifiers"
_FOREIGN: Final = "constraints.foreign_key"
_CHECK: Final = "constraints.check"

_CHECKS: Final[tuple[tuple[str, Any, dict[str, Any], Any, Any], ...]] = (
    ("gte", int, {"$gte": 0}, 0, -1),
    ("between", int, {"$between": [1, 5]}, 5, 6),
    ("in", str, {"$in": ["a", "b's"]}, "b's", "B's"),
    ("nin", str, {"$nin": ["x"]}, "X", "x"),
    ("ne", int, {"$ne": 3}, 4, 3),
    ("not", int, {"$not": {"$gt": 3}}, 3, 4),
    ("like", str, {"$like": "a%"}, "ab", "Ab"),
    ("starts", str, {"$startswith": "10%"}, "10%x", "10x"),
    ("length", str, {"$ne": ""}, " ", ""),
    ("mod", int, {"$mod": [5, 0]}, 10, 11),
)


@case("ddl.check.operators", feature=_CHECK, also=("filters.modulo",), since="0.2")
async def check_operators(session: Session) -> None:
    """A check with any operator lets a good value and NULL pass, and stops a bad one."""
    for name, annotation, condition, good, bad in _CHECKS:
        cls = model_class(
            f"Check{name.title()}",
            {"id": int, "v": annotation | None},
            v=field(default=None, check=condition),
        )
        model = session.model(cls)
        await session.load(model, [{"id": 1, "v": good}])
        calls: tuple[tuple[str, dict[str, Any]], ...] = (
            ("Create", {"id": 2, "v": bad}),
            ("Update", {"id": 1, "fields": {"v": bad}}),
            ("BulkCreate", {"data": [{"id": 2, "v": good}, {"id": 3, "v": bad}]}),
            ("BulkUpdate", {"filter": {"id": 1}, "fields": {"v": bad}}),
            ("Upsert", {"id": 1, "v": bad}),
        )
        for kind, parameters in calls:
            call = partial(session.run, model, kind, **parameters)
            await session.expect_error(CheckViolation, call, table=model.table, outcome="not done")
        session.equal([row["v"] for row in await session.rows(model)], [good], name)


@case("ddl.check.several", feature=_CHECK, since="0.2")
async def check_several(session: Session) -> None:
    """Of several checks, of fields and of the model, each bites and is named in the error."""
    cls = model_class(
        "Several",
        {"id": int, "a": int | None, "b": int | None, "c": str | None},
        a=field(default=None, check={"$gte": 0}),
        b=field(default=None, check={"$lt": 100}),
        c=None,
        options={
            "checks": {
                "some_of_both": {"$or": [{"a": {"$gt": 0}}, {"b": {"$gt": 0}}]},
                "c_where_a": {"$or": [{"a": {"$lt": 10}}, {"c": {"$exists": True}}]},
            }
        },
    )
    model = session.model(cls)
    good = {"id": 1, "a": 1, "b": 1, "c": None}
    await session.load(model, [good])
    for changed, named in (
        ({"a": -1}, ""),
        ({"b": 100}, ""),
        ({"a": 0, "b": 0}, "some_of_both"),
        ({"a": 10}, "c_where_a"),
    ):
        call = partial(session.run, model, "Create", **{**good, "id": 2, **changed})
        error: Any = await session.expect_error(CheckViolation, call, table=model.table)
        session.true(named in str(error.constraint), f"{changed}: it names {error.constraint}")
    session.equal(await session.rows(model), [good])


@case("ddl.sizes", feature="constraints.errors", since="0.2")
async def sizes(session: Session) -> None:
    """The declared sizes bite: also for values that only the database gets to see."""
    cls = model_class(
        "Sized",
        {"id": int, "t": str | None, "n": int | None},
        t=field(default=None, max_length=5),
        n=field(default=None, bits=32),
    )
    model = session.model(cls)
    await session.load(model, [{"id": 1, "t": "😀" * 5, "n": 2**31 - 1}])
    longer = {"t": {"$concat": ["$t", "x"]}}
    await session.expect_error(
        ValueTooLong, partial(session.run, model, "Update", id=1, fields=longer)
    )
    call = partial(session.run, model, "Update", id=1, fields={"$inc": {"n": 1}})
    await session.expect_error(OutOfRange, call)
    [row] = await session.rows(model)
    session.equal((row["t"], row["n"]), ("😀" * 5, 2**31 - 1))


@case("ddl.names.alike", feature=_NAMES, also=(_FOREIGN, _CHECK), since="0.2")
async def names_alike(session: Session) -> None:
    """Two tables may name their checks and references alike: all of them bite."""
    table = f"alike {session.token}"
    target = session.model(model_class("Target", {"id": int}, options={"table": table}))
    await session.load(target, [{"id": 1}])
    for number in range(2):
        reference = {
            "columns": ["t"],
            "references": table,
            "target_columns": ["id"],
            "name": f"to_target {session.token[:8]}",
        }
        cls = model_class(
            f"Alike{number}",
            {"id": int, "t": int | None, "n": int},
            t=None,
            n=0,
            options={"checks": {"n_is_small": {"n": {"$lt": 10}}}, "foreign_keys": [reference]},
        )
        model = session.model(cls)
        await session.load(model, [{"id": 1, "t": 1, "n": 9}])
        for error, values in ((CheckViolation, {"n": 10}), (ForeignKeyViolation, {"t": 2})):
            call = partial(session.run, model, "Create", id=2, **values)
            await session.expect_error(error, call, table=model.table)


_ODD: Final = ('a "quoted" one', "it's", "100% `x`", "sélect", "from", "x" * 63, "\\n", "a;b--c")


@case(
    "ddl.names.constraints",
    feature=_NAMES,
    since="0.2",
    also=("constraints.foreign_key", "constraints.check"),
)
async def odd_names(session: Session) -> None:
    """Constraints on fields of any name are made, bite, and give the names back as they are."""
    for number, name in enumerate(_ODD):
        parent = session.model(
            model_class(
                f"OddParent{number}", {name: int, "t": str}, t="", **{name: field(primary_key=True)}
            )
        )
        child = session.model(
            model_class(
                f"OddChild{number}",
                {"id": int, name: int | None, f"u{name[:60]}": int | None},
                options={"indexes": [[name, "id"]]},
                **{
                    name: field(
                        default=None,
                        references=f"OddParent{number}.{name}",
                        index=True,
                        check={"$gte": 0},
                    ),
                    f"u{name[:60]}": field(default=None, unique=True),
                },
            )
        )
        unique = f"u{name[:60]}"
        await session.load(parent, [{name: 1}])
        await session.load(child, [{"id": 1, name: 1, unique: 1}])
        for error, values, columns in (
            (ForeignKeyViolation, {name: 2}, (name,)),
            (UniqueViolation, {unique: 1}, (unique,)),
        ):
            call = partial(session.run, child, "Create", values={"id": 2, **values})
            await session.expect_error(error, call, columns=columns, table=child.table)
        call = partial(session.run, child, "Create", values={"id": 2, name: -1})
        await session.expect_error(CheckViolation, call, table=child.table)
        session.equal(len(await session.rows(child)), 1, name)


@case("ddl.names.longest", feature=_NAMES, since="0.2")
async def longest_names(session: Session) -> None:
    """Names of 63 bytes that differ in the last one are kept apart: tables, fields, constraints."""
    stem = f"n{session.token}".ljust(62, "x")
    models = []
    for end in "ab":
        one, two = "f" * 62 + "a", "f" * 62 + "b"
        cls = model_class(
            f"Longest{end.upper()}",
            {"id": int, one: int | None, two: int | None},
            options={
                "table": stem + end,
                "unique": [[one, two]],
                "indexes": [[one], [two], ["-" + one, two]],
                "checks": {"c" * 62 + "a": {one: {"$gte": 0}}, "c" * 62 + "b": {two: {"$gte": 0}}},
            },
            **{one: field(default=None, unique=True), two: field(default=None, index=True)},
        )
        models.append(session.model(cls))
    for model in models:
        await session.load(model, [{"id": 1, one: 1, two: 1}])
        for error, values in (
            (UniqueViolation, {one: 1, two: 2}),
            (CheckViolation, {one: -1}),
            (CheckViolation, {two: -1}),
        ):
            call = partial(session.run, model, "Create", values={"id": 2, **values})
            await session.expect_error(error, call, table=model.table)
        await session.run(model, "Create", values={"id": 2, one: 2, two: 1})
        session.equal((await session.run(model, "Count", filter={}))["count"], 2)


@case("ddl.foreign_key.text", feature=_FOREIGN, since="0.2")
async def foreign_text(session: Session) -> None:
    """A reference to a text key compares by code point, as the key itself does."""
    country = session.model(model_class("Country", {"id": str, "n": int}, n=0))
    city = session.model(
        model_class(
            "City",
            {"id": int, "country": str | None},
            country=field(default=None, references="Country.id", on_delete="cascade"),
        )
    )
    await session.load(country, [{"id": "de"}, {"id": "DE"}, {"id": "dé"}])
    await session.load(city, [{"id": 1, "country": "de"}, {"id": 2, "country": "DE"}])
    for wrong in ("De", "de ", "dE", "d"):
        call = partial(session.run, city, "Create", id=3, country=wrong)
        await session.expect_error(ForeignKeyViolation, call, side="child", columns=("country",))
    await session.run(country, "Delete", id="DE")
    session.equal([row["id"] for row in await session.rows(city)], [1])


@case("ddl.foreign_key.unique", feature=_FOREIGN, since="0.2")
async def foreign_unique(session: Session) -> None:
    """A reference may lead to a unique field that is no key."""
    owner = session.model(model_class("Owner", {"id": int, "code": int}, code=field(unique=True)))
    thing = session.model(
        model_class("Thing", {"id": int, "code": int}, code=field(references="Owner.code"))
    )
    await session.load(owner, [{"id": 1, "code": 70}])
    await session.load(thing, [{"id": 1, "code": 70}])
    await session.expect_error(
        ForeignKeyViolation, partial(session.run, thing, "Create", id=2, code=1), side="child"
    )
    await session.expect_error(
        ForeignKeyViolation, partial(session.run, owner, "Delete", id=1), side="parent"
    )


@case("ddl.foreign_key.itself", feature=_FOREIGN, since="0.2")
async def foreign_itself(session: Session) -> None:
    """A table may refer to itself, and a deletion runs down the whole tree."""
    tree = session.model(
        model_class(
            "Branch",
            {"id": int, "parent": int | None},
            parent=field(default=None, references="Branch.id", on_delete="cascade"),
        )
    )
    rows = [{"id": 1, "parent": None}, *({"id": n, "parent": n // 2} for n in range(2, 16))]
    await session.run(tree, "BulkCreate", data=rows)
    call = partial(session.run, tree, "Create", id=99, parent=98)
    await session.expect_error(ForeignKeyViolation, call, columns=("parent",))
    await session.run(tree, "Delete", id=2)
    session.equal([row["id"] for row in await session.rows(tree)], [1, 3, 6, 7, 12, 13, 14, 15])


@case("ddl.foreign_key.chain", feature=_FOREIGN, since="0.2")
async def foreign_chain(session: Session) -> None:
    """Tables that refer to each other in a chain are made in order; actions run through them."""
    # Declared backwards: what is referred to comes last.
    leaf = session.model(
        model_class(
            "Leaf",
            {"id": int, "twig_id": int | None},
            twig_id=field(default=None, references="Twig.id", on_delete="set_null"),
        )
    )
    twig = session.model(
        model_class(
            "Twig",
            {"id": int, "stem_id": int},
            stem_id=field(references="Stem.id", on_delete="cascade"),
        )
    )
    stem = session.model(model_class("Stem", {"id": int}))
    call = partial(session.run, leaf, "Create", id=1, twig_id=1)
    await session.expect_error(ForeignKeyViolation, call, side="child")
    await session.load(stem, [{"id": 1}, {"id": 2}])
    await session.load(twig, [{"id": 1, "stem_id": 1}, {"id": 2, "stem_id": 2}])
    await session.load(leaf, [{"id": n, "twig_id": n % 2 + 1} for n in range(1, 5)])
    await session.run(stem, "Delete", id=1)
    session.equal(await session.rows(twig), [{"id": 2, "stem_id": 2}])
    session.equal([row["twig_id"] for row in await session.rows(leaf)], [2, None, 2, None])


@case("ddl.foreign_key.composite", feature=_FOREIGN, since="0.2")
async def foreign_composite(session: Session) -> None:
    """A reference of several columns holds as a whole; a NULL in it refers to nothing."""
    table = f"places {session.token}"
    place = session.model(
        model_class(
            "Place",
            {"row": int, "seat": str},
            seat=field(max_length=50),
            options={"primary_key": ["row", "seat"], "table": table},
        )
    )
    ticket = session.model(
        model_class(
            "Ticket",
            {"id": int, "row": int | None, "seat": str | None},
            row=None,
            seat=field(default=None, max_length=50),
            options={
                "foreign_keys": [
                    {
                        "columns": ["row", "seat"],
                        "references": table,
                        "target_columns": ["row", "seat"],
                        "on_delete": "cascade",
                    }
                ]
            },
        )
    )
    await session.load(place, [{"row": 1, "seat": "a"}, {"row": 2, "seat": "b"}])
    await session.load(
        ticket,
        [{"id": 1, "row": 1, "seat": "a"}, {"id": 2, "row": 1}, {"id": 3, "row": 2, "seat": "b"}],
    )
    for row, seat in ((1, "b"), (2, "a"), (3, "c")):
        call = partial(session.run, ticket, "Create", id=9, row=row, seat=seat)
        await session.expect_error(ForeignKeyViolation, call, side="child", columns=("row", "seat"))
    await session.run(place, "Delete", row=1, seat="a")
    session.equal([row["id"] for row in await session.rows(ticket)], [2, 3])
