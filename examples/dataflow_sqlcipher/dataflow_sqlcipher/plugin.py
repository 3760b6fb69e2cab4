"""What the entry point loads: SQLite's declaration under another name, and the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from dataflow_core.contract import Dialect, DialectSpec, Option, hookimpl
from dataflow_sqlite import plugin as sqlite

if TYPE_CHECKING:
    from dataflow_core.contract import TestServer

__all__ = ["dataflow_dialect", "dataflow_test_server"]

_KEY = Option("key", str, "the key that the file is encrypted with; without it nothing is opened")


def _load() -> Dialect:
    from dataflow_sqlcipher.dialect import SQLCipherDialect

    return SQLCipherDialect()


@hookimpl
def dataflow_dialect() -> DialectSpec:
    """SQLCipher: ``sqlcipher:///path?key=...``, or ``key=`` as an argument."""
    base = sqlite.dataflow_dialect()
    return evolve(
        base,
        name="sqlcipher",
        schemes=("sqlcipher",),
        texts=(),
        default_url=None,
        memory=None,
        options=(*base.options, _KEY),
        load=_load,
        # SQLite's knows no key; the dialect checks it at first use.
        check=None,
        contract=1,
    )


@hookimpl
def dataflow_test_server() -> TestServer:
    """Throwaway encrypted files."""
    from dataflow_sqlcipher.server import SQLCipherServer

    return SQLCipherServer()
