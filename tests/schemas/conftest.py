"""The schemas of others are tested where a run asks for them, and it says so where it does not."""

from __future__ import annotations

from tests.schemas.sources import SCHEMAS, chosen

collect_ignore = [] if chosen() else ["test_schemas.py"]


def pytest_report_header() -> str:
    """Say which schemas of others are part of the run."""
    names = ", ".join(source.name for source in chosen())
    return f"schemas of others: {names or f'not tested, {SCHEMAS} names none'}"
