"""What a dialect is built on: base classes, codecs, and an adapter for drivers that block.

All of it is public and belongs to the contract version (``dataflow_core.contract``).
"""

from dataflow_core.dialect.alter import STEPS, RenderStep, alter_table
from dataflow_core.dialect.base import BaseDialect
from dataflow_core.dialect.codecs import (
    BOOLEAN_AS_INTEGER,
    DATE_AS_TEXT,
    JSON_AS_TEXT,
    SCALED_PRECISION,
    TIME_AS_TEXT,
    TIMESTAMP_AS_TEXT,
    TIMESTAMP_WITHOUT_ZONE,
    UUID_AS_TEXT,
    decimal_as_integer,
    decimal_from_scaled,
    decimal_to_scaled,
)
from dataflow_core.dialect.ddl import BaseDDLCompiler, indexed
from dataflow_core.dialect.documents import (
    json_condition,
    json_matches,
    json_operand,
    json_operands,
    refuse_exponential,
)
from dataflow_core.dialect.errors import ErrorRule
from dataflow_core.dialect.paramstyles import Paramstyle
from dataflow_core.dialect.threads import Answer, SyncConnection, SyncDriver

__all__ = [
    "BOOLEAN_AS_INTEGER",
    "DATE_AS_TEXT",
    "JSON_AS_TEXT",
    "SCALED_PRECISION",
    "TIMESTAMP_AS_TEXT",
    "TIMESTAMP_WITHOUT_ZONE",
    "TIME_AS_TEXT",
    "UUID_AS_TEXT",
    "Answer",
    "BaseDDLCompiler",
    "BaseDialect",
    "ErrorRule",
    "Paramstyle",
    "SyncConnection",
    "SyncDriver",
    "decimal_as_integer",
    "decimal_from_scaled",
    "decimal_to_scaled",
    "indexed",
    "json_condition",
    "json_matches",
    "json_operand",
    "json_operands",
    "refuse_exponential",
    "STEPS",
    "RenderStep",
    "alter_table",
]
