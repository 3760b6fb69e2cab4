"""Closing what is still open when the process ends."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any, Final, Protocol, runtime_checkable

from dataflow_core.nodes.registry import live_owners

__all__ = ["close_at_exit"]

logger = logging.getLogger("dataflow")
_EXIT_SECONDS: Final = 2.0


@runtime_checkable
class _Closable(Protocol):
    async def aclose(self) -> Any: ...


def close_at_exit(process: int = os.getpid()) -> None:
    """Close what is still open when the process ends; a forked child leaves its parent's alone."""
    for owner in live_owners() if os.getpid() == process else ():
        if isinstance(owner, _Closable):
            try:
                # A loop of its own: threads, the bridge's too, cannot be started any more.
                asyncio.run(asyncio.wait_for(owner.aclose(), _EXIT_SECONDS))
            except Exception:  # the process ends all the same, and the next instance has its turn
                logger.warning("%r could not be closed", owner, exc_info=True)
