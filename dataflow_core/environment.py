"""The environment variables that an instance reads."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from dataflow_core.naming_hints import nearest, quoted

ENVIRONMENT_PREFIX = "DATAFLOW_"
# Read by the test suites, not by an instance.
_TESTING_PREFIXES = ("DATAFLOW_TEST_", "DATAFLOW_BARS")

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_warned_variables: set[str] = set()


@frozen
class Variable:
    """An environment variable that an instance reads.

    Attributes:
        name: the variable.
        setting: the attribute of `Settings` (and the argument) that it sets.
        values: what it may hold.
        description: what it does.
    """

    name: str
    setting: str
    values: str
    description: str


ENVIRONMENT: tuple[Variable, ...] = (
    Variable(
        "DATAFLOW_DATABASE_URL", "database_url", "a database URL", "The database that is opened."
    ),
    Variable(
        "DATAFLOW_REDIS_URL", "cache_url", "a URL", "Where results are cached, by a cache plugin."
    ),
    Variable(
        "DATAFLOW_LOG_LEVEL",
        "log_level",
        ", ".join(LOG_LEVELS),
        "The level of the logger `dataflow`.",
    ),
    Variable(
        "DATAFLOW_ENABLE_METRICS",
        "enable_metrics",
        "true or false",
        "Whether metrics are collected, by a monitoring plugin.",
    ),
    Variable(
        "DATAFLOW_DISABLED_PLUGINS",
        "disabled_plugins",
        "names, separated by commas",
        "Plugins that are installed but not used.",
    ),
    Variable(
        "DATAFLOW_TRACE_HOOKS",
        "trace_hooks",
        "true or false",
        "Whether every call of a hook is printed.",
    ),
)
"""Every environment variable that an instance reads; an empty one counts as not set."""


def warn_of_unknown_variables(environ: Mapping[str, str]) -> None:
    """Warn, once for each, of variables that look like ours and are not read."""
    known = [variable.name for variable in ENVIRONMENT]
    for name in environ:
        if (
            name.startswith(ENVIRONMENT_PREFIX)
            and name not in known
            and name not in _warned_variables
            and not name.startswith(_TESTING_PREFIXES)
        ):
            _warned_variables.add(name)
            # Imported here: logging is slow to import and hardly ever needed.
            import logging

            # Without what all of them begin with, which would make any two of them alike.
            endings = [other.removeprefix(ENVIRONMENT_PREFIX) for other in known]
            close = nearest(name.removeprefix(ENVIRONMENT_PREFIX), endings)
            logging.getLogger("dataflow").warning(
                "unknown environment variable %s%s",
                quoted(name),
                "" if close is None else f"; did you mean {ENVIRONMENT_PREFIX}{close}?",
            )


def environment_reference() -> str:
    """Return the page `docs/reference/environment.md` as Markdown."""
    lines = [
        "# Environment variables",
        "",
        "An instance reads these when it is made. An argument wins over its variable, an empty",
        "variable counts as not set, and an unknown `DATAFLOW_...` variable is warned of once.",
        "",
        "| variable | argument | values | meaning |",
        "| --- | --- | --- | --- |",
    ]
    lines.extend(
        f"| `{variable.name}` | `{variable.setting}` | {variable.values} | {variable.description} |"
        for variable in ENVIRONMENT
    )
    return "\n".join(lines) + "\n"
