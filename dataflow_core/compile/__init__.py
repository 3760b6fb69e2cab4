"""From operations to statements: the base compiler and what a dialect extends."""

from dataflow_core.compile.base import BaseCompiler
from dataflow_core.compile.build import Build, LiteralBuild, Render
from dataflow_core.compile.changes import CHANGES
from dataflow_core.compile.compiled import (
    INSERTED,
    Compiled,
    DDLCompiler,
    LoadStatement,
    RowSecurity,
    RowsStatement,
    StagedStatements,
)
from dataflow_core.compile.confines import counted, row_tests
from dataflow_core.compile.expressions import CALL_TABLE, expression_sql
from dataflow_core.compile.predicates import PREDICATES, SIGNS, escape_like, joined, listed
from dataflow_core.compile.rows import OPERATIONS
from dataflow_core.compile.statement import PLAIN, Codec, Encode, Parameter, ResultColumn, Statement
from dataflow_core.compile.statements import (
    filter_text,
    names_list,
    statement,
    values_list,
    where_clause,
)
from dataflow_core.compile.writer import RowWriter, WriterCache

__all__ = [
    "CALL_TABLE",
    "CHANGES",
    "INSERTED",
    "OPERATIONS",
    "PLAIN",
    "PREDICATES",
    "SIGNS",
    "BaseCompiler",
    "Build",
    "Codec",
    "Compiled",
    "DDLCompiler",
    "Encode",
    "LiteralBuild",
    "LoadStatement",
    "Parameter",
    "Render",
    "ResultColumn",
    "RowSecurity",
    "RowWriter",
    "RowsStatement",
    "StagedStatements",
    "Statement",
    "WriterCache",
    "counted",
    "escape_like",
    "expression_sql",
    "filter_text",
    "joined",
    "listed",
    "names_list",
    "row_tests",
    "statement",
    "values_list",
    "where_clause",
]
