"""Names that a pipeline makes: they become column aliases, so their form is closed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from dataflow_core.errors import InvalidPipeline
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import Field
from dataflow_core.schema.naming import NAME_BYTES

__all__ = ["check_alias", "check_distinct"]

_ALIAS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def check_alias(name: Any, where: str, prefix: str = "") -> str:
    """Return ``prefix`` and ``name`` if that is a plain identifier of at most 63 characters.

    Two underscores in front are for the columns that the compiler adds. Raises ``InvalidPipeline``.
    """
    if (
        not isinstance(name, str)
        or not _ALIAS.fullmatch(name)
        or len(prefix + name) > NAME_BYTES
        or name.startswith("__")
    ):
        raise InvalidPipeline(
            f"{where}: a name made by a pipeline has letters, digits and _"
            f" (at most {NAME_BYTES - len(prefix)}, and not __ in front), got {quoted(name)}"
        )
    return prefix + name


def check_distinct(fields: Iterable[Field], where: str) -> tuple[Field, ...]:
    """Return the fields of a row; ``InvalidPipeline`` if two names differ by case only or not."""
    fields = tuple(fields)
    seen: dict[str, str] = {}
    for field in fields:
        folded = field.name.casefold()
        if folded in seen:
            raise InvalidPipeline(
                f"{where}: the names {seen[folded]!r} and {field.name!r} are the same or differ"
                " only by case, which not every database can tell apart"
            )
        seen[folded] = field.name
    return fields
