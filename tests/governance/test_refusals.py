from __future__ import annotations

from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import (
    DataFlowError,
    InvalidType,
    InvalidValue,
    MissingParameter,
    RecordNotFound,
    UnknownField,
)
from tests.governance.shop import User, opened, shop

WITHOUT_DATABASES = ("pgbouncer",)

EXPORT, ANONYMIZE, COMPLY = "UserDataExportNode", "UserDataAnonymizeNode", "GDPRComplianceNode"

REFUSED: list[tuple[str, dict[str, Any], type[DataFlowError], str]] = [
    (EXPORT, {}, MissingParameter, "user_id is missing"),
    (EXPORT, {"user_id": None}, MissingParameter, "user_id is missing: the key of User"),
    (EXPORT, {"user_id": "one"}, InvalidType, "User.id: expected int"),
    (EXPORT, {"user_id": {"name": 1}}, InvalidValue, "the key of User is id"),
    (EXPORT, {"user_id": {"nam": 1}}, UnknownField, "User has no field 'nam'"),
    (EXPORT, {"user_id": {"id": None}}, InvalidType, "the key of User is id"),
    (EXPORT, {"user_id": 1, "model": "Usr"}, InvalidValue, "there is no model 'Usr'"),
    (EXPORT, {"user_id": 1, "model": 3}, InvalidValue, "there is no model 3"),
    (EXPORT, {"user_id": 1, "format": "xml"}, InvalidValue, "format is one of json, csv"),
    (EXPORT, {"user_id": 1, "include_deleted": 1}, InvalidType, "include_deleted is True or False"),
    (ANONYMIZE, {"user_id": 1, "retention_policy": "lax"}, InvalidValue, "standard, strict"),
    (ANONYMIZE, {"user_id": 1, "cascade_delete": "no"}, InvalidType, "cascade_delete is True"),
    (ANONYMIZE, {"user_id": 1, "dry_run": None}, InvalidType, "dry_run is True or False"),
    (COMPLY, {"user_id": 1}, MissingParameter, "request_type is missing"),
    (COMPLY, {"user_id": 1, "request_type": "forget"}, InvalidValue, "one of export, delete"),
    (
        COMPLY,
        {"user_id": 1, "request_type": "export", "include_audit_trail": 1},
        InvalidType,
        "include_audit_trail is True or False",
    ),
]


@pytest.mark.parametrize(("node", "given", "error", "message"), REFUSED)
async def test_refused_before_any_statement(
    node: str, given: dict[str, Any], error: type[DataFlowError], message: str
) -> None:
    """What cannot be done as asked is refused by name, and no connection is opened."""
    async with opened("sqlite://") as db:
        with pytest.raises(error, match=message):
            await db.run(node, **given)
        assert sum(lane.opened for lane in db.pool_stats()["primary"].values()) == 0


@pytest.mark.parametrize("node", [EXPORT, ANONYMIZE, COMPLY])
async def test_nobody_has_this_key(database_url: str, node: str) -> None:
    """A person who is not there is an error of its own; that is the same for every node."""
    given = {"request_type": "delete"} if node == COMPLY else {}
    async with shop(database_url) as db:
        with pytest.raises(RecordNotFound, match=f"{node}: no User has this key"):
            await db.run(node, user_id=99, **given)


async def test_an_instance_without_the_model() -> None:
    """The default model is called User; without one the message says what to give."""
    async with DataFlow() as db:
        db.model(type("Customer", (User,), {"__module__": __name__, "__annotations__": {"a": int}}))
        with pytest.raises(InvalidValue, match="there is no model 'User', whose rows would be"):
            await db.run(EXPORT, user_id=1)
