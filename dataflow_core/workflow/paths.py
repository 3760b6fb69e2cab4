"""Dotted paths: which part of a node's result a connection carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from dataflow_core.errors import InvalidPath
from dataflow_core.naming_hints import nearest, quoted

__all__ = ["EACH", "Path", "parse_path"]

EACH: Final = "*"
_MAX_LENGTH: Final = 1_000
_MAX_STEPS: Final = 32
_SHOWN_KEYS: Final = 12


@frozen
class Path:
    """A path as steps: an output, then keys, indexes of a list, or ``*`` for each of its items."""

    text: str
    steps: tuple[str, ...] = field(repr=False)

    @property
    def output(self) -> str:
        """The output that the path starts at."""
        return self.steps[0]

    @property
    def each(self) -> bool:
        """Whether the path gives a list, one value for each item."""
        return EACH in self.steps

    def follow(self, result: Mapping[str, Any], source: str) -> Any:
        """Return what the path leads to in the result of the node ``source``.

        Raises:
            InvalidPath: a step leads nowhere; the error says which one and what was there.
        """
        return self._follow(result, 0, (), source)

    def _follow(self, value: Any, start: int, passed: tuple[str, ...], source: str) -> Any:
        for number in range(start, len(self.steps)):
            step = self.steps[number]
            if isinstance(value, Mapping):
                if step not in value:
                    raise self._broken(number, passed, value, source)
                value = value[step]
            elif not isinstance(value, list | tuple):
                raise self._broken(number, passed, value, source)
            elif step == EACH:
                # As deep as the path has stars, so the recursion is bounded.
                return [
                    self._follow(item, number + 1, (*passed, str(index)), source)
                    for index, item in enumerate(value)
                ]
            elif _is_index(step) and int(step) < len(value):
                value = value[int(step)]
            else:
                raise self._broken(number, passed, value, source)
            passed = (*passed, step)
        return value

    def _broken(self, number: int, passed: tuple[str, ...], value: Any, source: str) -> InvalidPath:
        place = ".".join(passed) or "the result"
        step, found = self.steps[number], _described(value)
        return InvalidPath(
            f"the path {quoted(self.text)} cannot be followed in the result of node"
            f" {quoted(source)}: step {number + 1}, {quoted(step)}, finds {found} at {place}",
            suggestion=nearest(step, value) if isinstance(value, Mapping) else None,
            source=source,
            path=self.text,
            step=step,
            found=found,
        )


def parse_path(text: object) -> Path:
    """Read a dotted path such as ``"id"``, ``"result.0.id"`` or ``"records.*.id"``.

    Raises:
        InvalidPath: it is no text, is empty, has an empty part, starts with ``*`` or an index, or
            is too long.
    """
    if not isinstance(text, str):
        raise InvalidPath(
            f"the output of a connection must be text, not {type(text).__name__} {quoted(text)}",
            expected="text",
        )
    if len(text) > _MAX_LENGTH or text.count(".") >= _MAX_STEPS:
        raise InvalidPath(
            f"the path {quoted(text)} is too long: at most {_MAX_STEPS} steps",
            path=text,
            expected=f"at most {_MAX_STEPS} steps and {_MAX_LENGTH} characters",
        )
    steps = tuple(text.split("."))
    if not all(steps):
        raise InvalidPath(f"the path {quoted(text)} has an empty part", path=text)
    if steps[0] == EACH or _is_index(steps[0]):
        raise InvalidPath(
            f"the path {quoted(text)} must start with the name of an output", path=text
        )
    return Path(text, steps)


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) < 10


def _described(value: object) -> str:
    """What a step found: its kind and its names, never its values."""
    if value is None:
        return "None"
    if isinstance(value, Mapping):
        if not value:
            return "an empty dict"
        names = [quoted(key) for key in list(value)[:_SHOWN_KEYS]]
        more = ", ..." if len(value) > _SHOWN_KEYS else ""
        return f"a dict with {', '.join(names)}{more}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a value of type {type(value).__name__}"
