"""An instance whose dialect is declared and never loaded: nothing here touches a database."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from dataflow_core import DataFlow
from dataflow_core.contract import DialectSpec, Option, hookimpl
from dataflow_core.errors import DatabaseError


class Acme:
    """A plugin with a dialect that cannot be opened."""

    __version__ = "1.0"

    @hookimpl
    def dataflow_dialect(self) -> DialectSpec:
        """Declare it."""
        options = (
            Option("colour", str, "a colour", choices=("RED", "BLUE")),
            Option("depth", (int, float), "a depth"),
            Option("api_token", int, "a secret"),
        )
        return DialectSpec(
            "acme", ("acme",), _refuse, options, default_url="acme://default/main", contract=1
        )


def _refuse() -> Any:
    raise DatabaseError("opened")


def installed() -> list[str]:
    """The names of the plugins of this environment."""
    return [point.name for point in metadata.entry_points(group="dataflow")]


def instance(*arguments: Any, **options: Any) -> DataFlow:
    """An instance that knows the dialect ``acme`` only."""
    return DataFlow(*arguments, disabled_plugins=installed(), plugins=[("acme", Acme())], **options)
