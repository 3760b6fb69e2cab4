"""The schemas of others are tested where a run has them, and it says so where it has not."""

from __future__ import annotations

from tests.schemas.sources import CHECKOUTS, checkouts

collect_ignore = [] if checkouts() is not None else ["test_schemas.py"]


def pytest_report_header() -> str:
    """Say whether the schemas of others are part of the run."""
    folder = checkouts()
    if folder is None:
        return f"schemas: not tested, {CHECKOUTS} names no folder of checkouts"
    return f"schemas: those of {folder}"
