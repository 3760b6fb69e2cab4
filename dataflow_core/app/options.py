"""The arguments of an instance: those without effect are refused, the plugins' go to them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from dataflow_core.contract import DatabaseURL, ObservedDatabase, PluginSettings
from dataflow_core.contract.manager import Plugins
from dataflow_core.environment import ENVIRONMENT
from dataflow_core.errors import InvalidOption
from dataflow_core.run.observing import EachStatement, Observers
from dataflow_core.settings import Settings

__all__ = ["observers_of", "refuse_without_effect"]

logger = logging.getLogger("dataflow")
_sql_logger = logging.getLogger("dataflow.sql")

_UNAVAILABLE: Final[Mapping[str, str]] = {
    "migration_url": "migrations are not part of this version",
    "cache_url": "no cache plugin is installed",
    "enable_metrics": 'no monitoring plugin is installed: pip install "dataflow-db[prometheus]"',
}


def refuse_without_effect(settings: Settings, plugins: Sequence[PluginSettings]) -> None:
    """Refuse what was asked for and cannot have an effect; what the environment says, warn of."""
    serves = {name: missing for plugin in plugins for name, missing in plugin.serves.items()}
    for name in _UNAVAILABLE:
        reason = serves.get(name, _UNAVAILABLE[name])
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


def observers_of(
    settings: Settings,
    plugins: Plugins,
    declared: Sequence[PluginSettings],
    urls: Mapping[str, DatabaseURL],
) -> Observers | None:
    """Who is told of what an instance does: the log of ``echo``, and what plugins offer."""
    names = {option.name for plugin in declared for option in plugin.options}
    given = {key: value for key, value in settings.dialect_options.items() if key in names}
    served = {
        name for plugin in declared for name, missing in plugin.serves.items() if missing is None
    }
    given |= {name: getattr(settings, name) for name in served}
    databases = {
        name: ObservedDatabase(name, url.scheme, url.host or "", url.port, url.database or "")
        for name, url in urls.items()
    }
    found = plugins.observers(databases, given)
    if settings.echo:
        found = [("echo", _echo()), *found]
    return Observers(found) if found else None


def _echo() -> EachStatement:
    """Log every statement; to the standard error stream where no logging is set up."""
    _sql_logger.setLevel(logging.INFO)
    if not _sql_logger.hasHandlers():
        _sql_logger.addHandler(logging.StreamHandler())
    return EachStatement(_log_statement)


def _log_statement(sql: str, parameters: int) -> None:
    _sql_logger.info("%s  -- %d values", sql, parameters)
