"""Nodes that plugins bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

__all__ = ["NodeSpec"]


@frozen
class NodeSpec:
    """A node that every instance has, beside those of its models.

    Attributes:
        name: how workflows call it, such as ``AcmeReportNode``.
        function: ``(context, **parameters) -> dict``, asynchronous or not; its parameters are those
            of the node, its docstring the description.
        last: in a workflow it runs after all other nodes.
        repeatable: it does nothing outside of the database, so transactions may repeat it.
    """

    name: str
    function: Callable[..., Any]
    last: bool = False
    repeatable: bool = False
