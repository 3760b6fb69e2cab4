"""From operations to statements: the base compiler and what a dialect extends."""

from dataflow_core.compile.base import BaseCompiler
from dataflow_core.compile.build import Build, Render
from dataflow_core.compile.changes import CHANGES
from dataflow_core.compile.compiled import Compiled, DDLCompiler, RowsStatement
from dataflow_core.compile.expressions import CALL_TABLE, expression_sql
from dataflow_core.compile.predicates import PREDICATES, SIGNS, escape_like, joined, listed
from dataflow_core.compile.rows import OPERATIONS, result_columns, statement
from dataflow_core.compile.statement import PLAIN, Codec, Encode, Parameter, ResultColumn, Statement
from dataflow_core.compile.writer import RowWriter, WriterCache

__all__ = [
    "CALL_TABLE",
    "CHANGES",
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
    "Parameter",
    "Render",
    "ResultColumn",
    "RowWriter",
    "RowsStatement",
    "Statement",
    "WriterCache",
    "escape_like",
    "expression_sql",
    "joined",
    "listed",
    "result_columns",
    "statement",
]
