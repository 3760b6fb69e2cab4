"""The nearest right name, and a rendering of any object that is safe to put into a message."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

__all__ = ["nearest", "quoted"]

QUOTED_LENGTH = 80
COMPARED_LENGTH = 200
COMPARED_CHOICES = 2_000
_CUTOFF = 0.6
_SHOWN_ITEMS = 6
_SHOWN_DEPTH = 3
_INTEGER_BITS = 256
_BRACKETS = {"list": ("[", "]"), "tuple": ("(", ")")}


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice that `name` was most likely meant to be.

    A choice that differs only in upper and lower case wins, then one that differs only in
    separators (`createdAt`, `created-at`, `created_at`), then the closest spelling.

    Parameters:
        name: what was written. Longer than 200 characters: nothing is compared.
        choices: the right names; at most 2,000 are looked at, so that a hostile table of names
            costs little.

    Returns:
        The choice as it is spelt, or None where nothing is close.
    """
    if not isinstance(name, str) or not 0 < len(name) <= COMPARED_LENGTH:
        return None
    candidates = [
        choice
        for choice in islice(choices, COMPARED_CHOICES)
        if isinstance(choice, str) and len(choice) <= COMPARED_LENGTH
    ]
    folded = name.casefold()
    by_folded: dict[str, str] = {}
    for choice in candidates:
        by_folded.setdefault(choice.casefold(), choice)
    if folded in by_folded:
        return by_folded[folded]
    bare = _without_separators(folded)
    if bare:
        for candidate, choice in by_folded.items():
            if _without_separators(candidate) == bare:
                return choice
    # Imported here: only somebody who made a mistake pays for it.
    from difflib import get_close_matches

    close = get_close_matches(folded, by_folded, n=1, cutoff=_CUTOFF)
    return by_folded[close[0]] if close else None


def quoted(name: object) -> str:
    """Return a one-line rendering of any object for use in a message.

    Never raises, never longer than 80 characters; control characters and lone surrogates are
    escaped, so that it can be printed and encoded anywhere; cyclic and huge objects are cut short.
    """
    return _cut(_escaped(_rendered(name, _SHOWN_DEPTH)))


def _without_separators(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace("$", "").replace(" ", "")


def _cut(text: str) -> str:
    if len(text) <= QUOTED_LENGTH:
        return text
    last = text[-1] if text[0] in "'\"[({<" else ""
    return text[: QUOTED_LENGTH - 3 - len(last)] + "..." + last


def _escaped(text: str) -> str:
    # repr() escapes what cannot be printed, but a foreign __repr__ need not.
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text[: QUOTED_LENGTH * 2]
    )


def _rendered(value: object, depth: int) -> str:
    if isinstance(value, str):
        return repr(str.__getitem__(value, slice(0, QUOTED_LENGTH + 1)))
    if isinstance(value, (bytes, bytearray)):
        return repr(bytes(value[: QUOTED_LENGTH + 1]))
    if type(value) is int:
        bits = value.bit_length()
        # Longer integers take quadratic time to write out, or are refused by the interpreter.
        return repr(value) if bits <= _INTEGER_BITS else f"<integer of {bits} bits>"
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return _rendered_collection(value, depth)
    try:
        return repr(value)[: QUOTED_LENGTH * 4]
    except Exception:  # a foreign __repr__ may raise anything; the message matters more
        return f"<{type(value).__name__}>"


def _rendered_collection(value: Any, depth: int) -> str:
    name = type(value).__name__
    if depth <= 0:
        return f"<{name}>"
    try:
        shown = list(islice(value.items() if isinstance(value, dict) else value, _SHOWN_ITEMS))
        size = len(value)
    except Exception:  # a subclass may break its own protocol
        return f"<{name}>"
    if isinstance(value, dict):
        parts = [f"{_rendered(key, 0)}: {_rendered(item, depth - 1)}" for key, item in shown]
        opening, closing = "{", "}"
    else:
        parts = [_rendered(item, depth - 1) for item in shown]
        opening, closing = _BRACKETS.get(name, ("{", "}"))
    if size > len(shown):
        parts.append("...")
    elif name == "tuple" and size == 1:
        parts.append("")
    return opening + ", ".join(parts).rstrip(" ") + closing
