"""Rows that were deleted softly: hidden from every node, and personal data all the same.

The generated nodes that write many rows are about them too, but only within ``erasing``, which is
this plugin's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from dataflow_core.contract import Behaviour, ModelAccess, ModelPolicy, PolicyContext, Wrap
from dataflow_core.schema import Model

__all__ = ["REACHING", "erasing", "hiding"]

_ERASING: ContextVar[bool] = ContextVar("dataflow_governance_erasing", default=False)


@contextmanager
def erasing() -> Iterator[None]:
    """``with``: bulk updates and deletes of this plugin are about hidden rows too, and for good."""
    token = _ERASING.set(True)
    try:
        yield
    finally:
        _ERASING.reset(token)


def hiding(model: Model) -> tuple[str, ...]:
    """The scopes of a model that hide deleted rows."""
    return tuple(scope.name for scope in model.scopes if scope.lifted_by == "include_deleted")


def _reaching(kind: str) -> Wrap:
    def wrap(inner: Behaviour, access: ModelAccess) -> Behaviour:
        async def run(context: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
            if not _ERASING.get():
                return await inner(context, parameters)
            counted = {item.name for item in access.model.fields if item.managed == "counted"}
            given = {name: parameters[name] for name in parameters if name != "soft_delete"}
            if isinstance(given.get("data"), list):
                # Versions were for the policy around this one, if there is one.
                given["data"] = [
                    {name: row[name] for name in row if name not in counted}
                    for row in given["data"]
                ]
            return await access.run(kind, context, given, lifted=hiding(access.model))

        return run

    return wrap


def _wraps(model: Model) -> Mapping[str, Wrap]:
    kinds: Final = ("bulk_update", "bulk_delete")
    return {kind: _reaching(kind) for kind in kinds} if hiding(model) else {}


def _as_it_is(model: Model, context: PolicyContext) -> Model:
    return model


REACHING: Final = ModelPolicy((), _as_it_is, _wraps)
"""The policy: it claims no option and leaves models as they are."""
