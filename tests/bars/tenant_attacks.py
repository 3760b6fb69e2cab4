"""Calls that have to be refused: forged tenants, keys that only another tenant has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import evolve

from tests.bars.tenant_calls import COUNTED, KEY, Call, TenantCalls
from tests.bars.tenant_world import FOREIGN, ROWS, THEIRS, THIRD

_NO_TENANTS: Final = (THEIRS, THIRD, "", "nobody", 7, True, ["acme"], {"$ne": "x"}, b"acme")


def parameter(calls: TenantCalls) -> Call:
    """Any call, with the parameter of another tenant, or of nothing that is one."""
    made = calls.any()
    while made.node.startswith("Region"):
        made = calls.any()
    forged = calls.rng.choice(_NO_TENANTS)
    return evolve(made, parameters={**made.parameters, "tenant_id": forged}, refused=True)


def row(calls: TenantCalls) -> Call:
    """Rows to be stored that name another tenant, at least one of them."""
    rng, name = calls.rng, calls.name()
    forged = {**calls.row(name), "tenant_id": rng.choice(_NO_TENANTS)}
    if rng.random() < 0.3:
        node = rng.choice(("CreateNode", "UpsertNode"))
        return Call(f"{name}{node}", {"values": forged}, refused=True)
    data = [*calls.data(name), forged, *calls.data(name)]
    if rng.random() < 0.5:
        return Call(f"{name}BulkUpsertNode", {"data": data}, refused=True)
    conflict = rng.choice(("error", "skip", "update"))
    return Call(f"{name}BulkCreateNode", {"data": data, "conflict": conflict}, refused=True)


def moved(calls: TenantCalls) -> Call:
    """Updates that would hand a row over."""
    rng, name = calls.rng, calls.name()
    forged = rng.choice(_NO_TENANTS)
    ways: tuple[Any, ...] = (
        {"tenant_id": forged},
        {"$set": {"tenant_id": forged}},
        {"$inc": {"amount": 1}, "$set": {"tenant_id": forged}},
        {"$unset": {"tenant_id": ""}},
        {"$rename": {"note": "tenant_id"}},
        {"$max": {"tenant_id": THEIRS}},
        {"$set": {"tenant_id": {"$concat": ["$tenant_id", " "]}}},
        {"tenant_id": None},
    )
    roll, fields = rng.random(), rng.choice(ways)
    if roll < 0.35:
        # Nothing that it is not seen for another reason first.
        return Call(f"{name}UpdateNode", {**calls.selected(name), "fields": fields}, refused=True)
    if roll < 0.6:
        return Call(
            f"{name}BulkUpdateNode", {"filter": calls.filter(name), "fields": fields}, refused=True
        )
    if roll < 0.8:
        data = [{KEY[name]: calls.key(name), "tenant_id": forged, "amount": 1, "version": 1}]
        if "version" not in calls.models[name].by_name:
            del data[0]["version"]
        return Call(f"{name}BulkUpdateNode", {"data": data}, refused=True)
    insert = {"$setOnInsert": {"tenant_id": forged}}
    parameters = {"values": calls.row(name), "fields": insert}
    return Call(f"{name}UpsertNode", parameters, refused=True)


def foreign_key(calls: TenantCalls) -> Call:
    """Rows to be stored under counted keys that another tenant has."""
    rng, name = calls.rng, calls.name(COUNTED)
    used = {row["code"] for row in calls.rows.get(name, ())}
    data = []
    for number in rng.sample(range(ROWS), rng.randint(1, 3)):
        code = f"foreign {number}"
        assert code not in used
        data.append({**calls.row(name), "id": FOREIGN + number, "code": code})
        if name == "Node":
            data[-1]["parent_id"] = None
        else:
            data[-1]["team_code"] = None
    if rng.random() < 0.4:
        node = rng.choice(("CreateNode", "UpsertNode"))
        return Call(f"{name}{node}", {"values": data[0]}, refused=True, foreign=True)
    if rng.random() < 0.5:
        parameters = {"data": data, "match_fields": [rng.choice(("id", "id", "code"))]}
        return Call(f"{name}BulkUpsertNode", parameters, refused=True, foreign=True)
    conflict = rng.choice(("error", "skip", "update"))
    return Call(
        f"{name}BulkCreateNode",
        {"data": data, "conflict": conflict, "return_ids": rng.random() < 0.5},
        refused=conflict != "skip",
        foreign=True,
    )


ATTACKS: Final[dict[Callable[[TenantCalls], Call], int]] = {
    parameter: 4,
    row: 4,
    moved: 4,
    foreign_key: 3,
}
"""The attacks and how often each comes."""
