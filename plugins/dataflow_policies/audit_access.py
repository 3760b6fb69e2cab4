"""The log of an instance: the databases that have one, and its rows page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from dataflow_core.errors import InvalidValue, ParameterError
from dataflow_core.schema import Model
from dataflow_policies.audit_tables import PRIMARY, AuditTables, audit_tables, inside
from dataflow_policies.multi_tenant import TENANT

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["InstanceLog", "audited_databases", "model_name", "registered", "tenant_texts"]

Row = dict[str, Any]

_FIRST, _LAST = "DataflowAudit", "ListNode"


def audited_databases(db: DataFlow, database: str | None) -> list[str]:
    """The databases that have audited models, or that one. ``InvalidValue`` if there is none."""
    found = []
    for name in db.node_names():
        if name == f"{_FIRST}{_LAST}":
            found.append(PRIMARY)
        elif name.startswith(f"{_FIRST}_") and name.endswith(_LAST):
            found.append(name.removeprefix(f"{_FIRST}_").removesuffix(_LAST))
    chosen = [name for name in found if database in (None, name)]
    if not chosen:
        where = "" if database is None else f" in the database {database!r}"
        raise InvalidValue(f"no registered model{where} has an audit log")
    return chosen


def model_name(model: Any) -> str:
    """The name of a model, given by name or as its class."""
    name = model if isinstance(model, str) else getattr(model, "__name__", None)
    if not isinstance(name, str):
        raise InvalidValue(f"model is the name of a model or its class, got {model!r}")
    return name


def registered(db: DataFlow, name: str | None) -> Model | None:
    """The model of a name, if the instance has it."""
    return next((one for one in db.models_of() if one.name == name), None)


def tenant_texts(db: DataFlow, tenant: Any, model: Model | None) -> list[str]:
    """How entries name a tenant: as the rows of the model hold it, or those of any model.

    A tenant may be given in another form: a member of an enum, a UUID as text.
    """
    found: dict[str, None] = {}
    for one in db.models_of() if model is None else [model]:
        kind = one.by_name[TENANT].type if TENANT in one.by_name else None
        if kind is None or one.by_name[TENANT].context is None:
            continue
        try:
            found[str(kind.check(tenant, TENANT))] = None
        except ParameterError:
            if model is not None:
                raise
    return list(found) or [str(tenant)]


@frozen(eq=False)
class InstanceLog:
    """The log in one database of an instance; a ``Log`` to write to, within ``inside()``."""

    db: DataFlow
    database: str

    @property
    def tables(self) -> AuditTables:
        """The models of its tables."""
        return audit_tables(self.database)

    async def run(self, node: str, /, **parameters: Any) -> Row:
        """Run a node."""
        with inside():
            return await self.db.run(node, **parameters)

    async def insert(self, model: Model, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of a table of the log."""
        await self.run(f"{model.name}BulkCreateNode", data=list(rows))

    async def pages(
        self, model: Model, filter: Mapping[str, Any], order: Sequence[str], size: int
    ) -> AsyncIterator[list[Row]]:
        """Rows of a table of the log, so many at a time."""
        cursor = None
        while True:
            page = await self.run(
                f"{model.name}ListNode",
                filter=filter,
                order_by=list(order),
                limit=size,
                cursor=cursor,
            )
            if page["records"]:
                yield page["records"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def count(self, model: Model, filter: Mapping[str, Any]) -> int:
        """How many rows of a table of the log pass a filter."""
        found = await self.run(f"{model.name}CountNode", filter=filter)
        number: int = found["count"]
        return number

    async def chains(self) -> list[str]:
        """The names of all chains of which anything is there."""
        names: set[str] = set()
        for model in self.tables.all:
            found = await self.run(
                f"{model.name}ListNode", select=["chain"], distinct=True, limit=_MOST_CHAINS
            )
            names.update(row["chain"] for row in found["records"])
        return sorted(names)


_MOST_CHAINS = 1_000_000
