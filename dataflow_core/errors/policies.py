"""DF-530 and following: what a policy of a model refuses."""

from __future__ import annotations

from dataflow_core.errors.base import DataFlowError, Solution

__all__ = ["PolicyError", "TenantMismatch", "TenantRequired", "VersionConflict", "VersionRequired"]


class PolicyError(DataFlowError):
    """A policy of the model forbids the call; nothing was changed."""

    title = "Policies"


class TenantRequired(PolicyError):
    """A multi-tenant model was used and no tenant is in force."""

    code = "DF-530"
    title = "No tenant is in force"
    causes: tuple[str, ...] = (
        "The call was made outside of `with db.tenant(...)` and gives no `tenant_id`.",
        "A task or a thread was started before the tenant was set.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Say whose rows are meant.",
            'with db.tenant("a"):\n    db.run_sync("UserListNode")',
        ),
        Solution(
            "Give the tenant to the run.",
            'runtime.execute(workflow.build(), tenant_id="a")',
        ),
    )


class TenantMismatch(PolicyError):
    """Another tenant than the one in force was given."""

    code = "DF-531"
    title = "The row would be another tenant's"
    causes: tuple[str, ...] = (
        "`tenant_id` was given, and another tenant is in force.",
        "An update or a row to be stored names another tenant: rows never change hands.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Leave the tenant out: it is filled in.",
            'with db.tenant("a"):\n    db.run_sync("UserCreateNode", name="Ada")',
        ),
    )


class VersionRequired(PolicyError):
    """A versioned model was to be changed without saying which version was read."""

    code = "DF-532"
    title = "The version is missing"
    causes: tuple[str, ...] = ("Values that were computed from a row may overwrite newer ones.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Give the version that the row had when it was read.",
            'db.run_sync("UserUpdateNode", id=1, fields={"name": "Ada"}, version=1)',
        ),
        Solution(
            "Change by operators only, which need no version.",
            'db.run_sync("UserUpdateNode", id=1, fields={"$inc": {"age": 1}})',
        ),
    )


class VersionConflict(PolicyError):
    """A row has another version than the one that was given: somebody has changed it since.

    ``context`` has ``expected`` and ``actual``, the two versions, and ``key`` where one row is
    meant.
    """

    code = "DF-533"
    title = "Somebody else has changed the row"
    causes: tuple[str, ...] = ("Another call changed the row after it was read.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Read the row again and decide anew.",
            'row = db.run_sync("UserReadNode", id=1)["result"]',
        ),
    )
