"""Rows in and out, by the generated nodes: whatever confines those confines this too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final, TypeVar

from attrs import frozen

from dataflow_core import Context
from dataflow_core.errors import TransactionFailed
from dataflow_core.schema import Model
from dataflow_governance.graph import Filter, Key, Row, inside, key_names

__all__ = ["BATCH", "Access", "batches"]

BATCH: Final = 500
"""The most rows that are read or written together."""

_MOST_CONDITIONS: Final = 400

T = TypeVar("T")


def batches(items: Sequence[T], fields: int = 1) -> Iterator[Sequence[T]]:
    """Items in lots for one filter, which names so many ``fields`` for each."""
    size = BATCH if fields == 1 else max(1, _MOST_CONDITIONS // fields)
    for first in range(0, len(items), size):
        yield items[first : first + size]


@frozen
class Access:
    """The rows of the models of one database, as the caller may see them.

    Attributes:
        context: that of the node that runs.
        tenant_id: handed on to the nodes of models that have tenants.
        deleted: whether rows that were deleted softly are seen.
    """

    context: Context
    tenant_id: Any
    deleted: bool

    def _given(self, model: Model, parameters: dict[str, Any]) -> dict[str, Any]:
        if self.tenant_id is not None and model.options.get("multi_tenant"):
            parameters["tenant_id"] = self.tenant_id
        return parameters

    def _takes(self, node: str, name: str) -> bool:
        return name in self.context.db.node_type(node).parameters

    async def pages(
        self,
        model: Model,
        document: Filter,
        select: Sequence[str] | None = None,
        *,
        deleted: bool | None = None,
        distinct: bool = False,
    ) -> AsyncIterator[list[Row]]:
        """The rows that a filter lets through, in batches, sorted by their key.

        ``deleted``, if given, goes before that of the instance. ``distinct``: at most one batch.
        """
        given = self._given(model, {"filter": document, "limit": BATCH})
        if select is not None:
            given["select"] = list(select)
        if distinct:
            given["distinct"] = True
        if model.options.get("soft_delete") and (self.deleted if deleted is None else deleted):
            given["include_deleted"] = True
        while True:
            found = await self.context.run(f"{model.name}ListNode", **given)
            if found["records"]:
                yield found["records"]
            if found["next_cursor"] is None:
                return
            given["cursor"] = found["next_cursor"]

    async def by_key(
        self, model: Model, keys: Sequence[Key], select: Sequence[str] | None = None
    ) -> AsyncIterator[list[Row]]:
        """The rows with these keys, in batches, sorted by their key."""
        for some in batches(sorted(keys), len(key_names(model))):
            async for rows in self.pages(model, inside(key_names(model), some), select):
                yield rows

    async def update(self, model: Model, rows: Sequence[Row]) -> None:
        """Change rows to the values given beside their keys."""
        node = f"{model.name}BulkUpdateNode"
        given = self._given(model, {"data": rows})
        if model.options.get("soft_delete") and self._takes(node, "include_deleted"):
            given["include_deleted"] = True
        found = await self.context.run(node, **given)
        _check(model, "changed", found["matched"], len(rows))

    async def delete(self, model: Model, keys: Sequence[Key]) -> None:
        """Remove rows for good."""
        node = f"{model.name}BulkDeleteNode"
        ids = [key[0] if len(key) == 1 else key for key in keys]
        given = self._given(model, {"ids": ids})
        if model.options.get("soft_delete"):
            given["soft_delete"] = False
            if self._takes(node, "include_deleted"):
                given["include_deleted"] = True
        found = await self.context.run(node, **given)
        _check(model, "deleted", found["deleted"], len(keys))


def _check(model: Model, what: str, found: int, wanted: int) -> None:
    """Personal data that stays where it was to go must not pass unseen."""
    if found != wanted:
        raise TransactionFailed(
            f"{found} of {wanted} rows of {model.name} could be {what}: others have changed them"
            " meanwhile; everything was undone",
            outcome="not done",
        )
