"""The modules of a dialect that extends an installed one."""

from __future__ import annotations

from typing import Final

__all__ = ["FILES", "WITHOUT_SERVER"]

_PLUGIN: Final = '''
"""What the entry point loads: the declaration of ${base} under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from dataflow_core.contract import Dialect, DialectSpec, hookimpl
${base_import}

if TYPE_CHECKING:
    from dataflow_core.contract import TestServer

__all__ = ["dataflow_dialect", "dataflow_test_server"]


def _load() -> Dialect:
    # Here, so that an installed dialect that is not used loads no driver.
    from ${package}.dialect import ${prefix}Dialect

    return ${prefix}Dialect()


@hookimpl
def dataflow_dialect() -> DialectSpec:
    """The dialect ${name}: URLs that begin with ``${scheme}://``."""
    return evolve(
        base.dataflow_dialect(),
        name="${name}",
        schemes=("${scheme}",),
        texts=(),
        default_url=None,
        load=_load,
        contract=${contract},
    )


@hookimpl
def dataflow_test_server() -> TestServer:
    """Throwaway databases."""
    from ${package}.server import ${prefix}Server

    return ${prefix}Server()
'''

_SERVER: Final = '''
"""Throwaway databases for tests: those of ${base}."""

from __future__ import annotations

from functools import cached_property

from ${base_server_module} import ${base_server}

__all__ = ["${prefix}Server"]


class ${prefix}Server(${base_server}):
    """Finds or starts a server as ${base} does."""

    name = "${name}"

    @cached_property
    def _urls(self) -> dict[str, str]:
        return {}

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        base = super().new_database()
        url = f"${scheme}://{base.partition('://')[2]}"
        self._urls[url] = base
        return url

    def drop_database(self, url: str) -> None:
        """Remove a database that ``new_database`` made."""
        super().drop_database(self._urls.pop(url, url))
'''

FILES: Final = {
    "${package}/plugin.py": _PLUGIN,
    "${package}/server.py": _SERVER,
    "${package}/dialect.py": '''
"""The ${name} dialect: ${base}, and what is different here."""

from __future__ import annotations

from collections.abc import Mapping

from dataflow_core.features import Feature
from ${base_dialect_module} import ${base_dialect}

from ${package}.compiler import ${prefix}Compiler

__all__ = ["${prefix}Dialect"]

# What is not so here: feature ids, with their level and the reason for it.
_OTHERWISE: Mapping[str, Feature] = {}


class ${prefix}Dialect(${base_dialect}):
    """${base} under the name ${name}."""

    name = "${name}"
    features: Mapping[str, Feature] = {**${base_dialect}.features, **_OTHERWISE}
    compiler_class = ${prefix}Compiler
''',
    "${package}/compiler.py": '''
"""The SQL of ${name}, where it is not that of ${base}."""

from __future__ import annotations

from ${base_compiler_module} import ${base_compiler}

__all__ = ["${prefix}Compiler"]


class ${prefix}Compiler(${base_compiler}):
    """Replace the methods whose SQL is different here."""

    name = "${name}"
''',
}

WITHOUT_SERVER: Final = {
    "${package}/server.py": '''
"""Throwaway databases for tests."""

from __future__ import annotations

import os
from typing import Literal

__all__ = ["${prefix}Server"]


class ${prefix}Server:
    """The database of the environment variable ${environment}."""

    name: str = "${name}"
    description: str = "${name}, by its URL"
    level: Literal["gate", "report"] = "gate"

    def start(self) -> None:
        """Nothing to start."""
        if "${environment}" not in os.environ:
            raise RuntimeError("set ${environment} to the URL of an empty database")

    def new_database(self) -> str:
        """The URL."""
        return os.environ["${environment}"]

    def drop_database(self, url: str) -> None:
        """Nothing was made."""

    def stop(self) -> None:
        """Nothing was started."""
''',
}
