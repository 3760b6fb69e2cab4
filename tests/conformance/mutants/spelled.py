"""Dialects whose SQL is not what the core asks for: filters, order, pages, changes, groups."""

from __future__ import annotations

import re
from typing import Any, Final

from dataflow_core.compile import CALL_TABLE, CHANGES, Build, expression_sql, joined
from dataflow_core.filters import And, Compare, IsNull, Membership, Not, Or, Pattern
from dataflow_core.types import FieldType, Integer
from dataflow_core.updates.ast import BitChange
from dataflow_sqlite.compiler import SQLiteCompiler
from tests.conformance.mutants.mutant import Mutant, spelling

__all__ = ["SPELLED"]

Predicates = Any


def filters(**changes: Any) -> type[SQLiteCompiler]:
    """A compiler with other entries for nodes of filters, by the names of their classes."""
    known = {kind.__name__: kind for kind in SQLiteCompiler.predicates}
    return spelling(
        predicates={
            **SQLiteCompiler.predicates,
            **{known[name]: render for name, render in changes.items()},
        }
    )


def calls(**changes: Any) -> type[SQLiteCompiler]:
    """A compiler with other functions."""
    return spelling(calls={**CALL_TABLE, **changes})


def _ne_without_nulls(compiler: SQLiteCompiler, node: Not, build: Build) -> str:
    if isinstance(node.item, Compare) and node.item.operator == "eq":
        return f"NOT ({compiler.predicate(node.item, build)})"
    return SQLiteCompiler.predicates[Not](compiler, node, build)


def _nin_without_nulls(compiler: SQLiteCompiler, node: Not, build: Build) -> str:
    if isinstance(node.item, Membership):
        return f"NOT ({compiler.predicate(node.item, build)})"
    return SQLiteCompiler.predicates[Not](compiler, node, build)


def _three_valued(compiler: SQLiteCompiler, node: Not, build: Build) -> str:
    return f"NOT ({compiler.predicate(node.item, build)})"


def _in_forgets_null(compiler: SQLiteCompiler, node: Or, build: Build) -> str:
    listed = any(isinstance(item, Membership) for item in node.items)
    items = [item for item in node.items if not (listed and isinstance(item, IsNull))]
    return joined([compiler.predicate(item, build) for item in items], "OR")


def _unbracketed(compiler: SQLiteCompiler, node: And | Or, build: Build) -> str:
    word = " AND " if isinstance(node, And) else " OR "
    return word.join(compiler.predicate(item, build) for item in node.items)


def _strict(compiler: SQLiteCompiler, node: Compare, build: Build) -> str:
    text = SQLiteCompiler.predicates[Compare](compiler, node, build)
    return text.replace(" >= ", " > ").replace(" <= ", " < ")


def _like(self: SQLiteCompiler, subject: str, node: Pattern, build: Build) -> str:
    if node.kind == "regex":
        return SQLiteCompiler.text_match(self, subject, node, build)
    before = "%" if node.kind in ("suffix", "contains") else ""
    after = "%" if node.kind in ("prefix", "contains") else ""
    return f"{subject} LIKE '{before}' || {build.bind(node.slot)} || '{after}'"


def _like_ignores_case(self: SQLiteCompiler, subject: str, node: Pattern, build: Build) -> str:
    text = SQLiteCompiler.text_match(self, subject, node, build)
    return re.sub(r"(dataflow_like\(.*), 0\)", r"\1, 1)", text)


def _divide_ints(compiler: SQLiteCompiler, node: Any, build: Build) -> str:
    left, right = (expression_sql(compiler, item, build) for item in node.arguments)
    return f"({left} / NULLIF({right}, 0))"


def _divide_by_zero(compiler: SQLiteCompiler, node: Any, build: Build) -> str:
    return f"COALESCE({CALL_TABLE['divide'](compiler, node, build)}, 0.0)"


def _concat_ignores_null(self: SQLiteCompiler, parts: Any) -> str:
    return " || ".join(f"COALESCE({part}, '')" for part in parts)


def _null_is_true(compiler: SQLiteCompiler, node: Any, build: Build) -> str:
    test, then, otherwise = (expression_sql(compiler, item, build) for item in node.arguments)
    return f"CASE WHEN COALESCE({test}, 1) THEN {then} ELSE {otherwise} END"


def _swapped(name: str) -> Any:
    """A function that is replaced by its twin."""

    def render(self: SQLiteCompiler, function: str, *rest: Any) -> str:
        return getattr(SQLiteCompiler, name)(self, _TWINS.get(function, function), *rest)

    return render


_TWINS: Final = {"stdDevPop": "stdDevSamp", "min": "max", "floor": "ceil"}


def _null_as_zero(self: SQLiteCompiler, function: str, sql: str, kind: FieldType) -> str:
    return (
        f"{function.upper()}(COALESCE({sql}, 0))" if kind.numeric else f"{function.upper()}({sql})"
    )


def _increments_nothing(compiler: SQLiteCompiler, item: Any, build: Build) -> str:
    column = build.column(item.field)
    amount = build.bind(item.change.slot)
    return compiler.arithmetic("add", [column, amount], item.field.type)


def _multiplies_nothing(compiler: SQLiteCompiler, item: Any, build: Build) -> str:
    column, kind = build.column(item.field), item.field.type
    return compiler.multiply([(column, kind), (build.bind(item.change.slot), kind)], kind)


def _moves_null(compiler: SQLiteCompiler, item: Any, build: Build) -> str:
    return build.column(item.change.source)


def _bits_added(compiler: SQLiteCompiler, item: Any, build: Build) -> str:
    text = CHANGES[BitChange](compiler, item, build)
    return text.replace(" - (", " + (")


def _clears_to_empty(compiler: SQLiteCompiler, item: Any, build: Build) -> str:
    return "NULL" if item.field.type.numeric else "''"


def changes(**entries: Any) -> type[SQLiteCompiler]:
    """A compiler with other changes, by the names of their classes."""
    known = {kind.__name__: kind for kind in CHANGES}
    return spelling(changes={**CHANGES, **{known[name]: each for name, each in entries.items()}})


def inserts(pattern: str, replacement: str, only: str = "") -> type[SQLiteCompiler]:
    """A compiler that writes another INSERT, where the right one has ``only`` in it."""

    def insert(self: SQLiteCompiler, *arguments: Any, **named: Any) -> str:
        text = SQLiteCompiler.insert(self, *arguments, **named)
        return re.sub(pattern, replacement, text) if only in text else text

    return spelling(insert=insert)


SPELLED: Final = (
    Mutant(
        "nulls come last",
        ("order.of_n",),
        compiler=spelling(
            order_item=lambda self, sql, *, descending, nullable: (
                f"{sql} {'DESC NULLS FIRST' if descending else 'ASC NULLS LAST'}"
            )
        ),
    ),
    Mutant(
        "descending is ascending",
        ("order.of_t",),
        compiler=spelling(order_item=lambda self, sql, **_: f"{sql} ASC"),
    ),
    Mutant(
        "text is sorted without case",
        ("order.of_t",),
        compiler=spelling(
            order_item=lambda self, sql, *, descending, nullable: (
                f"{sql} COLLATE NOCASE {'DESC' if descending else 'ASC'}"
            )
        ),
    ),
    Mutant(
        "a limit lets one row more through",
        ("aggregates.limit_skip", "aggregates.skip_limit"),
        compiler=spelling(
            paging=lambda self, limit, offset: SQLiteCompiler.paging(
                self, None if limit is None else f"{limit} + 1", offset
            )
        ),
    ),
    Mutant(
        "an offset is ignored",
        ("paging.limit_offset", "aggregates.skip_limit"),
        compiler=spelling(
            paging=lambda self, limit, offset: SQLiteCompiler.paging(self, limit, None)
        ),
    ),
    Mutant("$ne leaves null out", ("filters.ne.int",), compiler=filters(Not=_ne_without_nulls)),
    Mutant("$nin leaves null out", ("filters.nin",), compiler=filters(Not=_nin_without_nulls)),
    Mutant(
        "NOT of unknown is unknown", ("filters.logic.nor",), compiler=filters(Not=_three_valued)
    ),
    Mutant("$in forgets its None", ("filters.in.null",), compiler=filters(Or=_in_forgets_null)),
    Mutant(
        "OR inside AND without brackets",
        ("filters.logic.or_beside",),
        compiler=filters(Or=_unbracketed, And=_unbracketed),
    ),
    Mutant("$gte is $gt", ("filters.range",), compiler=filters(Compare=_strict)),
    Mutant(
        "$like ignores case",
        ("filters.like.case",),
        compiler=spelling(text_match=_like_ignores_case),
    ),
    Mutant(
        "wildcards in $contains count",
        ("filters.contains.underscore",),
        compiler=spelling(text_match=_like),
    ),
    Mutant("$divide divides ints", ("expressions.divide",), compiler=calls(divide=_divide_ints)),
    Mutant(
        "division by zero is zero",
        ("expressions.divide.zero",),
        compiler=calls(divide=_divide_by_zero),
    ),
    Mutant(
        "$floor is $ceil",
        ("expressions.floor",),
        compiler=spelling(arithmetic=_swapped("arithmetic")),
    ),
    Mutant(
        "$concat skips null",
        ("expressions.concat.null",),
        compiler=spelling(concat=_concat_ignores_null),
    ),
    Mutant(
        "lengths are bytes",
        ("expressions.length",),
        compiler=spelling(length=lambda self, sql: f"length(CAST({sql} AS BLOB))"),
    ),
    Mutant(
        "substrings count from 1",
        ("expressions.substring",),
        compiler=spelling(
            substring=lambda self, sql, start, count: f"substr({sql}, {start}, {count})"
        ),
    ),
    Mutant(
        "null equals nothing in expressions",
        ("expressions.eq.null",),
        compiler=spelling(
            null_safe=lambda self, left, right, equal: f"({left} {'=' if equal else '<>'} {right})"
        ),
    ),
    Mutant(
        "null is true in conditions", ("expressions.cond.null",), compiler=calls(cond=_null_is_true)
    ),
    Mutant(
        "months count from 0",
        ("expressions.month",),
        compiler=spelling(
            date_part=lambda self, part, sql, kind: (
                f"({SQLiteCompiler.date_part(self, part, sql, kind)} - {int(part == 'month')})"
            )
        ),
    ),
    Mutant(
        "sums are floats",
        ("aggregates.group.sum",),
        compiler=spelling(
            total=lambda self, sql, source, target: (
                f"TOTAL({sql})"
                if isinstance(target, Integer)
                else SQLiteCompiler.total(self, sql, source, target)
            )
        ),
    ),
    Mutant(
        "the sum of nothing is null",
        ("aggregates.group.nothing_but_null",),
        compiler=spelling(
            total=lambda self, sql, source, target: (
                f"SUM({sql})"
                if isinstance(target, Integer)
                else SQLiteCompiler.total(self, sql, source, target)
            )
        ),
    ),
    Mutant(
        "averages of ints are ints",
        ("aggregates.group.avg",),
        compiler=spelling(average=lambda self, sql: f"CAST(CAST(AVG({sql}) AS INTEGER) AS REAL)"),
    ),
    Mutant(
        "null counts as 0 in $min and $max",
        ("aggregates.group.nothing_but_null",),
        compiler=spelling(extreme=_null_as_zero),
    ),
    Mutant(
        "$min is $max", ("aggregates.group.min",), compiler=spelling(extreme=_swapped("extreme"))
    ),
    Mutant(
        "$stdDevPop is $stdDevSamp",
        ("aggregates.std_dev_pop",),
        compiler=spelling(statistic=_swapped("statistic")),
    ),
    Mutant(
        "$addToSet keeps what is there twice",
        ("aggregates.add_to_set",),
        compiler=spelling(
            collected=lambda self, sql, kind, distinct: SQLiteCompiler.collected(
                self, sql, kind, distinct=False
            )
        ),
    ),
    Mutant(
        "$inc of null stays null",
        ("updates.inc.null",),
        compiler=changes(Increment=_increments_nothing),
    ),
    Mutant(
        "$mul of null stays null",
        ("updates.mul.null",),
        compiler=changes(Multiply=_multiplies_nothing),
    ),
    Mutant("$rename moves null", ("updates.rename.null",), compiler=changes(MoveFrom=_moves_null)),
    Mutant(
        "$unset empties", ("updates.unset.other_types",), compiler=changes(Clear=_clears_to_empty)
    ),
    Mutant("$bit xor adds", ("updates.bit.xor",), compiler=changes(BitChange=_bits_added)),
    Mutant(
        "upserts call every row inserted", ("upsert.one",), compiler=spelling(inserted_flag="1")
    ),
    Mutant("upserts call every row updated", ("upsert.one",), compiler=spelling(inserted_flag="0")),
    Mutant(
        "upserts leave a stored row alone",
        ("upsert.one",),
        compiler=inserts("DO UPDATE SET .*?(?= RETURNING|$)", "DO NOTHING"),
    ),
    Mutant(
        "upserts replace the whole row",
        ("upsert.one",),
        compiler=inserts(
            r"^INSERT(.*) ON CONFLICT \(.*?(?= RETURNING|$)", r"INSERT OR REPLACE\1", "DO UPDATE"
        ),
    ),
    Mutant(
        "skip swallows every error",
        ("bulk.create.skip_conflicts_only",),
        compiler=inserts("^INSERT", "INSERT OR IGNORE", "DO NOTHING"),
    ),
    Mutant(
        "a bulk create leaves bad rows out",
        ("bulk.create.all_or_nothing",),
        compiler=inserts("^INSERT", "INSERT OR IGNORE"),
    ),
    Mutant(
        "names are quoted without doubling quotes",
        ("identifiers.special",),
        compiler=spelling(quote=lambda self, name: f'"{name}"'),
    ),
    Mutant(
        "names are cut at 20 characters",
        ("identifiers.long",),
        compiler=spelling(quote=lambda self, name: '"' + name.replace('"', '""')[:20] + '"'),
    ),
)
