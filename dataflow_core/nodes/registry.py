"""The live instances of this process: where a workflow without an instance looks up its nodes."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from dataflow_core.nodes.base import NodeOwner

__all__ = ["NodeName", "forget_owner", "live_owners", "register_owner"]

_lock = threading.RLock()  # re-entrant: the collector may drop an instance while it is held
_owners: dict[int, weakref.ref[Any]] = {}


class NodeName(str):
    """The name of a node that remembers its instance, so that a workflow needs no other hint."""

    _owner: weakref.ref[Any]

    def __new__(cls, name: str, owner: NodeOwner) -> NodeName:
        """The name, of that instance."""
        found = super().__new__(cls, name)
        found._owner = weakref.ref(owner)
        return found

    @property
    def owner(self) -> NodeOwner | None:
        """The instance; ``None`` once it is gone."""
        found: NodeOwner | None = self._owner()
        return found


def register_owner(owner: NodeOwner) -> None:
    """Make an instance known, until it is forgotten or no longer referenced."""
    key = id(owner)

    def drop(gone: weakref.ref[Any]) -> None:
        with _lock:
            # A new instance may already live at the same address.
            if _owners.get(key) is gone:
                del _owners[key]

    with _lock:
        _owners[key] = weakref.ref(owner, drop)


def forget_owner(owner: NodeOwner) -> None:
    """Forget an instance, because it is closed; forgetting it twice changes nothing."""
    with _lock:
        known = _owners.get(id(owner))
        if known is not None and known() is owner:
            del _owners[id(owner)]


def live_owners() -> tuple[NodeOwner, ...]:
    """The instances that are neither closed nor gone, oldest first."""
    with _lock:
        found = [reference() for reference in tuple(_owners.values())]
    return tuple(owner for owner in found if owner is not None)
