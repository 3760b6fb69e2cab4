"""Any name, always quoted, never injected; and values that look like SQL."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.errors import (
    DataFlowError,
    InvalidModel,
    ModelError,
    UnknownField,
    UnknownParameter,
)

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_NAMES: Final = "identifiers"


def _class(name: str, annotations: dict[str, Any], **options: Any) -> type:
    body: dict[str, Any] = {"__annotations__": annotations, "__module__": __name__}
    if options:
        body["__dataflow__"] = options
    return type(name, (), body)


async def _works(session: Session, cls: type, name: str) -> None:
    """Every kind of statement takes a field of this name."""
    model = session.model(cls)
    await session.run(model, "Create", values={"id": 1, name: 1})
    await session.run(model, "BulkCreate", data=[{"id": 2, name: 2}])
    await session.run(model, "Update", id=1, fields={"$inc": {name: 10}})
    await session.run(
        model, "BulkUpdate", filter={name: 2}, fields={name: {"$add": [f"${name}", 5]}}
    )
    await session.run(model, "BulkUpsert", data=[{"id": 2, name: 8}, {"id": 3, name: 9}])
    rows = await session.rows(model, {name: {"$gt": 0}}, order_by=[f"-{name}"], select=["id", name])
    session.equal(rows, [{"id": 1, name: 11}, {"id": 3, name: 9}, {"id": 2, name: 8}])
    grouped = await session.run(
        model,
        "List",
        aggregate=[{"$group": {"_id": f"${name}", "n": {"$sum": f"${name}"}}}, {"$limit": 1}],
    )
    session.equal(grouped["result"], [{"_id": 8, "n": 8}])
    gone = await session.run(model, "Delete", id=1)
    session.equal(gone["result"][name], 11)


@case("identifiers.keywords", feature=_NAMES)
async def keywords(session: Session) -> None:
    """Fields may be called like words of SQL."""
    for word in (
        "select",
        "order",
        "group",
        "table",
        "user",
        "index",
        "values_",
        "primary",
        "key",
        "desc",
        "t",
    ):
        await _works(
            session, _class(f"Word{word.title().strip('_')}", {"id": int, word: int}), word
        )


@case("identifiers.case", feature=_NAMES)
async def case_is_kept(session: Session) -> None:
    """Names keep their case."""
    await _works(session, _class("MixedCase", {"id": int, "myColumn": int}), "myColumn")


@case("identifiers.letters", feature=_NAMES)
async def letters(session: Session) -> None:
    """Fields may have letters of any language."""
    for name in ("größe", "цена", "数量"):
        await _works(
            session, _class(f"Letters{len(name)}{ord(name[0])}", {"id": int, name: int}), name
        )


@case("identifiers.special", feature=_NAMES)
async def special(session: Session) -> None:
    """Fields may hold spaces, quotes, percent signs and placeholders of any driver."""
    names = (
        "two words",
        'quo"te',
        "it's",
        "back`tick",
        "50%",
        "%s",
        "$1x",
        ":name",
        "?",
        "a;b--",
        "[x]",
    )
    for number, name in enumerate(names):
        if name.startswith("$"):
            continue
        await _works(session, _class(f"Special{number}", {"id": int, name: int}), name)


@case("identifiers.long", feature=_NAMES)
async def long_names(session: Session) -> None:
    """Names of 63 bytes work and are not cut: two that differ in the last letter are two."""
    one, two = "x" * 62 + "a", "x" * 62 + "b"
    model = session.model(_class("LongNames", {"id": int, one: int, two: int}))
    await session.run(model, "Create", values={"id": 1, one: 1, two: 2})
    session.equal(await session.rows(model), [{"id": 1, one: 1, two: 2}])


@case("identifiers.table", feature=_NAMES)
async def tables(session: Session) -> None:
    """A table may have any name that a column may have."""
    for number, table in enumerate(("order by", 'tab"le; DROP', "Größe's", "100% `x`")):
        cls = _class(f"Table{number}", {"id": int, "n": int}, table=f"{table} {session.token}")
        await _works(session, cls, "n")


@case("identifiers.refused", feature=_NAMES)
async def refused(session: Session) -> None:
    """Names that not every database can hold are refused when the model is registered."""
    for number, name in enumerate(
        ("x" * 64, "ü" * 32, "a.b", "$a", "", " a", "a\0b", "a\nb", "\ud800", "😀")
    ):
        cls = _class(f"Refused{number}", {"id": int, name: int})

        async def register(cls: type = cls) -> Any:
            return session.model(cls)

        await session.expect_error(InvalidModel, register, sent=False)
    # What was refused is in nobody's way.
    await _works(session, _class("Refused", {"id": int, "n": int}), "n")


@case("identifiers.same_but_case", feature=_NAMES)
async def same_but_case(session: Session) -> None:
    """Two fields that differ by case only are refused: not every database tells them apart."""
    cls = _class("SameButCase", {"id": int, "name": int, "Name": int})

    async def register() -> Any:
        return session.model(cls)

    await session.expect_error_of(ModelError, register)
    await _works(session, _class("SameButCase", {"id": int, "Name": int}), "Name")


class Note:
    """A text."""

    id: int
    t: str | None
    doc: dict[str, Any] | None


_ATTACKS: Final = (
    "'; DROP TABLE notes; --",
    "' OR '1'='1",
    '"; DELETE FROM notes; --',
    "\\'; DROP TABLE notes; --",
    "1); DROP TABLE notes; --",
    "%s %d %(name)s ?1 $1 :t",
    "/* */ -- #",
    "\\x27 \\u0027 \\0",
    "${t} {{t}} `t`",
)


@case("identifiers.values", feature=_NAMES)
async def values(session: Session) -> None:
    """Values that look like SQL are stored, found, changed and returned as they are."""
    model = session.model(Note)
    rows: list[dict[str, Any]] = [
        {"id": n, "t": text, "doc": {text: text}} for n, text in enumerate(_ATTACKS)
    ]
    await session.run(model, "BulkCreate", data=rows)
    session.equal(await session.rows(model), rows)
    for row in rows:
        text = row["t"]
        await session.expect_list(model, {"t": text}, [row["id"]])
        await session.expect_list(model, {"t": {"$in": [text]}}, [row["id"]])
        await session.expect_list(
            model, {"$expr": {"$eq": ["$t", {"$literal": text}]}}, [row["id"]]
        )
        await session.expect_list(
            model, {"doc": {text: text}} if not text.startswith("$") else {"t": text}, [row["id"]]
        )
        await session.run(
            model,
            "Update",
            filter={"t": text},
            fields={"t": {"$concat": ["$t", {"$literal": text}]}},
        )
    session.equal([row["t"] for row in await session.rows(model)], [text * 2 for text in _ATTACKS])


@case("identifiers.names_from_callers", feature=_NAMES)
async def names_from_callers(session: Session) -> None:
    """Names that a caller gives are looked up, never written into SQL."""
    model = session.model(Note)
    await session.load(model, [{"id": 1, "t": "x"}])
    attack = 't" = "t'
    for error, kind, parameters in (
        (UnknownField, "List", {"filter": {attack: 1}}),
        (UnknownField, "List", {"order_by": [attack]}),
        (UnknownField, "List", {"select": [attack]}),
        (UnknownField, "List", {"aggregate": [{"$group": {"_id": f"${attack}"}}]}),
        (UnknownField, "Update", {"id": 1, "fields": {attack: "y"}}),
        (UnknownField, "Create", {"values": {"id": 2, attack: 1}}),
        (UnknownParameter, "Create", {attack: 1}),
        (UnknownParameter, "List", {"where": "1 = 1"}),
    ):
        call = partial(session.run, model, kind, **parameters)
        await session.expect_error(error, call, sent=False)


@case("identifiers.two_instances", feature=_NAMES)
async def two_instances(session: Session) -> None:
    """Two instances may have different models of one name."""
    other = session.another()
    one = session.model(_class("Shared", {"id": int, "n": int}))
    session.model(_class("Shared", {"id": int, "t": str}), on=other)
    await session.run(one, "Create", id=1, n=5)
    await other.run("SharedCreateNode", id=1, t="x")
    session.equal(await session.rows(one), [{"id": 1, "n": 5}])
    session.equal((await other.run("SharedListNode"))["records"], [{"id": 1, "t": "x"}])
    call = partial(other.run, "SharedListNode", filter={"n": 5})
    await session.expect_error_of(DataFlowError, call)
