"""Limits on time: as promised in the full bars, on a quiet machine, and wide beside other tests."""

from __future__ import annotations

import os

__all__ = ["at_most", "bars_are_full"]

BESIDE_OTHERS = 10
"""What a limit grows by where tests share the machine: there it finds only what hangs."""


def bars_are_full() -> bool:
    """Whether the long bars run in full size (`tox -e bars`) and not as a slice."""
    return os.environ.get("DATAFLOW_BARS") == "full"


def at_most(seconds: float) -> float:
    """The seconds that may pass where these are promised: themselves, or ten times as many."""
    return seconds if bars_are_full() else seconds * BESIDE_OTHERS
