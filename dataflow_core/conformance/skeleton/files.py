"""The files of a new dialect's package."""

from __future__ import annotations

import re
from string import Template
from typing import Final

from dataflow_core import __version__
from dataflow_core.conformance.skeleton import project, relative, unrelated
from dataflow_core.conformance.skeleton.names import Base, Names
from dataflow_core.contract import CONTRACT_VERSION
from dataflow_core.contract.manager import DISTRIBUTION
from dataflow_core.features import FEATURES

__all__ = ["package_files"]


def package_files(names: Names, base: Base | None) -> dict[str, str]:
    """Path and text of every file, below the package's folder.

    Parameters:
        names: what the parts are called.
        base: the dialect to build on; ``None`` begins with nothing.
    """
    values = {
        "name": names.name,
        "scheme": names.scheme,
        "package": names.package,
        "distribution": names.distribution,
        "prefix": names.prefix,
        "core": DISTRIBUTION,
        "version": __version__,
        "contract": str(CONTRACT_VERSION),
        "environment": f"DATAFLOW_TEST_{names.name.upper()}_URL",
    }
    values |= _of_nothing() if base is None else _of_base(base)
    templates = project.FILES | (unrelated.FILES if base is None else relative.FILES)
    if base is not None and base.server is None:
        templates |= relative.WITHOUT_SERVER
    return {
        Template(path).substitute(values): _sorted(Template(text.lstrip("\n")).substitute(values))
        for path, text in sorted(templates.items())
    }


def _sorted(text: str) -> str:
    """The text with its blocks of imports in order: the names in them are not known before."""
    return _IMPORTS.sub(lambda block: "".join(sorted(block[0].splitlines(keepends=True))), text)


_IMPORTS: Final = re.compile(r"(?:^from (?!__future__).+ import .+\n){2,}", re.MULTILINE)


def _of_nothing() -> dict[str, str]:
    reason = '"nobody has written it yet"'
    lines = [f'    "{name}": Feature("not_implemented", _REASON),' for name in FEATURES]
    return {
        "features": "\n".join(lines),
        "reason": reason,
        "requirements": "",
        "about": "a database",
    }


def _import(module: str) -> str:
    """The plugin as a module: a hook that is imported by itself would be taken for one more."""
    package, _, name = module.rpartition(".")
    return f"from {package} import {name} as base" if package else f"import {name} as base"


def _of_base(base: Base) -> dict[str, str]:
    server_module, server_class = base.server or ("", "")
    return {
        "base": base.spec.name,
        "base_import": _import(base.plugin),
        "base_dialect_module": base.dialect[0],
        "base_dialect": base.dialect[1],
        "base_compiler_module": base.compiler[0],
        "base_compiler": base.compiler[1],
        "base_server_module": server_module,
        "base_server": server_class,
        "requirements": f', "{base.distribution}"',
        "about": f"a relative of {base.spec.name}",
    }
