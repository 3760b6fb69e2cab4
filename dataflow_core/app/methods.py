"""What plugins bring to an instance: methods, such as ``db.audit(...)``; recorders of changes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from dataflow_core.contract.manager import DISTRIBUTION
from dataflow_core.errors import PluginError
from dataflow_core.naming_hints import nearest
from dataflow_core.run.recorders import Recorders
from dataflow_core.run.sync_bridge import synchronous

__all__ = ["KNOWN_METHODS", "bound_method", "methods_by_name", "recorders_of"]

KNOWN_METHODS: Final[Mapping[str, str]] = {
    "acting": "policies",
    "audit": "policies",
    "prune_audit": "policies",
    "tombstone_audit": "policies",
    "verify_audit": "policies",
}
"""The methods of first-party plugins, each with the extra that installs it."""


def methods_by_name(
    found: list[tuple[str, str, Callable[..., Any]]], owner: type
) -> dict[str, Callable[..., Any]]:
    """The methods by name; of an asynchronous function also that with an ``a`` in front.

    ``found``: the origin of each, its name, the function. Raises ``PluginError`` for a name that
    ``owner`` or another plugin has.
    """
    methods: dict[str, Callable[..., Any]] = {}
    for origin, name, function in found:
        forms = {name: function}
        if inspect.iscoroutinefunction(function):
            forms = {f"a{name}": function, name: synchronous(function)}
        for form, made in forms.items():
            if form in methods or hasattr(owner, form):
                raise PluginError(
                    f"dataflow_methods of {origin}: there is a method called {form!r} already"
                )
            methods[form] = made
    return methods


def bound_method(owner: Any, methods: Mapping[str, Callable[..., Any]], name: str) -> Any:
    """The method of an instance; ``AttributeError`` with what to install, or the nearest."""
    function = methods.get(name)
    if function is not None:
        return functools.partial(function, owner)
    extra = KNOWN_METHODS.get(name) or KNOWN_METHODS.get(name.removeprefix("a"))
    hint = nearest(name, (*methods, *(item for item in dir(type(owner)) if item[0] != "_")))
    if extra is not None:
        reason = f': no plugin brings it: pip install "{DISTRIBUTION}[{extra}]"'
    else:
        reason = "" if hint is None else f"; did you mean {hint}?"
    raise AttributeError(f"DataFlow has no {name!r}{reason}", name=name, obj=owner)


def recorders_of(owner: Any) -> Recorders:
    """Who is told of the changes that an instance makes."""
    return Recorders(owner.plugins.change_recorders, owner.run, lambda: owner.current_tenant)
