"""Rows in and out, by the generated nodes: whatever confines those confines this too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final, TypeVar

from attrs import frozen

from dataflow_core import Context
from dataflow_core.errors import TransactionFailed
from dataflow_core.schema import Model
from dataflow_governance.graph import Filter, Key, Row, inside, key_names, key_of
from dataflow_governance.hidden import erasing, hiding

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
        if hiding(model) and (self.deleted if deleted is None else deleted):
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
        """Change rows to the values given beside their keys, those that were deleted softly too."""
        rows = await self._with_versions(model, rows)
        with erasing():
            given = self._given(model, {"data": rows})
            found = await self.context.run(f"{model.name}BulkUpdateNode", **given)
        _check(model, "changed", found["matched"], len(rows))

    async def delete(self, model: Model, keys: Sequence[Key]) -> None:
        """Remove rows for good, those that were deleted softly too."""
        given = self._given(model, {"ids": [key[0] if len(key) == 1 else key for key in keys]})
        if hiding(model):
            given["soft_delete"] = False
        with erasing():
            found = await self.context.run(f"{model.name}BulkDeleteNode", **given)
        _check(model, "deleted", found["deleted"], len(keys))

    async def _with_versions(self, model: Model, rows: Sequence[Row]) -> Sequence[Row]:
        """The rows with their versions, where those are counted: who changes a row names it."""
        counted = [item.name for item in model.fields if item.managed == "counted"]
        if not counted:
            return rows
        keys = [key_of(model, row) for row in rows]
        versions: dict[Key, Row] = {}
        async for some in self.by_key(model, keys, (*key_names(model), *counted)):
            versions.update((key_of(model, row), row) for row in some)
        return [{**row, **versions.get(key, {})} for key, row in zip(keys, rows, strict=True)]


def _check(model: Model, what: str, found: int, wanted: int) -> None:
    """Personal data that stays where it was to go must not pass unseen."""
    if found != wanted:
        raise TransactionFailed(
            f"{found} of {wanted} rows of {model.name} could be {what}: others have changed them"
            " meanwhile; everything was undone",
            outcome="not done",
        )
