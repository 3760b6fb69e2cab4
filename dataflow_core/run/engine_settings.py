"""What an engine is told of the instance's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from dataflow_core.contract import ConnectOptions
from dataflow_core.run.pool import PoolLimits

if TYPE_CHECKING:
    from dataflow_core.run.recorders import Recorders

__all__ = ["EngineSettings"]


@define(frozen=True)
class EngineSettings:
    """What an engine needs to know of the instance's settings.

    After a write, reads go to the primary for ``sticky_seconds`` or, with ``replica_wait``, until
    the replica has caught up. ``coalesce``: calls that are made together share statements.
    ``instance`` stands for the instance that the engine belongs to; ``recorders`` are told of
    changes.
    """

    connect: ConnectOptions
    pool: PoolLimits
    sticky_seconds: float = 5.0
    replica_wait: bool = False
    coalesce: bool = True
    instance: object = None
    recorders: Recorders | None = None
