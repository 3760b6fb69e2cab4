"""Relations: their names, ``include``, and filters through them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from dataflow_core.conformance.oracle import Oracle
from dataflow_core.conformance.registry import case, register
from dataflow_core.errors import (
    ConflictingParameters,
    DataFlowError,
    InvalidFilter,
    LimitExceeded,
    UnknownField,
)
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session
    from dataflow_core.schema import Model

__all__ = ["FLIGHTS", "Fleet", "fleet"]

_RELATIONS: Final = "relations"
_SINCE: Final = "0.3"


class Maker:
    """Who makes planes."""

    id: int
    name: str | None


class Plane:
    """A plane, perhaps of a known maker."""

    tail: str = field(primary_key=True, max_length=10)
    year: int | None
    doc: dict[str, Any] | None
    maker_id: int | None = field(default=None, references="Maker.id")


class Airport:
    """Two keys of a flight lead here."""

    code: str = field(primary_key=True, max_length=3)
    city: str | None


class Flight:
    """A flight, perhaps of a known plane, perhaps after another one."""

    id: int
    tail: str | None = field(default=None, references="Plane.tail", max_length=10)
    origin: str = field(references="Airport.code", max_length=3)
    dest: str = field(references="Airport.code", max_length=3)
    miles: int
    previous_id: int | None = field(default=None, references="Flight.id", on_delete="set_null")


MAKERS: Final[list[dict[str, Any]]] = [{"id": 1, "name": "Boeing"}, {"id": 2, "name": None}]
PLANES: Final[list[dict[str, Any]]] = [
    {"tail": "N1", "year": 2000, "doc": {"seats": [1, 2]}, "maker_id": 1},
    {"tail": "N2", "year": None, "doc": None, "maker_id": 2},
    {"tail": "n1", "year": 2010, "doc": None, "maker_id": None},
    {"tail": "N4", "year": 2000, "doc": None, "maker_id": 1},
]
AIRPORTS: Final[list[dict[str, Any]]] = [
    {"code": "JFK", "city": "New York"},
    {"code": "LAX", "city": None},
]
FLIGHTS: Final[list[dict[str, Any]]] = [
    {"id": 1, "tail": "N1", "origin": "JFK", "dest": "LAX", "miles": 500, "previous_id": None},
    {"id": 2, "tail": "N1", "origin": "LAX", "dest": "JFK", "miles": 1500, "previous_id": 1},
    {"id": 3, "tail": "N2", "origin": "JFK", "dest": "JFK", "miles": 10, "previous_id": 2},
    {"id": 4, "tail": None, "origin": "JFK", "dest": "LAX", "miles": 1, "previous_id": 1},
    {"id": 5, "tail": "n1", "origin": "LAX", "dest": "LAX", "miles": 700, "previous_id": None},
]


@frozen
class Fleet:
    """The models of a case with their rows, and what the evaluator says of them."""

    session: Session
    models: Mapping[str, Model]
    oracles: Mapping[str, Oracle]

    async def filter(self, name: str, document: Any, keys: Sequence[Any]) -> None:
        """List, count and complement agree with the evaluator, and that with ``keys``."""
        session, model, oracle = self.session, self.models[name], self.oracles[name]
        [key] = model.key_names
        meant = [row[key] for row in oracle.matching(document)]
        session.equal(meant, list(keys), f"the evaluator, filter {document!r}")
        await session.expect_list(model, document, meant)
        rest = [row[key] for row in oracle.all_rows() if row[key] not in meant]
        await session.expect_list(model, {"$nor": [document]}, rest)
        counted = await session.run(model, "Count", filter=document)
        session.equal(counted["count"], len(meant), f"count of {document!r}")

    async def pipeline(self, name: str, pipeline: Any, expected: Any) -> None:
        """A pipeline gives what the evaluator gives, and that is ``expected``."""
        session = self.session
        session.equal(self.oracles[name].aggregate(pipeline), expected, "the evaluator")
        found = await session.run(self.models[name], "List", aggregate=pipeline)
        session.equal(found["result"], expected, f"pipeline {pipeline!r}")

    async def run(self, name: str, kind: str, /, **parameters: Any) -> dict[str, Any]:
        """Run a node of a model."""
        return await self.session.run(self.models[name], kind, **parameters)


async def fleet(session: Session) -> Fleet:
    """Register the models and store their rows."""
    data: Sequence[tuple[type, Sequence[dict[str, Any]]]] = (
        (Maker, MAKERS),
        (Airport, AIRPORTS),
        (Plane, PLANES),
        (Flight, FLIGHTS),
    )
    models, oracles = {}, {}
    for cls, _ in data:
        models[cls.__name__] = session.model(cls)
    for cls, rows in data:
        await session.load(models[cls.__name__], rows)
        oracle = oracles[cls.__name__] = Oracle(models[cls.__name__])
        oracle.load(rows)
    for name, oracle in oracles.items():
        oracle.others |= {other: found for other, found in oracles.items() if other != name}
    return Fleet(session, models, oracles)


_FILTERS: Final[tuple[tuple[str, str, Any, list[Any], str], ...]] = (
    ("value", "Flight", {"plane.year": 2000}, [1, 2],
     "A dotted name leads to a field of the related row."),
    ("null", "Flight", {"plane.year": None}, [3, 4],
     "Null holds of a related row's null, and of a row without a related one."),
    ("ne", "Flight", {"plane.year": {"$ne": 2000}}, [3, 4, 5],
     "$ne is the complement: rows without a related row are in it."),
    ("nin", "Flight", {"plane.year": {"$nin": [2000, None]}}, [5],
     "$nin with null leaves rows without a related row out."),
    ("gt", "Flight", {"plane.year": {"$gt": 1999, "$lt": 2005}}, [1, 2], "Operators combine."),
    ("exact", "Flight", {"plane.tail": "N1"}, [1, 2], "Keys are equal by code point."),
    ("text", "Flight", {"plane.maker.name": {"$startswith": "Bo"}}, [1, 2],
     "Names lead over several relations."),
    ("deep_null", "Flight", {"plane.maker.name": None}, [3, 4, 5],
     "Null over several relations: one of them leads nowhere, or the value is null."),
    ("deep_not", "Flight", {"plane.maker.name": {"$not": {"$startswith": "Bo"}}}, [3, 4, 5],
     "$not over several relations is the complement."),
    ("json", "Flight", {"plane.doc.seats": 2}, [1, 2],
     "A name leads through a relation into a JSON document."),
    ("or", "Flight", {"$or": [{"plane.year": 2010}, {"miles": 10}]}, [3, 5],
     "Relations stand within $or beside fields."),
    ("two_keys", "Flight", {"origin_airport.city": "New York", "dest_airport.city": None}, [1, 4],
     "Two keys to one model are two relations, named by their fields."),
    ("itself", "Flight", {"previous.miles": {"$gte": 500}}, [2, 3, 4],
     "A relation leads to the same table."),
    ("itself_twice", "Flight", {"previous.previous.miles": 500}, [3],
     "A relation to the same table may be followed twice."),
    ("missing", "Flight", {"plane": None}, [4], "Null of a relation: there is no related row."),
    ("exists", "Flight", {"plane": {"$exists": True}}, [1, 2, 3, 5],
     "$exists of a relation: there is a related row."),
    ("many", "Plane", {"flights.miles": {"$gt": 600}}, ["N1", "n1"],
     "A condition on many rows holds if any of them passes."),
    ("many_null", "Plane", {"flights.previous_id": None}, ["N1", "N4", "n1"],
     "Null on many rows: there is none, or one has null there."),
    ("many_each", "Plane", {"flights.miles": 500, "flights.origin": "LAX"}, ["N1"],
     "Two conditions on many rows may hold of two rows."),
    ("many_one", "Plane", {"flights": {"$elemMatch": {"miles": 500, "origin": "LAX"}}}, [],
     "$elemMatch: one row passes all conditions."),
    ("many_document", "Plane",
     {"flights": {"$elemMatch": {"$or": [{"miles": 10}, {"dest_airport.city": "New York"}]}}},
     ["N1", "N2"], "$elemMatch takes a whole filter, with relations in it."),
    ("many_none", "Plane", {"flights": {"$exists": False}}, ["N4"],
     "$exists False of many rows: there is none."),
    ("many_not", "Plane", {"flights": {"$not": {"$elemMatch": {"miles": {"$gt": 600}}}}},
     ["N2", "N4"], "$not $elemMatch: no row passes."),
    ("many_ways", "Airport", {"flights_by_dest.plane.maker.name": "Boeing"}, ["JFK", "LAX"],
     "The way back of two keys is named by the field."),
    ("there_and_back", "Flight", {"plane.flights.miles": 1500}, [1, 2],
     "A filter may lead to another model and back."),
)  # fmt: skip


def _filter(name: str, document: Any, keys: list[Any]) -> Callable[[Session], Awaitable[None]]:
    async def check(session: Session) -> None:
        await (await fleet(session)).filter(name, document, keys)

    return check


for _id, _name, _document, _keys, _rule in _FILTERS:
    register(
        f"relations.filter.{_id}",
        _filter(_name, _document, _keys),
        feature=_RELATIONS,
        rule=_rule,
        since=_SINCE,
    )


@case("relations.include.one", feature=_RELATIONS, since=_SINCE)
async def include_one(session: Session) -> None:
    """Each row of a list has the related row under the relation's name, or None."""
    world = await fleet(session)
    planes = {row["tail"]: row for row in PLANES}
    found = await world.run("Flight", "List", include=["plane"])
    expected = [{**row, "plane": planes.get(row["tail"])} for row in FLIGHTS]
    session.equal(found["result"], expected)


@case("relations.include.many", feature=_RELATIONS, since=_SINCE)
async def include_many(session: Session) -> None:
    """A relation to many rows gives a list of them by key, which may be empty."""
    world = await fleet(session)
    found = await world.run("Plane", "List", include=["flights"], select=["year"])
    session.equal(
        [[flight["id"] for flight in row["flights"]] for row in found["result"]],
        [[1, 2], [3], [], [5]],
    )
    session.equal([sorted(row) for row in found["result"]], [["flights", "year"]] * 4)


@case("relations.include.nested", feature=_RELATIONS, since=_SINCE)
async def include_nested(session: Session) -> None:
    """Dotted names give rows within rows, each relation in one statement for all rows."""
    world = await fleet(session)
    names = ["plane.maker", "previous", "origin_airport"]
    await world.run("Flight", "List", include=names)
    before = session.database.statements
    found = (await world.run("Flight", "List", include=names, order_by=["-id"]))["result"]
    session.equal(session.database.statements - before, 5, "statements")
    session.equal(found[3]["plane"], {**PLANES[0], "maker": MAKERS[0]})
    session.equal(found[0]["plane"]["maker"], None)
    session.equal((found[1]["plane"], found[1]["previous"]), (None, FLIGHTS[0]))
    session.equal(found[1]["origin_airport"], AIRPORTS[0])


@case("relations.include.read", feature=_RELATIONS, since=_SINCE)
async def include_read(session: Session) -> None:
    """A read gives related rows beside the fields, by key and by filter."""
    world = await fleet(session)
    for asked in ({"id": 2}, {"filter": {"miles": 1500}}):
        found = await world.run("Flight", "Read", **asked, include=["plane"], select=["id"])
        session.equal(found["result"], {"id": 2, "plane": PLANES[0]})
        session.equal(found["plane"], PLANES[0])


@case("relations.include.pages", feature=_RELATIONS, also=("paging",), since=_SINCE)
async def include_pages(session: Session) -> None:
    """Pages by cursor have related rows, also where neither key nor order was selected."""
    world = await fleet(session)
    asked = {"include": ["plane"], "select": ["origin"], "order_by": ["-miles"], "limit": 2}
    first = await world.run("Flight", "List", **asked)
    second = await world.run("Flight", "List", **asked, cursor=first["next_cursor"])
    session.equal(
        [row["plane"]["tail"] for row in (*first["result"], *second["result"])],
        ["N1", "n1", "N1", "N2"],
    )
    session.equal(sorted(second["result"][0]), ["origin", "plane"])


@case("relations.include.transaction", feature=_RELATIONS, also=("transactions",), since=_SINCE)
async def include_transaction(session: Session) -> None:
    """In a transaction, related rows are those that the transaction sees."""
    world = await fleet(session)
    async with session.db.transaction():
        await world.run("Plane", "Update", tail="N1", fields={"year": 1})
        row = await world.run("Flight", "Read", id=1, include=["plane"])
        session.equal(row["plane"]["year"], 1)


@case("relations.include.apart", feature=_RELATIONS, since=_SINCE)
async def include_apart(session: Session) -> None:
    """Rows that have the same related row do not share it."""
    world = await fleet(session)
    first, second = (await world.run("Flight", "List", include=["plane"], limit=2))["result"]
    first["plane"]["doc"]["seats"].append(3)
    session.equal(second["plane"], PLANES[0] | {"doc": {"seats": [1, 2]}})


@case("relations.update", feature=_RELATIONS, also=("write.bulk_update",), since=_SINCE)
async def update_through(session: Session) -> None:
    """Updates go by filters through relations, also to the table that they change."""
    world = await fleet(session)
    done = await world.run(
        "Flight", "BulkUpdate", filter={"plane.maker.name": "Boeing"}, fields={"miles": 9}
    )
    session.equal(done["matched"], 2)
    done = await world.run(
        "Flight", "BulkUpdate", filter={"previous.miles": 9}, fields={"$inc": {"miles": 1}}
    )
    session.equal(done["matched"], 3)
    rows = await session.rows(world.models["Flight"])
    session.equal([row["miles"] for row in rows], [9, 10, 11, 2, 700])
    one = await world.run(
        "Flight", "Update", filter={"previous.previous.miles": 9}, fields={"miles": 0}
    )
    session.equal((one["id"], one["miles"]), (3, 0))
    one = await world.run("Flight", "Update", filter={"id": 2, "previous.miles": 9},
                          fields={"miles": 5})  # fmt: skip
    session.equal((one["updated"], one["miles"]), (True, 5))


@case("relations.delete", feature=_RELATIONS, also=("write.bulk_delete",), since=_SINCE)
async def delete_through(session: Session) -> None:
    """Deletions go by filters through relations, also to the table that they change."""
    world = await fleet(session)
    done = await world.run("Flight", "BulkDelete", filter={"previous.miles": 1500})
    session.equal(done["deleted"], 1)
    row = await world.run("Flight", "Delete", filter={"previous.plane.year": 2000, "miles": 1})
    session.equal(row["id"], 4)
    row = await world.run("Flight", "Delete", filter={"id": 5, "previous": None})
    session.equal(row["deleted"], True)
    session.equal([row["id"] for row in await session.rows(world.models["Flight"])], [1, 2])
    done = await world.run("Plane", "BulkDelete", filter={"flights": None})
    session.equal(done["deleted"], 3)


@case("relations.match", feature=_RELATIONS, also=("aggregate.stages",), since=_SINCE)
async def match_through(session: Session) -> None:
    """$match goes through relations while the rows are those of the model."""
    world = await fleet(session)
    pipeline = [
        {"$match": {"plane.year": {"$gte": 2000}}},
        {"$sort": {"miles": -1}},
        {"$limit": 2},
        {"$match": {"previous.miles": 500}},
        {"$project": {"id": 1}},
    ]
    await world.pipeline("Flight", pipeline, [{"id": 2}])


@case("relations.stream", feature=_RELATIONS, since=_SINCE)
async def stream_through(session: Session) -> None:
    """Streams go by filters through relations."""
    await fleet(session)
    rows = session.db.nodes.Flight.stream(filter={"plane.year": 2000})
    async with rows:
        session.equal([row["id"] async for row in rows], [1, 2])


_REFUSED: Final[tuple[tuple[str, type[DataFlowError], dict[str, Any], str], ...]] = (
    ("unknown", UnknownField, {"include": ["plan"]}, "An unknown relation is refused."),
    ("ambiguous", UnknownField, {"include": ["airport"]}, "A name of two relations is refused."),
    ("field", UnknownField, {"include": ["tail"]}, "A field is no relation."),
    ("distinct", ConflictingParameters, {"include": ["plane"], "distinct": True},
     "Distinct rows have no related ones."),
    ("stream", ConflictingParameters, {"include": ["plane"], "stream": True},
     "Streams have no related rows."),
    ("count", ConflictingParameters, {"include": ["plane"], "count_only": True},
     "A number has no related rows."),
    ("aggregate", ConflictingParameters, {"include": ["plane"], "aggregate": [{"$limit": 1}]},
     "A pipeline looks rows up by a stage."),
    ("filter", UnknownField, {"filter": {"plane.yaer": 1}}, "An unknown related field is refused."),
    ("value", InvalidFilter, {"filter": {"plane": 1}}, "A relation equals no value."),
    ("one", InvalidFilter, {"filter": {"plane": {"$elemMatch": {"year": 1}}}},
     "$elemMatch is for many rows."),
)  # fmt: skip


def _refused(kind: type[DataFlowError], asked: Any) -> Callable[[Session], Awaitable[None]]:
    async def check(session: Session) -> None:
        world = await fleet(session)
        await session.expect_error(kind, partial(world.run, "Flight", "List", **asked), sent=False)

    return check


for _id, _kind, _asked, _rule in _REFUSED:
    register(
        f"relations.refused.{_id}",
        _refused(_kind, _asked),
        feature=_RELATIONS,
        rule=_rule,
        since=_SINCE,
    )


@case("relations.include.limit", feature=_RELATIONS, since=_SINCE)
async def include_limit(session: Session) -> None:
    """More related rows than a list may have are refused, since a part would look like all."""
    await fleet(session)
    handle = session.another(max_rows=2)
    for cls in session.classes:
        handle.model(cls, validation="off")
    if not (await handle.run("FlightCountNode", filter={}))["count"]:
        return  # another database in memory
    call = partial(handle.run, "AirportListNode", include=["flights_by_origin"])
    await session.expect_error(LimitExceeded, call)
