"""What calls about the audit log are given: keys and tenants of every type and form, anchors."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import InvalidType, InvalidValue, TenantMismatch

WITHOUT_DATABASES = ("pgbouncer",)
GUID = uuid.UUID(int=0xABC)
WEST = dt.timezone(dt.timedelta(hours=-2))
MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5, 600000, tzinfo=dt.UTC)


class Team(enum.Enum):
    BLUE = "blue"


class Floor(enum.Enum):
    FIRST = 1


def noted(db: DataFlow, key: type, tenant: type | None = None) -> DataFlow:
    """The instance with an audited model of such a key, and such a tenant."""
    names: dict[str, Any] = {"id": key, "text": str}
    options: dict[str, Any] = {"audit_log": True}
    if tenant is not None:
        names, options = {"tenant_id": tenant, **names}, {"multi_tenant": True}
    body = {
        "__annotations__": names,
        "id": field(primary_key=True),
        "text": field(personal=True),
        "__dataflow__": options,
    }
    db.model(type("Note", (), body), validation="off")
    return db


@pytest.mark.parametrize(
    ("kind", "forms"),
    [
        (uuid.UUID, (GUID, str(GUID), str(GUID).upper(), GUID.hex)),
        (dt.datetime, (MOMENT, MOMENT.astimezone(WEST), MOMENT.isoformat())),
        (Decimal, (Decimal("1.5"), Decimal("1.50"))),
        (int, (7,)),
    ],
)
async def test_a_key_is_found_in_each_of_its_forms(
    database_url: str, kind: type, forms: tuple[Any, ...]
) -> None:
    """Entries of one row and of many are read by it, and lose their values by it."""
    async with noted(DataFlow(database_url), kind) as db:
        await db.run("NoteCreateNode", id=forms[0], text="one secret")
        await db.run("NoteBulkUpdateNode", filter={}, allow_all=True, fields={"text": "a secret"})
        for form in forms:
            assert len(await db.aaudit(model="Note", key=form)) == 2
        assert await db.atombstone_audit(model="Note", key=forms[-1]) == 2
        assert "secret" not in str(await db.aaudit(model="Note"))
        assert (await db.averify_audit())["valid"]


@pytest.mark.parametrize(
    ("kind", "forms"),
    [
        (uuid.UUID, (GUID, str(GUID).upper(), GUID.hex)),
        (str, ("blue", Team.BLUE)),
        (int, (1, Floor.FIRST)),
    ],
)
async def test_a_tenant_is_the_same_in_each_of_its_forms(
    database_url: str, kind: type, forms: tuple[Any, ...]
) -> None:
    """Its entries are read, and erased with its rows, however it is given."""
    async with noted(DataFlow(database_url), uuid.UUID, kind) as db:
        for form in forms:
            with db.tenant(form):
                row = await db.run("NoteCreateNode", id=uuid.uuid4(), text="a secret")
                assert len(await db.aaudit(model="Note", key=row["id"], tenant_id=forms[0])) == 1
                assert "a secret" in str(await db.aaudit())
                erase = {"model": "Note", "user_id": row["id"], "request_type": "delete"}
                await db.run("GDPRComplianceNode", **erase)
            assert "a secret" not in str(await db.aaudit(model="Note", tenant_id=form))
            assert "a secret" not in str(await db.aaudit(all_tenants=True))


async def test_what_is_no_key_is_refused(database_url: str) -> None:
    """A value that no row can have as its key finds nothing for good reason, and says so."""
    async with noted(DataFlow(database_url), int) as db:
        await db.run("NoteCreateNode", id=1, text="x")
        with pytest.raises(InvalidType):
            await db.aaudit(model="Note", key="1")
        with pytest.raises(InvalidValue, match="the key of Note is id"):
            await db.atombstone_audit(model="Note", key={"number": 1})


async def test_an_anchor_that_would_be_left_unread_is_refused(database_url: str) -> None:
    """The whole answer of a check is no anchor, nor is that of another database."""
    async with noted(DataFlow(database_url), int) as db:
        await db.run("NoteCreateNode", id=1, text="x")
        found = await db.averify_audit()
        for wrong in (found, {"other": found["anchor"]["primary"]}, {"primary": {"Note": 1}}, "x"):
            with pytest.raises(InvalidValue, match="the anchor is"):
                await db.averify_audit(anchor=wrong)
        assert await db.averify_audit(anchor=found["anchor"])


async def test_a_tenant_does_not_prune_the_entries_of_others(database_url: str) -> None:
    """Pruning is about all tenants, so it is refused where one is in force."""
    async with noted(DataFlow(database_url), int, str) as db:
        await db.run("NoteCreateNode", id=1, text="x", tenant_id="b")
        with db.tenant("a"), pytest.raises(TenantMismatch, match="of all tenants"):
            await db.aprune_audit(before=dt.datetime.now(dt.UTC))
        assert len(await db.aaudit(model="Note", tenant_id="b")) == 1
