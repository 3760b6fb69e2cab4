from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.conformance.differences import changes, changes_text


def report(
    cases: dict[str, str],
    *,
    levels: dict[str, str] | None = None,
    tier: str | None = "standard",
    complete: bool = True,
    **versions: str,
) -> dict[str, Any]:
    """A report as it is read from a file, as far as it is compared."""
    return {
        "cases": [{"id": name, "outcome": outcome} for name, outcome in cases.items()],
        "features": [{"feature": name, "level": level} for name, level in (levels or {}).items()],
        "tier": tier,
        "complete": complete,
        "versions": versions,
    }


@pytest.mark.parametrize(
    ("was", "now", "group", "worse"),
    [
        ("pass", "FAIL", "newly failing", True),
        ("known gap", "STALE CLAIM", "newly failing", True),
        ("FAIL", "pass", "newly passing", False),
        ("known gap", "pass", "newly passing", False),
        ("pass", "known gap", "other outcome", True),
        ("pass", "declined", "other outcome", True),
        ("FAIL", "known gap", "other outcome", False),
        ("BROKEN CLAIM", "FAIL", "other outcome", True),
    ],
)
def test_an_outcome_that_changes(was: str, now: str, group: str, worse: bool) -> None:
    """A case whose outcome changes is told, and is worse where less works than before."""
    [change] = changes(report({"a.b": was}), report({"a.b": now}))
    assert (change.group, change.worse) == (group, worse)
    assert str(change) == f"a.b: {was} -> {now}"


def test_cases_that_come_and_go() -> None:
    """New and gone cases are told; a new one that fails is worse, one that was not run is not."""
    old = report({"a.old": "pass", "a.same": "pass"})
    new = report({"a.same": "pass", "a.new": "pass", "a.bad": "FAIL"})
    found = {change.subject: (change.group, change.worse) for change in changes(old, new)}
    assert found == {
        "a.old": ("removed", False),
        "a.new": ("added", False),
        "a.bad": ("added", True),
    }
    part = report({"a.same": "pass"}, complete=False, tier=None)
    assert {change.group for change in changes(old, part)} == {"not run"}
    assert not any(change.worse for change in changes(part, new))


def test_levels_tiers_and_versions() -> None:
    """A lower level or tier is worse; another version is told and is not."""
    old = report({}, levels={"paging": "full", "limits": "unsupported"}, server="X 1")
    new = report(
        {}, levels={"paging": "not_implemented", "limits": "full"}, tier="core", server="X 2"
    )
    found = {change.subject: (change.group, change.worse) for change in changes(old, new)}
    assert found == {
        "paging": ("level", True),
        "limits": ("level", False),
        "tier reached": ("tier", True),
        "server": ("version", False),
    }
    assert not changes(old, old)


def test_the_text() -> None:
    """The changes are printed by group with their number, what is worse is marked."""
    old = report({"a.b": "pass", "a.c": "FAIL"}, server="X 1")
    new = report({"a.b": "FAIL", "a.c": "pass"}, server="X 2")
    assert changes_text(changes(old, new)).splitlines() == [
        "newly failing (1)",
        "  a.b: pass -> FAIL  WORSE",
        "newly passing (1)",
        "  a.c: FAIL -> pass",
        "version (1)",
        "  server: X 1 -> X 2",
        "3 changes, 1 for the worse",
    ]
