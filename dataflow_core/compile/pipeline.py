"""The SQL of aggregation pipelines: one SELECT, nested where a stage needs the result of another.

The rows between two stages always have a total order: what was sorted by, then their key. So every
cut (``$limit``, ``$first``) is repeatable, and equal on every database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field

from dataflow_core.aggregate.ast import (
    CountRows,
    Group,
    Join,
    Limit,
    Match,
    Pipeline,
    Project,
    Sample,
    Skip,
    Sort,
    UnionWith,
)
from dataflow_core.compile.accumulators import accumulated
from dataflow_core.compile.build import Build
from dataflow_core.compile.expressions import expression_sql
from dataflow_core.compile.joins import joined_rows
from dataflow_core.expressions.ast import FieldValue, Null
from dataflow_core.filters.ast import Predicate
from dataflow_core.schema import Field, Model

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = ["Select", "pipeline_select"]

HIDDEN: Final = "__order"
RANK: Final = "__rank"


@define
class Select:
    """A SELECT under construction. ``names`` maps the fields to columns of ``source``.

    The last ``keys`` items of ``order`` are the key of the rows; those before were sorted by.
    """

    compiler: BaseCompiler
    build: Build
    source: str
    names: dict[str, str]
    order: list[tuple[str, bool]]
    keys: int
    where: list[str] = field(factory=list)
    limit: str | None = None
    offset: str | None = None
    extra: list[str] = field(factory=list)

    def enter(self) -> None:
        """Make field names mean the columns of this SELECT's source."""
        self.build.columns, self.build.source = self.names, self.source

    @property
    def cut(self) -> bool:
        """Whether a limit or an offset has been applied."""
        return self.limit is not None or self.offset is not None

    def nested(self) -> Select:
        """A SELECT over this one as a step before it; the order travels along as hidden columns."""
        quote = self.compiler.quote
        columns = [f"{sql} AS {quote(name)}" for name, sql in self.names.items()]
        order = []
        for position, (sql, descending) in enumerate(self.order):
            alias = quote(f"{HIDDEN}{position}")
            columns.append(f"{sql} AS {alias}")
            order.append((alias, descending))
        inner = self.render(columns, ordered=self.cut)
        result = Select(
            self.compiler,
            self.build,
            self.build.step(inner),
            {name: quote(name) for name in self.names},
            order,
            self.keys,
        )
        result.enter()
        return result

    def render(self, columns: list[str], *, ordered: bool = True) -> str:
        """The text, with these columns."""
        parts = [f"SELECT {', '.join(columns)} FROM {self.source}"]
        if self.where:
            parts.append(f"WHERE {' AND '.join(self.where)}")
        parts += self.extra
        if ordered and self.order:
            parts.append(f"ORDER BY {self.order_by()}")
        parts += self.compiler.paging(self.limit, self.offset)
        return " ".join(parts)

    @property
    def key_order(self) -> list[tuple[str, bool]]:
        """The part of the order that is the key of the rows."""
        return self.order[len(self.order) - self.keys :]

    def order_by(self, *, reverse: bool = False) -> str:
        """The list after ORDER BY; qualified, since a plain name could mean a new column."""
        first: dict[str, bool] = {}
        for sql, descending in self.order:
            first.setdefault(sql, descending)
        return ", ".join(
            self.compiler.order_item(
                f"{self.source}.{sql}", descending=descending is not reverse, nullable=True
            )
            for sql, descending in first.items()
        )

    def final(self, names: list[str]) -> str:
        """The text of the whole, with the fields in the order given."""
        quote = self.compiler.quote
        columns = [f"{self.names[name]} AS {quote(name)}" for name in names]
        return self.build.with_steps(self.render(columns))


def pipeline_select(
    compiler: BaseCompiler,
    model: Model,
    pipeline: Pipeline,
    predicate: Predicate,
    build: Build,
) -> Select:
    """The SELECT of a pipeline over the rows of a model that pass ``predicate``."""
    quote = compiler.quote
    select = Select(
        compiler,
        build,
        compiler.table(model),
        {item.name: quote(item.column) for item in model.fields},
        [(quote(item.column), False) for item in model.primary_key],
        len(model.primary_key),
    )
    select.enter()
    compiler.add_filter(select.where, predicate, build)
    return _staged(select, pipeline)


def _staged(select: Select, pipeline: Pipeline) -> Select:
    for stage in pipeline.stages:
        select = _STAGES[type(stage)](select, stage)
        select.enter()
    return select


def _match(select: Select, stage: Match) -> Select:
    select = select.nested() if select.cut else select
    select.compiler.add_filter(select.where, stage.predicate, select.build)
    return select


def _group(select: Select, stage: Group) -> Select:
    compiler, build, quote = select.compiler, select.build, select.compiler.quote
    build.need("aggregate.group")
    ranked = any(item.function in _BY_ORDER for item in stage.accumulators)
    if ranked:
        select = _ranked(select, stage)
    elif select.cut:
        select = select.nested()
    keys = {key.field.name: expression_sql(compiler, key.expression, build) for key in stage.keys}
    columns = [f"{sql} AS {quote(name)}" for name, sql in keys.items()]
    for item in stage.accumulators:
        columns.append(f"{accumulated(compiler, item, build)} AS {quote(item.field.name)}")
    if not stage.accumulators:
        # HAVING without any aggregate beside it is not accepted everywhere.
        columns.append(f"COUNT(*) AS {quote(RANK)}")
    real = [
        compiler.group_item(keys[key.field.name], position)
        for position, key in enumerate(stage.keys, start=1)
        if not isinstance(key.expression, Null)
    ]
    select.extra = [f"GROUP BY {', '.join(real)}"] if real else ["HAVING COUNT(*) > 0"]
    inner = select.render(columns, ordered=False)
    names = [*keys, *(item.field.name for item in stage.accumulators)]
    return Select(
        compiler,
        build,
        build.step(inner),
        {name: quote(name) for name in names},
        [(quote(name), False) for name in keys],
        len(keys),
    )


_BY_ORDER: Final = ("first", "last", "push")


def _ranked(select: Select, stage: Group) -> Select:
    """Number the rows of every group from the front and from the back."""
    select = select.nested()
    compiler, build, quote = select.compiler, select.build, select.compiler.quote
    keys = [
        expression_sql(compiler, key.expression, build)
        for key in stage.keys
        if not isinstance(key.expression, Null)
    ]
    partition = f"PARTITION BY {', '.join(keys)} " if keys else ""
    # A count is one row and has no order.
    orders = (select.order_by(), select.order_by(reverse=True))
    ordered = [f"ORDER BY {text}" if text else "" for text in orders]
    front, back = (f"ROW_NUMBER() OVER ({partition}{order})" for order in ordered)
    columns = [f"{sql} AS {quote(name)}" for name, sql in select.names.items()]
    columns += [f"{front} AS {quote(RANK)}", f"{back} AS {quote(RANK + '_back')}"]
    inner = select.render(columns, ordered=False)
    result = Select(compiler, build, build.step(inner), select.names, [], 0)
    result.enter()
    return result


def _project(select: Select, stage: Project) -> Select:
    compiler, build = select.compiler, select.build
    names = {
        column.field.name: expression_sql(compiler, column.expression, build)
        for column in stage.columns
    }
    renamed = evolve(select, names=names)
    if all(isinstance(column.expression, FieldValue) for column in stage.columns):
        return renamed
    return renamed.nested()


def _sort(select: Select, stage: Sort) -> Select:
    select = select.nested() if select.cut else select
    keys = [(select.build.column(key.field), key.descending) for key in stage.keys]
    # What was sorted by before does not count any more: the key of the rows breaks ties.
    select.order = keys + select.key_order
    return select


def _limit(select: Select, stage: Limit) -> Select:
    select = select.nested() if select.limit is not None else select
    select.limit = select.build.bind(stage.slot)
    return select


def _skip(select: Select, stage: Skip) -> Select:
    select = select.nested() if select.cut else select
    select.offset = select.build.bind(stage.slot)
    return select


def _count(select: Select, stage: CountRows) -> Select:
    compiler, quote = select.compiler, select.compiler.quote
    select = select.nested() if select.cut else select
    select.extra = ["HAVING COUNT(*) > 0"]
    name = quote(stage.field.name)
    inner = select.render([f"COUNT(*) AS {name}"], ordered=False)
    return Select(compiler, select.build, select.build.step(inner), {stage.field.name: name}, [], 0)


def _sample(select: Select, stage: Sample) -> Select:
    select.build.need("aggregate.more_stages")
    select = select.nested()
    quote = select.compiler.quote
    columns = [f"{sql} AS {quote(name)}" for name, sql in select.names.items()]
    aliases = [sql for sql, _ in select.order]
    text = " ".join(
        [
            f"SELECT {', '.join([*columns, *aliases])} FROM {select.source}",
            f"ORDER BY {select.compiler.random()}",
            *select.compiler.paging(select.build.bind(stage.slot), None),
        ]
    )
    # The chosen rows come back in the order that all of them had.
    return evolve(select, source=select.build.step(text))


def _union(select: Select, stage: UnionWith) -> Select:
    compiler, build, quote = select.compiler, select.build, select.compiler.quote
    build.need("aggregate.union")
    names = list(select.names)
    first = _numbered(select, names, 0)
    other = _other_side(compiler, stage, build)
    second = _numbered(other, names, 1)
    side, position, key = [(quote(f"{HIDDEN}{number}"), False) for number in range(3)]
    return Select(
        compiler,
        build,
        build.step(f"{first} UNION ALL {second}"),
        {name: quote(name) for name in names},
        [side, position, side, key],
        2,
    )


def _join(select: Select, stage: Join) -> Select:
    compiler, build, quote = select.compiler, select.build, select.compiler.quote
    build.need("aggregate.lookup")
    select = select.nested()
    hidden = [sql for sql, _ in select.order]
    query, keys = joined_rows(compiler, build, select.source, select.names, hidden, stage)
    names = {name: quote(name) for name in (*select.names, *(item.name for item in stage.made))}
    order = [*select.order, *((key, False) for key in keys)]
    return Select(compiler, build, build.step(query), names, order, select.keys + len(keys))


def _other_side(compiler: BaseCompiler, stage: UnionWith, build: Build) -> Select:
    quote = compiler.quote
    fields: tuple[Field, ...] = stage.pipeline.source
    keys = [item for item in fields if item.primary_key]
    select = Select(
        compiler,
        build,
        compiler.table(stage.model),
        {item.name: quote(item.column) for item in fields},
        [(quote(item.column), False) for item in keys],
        len(keys),
    )
    select.enter()
    return _staged(select, stage.pipeline)


def _numbered(select: Select, names: list[str], branch: int) -> str:
    """A side of a union, its rows numbered by order and by key, so that both are kept."""
    select = select.nested()
    quote = select.compiler.quote
    columns = [f"{select.names[name]} AS {quote(name)}" for name in names]
    columns.append(f"{branch} AS {quote(HIDDEN + '0')}")
    for number, order in enumerate((select.order, select.key_order), 1):
        by = evolve(select, order=order).order_by() or "1"
        columns.append(f"ROW_NUMBER() OVER (ORDER BY {by}) AS {quote(f'{HIDDEN}{number}')}")
    return select.render(columns, ordered=False)


_STAGES: Final[dict[type, Callable[[Select, Any], Select]]] = {
    Match: _match,
    Group: _group,
    Project: _project,
    Sort: _sort,
    Limit: _limit,
    Skip: _skip,
    CountRows: _count,
    Sample: _sample,
    UnionWith: _union,
    Join: _join,
}
