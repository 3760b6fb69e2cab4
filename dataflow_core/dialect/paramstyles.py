"""Placeholders as drivers want them. Compilers write ``$1``, ``$2``, whatever the driver takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

from attrs import frozen

__all__ = ["Paramstyle", "placed"]

Paramstyle = Literal["dollar", "qmark", "numeric", "named", "format", "pyformat"]
"""What a driver takes: ``dollar`` is ``$1`` as it is, the others are those of DB-API 2.0."""

# Quoted texts, names and comments hold no placeholder.
_PIECE: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/|\$(?P<number>[0-9]+)""", re.DOTALL
)
_SPELT: Final[Mapping[str, str]] = {
    "qmark": "?",
    "numeric": ":{0}",
    "named": ":p{0}",
    "format": "%s",
    "pyformat": "%(p{0})s",
}


@frozen
class _Placed:
    """A text in the driver's style, and which parameters it takes in which order."""

    sql: str
    order: tuple[int, ...]


def placed(
    sql: str, parameters: Sequence[Any], style: Paramstyle
) -> tuple[str, Sequence[Any] | Mapping[str, Any]]:
    """A statement and its parameters in the style of a driver.

    Parameters:
        sql: the statement with ``$1``, ``$2``, ...; one may come twice.
        parameters: the values, the first is that of ``$1``.
        style: what the driver takes.
    """
    if style == "dollar":
        return sql, parameters
    text = _placed(sql, style)
    if style in ("named", "pyformat"):
        return text.sql, {f"p{at}": value for at, value in enumerate(parameters, 1)}
    if style == "numeric":
        return text.sql, parameters
    return text.sql, [parameters[at - 1] for at in text.order]


@lru_cache(maxsize=1_024)
def _placed(sql: str, style: Paramstyle) -> _Placed:
    doubles = style in ("format", "pyformat")
    parts: list[str] = []
    order: list[int] = []
    end = 0
    for piece in _PIECE.finditer(sql):
        number = piece["number"]
        if number is None:
            continue
        before = sql[end : piece.start()]
        parts.append(before.replace("%", "%%") if doubles else before)
        parts.append(_SPELT[style].format(number))
        order.append(int(number))
        end = piece.end()
    rest = sql[end:]
    parts.append(rest.replace("%", "%%") if doubles else rest)
    return _Placed("".join(parts), tuple(order))
