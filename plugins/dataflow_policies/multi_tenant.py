"""``multi_tenant``: every row belongs to a tenant, and every call is confined to one tenant's rows.

The model is extended, and that is all: the core confines whatever is about a model with a field of
the context, and fills that field in. With ``row_security`` the database keeps the rows apart too.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from dataflow_core.contract import ModelPolicy, PolicyContext
from dataflow_core.errors import InvalidModel
from dataflow_core.schema import Field, Index, Model
from dataflow_core.types import Integer, Text, Uuid
from dataflow_policies.options import option_of

__all__ = ["MULTI_TENANT", "TENANT"]

TENANT: Final = "tenant_id"
_LONGEST: Final = 64
"""The most characters of a tenant: short, since it is a part of every key and index."""


def _extend(model: Model, context: PolicyContext) -> Model:
    options = option_of(model, "multi_tenant", {"row_security": bool})
    if options is None:
        return model
    tenant = _tenant_field(model, context)
    fields = tuple(_within(item) for item in model.fields if item.name != TENANT)
    counted = any(item.generated == "database" for item in model.primary_key)
    tenant = evolve(tenant, primary_key=bool(model.primary_key) and not counted)
    alone = [
        Index((item.name,), unique=True)
        for item in model.fields
        if item.unique and item.name != TENANT
    ]
    indexes = [_with_tenant(index) for index in (*alone, *model.indexes)]
    if counted:
        # What references lead to, and what finds the rows of a tenant in the order of their keys.
        indexes.append(Index((TENANT, *model.key_names), unique=True))
        fields = (*model.primary_key, tenant, *(item for item in fields if not item.primary_key))
    else:
        fields = (tenant, *fields)
    secured_by = TENANT if options.get("row_security") else None
    return evolve(
        model, fields=fields, indexes=tuple(dict.fromkeys(indexes)), secured_by=secured_by
    )


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


def _within(field: Field) -> Field:
    """A field that is unique is so among the rows of a tenant."""
    return evolve(field, unique=False) if field.unique else field


def _with_tenant(index: Index) -> Index:
    """A unique index holds among the rows of a tenant."""
    if not index.unique or TENANT in index.columns:
        return index
    return evolve(index, columns=(TENANT, *index.columns))


MULTI_TENANT: Final = ModelPolicy(("multi_tenant",), _extend)
"""The policy."""
