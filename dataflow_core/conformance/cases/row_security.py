"""Rows of tenants that the database keeps apart by itself, and tables in parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import evolve

from dataflow_core import field
from dataflow_core.conformance.registry import case
from dataflow_core.contract import ModelPolicy, PolicyContext, hookimpl
from dataflow_core.errors import UniqueViolation, UnsupportedFeature
from dataflow_core.schema import Field, Model, Partitions
from dataflow_core.types import Text

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_OPTION: Final = "kept_apart"
_MANY: Final = 600


class Note:
    """A note of a tenant."""

    id: int
    text: str
    __dataflow__: ClassVar[dict[str, bool]] = {_OPTION: True}


def _extend(model: Model, context: PolicyContext) -> Model:
    if not model.options.get(_OPTION) or model.secured_by is not None:
        return model
    kind = Text(20)
    owner = Field("owner", kind, "owner", context=context.tenant(kind))
    return evolve(model, fields=(*model.fields, owner), secured_by=owner.name)


class _Apart:
    """The plugin of the option."""

    @hookimpl
    def dataflow_model_policies(self) -> Sequence[ModelPolicy]:
        return (ModelPolicy((_OPTION,), _extend),)


@case("schema.row_security.apart", feature="schema.row_security")
async def apart(session: Session) -> None:
    """Each tenant has its rows, and whoever says none sees none; a role above that is refused."""
    plugins = [*session.options.get("plugins", ()), ("apart", _Apart())]
    handle = session.another(plugins=plugins)
    model = session.model(Note, on=handle)
    create = partial(handle.run, "NoteCreateNode")
    count = partial(handle.run, "NoteCountNode")
    await handle.aping()
    security = handle.engine().dialect.compiler.row_security
    if security is not None and security.passed_over:
        with handle.tenant("a"):
            refused = await session.expect_error(UnsupportedFeature, partial(create, text="a"))
        session.equal(refused.context["reason"], security.passed_over)
        return
    with handle.tenant("a"):
        await create(text="a")
        await handle.run("NoteBulkCreateNode", data=[{"text": str(n)} for n in range(_MANY)])
        session.equal((await count())["count"], 1 + _MANY, "tenant a")
    async with handle.transaction():
        with handle.tenant("b"):
            await create(text="b")
            session.equal((await count())["count"], 1, "tenant b")
        with handle.tenant("a"):
            session.equal((await count())["count"], 1 + _MANY, "tenant a, in the same transaction")
    with handle.tenant("b"):
        rows = [row["text"] async for row in handle.nodes.Note.stream()]
    session.equal(rows, ["b"], "a stream of tenant b")
    # Nothing but the database confines this.
    table = handle.engine().dialect.compiler.quote(model.table)
    found = await handle.run("SQLNode", sql=f"SELECT COUNT(*) AS n FROM {table}")
    session.equal(found["records"][0]["n"], 0, "without a tenant")


_PARTS: Final = "in_parts"


class Part:
    """A row of a table in parts."""

    shard: str = field(primary_key=True, max_length=20)
    id: int = field(primary_key=True)
    n: int
    __dataflow__: ClassVar[dict[str, Any]] = {
        _PARTS: 3,
        "indexes": [{"fields": ["shard", "n"], "unique": True}],
    }


def _divided(model: Model, context: PolicyContext) -> Model:
    count = model.options.get(_PARTS)
    return model if count is None else evolve(model, partitions=Partitions("shard", count))


class _Divided:
    """The plugin of the option."""

    @hookimpl
    def dataflow_model_policies(self) -> Sequence[ModelPolicy]:
        return (ModelPolicy((_PARTS,), _divided),)


@case("schema.partitions.table", feature="schema.partitions")
async def partitions(session: Session) -> None:
    """A table in parts is one table to every call, unique keys hold, and nothing is left to do."""
    plugins = [*session.options.get("plugins", ()), ("divided", _Divided())]
    handle = session.another(plugins=plugins)
    model = session.model(Part, on=handle)
    create, fields = partial(handle.run, "PartCreateNode"), {"n": {"$add": ["$n", 100]}}
    rows = [{"shard": f"s{n % 7}", "id": n, "n": n} for n in range(20)]
    await create(values=rows[0])
    await handle.run("PartBulkCreateNode", data=rows[1:])
    again = {"shard": "s0", "id": 99, "n": 0}
    await session.expect_error(UniqueViolation, partial(create, values=again))
    done = await handle.run("PartBulkUpdateNode", filter={"shard": "s1"}, fields=fields)
    session.equal(done["matched"], 3)
    listed = await handle.run("PartListNode", order_by=["id"], select=["id"])
    session.equal([row["id"] for row in listed["records"]], list(range(20)))
    session.equal((await handle.run("PartBulkDeleteNode", filter={"shard": "s0"}))["matched"], 3)
    session.equal((await handle.run("PartCountNode"))["count"], 17)
    session.equal(str(await handle.aplan()), "every table is what its model says")
    session.true(await session.sees(handle, model.table), "the table is there")
