"""Dialects that make other tables than the model says."""

from __future__ import annotations

import re
from typing import Any, Final

from dataflow_sqlite.ddl import SQLiteDDLCompiler
from tests.conformance.mutants.mutant import Mutant

__all__ = ["TABLES"]


def tables(pattern: str, replacement: str) -> type[SQLiteDDLCompiler]:
    """A DDL compiler whose statements differ."""

    def compile_it(self: SQLiteDDLCompiler, operation: Any) -> tuple[str, ...]:
        texts = SQLiteDDLCompiler.compile(self, operation)
        return tuple(re.sub(pattern, replacement, text) for text in texts)

    return type("MutantDDL", (SQLiteDDLCompiler,), {"compile": compile_it})


TABLES: Final = (
    Mutant(
        "unique fields are not unique",
        ("constraints.unique.field",),
        ddl=tables(r'UNIQUE (INDEX IF NOT EXISTS "[^"]*" ON "[^"]*" \("[^",]*"\))', r"\1"),
    ),
    Mutant(
        "unique indexes are not unique",
        ("constraints.unique.several", "ddl.index.names"),
        ddl=tables("UNIQUE INDEX", "INDEX"),
    ),
    Mutant(
        "required columns take null",
        ("constraints.not_null",),
        ddl=tables(r" NOT NULL|CHECK \(typeof[^\n]*", ""),
    ),
    Mutant(
        "unique text ignores case",
        ("constraints.unique.case",),
        ddl=tables(r"(TEXT|VARCHAR\(\d+\))(?= )", r"\1 COLLATE NOCASE"),
    ),
    Mutant(
        "checks are left out",
        ("constraints.check.field", "constraints.check.model"),
        ddl=type("NoChecks", (SQLiteDDLCompiler,), {"checks": lambda self, model: []}),
    ),
    Mutant(
        "foreign keys are left out",
        ("constraints.foreign_key.child",),
        ddl=tables(r",\n  FOREIGN KEY [^\n]*", ""),
    ),
    Mutant(
        "deleting does not cascade",
        ("constraints.foreign_key.cascade",),
        ddl=tables(" ON DELETE CASCADE", ""),
    ),
    Mutant(
        "constant defaults are left out",
        ("ddl.defaults.of_the_table",),
        ddl=type("NoDefaults", (SQLiteDDLCompiler,), {"default": lambda self, field: None}),
    ),
    Mutant(
        "ids of deleted rows are given again",
        ("bulk.key.never_again",),
        ddl=tables(" AUTOINCREMENT", ""),
    ),
    Mutant(
        "lengths are not kept",
        ("ddl.sizes",),
        ddl=tables(r" CONSTRAINT \"dataflow_length:[^\"]*\" CHECK \([^)]*\) <= \d+\)", ""),
    ),
)
