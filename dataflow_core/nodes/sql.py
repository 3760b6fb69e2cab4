"""``SQLNode``: one statement in the user's own SQL, with bound parameters only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.errors import InvalidValue, MissingParameter, UnknownParameter
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.nodes.base import Context, Effect, NodeOwner, NodeType, Output, Parameter
from dataflow_core.run.scopes import check_alone
from dataflow_core.run.statements import run_sql
from dataflow_core.types import type_of

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine

__all__ = ["sql_node"]

_FETCH: Final = ("all", "one", "none")
_BEFORE: Final = r"(?:\s|--[^\n]*\n|/\*(?!M?!).*?\*/)*"
_CONTROL: Final = re.compile(
    _BEFORE + r"(BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|XA"
    r"|PREPARE\s+TRANSACTION)\b",
    re.IGNORECASE | re.DOTALL,
)
_QUOTES: Final = {"'": "'", '"': '"', "`": "`", "[": "]"}


def sql_node(owner: NodeOwner, engine: Callable[[str], Engine]) -> NodeType:
    """The node type ``SQLNode`` of an instance.

    Parameters of the node: ``sql`` with ``:name`` placeholders on every database, ``parameters``,
    ``fetch`` (``all`` rows as dicts, ``one`` or ``None``, ``none``: the number of rows written),
    ``database``. Values come back as the driver gives them: nothing is known of their types.
    """

    async def run(context: Context, parameters: Mapping[str, Any]) -> dict[str, Any]:
        sql = parameters.get("sql")
        if not isinstance(sql, str) or not sql.strip():
            raise MissingParameter("SQLNode: sql is missing: one statement", parameter="sql")
        if _CONTROL.match(sql):
            raise InvalidValue(
                "SQLNode: transactions are opened and left by db.transaction() and"
                f" runtime.execute(..., transaction=True), not by {quoted(sql.strip()[:40])}"
            )
        if owner.current_tenant is not None:
            raise InvalidValue(
                "SQLNode: a tenant is in force, and nothing confines a statement of your own to its"
                " rows; use the nodes of the models, or call outside of db.tenant(...)"
            )
        fetch = parameters.get("fetch") or "all"
        if fetch not in _FETCH:
            raise InvalidValue(f"SQLNode: fetch is one of {', '.join(_FETCH)}, got {quoted(fetch)}")
        values = parameters.get("parameters") or {}
        if not isinstance(values, Mapping):
            raise InvalidValue(f"SQLNode: parameters is a dict, got {quoted(values)}")
        target = engine(parameters.get("database") or "primary")
        # Nobody knows what it does there.
        check_alone(target)
        text, names = _placed(sql, values, target.dialect.compiler.placeholder)
        bound = [_encoded(name, values[name], target) for name in names]
        rows, written = await run_sql(target, text, bound, rows=fetch != "none")
        if fetch == "none":
            return {"result": written, "count": written}
        if fetch == "one":
            row = rows[0] if rows else None
            return {"result": row, "found": row is not None}
        return {"result": rows, "records": rows, "count": len(rows)}

    effect = Effect(everything=True)
    names = ("sql", "parameters", "fetch", "database")
    return NodeType(
        name="SQLNode",
        owner=owner,
        run=run,
        parameters={name: Parameter(name, required=name == "sql") for name in names},
        outputs={name: Output(name) for name in ("result", "records", "count", "found")},
        effect=lambda: effect,
        common=True,
        description="one statement of your own, with bound parameters",
    )


def _placed(
    sql: str, values: Mapping[str, Any], placeholder: Callable[[int], str]
) -> tuple[str, list[str]]:
    """The text with the dialect's placeholders, and the names in their order."""
    parts: list[str] = []
    names: list[str] = []
    position = 0
    while position < len(sql):
        end = _skipped(sql, position)
        if end > position:
            parts.append(sql[position:end])
            position = end
            continue
        if sql[position] == ";" and sql[position + 1 :].strip():
            raise InvalidValue("SQLNode: takes one statement, and there is more behind the ';'")
        name = _name_at(sql, position)
        if name:
            if name not in values:
                raise MissingParameter(
                    f"SQLNode: :{name} has no value in parameters", parameter=name
                )
            names.append(name)
            parts.append(placeholder(len(names)))
            position += len(name) + 1
        else:
            parts.append(sql[position])
            position += 1
    unused = [name for name in values if name not in names]
    if unused:
        raise UnknownParameter(
            f"SQLNode: the statement has no :{quoted(unused[0])[1:-1]}",
            suggestion=nearest(str(unused[0]), names),
        )
    return "".join(parts), names


def _skipped(sql: str, position: int) -> int:
    """The end of a quoted text, a comment or a ``::`` at a position; without one the position."""
    if sql.startswith("--", position):
        end = sql.find("\n", position)
        return len(sql) if end < 0 else end
    if sql.startswith("/*", position):
        end = sql.find("*/", position + 2)
        return len(sql) if end < 0 else end + 2
    if sql.startswith("::", position):
        return position + 2
    closing = _QUOTES.get(sql[position])
    if closing is None:
        return position
    end = sql.find(closing, position + 1)
    return len(sql) if end < 0 else end + 1


def _name_at(sql: str, position: int) -> str:
    if sql[position] != ":":
        return ""
    end = position + 1
    while end < len(sql) and (sql[end].isalnum() or sql[end] == "_"):
        end += 1
    return sql[position + 1 : end]


def _encoded(name: str, value: Any, engine: Engine) -> Any:
    """A value in the form that the driver takes, by its Python type."""
    if value is None:
        return None
    where = f"SQLNode: :{name}"
    kind = type_of(value)
    if kind is None:
        raise InvalidValue(f"{where}: {type(value).__name__} cannot be bound")
    checked = kind.check(value, where)
    encode = engine.dialect.compiler.codec(kind).encode
    return checked if encode is None else encode(checked)
