"""DF-4xx: URLs, options, plugins and instances."""

from __future__ import annotations

from dataflow_core.errors.base import DataFlowError, Solution

_SEPARATE_PASSWORD = Solution(
    "Leave the password out of the URL and give it exactly.",
    'db = DataFlow("scheme://user@host:1234/name", password=os.environ["DB_PASSWORD"])',
)
_ENCODED_PASSWORD = Solution(
    "Percent-encode the password.",
    "from urllib.parse import quote\n\n"
    'password = quote(os.environ["DB_PASSWORD"], safe="")\n'
    'db = DataFlow(f"scheme://user:{password}@host:1234/name")',
)


class ConfigurationError(DataFlowError):
    """An instance cannot work with what it was configured with."""

    title = "Configuration"


class InvalidURL(ConfigurationError, ValueError):
    """A database URL cannot be read."""

    code = "DF-401"
    title = "A database URL cannot be read"
    causes: tuple[str, ...] = (
        "The URL is not of the form scheme://user:password@host:port/database?option=value.",
        "The host or the port is not valid, or the URL is still a placeholder.",
        "The password was given both in the URL and as `password=`.",
    )
    solutions: tuple[Solution, ...] = (_SEPARATE_PASSWORD, _ENCODED_PASSWORD)


class AmbiguousURL(ConfigurationError, ValueError):
    """A database URL can be read in more than one way, so its host is not certain."""

    code = "DF-402"
    title = "A database URL can be read in two ways"
    causes: tuple[str, ...] = (
        "The password holds an `@` and what follows it could also be a host.",
    )
    solutions: tuple[Solution, ...] = (_SEPARATE_PASSWORD, _ENCODED_PASSWORD)


class DialectNotInstalled(ConfigurationError):
    """No installed plugin speaks to this kind of database."""

    code = "DF-403"
    title = "No plugin for this database"
    causes: tuple[str, ...] = (
        "Only the core is installed; each database comes as an extra.",
        "The scheme of the URL is misspelt.",
        "The plugin is switched off by `DATAFLOW_DISABLED_PLUGINS`.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Install the plugin of your database, or all of them.",
            'pip install "dataflow-db[all]"',
            language="shell",
        ),
    )


class UnknownOption(ConfigurationError):
    """An option was given that neither the core nor the opened database knows."""

    code = "DF-404"
    title = "Unknown option"
    causes: tuple[str, ...] = ("The option is misspelt.", "The option belongs to another database.")
    solutions: tuple[Solution, ...] = (
        Solution("Use the option's name.", "db = DataFlow(pool_size=20)"),
    )


class InvalidOption(ConfigurationError, ValueError):
    """An option or an environment variable has a value that it cannot have."""

    code = "DF-405"
    title = "An option has a wrong value"
    causes: tuple[str, ...] = (
        "The value has another type, or is out of range.",
        "An environment variable holds text that cannot be converted.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Give a value of the right type.", "db = DataFlow(pool_size=20, pool_timeout=5)"),
    )


class PluginError(ConfigurationError):
    """A plugin failed, or returned what its contract does not allow."""

    code = "DF-406"
    title = "A plugin does not keep its contract"
    causes: tuple[str, ...] = (
        "A hook returned a value of the wrong type.",
        "Two plugins claim the same name.",
        "The plugin cannot be imported.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Switch the plugin off and report it to its author; the message names both.",
            "DATAFLOW_DISABLED_PLUGINS=the_plugin python app.py",
            language="shell",
        ),
        Solution(
            "See every call of a hook.", "DATAFLOW_TRACE_HOOKS=1 python app.py", language="shell"
        ),
    )


class UnknownHook(ConfigurationError):
    """A plugin implements a hook that does not exist."""

    code = "DF-407"
    title = "Unknown hook"
    causes: tuple[str, ...] = (
        "The name of the hook is misspelt.",
        "The plugin was written for another version of the contract.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Bring core and plugins to versions that belong together.",
            'pip install --upgrade "dataflow-db[all]"',
            language="shell",
        ),
    )


class ContractMismatch(ConfigurationError):
    """A plugin was written for another version of the contract."""

    code = "DF-408"
    title = "Plugin and core do not belong together"
    causes: tuple[str, ...] = ("The core or the plugin was upgraded alone.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Upgrade both together.",
            'pip install --upgrade "dataflow-db[all]"',
            language="shell",
        ),
    )


class UnknownDatabase(ConfigurationError):
    """A model or a call names a database that the instance does not have."""

    code = "DF-409"
    title = "Unknown database"
    causes: tuple[str, ...] = (
        "The name is misspelt.",
        "The instance was made without `<name>_db=`.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Give the instance the database.",
            'db = DataFlow(analytics_db=os.environ["ANALYTICS_URL"])',
        ),
        Solution(
            "Use the first database, which is called `primary`.",
            'class Event:\n    __dataflow__ = {"database": "primary"}\n    name: str',
        ),
    )


class InstanceClosed(ConfigurationError):
    """An instance was used after it was closed."""

    code = "DF-410"
    title = "The instance is closed"
    causes: tuple[str, ...] = (
        "`close()` was called, or the `with` block of the instance has ended.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Do the work while the instance is open.",
            "with DataFlow() as db:\n    db.model(User)\n"
            '    db.run_sync("UserCreateNode", name="Ada")',
        ),
    )
