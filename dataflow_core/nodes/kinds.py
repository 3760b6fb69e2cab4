"""The kinds of nodes that every model has: the nine, the two beside them, files in and out."""

from __future__ import annotations

from typing import Final

from dataflow_core.contract import NodeKind
from dataflow_core.nodes.bulk import BULK_CREATE_PARAMETERS
from dataflow_core.nodes.files import EXPORT_PARAMETERS, IMPORT_PARAMETERS

__all__ = ["FILE_KINDS", "KINDS", "RESERVED_NAMES", "node_name"]

_ONE = ("filter", "tenant_id")

KINDS: Final[tuple[NodeKind, ...]] = (
    NodeKind(
        "create", "Create", ("values", "coalesce", "tenant_id"), ("result", "created"),
        writes=True, adds=True, fields_in=True, fields_out=True, description="insert one row",
    ),
    NodeKind(
        "read", "Read",
        (*_ONE, "select", "include", "raise_on_not_found", "coalesce", "include_deleted"),
        ("result", "found"), fields_out=True, keys_in=True, description="read one row",
    ),
    NodeKind(
        "update", "Update", (*_ONE, "fields", "version"), ("result", "updated"),
        writes=True, fields_out=True, keys_in=True, required=("fields",),
        description="change one row",
    ),
    NodeKind(
        "delete", "Delete", (*_ONE, "soft_delete", "version"), ("result", "deleted"),
        writes=True, fields_out=True, keys_in=True, description="remove one row",
    ),
    NodeKind(
        "list", "List",
        (
            "filter", "order_by", "limit", "offset", "cursor", "select", "include", "distinct",
            "count_only", "aggregate", "stream", "batch_size", "include_deleted", "tenant_id",
        ),
        ("result", "records", "count", "limit", "offset", "next_cursor", "truncated"),
        description="rows that a filter lets through, their number, or a pipeline over them",
    ),
    NodeKind(
        "bulk_create", "BulkCreate", BULK_CREATE_PARAMETERS,
        ("result", "processed", "inserted", "updated", "skipped", "ids", "failed", "success"),
        writes=True, adds=True, fields_in=True, required=("data",),
        description="insert many rows",
    ),
    NodeKind(
        "bulk_update", "BulkUpdate",
        ("filter", "fields", "data", "allow_all", "version", "tenant_id"),
        ("result", "matched", "success"), writes=True, description="change many rows",
    ),
    NodeKind(
        "bulk_delete", "BulkDelete",
        ("filter", "ids", "allow_all", "soft_delete", "version", "tenant_id"),
        ("result", "matched", "deleted", "success"), writes=True, description="remove many rows",
    ),
    NodeKind(
        "bulk_upsert", "BulkUpsert",
        (
            "data", "match_fields", "update_fields", "batch_size", "return_ids", "on_progress",
            "atomic", "tenant_id",
        ),
        ("result", "processed", "inserted", "updated", "ids", "failed", "success"),
        writes=True, adds=True, required=("data",), description="insert or change many rows",
    ),
    NodeKind("count", "Count", ("filter", "include_deleted", "tenant_id"), ("result", "count"),
          description="the number of rows"),
    NodeKind(
        "upsert", "Upsert", ("values", "match_fields", "update_fields", "fields", "tenant_id"),
        ("result", "created"), writes=True, adds=True, fields_in=True, fields_out=True,
        description="insert or change one row",
    ),
)  # fmt: skip
"""The nine, and the two beside them."""

FILE_KINDS: Final[tuple[NodeKind, ...]] = (
    NodeKind(
        "export_to", "Export", (*EXPORT_PARAMETERS, "include_deleted", "tenant_id"),
        ("result", "path", "format", "rows", "success"), required=("path",),
        description="write the rows of a list into a file",
    ),
    NodeKind(
        "import_from", "Import", (*IMPORT_PARAMETERS, "tenant_id"),
        (
            "result", "path", "format", "processed", "inserted", "updated", "skipped", "failed",
            "success",
        ),
        writes=True, adds=True, required=("path",), description="store the rows of a file",
    ),
)  # fmt: skip
"""Files in and out. They neither take nor give fields, so they reserve no names."""

RESERVED_NAMES: Final = frozenset(
    name for kind in KINDS for name in (*kind.parameters, *kind.outputs)
) | {"error", "input", "success"}
"""Names of outputs and parameters: a field of such a name is read under ``result`` only."""


def node_name(model: str, suffix: str) -> str:
    """The name of a node: ``User`` and ``Create`` make ``UserCreateNode``."""
    return f"{model}{suffix}Node"
