"""Names that a pipeline makes: they become column aliases, so their form is closed."""

from __future__ import annotations

import re
from typing import Any, Final

from dataflow_core.errors import InvalidPipeline
from dataflow_core.naming_hints import quoted

__all__ = ["check_alias"]

_ALIAS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def check_alias(name: Any, where: str) -> str:
    """Return ``name`` if it is a plain identifier of at most 63 characters; refuse it otherwise."""
    if not isinstance(name, str) or not _ALIAS.fullmatch(name):
        raise InvalidPipeline(
            f"{where}: a name made by a pipeline has letters, digits and _ (at most 63),"
            f" got {quoted(name)}"
        )
    return name
