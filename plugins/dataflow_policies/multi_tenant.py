"""``multi_tenant``: every row belongs to a tenant, and every call is confined to one tenant's rows.

The model is extended, and that is all: the core confines whatever is about a model with a field of
the context, and fills that field in. With ``row_security`` the database keeps the rows apart too;
with ``partitions`` the table is in parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from dataflow_core.contract import ModelPolicy, PolicyContext
from dataflow_core.errors import InvalidModel
from dataflow_core.schema import Field, Index, Model, Partitions
from dataflow_core.types import Integer, Text, Uuid
from dataflow_policies.options import option_of

__all__ = ["MULTI_TENANT", "TENANT"]

TENANT: Final = "tenant_id"
_LONGEST: Final = 64
"""The most characters of a tenant: short, since it is a part of every key and index."""

_MOST_PARTITIONS: Final = 1_000
"""The most parts of a table: plans of statements about all of them grow with their number."""


def _extend(model: Model, context: PolicyContext) -> Model:
    options = option_of(model, "multi_tenant", {"row_security": bool, "partitions": int})
    if options is None:
        return model
    tenant = _tenant_field(model, context)
    # What is unique is so among the rows of a tenant.
    fields = tuple(evolve(item, unique=False) for item in model.fields if item.name != TENANT)
    parts = _partitions(model, options)
    counted = any(item.generated == "database" for item in model.primary_key)
    # What a table is in parts by has to be in its key.
    in_key = bool(model.primary_key) and (parts is not None or not counted)
    tenant = evolve(tenant, primary_key=in_key)
    alone = [
        Index((item.name,), unique=True)
        for item in model.fields
        if item.unique and item.name != TENANT
    ]
    indexes = [_with_tenant(index) for index in (*alone, *model.indexes)]
    if in_key or not counted:
        fields = (tenant, *fields)
    else:
        # What references lead to, and what finds the rows of a tenant in the order of their keys.
        indexes.append(Index((TENANT, *model.key_names), unique=True))
        fields = (*model.primary_key, tenant, *(item for item in fields if not item.primary_key))
    return evolve(
        model,
        fields=fields,
        indexes=tuple(dict.fromkeys(indexes)),
        secured_by=TENANT if options.get("row_security") else None,
        partitions=parts,
    )


def _partitions(model: Model, options: Mapping[str, Any]) -> Partitions | None:
    """The parts that the options ask for."""
    count = options.get("partitions")
    if count is None:
        return None
    if not 2 <= count <= _MOST_PARTITIONS:
        raise InvalidModel(
            f"{model.name}: 'partitions' of the option 'multi_tenant' is from 2 to"
            f" {_MOST_PARTITIONS}, got {count}",
            model=model.name,
        )
    return Partitions(TENANT, count)


def _tenant_field(model: Model, context: PolicyContext) -> Field:
    """The field of the tenant: that of the class, if it declares one."""
    declared = model.by_name.get(TENANT)
    if declared is None:
        declared = Field(TENANT, Text(_LONGEST), TENANT)
    kind = declared.type
    if isinstance(kind, Text) and kind.max_length is None:
        kind = Text(_LONGEST)
    if not isinstance(kind, Text | Integer | Uuid) or declared.nullable:
        raise InvalidModel(
            f"{model.name}.{TENANT}: a tenant is a str, an int or a UUID, and never null",
            model=model.name,
        )
    return evolve(declared, type=kind, unique=False, index=False, context=context.tenant(kind))


def _with_tenant(index: Index) -> Index:
    """A unique index holds among the rows of a tenant."""
    if not index.unique or TENANT in index.columns:
        return index
    return evolve(index, columns=(TENANT, *index.columns))


MULTI_TENANT: Final = ModelPolicy(("multi_tenant",), _extend)
"""The policy."""
