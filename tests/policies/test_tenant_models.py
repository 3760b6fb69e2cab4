"""Tenants: what becomes of a model.

Run against mutants of the policy too (`tests/bars/test_tenant_mutations.py`): every line is needed.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import pytest
from attrs import evolve

from dataflow_core import DataFlow, field
from dataflow_core.aggregate.ast import Limit, Match, Pipeline, UnionWith
from dataflow_core.errors import (
    DataFlowError,
    InvalidModel,
    TenantMismatch,
)
from dataflow_core.filters.ast import Always, And, Compare, IsNull, Or, Slot
from dataflow_core.operations import (
    Aggregate,
    Count,
    Create,
    CreateMany,
    UpdateRows,
    Upsert,
)
from dataflow_core.operations.confine import confined, confining
from dataflow_core.run.tenancy import Tenancy
from dataflow_core.schema import Field, Index, Model, Partitions, RowScope
from dataflow_core.types import Boolean, Integer, Text, Uuid
from dataflow_policies.multi_tenant import MULTI_TENANT

WITHOUT_DATABASES = ("pgbouncer",)


CONTEXT = Tenancy()


def extended(*fields: Field, indexes: tuple[Index, ...] = (), on: object = True) -> Model:
    """A model as the policy makes it."""
    options = {"multi_tenant": on}
    return MULTI_TENANT.extend(Model("Thing", "things", fields, indexes, options=options), CONTEXT)


def key(kind: Any, **more: Any) -> Field:
    """A primary key."""
    return Field("id", kind, "id", primary_key=True, **more)


COUNTED = key(Integer(), generated="database")
NAME = Field("name", Text(20), "name", unique=True)
SIZE = Field("size", Integer(), "size")


def test_a_natural_key_begins_with_the_tenant() -> None:
    """So does every unique index; no field is unique by itself."""
    plain = Index(("size",))
    declared = Index(("name", "size"), unique=True)
    own = Index(("size", "tenant_id"), unique=True)
    model = extended(key(Uuid()), NAME, SIZE, indexes=(plain, declared, own))
    assert model.key_names == ("tenant_id", "id")
    assert [item.name for item in model.fields] == ["tenant_id", "id", "name", "size"]
    assert not any(item.unique for item in model.fields)
    name = Index(("tenant_id", "name"), unique=True)
    both = Index(("tenant_id", "name", "size"), unique=True)
    assert model.indexes == (name, plain, both, own)


def test_a_counted_key_stays() -> None:
    """It is common to all tenants; an index with the tenant is what references lead to."""
    model = extended(SIZE, COUNTED, indexes=(Index(("size",)),))
    assert model.key_names == ("id",)
    assert [item.name for item in model.fields] == ["id", "tenant_id", "size"]
    assert model.indexes == (Index(("size",)), Index(("tenant_id", "id"), unique=True))


def test_an_index_is_made_once() -> None:
    """Also where a field is unique and an index of it is declared as well."""
    model = extended(COUNTED, NAME, indexes=(Index(("name",), unique=True),))
    names = [index.columns for index in model.indexes]
    assert names == [("tenant_id", "name"), ("tenant_id", "id")]


def test_rows_without_a_key() -> None:
    """A model without a key gets none."""
    model = extended(SIZE)
    assert (model.key_names, model.fields[0].name) == ((), "tenant_id")
    assert model.indexes == ()


def test_parts_are_by_tenant() -> None:
    """A table in parts has the tenant in its key, a counted one too, which needs no index then."""
    for key_of, names in ((COUNTED, ("tenant_id", "id")), (key(Uuid()), ("tenant_id", "id"))):
        model = extended(key_of, SIZE, on={"partitions": 4})
        assert (model.key_names, model.indexes) == (names, ())
        assert model.partitions == Partitions("tenant_id", 4)
        assert model.fields[0].name == "tenant_id"
    assert extended(SIZE, on={"partitions": 4}).key_names == ()
    assert extended(COUNTED, SIZE).partitions is None


@pytest.mark.parametrize("count", [1, 1_001])
def test_too_few_or_too_many_parts(count: int) -> None:
    """A table has 2 to 1,000 parts."""
    with pytest.raises(InvalidModel, match="from 2 to 1000") as caught:
        extended(COUNTED, on={"partitions": count})
    assert caught.value.context["model"] == "Thing"
    for fits in (2, 1_000):
        assert extended(COUNTED, on={"partitions": fits}).partitions is not None


def test_the_field_of_row_security() -> None:
    """On request, the database is told by which field it keeps rows apart."""
    assert extended(COUNTED, on={"row_security": True}).secured_by == "tenant_id"
    for off in ({"row_security": False}, {}, True):
        assert extended(COUNTED, on=off).secured_by is None
    with pytest.raises(InvalidModel):
        extended(COUNTED, on={"row_security": 1})


def test_the_field_of_the_tenant() -> None:
    """A short text, never null, or what the class declares; nothing but the context gives it."""
    tenant = extended(key(Uuid()), SIZE).by_name["tenant_id"]
    assert (tenant.type, tenant.column, tenant.nullable) == (Text(64), "tenant_id", False)
    assert tenant.context is not None
    for kind, stored in ((Text(), Text(64)), (Text(9), Text(9)), (Integer(), Integer())):
        declared = Field("tenant_id", kind, "owner", unique=True, index=True)
        model = extended(key(Uuid()), declared)
        tenant = model.by_name["tenant_id"]
        assert (tenant.type, tenant.column) == (stored, "owner")
        assert (tenant.unique, tenant.index, tenant.primary_key) == (False, False, True)
        assert tenant.context is not None
        assert model.indexes == ()
    uuids = extended(COUNTED, Field("tenant_id", Uuid(), "tenant_id")).by_name["tenant_id"]
    assert uuids.context is not None
    one = uuid.uuid4()
    with CONTEXT.entered(str(one)):
        assert uuids.context.read() == one
        assert uuids.context.check(one) == one
        with pytest.raises(TenantMismatch):
            uuids.context.check(uuid.uuid4())


@pytest.mark.parametrize(
    "declared",
    [
        Field("tenant_id", Boolean(), "tenant_id"),
        Field("tenant_id", Text(9), "tenant_id", nullable=True),
    ],
    ids=["type", "null"],
)
def test_what_cannot_be_the_field_of_the_tenant(declared: Field) -> None:
    """A tenant of another type, or one that may be missing, is refused with the model's name."""
    with pytest.raises(InvalidModel, match=r"Thing\.tenant_id") as caught:
        extended(COUNTED, declared)
    assert caught.value.context["model"] == "Thing"


def test_a_model_without_the_option_stays() -> None:
    """It is shared by all tenants."""
    assert extended(COUNTED, NAME, on=False).by_name.keys() == {"id", "name"}


async def test_an_own_type_of_tenant(database_url: str) -> None:
    """Tenants that are numbers confine like others, and no text is taken for one."""
    async with DataFlow(database_url) as db:

        @db.model(validation="off")
        class Parcel:
            __dataflow__ = {"multi_tenant": True}
            tenant_id: int
            name: str

        for tenant in (1, 2):
            await db.run("ParcelCreateNode", name=f"p{tenant}", tenant_id=tenant)
        with db.tenant(2):
            assert [row["name"] for row in (await db.run("ParcelListNode"))["records"]] == ["p2"]
            with pytest.raises(DataFlowError):
                await db.run("ParcelListNode", tenant_id="2")


SHARED: Final = Model("Thing", "things", (COUNTED, SIZE))
OWNED: Final = extended(COUNTED, SIZE)
SCOPED: Final = evolve(OWNED, scopes=(RowScope("live", {"size": None}),))
ONE: Final = Compare(SIZE, "eq", Slot(0, Integer()))
LIVE: Final = IsNull(SIZE)


def test_a_filter_says_no_more_than_is_needed() -> None:
    """Statements stay short: no condition is added but those of the model, and none nested."""
    [tenant] = confining(OWNED)
    for model, given, expected in (
        (SHARED, Always(True), Always(True)),
        (SHARED, ONE, ONE),
        (SHARED, And((ONE, LIVE)), And((ONE, LIVE))),
        (OWNED, Always(True), tenant),
        (OWNED, ONE, And((ONE, tenant))),
        (OWNED, And((ONE, LIVE)), And((ONE, LIVE, tenant))),
        (OWNED, Or((ONE, LIVE)), And((Or((ONE, LIVE)), tenant))),
        (SCOPED, Always(True), And((tenant, LIVE))),
        (SCOPED, ONE, And((ONE, tenant, LIVE))),
    ):
        assert confined(Count(model, given)).filter == expected


def test_a_united_model_is_confined_first() -> None:
    """What a pipeline unites with begins with the conditions of that model, if it has any."""
    [tenant] = confining(OWNED)
    limit = Limit(Slot(0, Integer()))
    for model, before in (
        (SHARED, ()),
        (OWNED, (Match(tenant),)),
        (SCOPED, (Match(And((tenant, LIVE))),)),
    ):
        union = UnionWith(model, Pipeline(model.fields, (limit,), model.fields))
        operation = Aggregate(SHARED, Pipeline(SHARED.fields, (union,), SHARED.fields))
        [stage] = confined(operation).pipeline.stages
        assert isinstance(stage, UnionWith)
        assert stage.pipeline.stages == (*before, limit)


def test_what_writes_by_key_is_left_as_it_is() -> None:
    """Creates, upserts and updates of rows by key are confined where they are compiled."""
    fields = OWNED.fields
    for operation in (
        Create(OWNED, fields),
        CreateMany(OWNED, fields),
        UpdateRows(OWNED, OWNED.primary_key, (SIZE,)),
        Upsert(OWNED, fields, OWNED.primary_key, (SIZE,)),
    ):
        assert confined(operation) is operation


async def test_scopes_with_values(database_url: str) -> None:
    """A scope may compare with values and lists of them, beside the tenant."""
    async with DataFlow(database_url) as db:

        @db.model(validation="off")
        class Paper:
            __dataflow__ = {"multi_tenant": True}
            state: str = field(max_length=20)
            year: int

        with db.tenant("acme"):
            for state, year in (("new", 1), ("old", 1), ("gone", 1), ("new", 2)):
                await db.run("PaperCreateNode", state=state, year=year)
        filter = {"state": {"$in": ["new", "old", "older"]}, "year": 1}
        model = next(one for one in db._registry.models.values() if one.name == "Paper")
        db._registry.bindings["Paper"].bind(evolve(model, scopes=(RowScope("live", filter),)))
        with db.tenant("acme"):
            rows = (await db.run("PaperListNode", order_by=["state"]))["records"]
            assert [(row["state"], row["year"]) for row in rows] == [("new", 1), ("old", 1)]
            assert (await db.run("PaperCountNode", filter={"year": {"$gt": 0}}))["count"] == 2
            union = [{"$unionWith": "Paper"}, {"$count": "n"}]
            assert (await db.run("PaperListNode", aggregate=union))["result"] == [{"n": 6}]
