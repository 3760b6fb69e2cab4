"""The reference's blocks on security and compliance: a person's data, asked for as nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dataflow_core import DataFlow, WorkflowBuilder, field
from tests.reference.support import ran

WITHOUT_DATABASES = ("pgbouncer",)
READER = 123


@pytest.fixture
def db(database_url: str) -> Iterator[DataFlow]:
    """A library with a reader, who has a card and has borrowed two books."""
    with DataFlow(database_url) as db:

        @db.model
        class User:
            id: int = field(primary_key=True)
            name: str = field(personal=True)

        @db.model
        class Book:
            title: str

        @db.model
        class Loan:
            user_id: int = field(references="User.id")
            book_id: int = field(references="Book.id")
            remark: str | None = field(personal=True)

        for key, name in ((READER, "Mary"), (124, "Percy")):
            db.run_sync("UserCreateNode", id=key, name=name)
        db.run_sync("BookBulkCreateNode", data=[{"title": "Valperga"}, {"title": "Queen Mab"}])
        for reader, book in ((READER, 1), (READER, 2), (124, 2)):
            remark = f"for {reader}"
            db.run_sync("LoanCreateNode", user_id=reader, book_id=book, remark=remark)
        yield db


@pytest.mark.parametrize("request_type", ["export", "delete"])
def test_a_request_is_answered(db: DataFlow, request_type: str) -> None:
    """A request to export gives the rows, one to delete removes them; the trail is asked for."""
    workflow = WorkflowBuilder()
    workflow.add_node(
        "GDPRComplianceNode",
        "answer",
        {"user_id": READER, "request_type": request_type, "include_audit_trail": True},
    )
    answer = ran(workflow)["answer"]
    users = db.run_sync("UserListNode")["records"]
    if request_type == "export":
        assert [row["remark"] for row in answer["result"]["Loan"]] == ["for 123", "for 123"]
        assert len(users) == 2
    else:
        assert answer["result"]["Loan"]["deleted"] == 2
        assert [row["name"] for row in users] == ["Percy"]
        assert db.run_sync("BookCountNode")["count"] == 2
    assert answer["audit_trail"] == {}
    without = "has no audit trail: its model has no audit_log"
    assert answer["notes"] == [f"{name} {without}" for name in ("User", "Loan")]


def test_data_are_exported(db: DataFlow) -> None:
    """The export is ``{model: [rows]}``, deleted rows included where there are such."""
    workflow = WorkflowBuilder()
    workflow.add_node(
        "UserDataExportNode",
        "export",
        {"user_id": READER, "format": "json", "include_deleted": True},
    )
    exported = ran(workflow)["export"]["result"]
    assert list(exported) == ["User", "Loan"]
    assert exported["User"][0]["name"] == "Mary"


def test_data_are_anonymised(db: DataFlow) -> None:
    """What leads to the reader is deleted, and the reader's own row says nothing any more."""
    workflow = WorkflowBuilder()
    workflow.add_node(
        "UserDataAnonymizeNode",
        "anonymise",
        {"user_id": READER, "retention_policy": "strict", "cascade_delete": True},
    )
    result = ran(workflow)["anonymise"]["result"]
    assert result["User"] == {"deleted": 0, "anonymized": 1, "kept": 0}
    assert result["Loan"] == {"deleted": 2, "anonymized": 0, "kept": 0}
    assert db.run_sync("UserReadNode", id=READER)["name"] != "Mary"
