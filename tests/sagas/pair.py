"""A table in each of two databases, and a commit that writes to both."""

from __future__ import annotations

from typing import Any

from dataflow_core import field


class Here:
    __dataflow__ = {"timestamps": False, "table": "here"}

    id: int = field(primary_key=True)


class There:
    __dataflow__ = {"timestamps": False, "table": "there", "database": "warehouse"}

    id: int = field(primary_key=True)


def both(number: int, second: int | None = None) -> dict[str, Any]:
    """A step in each database."""
    return {
        "transaction_type": "two_phase",
        "steps": [
            {"node": "HereCreateNode", "parameters": {"id": number}},
            {"node": "ThereCreateNode", "parameters": {"id": second or number}},
        ],
    }
