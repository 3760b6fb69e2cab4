"""Rows of tenants that the database keeps apart by itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from attrs import evolve

from dataflow_core.conformance.registry import case
from dataflow_core.contract import ModelPolicy, PolicyContext, hookimpl
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.schema import Field, Model
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
