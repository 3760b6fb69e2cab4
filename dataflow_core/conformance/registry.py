"""The cases: what each is called, which feature it holds a dialect to, and the rule it checks."""

from __future__ import annotations

import importlib
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from attrs import frozen

from dataflow_core.features import FEATURES
from dataflow_core.naming_hints import nearest

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

__all__ = ["Case", "Check", "all_cases", "case", "register"]

Check = Callable[["Session"], Awaitable[None]]

_ID: Final = re.compile(r"[a-z][a-z_]*(\.[a-z0-9_]+)+")
_cases: dict[str, Case] = {}


@frozen
class Case:
    """One case. Its id never changes; what it checks changes only under a new id.

    Attributes:
        id: topic first, such as ``filters.regex.anchor``.
        feature: the feature id that the case is about.
        rule: what holds on every database, in a sentence.
        since: the version of the suite that brought the case.
        check: raises if the rule does not hold.
        also: other features without which the case cannot run.
    """

    id: str
    feature: str
    rule: str
    since: str
    check: Check
    also: tuple[str, ...] = ()

    @property
    def topic(self) -> str:
        """The first part of the id."""
        return self.id.partition(".")[0]

    @property
    def features(self) -> tuple[str, ...]:
        """Every feature that the case uses, its own first."""
        return (self.feature, *self.also)


def register(
    identifier: str,
    check: Check,
    *,
    feature: str,
    rule: str,
    since: str = "0.1",
    also: tuple[str, ...] = (),
) -> Case:
    """Make a case known.

    Raises:
        ValueError: the id is taken or malformed, a feature does not exist, or the rule is missing.
    """
    if not _ID.fullmatch(identifier):
        raise ValueError(f"the id {identifier!r} is not like 'topic.name'")
    if identifier in _cases:
        raise ValueError(f"there are two cases {identifier!r}")
    for name in (feature, *also):
        if name not in FEATURES:
            raise ValueError(
                f"{identifier}: there is no feature {name!r},"
                f" the nearest is {nearest(name, FEATURES)!r}"
            )
    sentence = " ".join(rule.split())
    if not sentence.endswith("."):
        raise ValueError(f"{identifier}: the rule is a sentence: {sentence!r}")
    made = _cases[identifier] = Case(identifier, feature, sentence, since, check, also)
    return made


def case(
    identifier: str, *, feature: str, since: str = "0.1", also: tuple[str, ...] = ()
) -> Callable[[Check], Check]:
    """Register a coroutine function as a case; its docstring is the rule."""

    def decorate(check: Check) -> Check:
        register(
            identifier, check, feature=feature, rule=check.__doc__ or "", since=since, also=also
        )
        return check

    return decorate


def all_cases() -> tuple[Case, ...]:
    """Every case of the suite, by topic."""
    from dataflow_core.conformance.cases import MODULES

    for name in MODULES:
        importlib.import_module(f"dataflow_core.conformance.cases.{name}")
    return tuple(_cases.values())
