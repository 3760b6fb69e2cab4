"""The SQL of conditions on the rows of other models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataflow_core.compile.build import Build
from dataflow_core.filters.ast import Related

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = ["related"]


def related(compiler: BaseCompiler, node: Related, build: Build) -> str:
    """There is a row with an equal key that meets the condition: true or false, never NULL.

    Every name is qualified, since a table may be there several times.
    """
    relation, alias = node.relation, compiler.quote(build.alias())
    columns, source = build.columns, build.source
    # Within another condition the fields already stand for qualified columns.
    outer = compiler.table(relation.source) if columns is None else source
    place = "" if outer is None else f"{outer}."
    own = [f"{place}{build.column(item)}" for item in relation.fields]
    target = relation.target
    build.columns = {item.name: f"{alias}.{compiler.quote(item.column)}" for item in target.fields}
    build.source = None
    parts = [
        f"{build.column(item)} = {side}"
        for item, side in zip(relation.target_fields, own, strict=True)
    ]
    compiler.add_filter(parts, node.item, build)
    build.columns, build.source = columns, source
    rows = compiler.related_source(target, build)
    return f"EXISTS (SELECT 1 FROM {rows} AS {alias} WHERE {' AND '.join(parts)})"
