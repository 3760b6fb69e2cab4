"""Erasing: the decision made, reported, and carried out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define

from dataflow_core.errors import InvalidValue
from dataflow_core.schema import Field, Model
from dataflow_governance.access import Access, batches
from dataflow_governance.audit import AuditTrail, check_reachable, tombstone
from dataflow_governance.decision import Decision
from dataflow_governance.graph import Key, key_names, key_of
from dataflow_governance.replacing import Replacing

__all__ = ["Erasure"]


@define(eq=False)
class Erasure:
    """What is done with a person's rows. ``trail``: from which their values are taken, too."""

    decision: Decision
    access: Access
    trail: AuditTrail | None

    async def check(self) -> None:
        """Find a new value for whatever is to be erased, changing nothing.

        Raises:
            InvalidValue: there is none, or a value is one that other rows refer to.
        """
        if self.trail is not None:
            check_reachable(self.trail, self._models())
        for model in self._models():
            fields = self.decision.erased(model)
            if not fields or not self.decision.kept(model) or model.read_only:
                continue
            self._refuse_referred(model, fields)
            replacing = self._replacing(model, fields)
            if not replacing.simple:
                async for _ in replacing.rows(self.decision.kept(model)):
                    pass

    async def carry_out(self) -> None:
        """Change and delete the rows; the entries of the audit trail with them."""
        for model in self._models():
            await self._anonymize(model)
        for cleared, wave in self.decision.waves:
            for model, rows in cleared.items():
                await self._clear(model, rows)
            for model, keys in wave.items():
                for some in batches(keys):
                    await self.access.delete(model, some)
                    await tombstone(self.trail, model, some, None, self.access.tenant_id)

    def counts(self) -> dict[str, dict[str, int]]:
        """By model: how many rows are deleted, anonymised, kept as they are."""
        found = {}
        for model in self._models():
            kept = len(self.decision.kept(model))
            erasing = bool(self.decision.erased(model)) and not model.read_only
            found[model.name] = {
                "deleted": len(self.decision.deleted.get(model, ())),
                "anonymized": kept if erasing else 0,
                "kept": 0 if erasing else kept,
            }
        return found

    def reasons(self) -> list[dict[str, Any]]:
        """Why values or rows stay, with the number of rows."""
        retained = [
            {"model": model.name, "field": item.name, "reason": item.retain, "rows": rows}
            for (model, item), rows in self.decision.retained.items()
        ]
        referred = [
            {
                "model": model.name,
                "field": None,
                "reason": "rows of others refer to them",
                "rows": rows,
            }
            for model, rows in self.decision.referred.items()
        ]
        return [*retained, *referred]

    def _models(self) -> list[Model]:
        return list(self.decision.found.rows)

    def _replacing(self, model: Model, fields: Sequence[Field]) -> Replacing:
        return Replacing(model, fields, self.decision.cleared.get(model, {}), self.access)

    async def _anonymize(self, model: Model) -> None:
        fields, kept = self.decision.erased(model), self.decision.kept(model)
        if not kept or model.read_only:
            return
        if not fields:
            await self._clear(model, self.decision.cleared.get(model, {}))
            return
        names = [item.name for item in fields]
        async for rows in self._replacing(model, fields).rows(kept):
            await self.access.update(model, rows)
            keys = [key_of(model, row) for row in rows]
            await tombstone(self.trail, model, keys, names, self.access.tenant_id)

    async def _clear(self, model: Model, rows: dict[Key, set[str]]) -> None:
        for some in batches(list(rows)):
            changes = [
                {**dict(zip(key_names(model), key, strict=True)), **dict.fromkeys(rows[key])}
                for key in some
            ]
            await self.access.update(model, changes)

    def _refuse_referred(self, model: Model, fields: Sequence[Field]) -> None:
        targets = {
            item: link.owner
            for link in self.decision.found.graph.into[model]
            for item in link.target_fields
        }
        for item in fields:
            if item.primary_key:
                raise InvalidValue(
                    f"{model.name}.{item.name} is personal and (part of) the key, which nothing"
                    " erases: have the rows deleted, or give the model another key",
                    model=model.name,
                )
            if item in targets:
                raise InvalidValue(
                    f"{model.name}.{item.name} is personal and {targets[item].name} refers to it,"
                    " so it cannot be erased: refer to the key instead",
                    model=model.name,
                )
            if item.generated == "computed":
                raise InvalidValue(
                    f"{model.name}.{item.name} is personal and the database computes it: mark the"
                    " fields that it is computed from",
                    model=model.name,
                )
