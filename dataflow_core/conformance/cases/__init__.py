"""The cases, a module for each topic. None of them names a database."""

from typing import Final

__all__ = ["MODULES"]

MODULES: Final = (
    "types",
    "filters_compare",
    "filters_logic",
    "filters_null",
    "filters_text",
    "filters_regex",
    "filters_json",
    "order_paging",
    "updates",
    "updates_json",
    "aggregates",
    "relations",
    "lookups",
    "expressions",
    "upsert",
    "bulk",
    "bulk_many",
    "constraints",
    "transactions",
    "two_phase",
    "isolation",
    "zones",
    "ddl",
    "ddl_constraints",
    "evolution",
    "pool",
    "faults",
    "faults_connections",
    "cancellation",
    "identifiers",
    "limits",
    "streams",
    "concurrency",
    "coalescing",
    "corners",
    "memory",
)
