"""The SQL of ``$lookup`` with ``$unwind``: a join, whose columns have dotted names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataflow_core.aggregate.ast import Join

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler
    from dataflow_core.compile.build import Build

__all__ = ["joined_rows"]


def joined_rows(
    compiler: BaseCompiler,
    build: Build,
    source: str,
    names: dict[str, str],
    hidden: list[str],
    stage: Join,
) -> tuple[str, list[str]]:
    """The SELECT of the joined rows, and the columns in it that are the key of the new ones.

    ``source`` has the fields ``names`` and the ``hidden`` columns that keep the order.
    """
    quote, lookup, name = compiler.quote, stage.lookup, build.alias()
    alias = quote(name)
    columns = [f"{source}.{sql} AS {quote(own)}" for own, sql in names.items()]
    columns += [f"{source}.{sql} AS {sql}" for sql in dict.fromkeys(hidden)]
    columns += [
        f"{alias}.{quote(item.column)} AS {quote(made.name)}"
        for item, made in zip(lookup.model.fields, stage.made, strict=True)
    ]
    keys: list[str] = []
    for item in lookup.model.primary_key:
        keys.append(quote(f"{name}_key{len(keys)}"))
        columns.append(f"{alias}.{quote(item.column)} AS {keys[-1]}")
    pairs = [
        (f"{source}.{names[own.name]}", f"{alias}.{quote(its.column)}")
        for own, its in zip(lookup.local, lookup.foreign, strict=True)
    ]
    equal = [
        compiler.null_safe(own, its, equal=True) if lookup.nulls else f"{own} = {its}"
        for own, its in pairs
    ]
    before = build.columns, build.source
    build.columns = {item.name: f"{alias}.{quote(item.column)}" for item in lookup.model.fields}
    build.source = None
    compiler.add_filter(equal, lookup.filter, build)
    build.columns, build.source = before
    way = "LEFT JOIN" if stage.outer else "JOIN"
    table = compiler.table(lookup.model)
    text = f"FROM {source} {way} {table} AS {alias} ON {' AND '.join(equal)}"
    return f"SELECT {', '.join(columns)} {text}", keys
