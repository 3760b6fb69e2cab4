"""DF-701 and DF-702: how many rows were found."""

from __future__ import annotations

from dataflow_core.errors.base import DataFlowError, Solution


class RecordError(DataFlowError):
    """Another number of rows was found than the node works on."""

    title = "Records"


class RecordNotFound(RecordError):
    """No row has this key or matches this filter."""

    code = "DF-701"
    title = "No record was found"
    causes: tuple[str, ...] = (
        "The row does not exist, or was deleted.",
        "The row belongs to another tenant, or is deleted softly.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Create the row first.", 'db.run_sync("UserCreateNode", name="Ada")'),
        Solution(
            "Take an absent row as an answer.",
            'found = db.run_sync("UserReadNode", id=1, raise_on_not_found=False)["found"]',
        ),
    )


class MultipleRecordsMatched(RecordError):
    """A node for one record matched several; nothing was changed."""

    code = "DF-702"
    title = "Several records match"
    causes: tuple[str, ...] = ("The filter does not name a key or a unique field.",)
    solutions: tuple[Solution, ...] = (
        Solution("Name the row by its key.", 'db.run_sync("UserReadNode", id=1)'),
        Solution(
            "Use the node for many rows.",
            'db.run_sync("UserListNode", filter={"status": "active"})',
        ),
    )
