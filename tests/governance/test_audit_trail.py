"""The side of this plugin: what it asks of an audit trail, and what it says where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import InvalidValue
from tests.governance.shop import ADA, MODELS, fill, opened

WITHOUT_DATABASES = ("pgbouncer",)


class Audited(DataFlow):
    """An instance with an audit trail in memory, which writes down what is asked of it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked: list[tuple[Any, ...]] = []

    async def aaudit(self, *, model: str, key: Any) -> list[dict[str, Any]]:
        return [{"model": model, "key": key, "kind": "insert"}]

    async def atombstone_audit(
        self, *, model: str, key: Any, fields: Sequence[str] | None = None
    ) -> None:
        assert self.current_transaction() is not None
        self.asked.append((model, key, fields))


def audited(url: str) -> Audited:
    """The shop, with an audit trail of its orders and posts."""
    db = Audited(url, enable_model_persistence=False, validation="off")
    for model in MODELS:
        db.model(type(model.__name__, (model,), {"__module__": __name__}))
    mark(db)
    return db


def mark(db: DataFlow) -> None:
    """Let the orders and posts of an instance be audited."""
    for model in db.models_of():
        if model.name in ("Order", "Post"):
            assert isinstance(model.options, dict)
            model.options["audit_log"] = True


async def test_entries_of_the_rows() -> None:
    """The trail holds the entries of the person's rows by model; what has none is named."""
    async with audited("sqlite://") as db:
        await fill(db)
        exported = await db.run("UserDataExportNode", user_id=ADA, include_audit_trail=True)
    assert exported["audit_trail"] == {
        "Order": [{"model": "Order", "key": 1, "kind": "insert"}],
        "Post": [{"model": "Post", "key": 1, "kind": "insert"}],
    }
    assert "User has no audit trail: its model has no audit_log" in exported["notes"]


async def test_personal_values_are_taken_out_of_entries(database_url: str) -> None:
    """Of a row that stays, what is erased; of one that goes, all; within the transaction."""
    db = audited(database_url)
    async with db:
        await fill(db)
        given = {"user_id": ADA, "cascade_delete": True}
        await db.run("UserDataAnonymizeNode", **given, dry_run=True)
        assert db.asked == []
        await db.run("UserDataAnonymizeNode", **given)
        assert db.asked == [("Order", 1, ["address"]), ("Post", 1, None)]


async def test_without_a_trail_the_result_says_so(database_url: str) -> None:
    """Asked for where nobody keeps one, the trail is empty, and a note says so."""
    async with opened(database_url, disabled_plugins=["policies"]) as db:
        await fill(db)
        exported = await db.run("UserDataExportNode", user_id=ADA, include_audit_trail=True)
        silent = await db.run("UserDataExportNode", user_id=ADA)
    assert exported["audit_trail"] == silent["audit_trail"] == {}
    assert exported["notes"] == ["there is no audit trail: no plugin of this instance keeps one"]
    assert silent["notes"] == []


async def test_values_would_stay_in_a_trail_that_nobody_can_change() -> None:
    """Erasing is refused where a model is audited and its entries could not be emptied."""
    async with opened("sqlite://", disabled_plugins=["policies"]) as db:
        mark(db)
        with pytest.raises(InvalidValue, match="Order has an audit log, in which personal values"):
            await db.run("UserDataAnonymizeNode", user_id=ADA)
        assert sum(lane.opened for lane in db.pool_stats()["primary"].values()) == 0


async def test_entries_that_no_tenant_sees() -> None:
    """Models without tenants have entries without one, which are out of reach within a tenant."""
    db = audited("sqlite://")
    async with db:
        await fill(db)
        with db.tenant("north"):
            with pytest.raises(InvalidValue, match="Order is audited and has no tenants"):
                await db.run("UserDataAnonymizeNode", user_id=ADA)
            exported = await db.run("UserDataExportNode", user_id=ADA, include_audit_trail=True)
        assert exported["audit_trail"] == {}
        assert "Post has no tenants: its entries are not read within one" in exported["notes"]
        assert (await db.run("UserReadNode", id=ADA))["name"] == "Ada"


async def test_the_log_of_the_policies_holds_afterwards(database_url: str) -> None:
    """Erasing takes a person's values out of the real audit log, whose chain still verifies."""
    async with DataFlow(database_url, enable_model_persistence=False, validation="off") as db:
        for model in MODELS:
            options = {**getattr(model, "__dataflow__", {}), "audit_log": True}
            body = {"__module__": __name__, "__dataflow__": options}
            db.model(type(model.__name__, (model,), body))
        await fill(db)
        anchor = (await db.averify_audit())["anchor"]
        await db.run("UserDataAnonymizeNode", user_id=ADA, cascade_delete=True)
        assert "Ada" not in str(await db.aaudit(model="User", key=ADA))
        found = await db.averify_audit(anchor=anchor)
        assert found["valid"], found["problems"]
