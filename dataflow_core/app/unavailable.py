"""Settings that cannot have an effect: refused where they were given, warned of elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from dataflow_core.contract import PluginSettings
from dataflow_core.environment import ENVIRONMENT
from dataflow_core.errors import InvalidOption
from dataflow_core.settings import Settings

__all__ = ["UNAVAILABLE", "refuse_unavailable"]

logger = logging.getLogger("dataflow")

UNAVAILABLE: Mapping[str, str] = {
    "migration_url": "migrations are not part of this version",
    "cache_url": "no cache plugin is installed",
    "enable_metrics": 'no monitoring plugin is installed: pip install "dataflow-db[prometheus]"',
}


def refuse_unavailable(settings: Settings, plugins: Sequence[PluginSettings]) -> None:
    """Refuse what was asked for and cannot have an effect; what the environment says, warn of."""
    serves = {name: missing for plugin in plugins for name, missing in plugin.serves.items()}
    for name in UNAVAILABLE:
        reason = serves.get(name, UNAVAILABLE[name])
        if reason is None or not getattr(settings, name):
            continue
        if name in settings.given:
            raise InvalidOption(f"{name}: {reason}", option=name)
        for variable in ENVIRONMENT:
            if variable.setting == name:
                logger.warning("%s has no effect: %s", variable.name, reason)
    for name in ("replica_sticky_seconds", "replica_wait"):
        if name in settings.given and settings.read_replica is None:
            raise InvalidOption(f"{name}: there is no read_replica", option=name)
    if settings.replica_wait and "replica_sticky_seconds" in settings.given:
        raise InvalidOption(
            "replica_sticky_seconds: replica_wait=True asks the replica instead; give one of them",
            option="replica_sticky_seconds",
        )
