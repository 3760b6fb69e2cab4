"""The names in a new dialect's package, and those of the dialect that it is built on."""

from __future__ import annotations

import keyword
import re
from importlib import metadata
from typing import Final

from attrs import frozen

from dataflow_core.contract import CONTRACT_VERSION, DialectSpec
from dataflow_core.contract.manager import DISTRIBUTION, Plugins
from dataflow_core.dialect import BaseDialect
from dataflow_core.errors import InvalidOption, InvalidValue
from dataflow_core.naming_hints import nearest, quoted

__all__ = ["Base", "Names", "base_of", "names_of"]

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@frozen
class Names:
    """What the parts of the package are called.

    Attributes:
        name: the dialect, and its URL scheme.
        package: the import name.
        distribution: what pip calls it.
        prefix: what its classes begin with.
    """

    name: str
    package: str
    distribution: str
    prefix: str

    @property
    def scheme(self) -> str:
        """What precedes ``://``; a scheme has no underscore."""
        return self.name.replace("_", "-")


@frozen
class Base:
    """A dialect that is installed: where its published classes are.

    Attributes:
        spec: what it declares.
        distribution: what pip calls it.
        plugin: the module that declares it.
        dialect: module and name of its class, as in the other three.
        compiler: of the compiler's class.
        server: of the class of its test server; ``None`` if it has none.
    """

    spec: DialectSpec
    distribution: str
    plugin: str
    dialect: tuple[str, str]
    compiler: tuple[str, str]
    server: tuple[str, str] | None


def names_of(name: str) -> Names:
    """The names of a new package.

    Raises:
        InvalidValue: the name cannot be one of a module, or an installed dialect has it.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name == "core":
        raise InvalidValue(
            f"a dialect is called like 'acme' or 'acme_db', in small letters, not {quoted(name)}"
        )
    _refuse_taken(name)
    prefix = "".join(part.capitalize() for part in name.split("_"))
    return Names(name, f"dataflow_{name}", f"{DISTRIBUTION}-{name.replace('_', '-')}", prefix)


def _refuse_taken(name: str) -> None:
    """Two dialects of one name, or of one scheme, cannot be installed beside each other."""
    scheme = name.replace("_", "-")
    for spec in Plugins().dialects():
        if name == spec.name or {name, scheme} & set(spec.schemes):
            raise InvalidValue(
                f"the installed dialect {spec.name} has the name or the URL scheme {quoted(name)};"
                " call the new one otherwise"
            )
    package = f"dataflow_{name}"
    if package in metadata.packages_distributions():
        raise InvalidValue(f"an installed package is called {package}; call the new one otherwise")


def base_of(name: str) -> Base:
    """The installed dialect of a name.

    Raises:
        InvalidOption: none is called so, or its classes are not built to be extended.
    """
    specs = {spec.name: spec for spec in Plugins().dialects()}
    if name not in specs:
        raise InvalidOption(
            f"no installed dialect is called {quoted(name)}; there are"
            f" {', '.join(sorted(specs)) or 'none'}",
            option="like",
            suggestion=nearest(name, specs),
        )
    spec = specs[name]
    dialect = spec.load()
    if not isinstance(dialect, BaseDialect):
        raise InvalidOption(
            f"the dialect {name} (contract {CONTRACT_VERSION}) does not extend BaseDialect, so it"
            " has no classes to build on; take --like none",
            option="like",
        )
    plugin = spec.load.__module__
    return Base(
        spec,
        _distribution(plugin),
        plugin,
        _place(type(dialect)),
        _place(type(dialect.compiler)),
        _server(name),
    )


def _place(kind: type) -> tuple[str, str]:
    return kind.__module__, kind.__name__


def _server(name: str) -> tuple[str, str] | None:
    servers = [server for server in Plugins().test_servers() if server.name == name]
    return _place(type(servers[0])) if servers else None


def _distribution(module: str) -> str:
    package = module.partition(".")[0]
    return next(iter(metadata.packages_distributions().get(package, ())), package)
