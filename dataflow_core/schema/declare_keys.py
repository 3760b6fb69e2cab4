"""Foreign keys of several columns, as ``__dataflow__["foreign_keys"]`` declares them.

Those of one column are on the field and are resolved later, when the other models are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dataflow_core.errors import InvalidModel
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema.model import Field, ForeignKey, Reference
from dataflow_core.schema.naming import check_name

__all__ = ["check_on_delete", "declared_foreign_keys"]

_ON_DELETE: Final = ("no_action", "restrict", "cascade", "set_null")


def check_on_delete(action: object, where: str) -> None:
    """Refuse an action that there is not, with the nearest: ``InvalidModel``."""
    if action not in _ON_DELETE:
        raise InvalidModel(
            f"{where}: on_delete is one of {', '.join(_ON_DELETE)}, got {quoted(action)}",
            suggestion=nearest(action, _ON_DELETE) if isinstance(action, str) else None,
        )


def declared_foreign_keys(
    cls: type, fields: Sequence[Field], options: Mapping[str, Any]
) -> tuple[ForeignKey, ...]:
    """The foreign keys in the options of a class. Raises ``InvalidModel``."""
    declared = options.get("foreign_keys", ())
    if not isinstance(declared, list | tuple):
        raise InvalidModel(f"{cls.__name__}: the option 'foreign_keys' is a list")
    return tuple(_foreign_key(cls, item, fields) for item in declared)


_REQUIRED: Final = {"columns", "references", "target_columns"}


def _foreign_key(cls: type, item: Any, fields: Sequence[Field]) -> ForeignKey:
    if not isinstance(item, Mapping) or not _REQUIRED <= set(item) <= {
        *_REQUIRED,
        "on_delete",
        "name",
    }:
        raise InvalidModel(
            f"{cls.__name__}: a foreign key is"
            ' {"columns": [...], "references": "table", "target_columns": [...]},'
            " with on_delete and name if wanted"
        )
    columns = _names(cls, item["columns"])
    target = _names(cls, item["target_columns"])
    known = {field.name: field for field in fields}
    for column in columns:
        if column not in known:
            raise InvalidModel(
                f"{cls.__name__}: a foreign key names {quoted(column)}, which is no field",
                suggestion=nearest(column, known),
            )
    if len(columns) != len(target):
        raise InvalidModel(
            f"{cls.__name__}: a foreign key has {len(columns)} columns"
            f" and {len(target)} target columns"
        )
    action = item.get("on_delete", "no_action")
    check_on_delete(action, f"{cls.__name__}: a foreign key")
    if action == "set_null" and not all(known[column].nullable for column in columns):
        raise InvalidModel(
            f"{cls.__name__}: on_delete is 'set_null' but a column of the key is not nullable"
        )
    name = item.get("name")
    if name is not None:
        check_name(name, f"a foreign key of {cls.__name__}")
    table = check_name(item["references"], f"the target of a foreign key of {cls.__name__}")
    return ForeignKey(columns, Reference(table, target, action), name)


def _names(cls: type, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise InvalidModel(
            f"{cls.__name__}: the columns of a foreign key are a list of names, got {quoted(value)}"
        )
    return tuple(check_name(name, f"a foreign key of {cls.__name__}") for name in value)
