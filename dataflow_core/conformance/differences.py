"""What changed between two reports, and whether anything got worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from dataflow_core.conformance.outcome import Outcome

__all__ = ["Change", "changes", "changes_text"]

_TIERS: Final = (None, "core", "standard", "extended")
_LEVELS: Final = ("UNDECLARED", "unsupported", "not_implemented", "full")
_BAD: Final = frozenset(outcome.value for outcome in Outcome if outcome.bad)
_GROUPS: Final = (
    "newly failing",
    "newly passing",
    "other outcome",
    "added",
    "removed",
    "not run",
    "level",
    "tier",
    "version",
)


@frozen
class Change:
    """One difference between two reports.

    Attributes:
        group: what kind of change.
        subject: the case, feature or version.
        before, after: the two sides; empty where one has nothing.
        worse: whether this makes a comparison fail.
    """

    group: str
    subject: str
    before: str
    after: str
    worse: bool = False

    def __str__(self) -> str:
        sides = " -> ".join(side for side in (self.before, self.after) if side)
        return f"{self.subject}: {sides}" if sides else self.subject


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """What changed from one report, as read from its file, to another."""
    found = [*_cases(old, new), *_levels(old, new), *_tier(old, new), *_versions(old, new)]
    return tuple(sorted(found, key=lambda change: _GROUPS.index(change.group)))


def changes_text(found: tuple[Change, ...]) -> str:
    """The changes for a terminal, by group."""
    lines = []
    for group in _GROUPS:
        members = [change for change in found if change.group == group]
        if members:
            lines.append(f"{group} ({len(members)})")
            lines += [f"  {change}{'  WORSE' if change.worse else ''}" for change in members]
    worse = sum(change.worse for change in found)
    lines.append(f"{len(found)} changes, {worse} for the worse" if found else "no change")
    return "\n".join(lines)


def _cases(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before = {case["id"]: case["outcome"] for case in old["cases"]}
    after = {case["id"]: case["outcome"] for case in new["cases"]}
    for name in (*before, *(name for name in after if name not in before)):
        was, now = before.get(name, ""), after.get(name, "")
        if was != now:
            yield _case(name, was, now, complete=(old["complete"], new["complete"]))


def _case(name: str, was: str, now: str, *, complete: tuple[bool, bool]) -> Change:
    if not was:
        group = "added" if complete[0] else "not run"
        return Change(group, name, "", now, worse=now in _BAD and complete[0])
    if not now:
        return Change("removed" if complete[1] else "not run", name, was, "")
    if now in _BAD and was not in _BAD:
        return Change("newly failing", name, was, now, worse=True)
    if now == Outcome.PASS:
        return Change("newly passing", name, was, now)
    # From pass to a gap, or from one kind of failure to a graver one.
    order = [outcome.value for outcome in Outcome]
    return Change("other outcome", name, was, now, worse=order.index(now) > order.index(was))


def _levels(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before = {line["feature"]: line["level"] for line in old["features"]}
    after = {line["feature"]: line["level"] for line in new["features"]}
    for name in before.keys() & after.keys():
        was, now = before[name], after[name]
        if was != now:
            worse = _LEVELS.index(now) < _LEVELS.index(was)
            yield Change("level", name, was, now, worse=worse)


def _tier(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    was, now = old["tier"], new["tier"]
    if old["complete"] and new["complete"] and was != now:
        worse = _TIERS.index(now) < _TIERS.index(was)
        yield Change("tier", "tier reached", was or "none", now or "none", worse=worse)


def _versions(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = old["versions"], new["versions"]
    for name in (*before, *(name for name in after if name not in before)):
        if before.get(name) != after.get(name):
            yield Change("version", name, before.get(name, "none"), after.get(name, "none"))
