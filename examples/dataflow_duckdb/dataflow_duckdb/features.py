"""What DuckDB offers: every feature id, and the reason where something is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dataflow_core.features import FEATURES as EVERY
from dataflow_core.features import Feature

__all__ = ["FEATURES"]

_OFF: Final = {
    "transactions.savepoint": Feature("unsupported", "DuckDB has no savepoints"),
    "transactions.two_phase": Feature("unsupported", "DuckDB prepares no transactions"),
    "constraints.foreign_key": Feature(
        "unsupported", "foreign keys of DuckDB have no ON DELETE CASCADE and no ON DELETE SET NULL"
    ),
    "schema.introspection": Feature("not_implemented", "only names of columns are read"),
    "schema.alter": Feature("not_implemented", "tables are made, and not changed"),
    "schema.partitions": Feature("unsupported", "DuckDB has no tables in parts"),
    "schema.row_security": Feature("unsupported", "DuckDB has no policies of rows"),
    "schema.partial_index": Feature("unsupported", "DuckDB has no partial indexes"),
    "schema.partial_unique": Feature("unsupported", "DuckDB has no partial indexes"),
    "connection.read_replica": Feature("unsupported", "a file has no replica"),
    "connection.tls": Feature("unsupported", "a file is opened without any network"),
}
FEATURES: Final[Mapping[str, Feature]] = {name: Feature("full") for name in EVERY} | _OFF
