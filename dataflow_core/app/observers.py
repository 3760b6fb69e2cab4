"""Who is told of what an instance does."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from dataflow_core.contract import DatabaseURL, ObservedDatabase, PluginSettings
from dataflow_core.contract.manager import Plugins
from dataflow_core.run.observing import EachStatement, Observers
from dataflow_core.settings import Settings

__all__ = ["observers_of"]

logger = logging.getLogger("dataflow.sql")


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
    logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())
    return EachStatement(_log_statement)


def _log_statement(sql: str, parameters: int) -> None:
    logger.info("%s  -- %d values", sql, parameters)
