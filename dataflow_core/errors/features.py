"""DF-9xx: what a database cannot do."""

from __future__ import annotations

from typing import Any

from dataflow_core.errors.base import DataFlowError, Outcome, Solution


class FeatureError(DataFlowError):
    """Something was asked for that this database does not offer."""

    title = "Features of a database"


class UnsupportedFeature(FeatureError):
    """The database in use does not offer this feature; nothing was sent to it.

    Parameters:
        message: what was asked and why it cannot be done here.
        feature: the id of the feature.
        dialect: the name of the dialect in use.
        reason: why it is not offered.
    """

    code = "DF-901"
    title = "The database does not offer this"
    causes: tuple[str, ...] = (
        "The engine cannot do it, or not in this version.",
        "The dialect's plugin does not implement it yet.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Look at how the call is carried out where it is offered.",
            'print(db.explain("UserListNode", filter={"name": "Ada"}))',
        ),
        Solution(
            "Bring the dialect's plugin up to date.",
            'pip install --upgrade "dataflow-db[all]"',
            language="shell",
        ),
    )

    def __init__(
        self,
        message: str,
        /,
        *,
        feature: str,
        dialect: str,
        reason: str | None = None,
        suggestion: str | None = None,
        outcome: Outcome | None = None,
        **context: Any,
    ) -> None:
        self.feature = feature
        self.dialect = dialect
        self.reason = reason
        super().__init__(
            message,
            suggestion=suggestion,
            outcome=outcome,
            feature=feature,
            dialect=dialect,
            reason=reason,
            **context,
        )
