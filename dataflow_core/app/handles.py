"""``db.nodes.User.create(...)``: the nodes of a model as methods."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from dataflow_core.errors import UnknownNode
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.nodes.base import Context, Run
from dataflow_core.nodes.generate import ModelNodes

if TYPE_CHECKING:
    from dataflow_core.run.streams import RowStream

__all__ = ["ModelHandle", "NodesNamespace"]

Result = Coroutine[Any, Any, dict[str, Any]]
"""What every method gives: awaited, it is the node's result."""


class _Runs(dict[str, Run]):
    """What the nodes of a model do, by kind; of some tables not every kind is there."""

    def __init__(self, runs: Mapping[str, Run], absent: Mapping[str, str]) -> None:
        super().__init__(runs)
        self._absent = absent

    def __missing__(self, kind: str) -> Run:
        raise UnknownNode(f"there is no node for {kind}: {self._absent[kind]}")


class ModelHandle:
    """The nodes of one model. Every method takes the node's parameters and returns its result."""

    def __init__(self, name: str, nodes: ModelNodes, context: Context) -> None:
        self._name = name
        self._context = context
        runs = {kind: node.run for kind, node in nodes.types.items()}
        self._run = _Runs(runs, nodes.absent)
        self._stream = nodes.types["list"].stream

    def __repr__(self) -> str:
        return f"<nodes of {self._name}>"

    def __getattr__(self, kind: str) -> Callable[..., Result]:
        """The node of a kind that a plugin brings."""
        if kind.startswith("_") or kind not in self._run:
            known = [name for name in (*vars(type(self)), *self._run) if not name.startswith("_")]
            raise AttributeError(
                f"{self._name} has no node for {kind}", name=nearest(kind, known) or kind, obj=self
            )
        return lambda **parameters: self._run[kind](self._context, parameters)

    def create(self, /, **parameters: Any) -> Result:
        """Insert one row."""
        return self._run["create"](self._context, parameters)

    def read(self, /, **parameters: Any) -> Result:
        """Read one row by its key or a filter."""
        return self._run["read"](self._context, parameters)

    def update(self, /, **parameters: Any) -> Result:
        """Change one row."""
        return self._run["update"](self._context, parameters)

    def delete(self, /, **parameters: Any) -> Result:
        """Remove one row."""
        return self._run["delete"](self._context, parameters)

    def upsert(self, /, **parameters: Any) -> Result:
        """Insert or change one row."""
        return self._run["upsert"](self._context, parameters)

    def list(self, /, **parameters: Any) -> Result:
        """Rows, their number, or a pipeline over them."""
        return self._run["list"](self._context, parameters)

    def stream(self, /, **parameters: Any) -> RowStream:
        """The rows of a list, read while they are asked for: ``async for``, or ``for``."""
        assert self._stream is not None
        stream: RowStream = self._stream(self._context, parameters)
        return stream

    def count(self, /, **parameters: Any) -> Result:
        """The number of rows."""
        return self._run["count"](self._context, parameters)

    def bulk_create(self, /, **parameters: Any) -> Result:
        """Insert many rows."""
        return self._run["bulk_create"](self._context, parameters)

    def bulk_update(self, /, **parameters: Any) -> Result:
        """Change many rows."""
        return self._run["bulk_update"](self._context, parameters)

    def bulk_delete(self, /, **parameters: Any) -> Result:
        """Remove many rows."""
        return self._run["bulk_delete"](self._context, parameters)

    def bulk_upsert(self, /, **parameters: Any) -> Result:
        """Insert or change many rows."""
        return self._run["bulk_upsert"](self._context, parameters)

    def export_to(self, path: Any, /, **parameters: Any) -> Result:
        """Write the rows of a list into a file."""
        return self._run["export_to"](self._context, {"path": path, **parameters})

    def import_from(self, path: Any, /, **parameters: Any) -> Result:
        """Store the rows of a file."""
        return self._run["import_from"](self._context, {"path": path, **parameters})


class NodesNamespace:
    """``db.nodes``: a handle for every model, by the name of its class."""

    def __init__(self) -> None:
        self._handles: dict[str, ModelHandle] = {}

    def __getattr__(self, name: str) -> ModelHandle:
        found = self.__dict__.get("_handles", {}).get(name)
        if found is None:
            if name.startswith("__"):
                raise AttributeError(name)
            raise UnknownNode(
                f"there is no model {quoted(name)}", suggestion=nearest(name, self._handles)
            )
        self.__dict__[name] = found
        handle: ModelHandle = found
        return handle

    def __dir__(self) -> list[str]:
        return sorted(self._handles)

    def _add(self, name: str, handle: ModelHandle) -> None:
        self.__dict__.pop(name, None)
        self._handles[name] = handle
