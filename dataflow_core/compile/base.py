"""The base compiler: ANSI-shaped SQL. A dialect replaces entries of tables and small methods."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from dataflow_core.compile.build import Build, LiteralBuild, Render
from dataflow_core.compile.changes import CHANGES, assignments_sql
from dataflow_core.compile.compiled import Compiled, LoadStatement, RowSecurity, StagedStatements
from dataflow_core.compile.confines import counted, row_tests
from dataflow_core.compile.expressions import CALL_TABLE, condition
from dataflow_core.compile.predicates import PREDICATES, WIDEST, features_used, text_match
from dataflow_core.compile.rows import OPERATIONS
from dataflow_core.compile.statement import PLAIN, Codec
from dataflow_core.compile.statements import filter_text, names_list, values_list
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.expressions.ast import Expression
from dataflow_core.features import Feature
from dataflow_core.filters.ast import EVERYTHING, And, Pattern, Predicate
from dataflow_core.filters.parse import parse_filter
from dataflow_core.filters.scope import Bindings, Scope
from dataflow_core.operations import Operation, Upsert
from dataflow_core.schema import Field, Model
from dataflow_core.types import Decimal, Enumeration, FieldType, Float, Integer
from dataflow_core.updates.ast import Assignment

__all__ = ["BaseCompiler"]


class BaseCompiler:
    """Compiles operations. Stateless: one instance serves every call.

    Tables: ``predicates`` (filter nodes), ``calls`` (functions), ``changes`` (updates),
    ``operations``; each maps a node to a function ``(compiler, node, build) -> SQL``.
    """

    name: ClassVar[str] = "base"
    """The dialect's name, for refusals."""
    numbered: ClassVar[bool] = True
    """Whether a placeholder names its position, so that a value is bound once."""
    rows_per_statement: ClassVar[int] = 500
    """The most rows of one multi-row statement."""
    parameters_per_statement: ClassVar[int] = 32_000
    """The most values that one statement binds."""
    rows_at_once: ClassVar[int] = 500
    """How many rows of a bulk write are made ready while those before them are written."""
    pipelines: ClassVar[bool] = False
    """Whether connections send several statements at once, as ``PipeliningConnection`` says."""
    row_security: RowSecurity | None = None
    """How the tenant in force is told to a database that declares ``schema.row_security``."""
    returning: ClassVar[frozenset[str]] = frozenset(("insert", "update", "delete"))
    """What can give back the rows that it wrote; the rest is read by key, in a transaction."""
    upserts: ClassVar[bool] = True
    """Whether ``INSERT ... ON CONFLICT (columns) DO UPDATE`` is there. Without it, what is stored
    is looked up and locked, and then changed by ``update_rows``."""
    sees_own_changes: ClassVar[bool] = False
    """Whether a condition on other rows sees what the statement has changed so far."""
    inserted_flag: ClassVar[str | None] = None
    """SQL that says, in ``RETURNING`` of an upsert, whether the row was inserted. Without it, the
    stored rows are looked up before, which is exact where writers exclude each other."""

    predicates: ClassVar[dict[type, Render]] = PREDICATES
    """The SQL of every node of a filter."""
    calls: ClassVar[dict[str, Render]] = CALL_TABLE
    """The SQL of every function of expressions."""
    changes: ClassVar[dict[type, Render]] = CHANGES
    """The SQL of every change of an update."""
    operations: ClassVar[dict[type, Any]] = OPERATIONS
    """The statements of every operation."""
    codecs: ClassVar[dict[type, Codec | Callable[[Any], Codec]]] = {}
    """Field type -> codec, or a function from the type to its codec."""

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self.features = features

    def compile(self, operation: Operation) -> Compiled:
        """Compile an operation; raises ``UnsupportedFeature`` for what is declared off."""
        compiled: Compiled = self.operations[type(operation)](self, operation)
        return compiled

    def codec(self, kind: FieldType) -> Codec:
        """How values of a type travel."""
        if isinstance(kind, Enumeration):
            return self.codec(kind.base)
        entry = self.codecs.get(type(kind), PLAIN)
        return entry if isinstance(entry, Codec) else entry(kind)

    # Small spellings

    def quote(self, name: str) -> str:
        """A name as an identifier, whatever it holds."""
        return '"' + name.replace('"', '""') + '"'

    def column(self, field: Field) -> str:
        """A column in a statement about its table: the stored form, which bound values have too."""
        return self.quote(field.column)

    def column_value(self, sql: str, kind: FieldType) -> str:
        """A column, or what was made of one before, as a value that functions take.

        Only a column that others made (``FieldType.storage``) may need more than its name.
        """
        return sql

    def table(self, model: Model) -> str:
        """The table of a model, with its schema where that is not the default one."""
        name = self.quote(model.table)
        return name if model.schema is None else f"{self.quote(model.schema)}.{name}"

    def related_source(self, model: Model, build: Build) -> str:
        """What a condition on rows of another model selects from."""
        return self.table(model)

    def placeholder(self, position: int) -> str:
        """The mark of the parameter at a position, from 1."""
        return f"${position}"

    def parameter(self, position: int, kind: FieldType | None) -> str:
        """The parameter at a position, with its type where the database has to be told.

        ``kind`` is ``None`` where the text around it says the type.
        """
        return self.placeholder(position)

    def typed(self, text: str, kind: FieldType) -> str:
        """A placeholder or NULL with its type, where the database has to be told."""
        return text

    def order_item(self, sql: str, *, descending: bool, nullable: bool) -> str:
        """An item of ORDER BY: nulls first ascending, last descending."""
        way = "DESC" if descending else "ASC"
        if not nullable:
            return f"{sql} {way}"
        return f"{sql} {way} NULLS {'LAST' if descending else 'FIRST'}"

    def paging(self, limit: str | None, offset: str | None) -> list[str]:
        """The clauses that cut the result."""
        parts = [f"LIMIT {limit}"] if limit is not None else []
        return [*parts, f"OFFSET {offset}"] if offset is not None else parts

    def group_item(self, sql: str, position: int) -> str:
        """An item of GROUP BY: the key, or its position, from 1, in the list of the SELECT."""
        return sql

    def random(self) -> str:
        """An expression that is different for every row."""
        return "RANDOM()"

    def locking(self) -> str:
        """The clause of a SELECT that keeps its rows from changing until the transaction ends."""
        return "FOR UPDATE"

    def insert(
        self,
        model: Model,
        columns: Sequence[Field],
        rows: int,
        *,
        tail: str = "",
        back: Sequence[Field] = (),
        flag: str | None = None,
    ) -> str:
        """An INSERT of so many rows of ``columns``.

        ``tail`` stands behind the values, ``back`` are the fields that come back, and ``flag`` is
        an expression that comes back behind them.
        """
        values = f" {self.default_row()}"
        if columns:
            values = f" ({names_list(self, columns)}) VALUES {values_list(self, columns, rows)}"
        names = [self.quote(item.column) for item in back]
        if flag is not None:
            names.append(flag)
        returning = f" RETURNING {', '.join(names)}" if names else ""
        return f"INSERT INTO {self.table(model)}{values}{tail}{returning}"

    def load(
        self, table: str, columns: Sequence[Field], *, model: Model | None = None
    ) -> LoadStatement | None:
        """How many rows get in quicker than by INSERT, if they do; a ``model`` if not temporary."""
        return None

    def reserve_keys(self, model: Model) -> str | None:
        """Takes a number, gives as many rows: keys that nobody else is given. ``None``: cannot."""
        return None

    def staged(self, operation: Upsert) -> StagedStatements | None:
        """How many rows are upserted by way of a temporary table, if that is quicker.

        The rows have different ``match`` fields. Whoever is not sure that the result is that of
        upserting them one after the other gives ``None``.
        """
        return None

    def on_conflict(self, operation: Upsert) -> str:
        """What follows the values of an upsert."""
        # A row that is not assigned to is not given back either.
        quoted = [self.quote(item.column) for item in operation.updates or operation.match[:1]]
        assignments = ", ".join(f"{name} = excluded.{name}" for name in quoted)
        # In the words of the index: one database takes no others.
        where = filter_text(self, operation.among, " WHERE ")
        target = f"({names_list(self, operation.match)}){where}"
        return f" ON CONFLICT {target} DO UPDATE SET {assignments}"

    def default_row(self) -> str:
        """What follows the table's name in an INSERT that gives no column."""
        return "DEFAULT VALUES"

    def last_key(self) -> str:
        """The first key that the connection's last INSERT made."""
        raise self.unspelt("write.generated_key")

    def assignments(self, assignments: Sequence[Assignment], build: Build) -> str:
        """The list after SET: every value is computed from the row as it was."""
        return assignments_sql(self, assignments, build)

    def one_of(self, columns: Sequence[Field], rows: int) -> str:
        """A condition: the columns have one of so many combinations of values, bound in order."""
        names = names_list(self, columns)
        subject = f"({names})" if len(columns) > 1 else names
        return f"{subject} IN (VALUES {values_list(self, columns, rows)})"

    def update_rows(
        self,
        model: Model,
        match: Sequence[Field],
        updates: Sequence[Field],
        rows: int,
        among: Predicate = EVERYTHING,
    ) -> str:
        """Set ``updates`` in the stored rows with the same ``match`` fields.

        A row of parameters has the ``match`` fields and then the ``updates``. Only stored rows that
        pass ``among``, a filter without values, are changed.
        """
        given, table, new = (*match, *updates), self.table(model), self.quote("__new")
        names = [self.quote(f"__value{at}") for at, _ in enumerate(given)]
        columns = [self.quote(item.column) for item in given]
        pairs = [f"{column} = {new}.{name}" for column, name in zip(columns, names, strict=True)]
        same = [f"{table}.{pair}" for pair in pairs[: len(match)]] + row_tests(self, model)
        changes = pairs[len(match) :] + counted(self, model, updates)
        # The list of names stands inside: drivers count the rows of what begins with UPDATE.
        values = f"WITH {new} ({', '.join(names)}) AS (VALUES {values_list(self, given, rows)})"
        return (
            f"UPDATE {table} SET {', '.join(changes)} FROM ({values} SELECT * FROM {new}) AS {new}"
            f" WHERE {' AND '.join(same)}{filter_text(self, among, ' AND ')}"
        )

    def zero(self, kind: FieldType) -> str:
        """0 as it is stored in a column of the type."""
        return "0"

    def literal(self, value: Any, kind: FieldType | None) -> str:
        """A value, as the driver would take it, as a literal of SQL."""
        if isinstance(value, bytes):
            return f"x'{value.hex()}'"
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        if isinstance(value, dt.datetime):
            return f"TIMESTAMP '{value.isoformat(' ', 'microseconds')}'"
        if isinstance(value, dt.date):
            return f"DATE '{value.isoformat()}'"
        if isinstance(value, dt.time):
            return f"TIME '{value.isoformat('microseconds')}'"
        if isinstance(value, uuid.UUID):
            return f"'{value}'"
        return repr(value) if isinstance(value, bool | int | float) else str(value)

    # Predicates

    def literal_predicate(self, model: Model, filter: Mapping[str, Any]) -> str:
        """A filter as SQL without parameters, for a CHECK."""
        bindings = Bindings()
        predicate = parse_filter(filter, Scope.of(model), bindings)
        return self.predicate(predicate, LiteralBuild(self, values=bindings.values))

    def predicate(self, node: Predicate, build: Build) -> str:
        """The SQL of a filter; ``UnsupportedFeature`` for what is declared off."""
        for feature in features_used(node):
            build.need(feature)
        return self.predicates[type(node)](self, node, build)

    def add_filter(self, where: list[str], node: Predicate, build: Build) -> None:
        """Append the parts of a filter that are joined by AND."""
        if node == EVERYTHING:
            return
        # Many conditions become a balanced tree: a long chain is too deep for a parser.
        items = node.items if isinstance(node, And) and len(node.items) <= WIDEST else (node,)
        where.extend(self.predicate(item, build) for item in items)

    def condition(self, node: Expression, build: Build) -> str:
        """An expression as a condition that is never NULL."""
        return condition(self, node, build)

    def text_match(self, subject: str, node: Pattern, build: Build) -> str:
        """The SQL of a text pattern over any text expression."""
        return text_match(self, subject, node, build)

    def json_predicate(self, node: Predicate, build: Build) -> str:
        """The SQL of a leaf on a place inside JSON."""
        raise self.unspelt("filters.json.path")

    # Expressions

    def convert(self, sql: str, source: FieldType, target: FieldType) -> str:
        """An expression of one type as a value of another."""
        if source == target or not target.numeric:
            return sql
        if isinstance(target, Decimal):
            return f"CAST({sql} AS NUMERIC({target.precision}, {target.scale}))"
        if isinstance(target, Integer):
            return sql
        return f"CAST({sql} AS DOUBLE PRECISION)"

    def arithmetic(self, function: str, sides: Sequence[str], kind: FieldType) -> str:
        """``add``, ``subtract``, ``mod``, ``abs``, ``ceil``, ``floor`` of values of one type."""
        sign = {"add": "+", "subtract": "-"}.get(function)
        if sign is not None:
            return f"({sides[0]} {sign} {sides[1]})"
        if function == "mod":
            return f"MOD({sides[0]}, NULLIF({sides[1]}, {self.zero(kind)}))"
        return f"{function.upper()}({sides[0]})"

    def multiply(self, sides: Sequence[tuple[str, FieldType]], kind: FieldType) -> str:
        """The product of values, each with its type, as a value of ``kind``."""
        return f"({' * '.join(sql for sql, _ in sides)})"

    def concat(self, parts: Sequence[str]) -> str:
        """Texts joined; NULL if one is."""
        return f"({' || '.join(parts)})"

    def folded(self, sql: str) -> str:
        """Text in lower case, as ``dataflow_core.filters.fold``."""
        return f"LOWER({sql})"

    def uppered(self, sql: str) -> str:
        """Text in upper case, as ``dataflow_core.filters.upper``."""
        return f"UPPER({sql})"

    def substring(self, sql: str, start: str, count: str) -> str:
        """``count`` code points from ``start``, which counts from 0."""
        return f"SUBSTRING({sql} FROM {start} + 1 FOR {count})"

    def length(self, sql: str) -> str:
        """The number of code points."""
        return f"CHAR_LENGTH({sql})"

    def null_safe(self, left: str, right: str, *, equal: bool) -> str:
        """Equality where NULL equals NULL."""
        return f"({left} IS {'NOT ' if equal else ''}DISTINCT FROM {right})"

    def date_part(self, part: str, sql: str, kind: FieldType) -> str:
        """``year``, ``month``, ``dayOfMonth`` or ``hour`` as an int."""
        name = {"dayOfMonth": "DAY"}.get(part, part.upper())
        return f"CAST(EXTRACT({name} FROM {sql}) AS BIGINT)"

    def truncate(self, unit: str, sql: str, kind: FieldType) -> str:
        """The start of the unit that the moment lies in."""
        return f"DATE_TRUNC('{unit}', {sql})"

    # Accumulators

    def total(self, sql: str, source: FieldType, target: FieldType) -> str:
        """The sum, exact; 0 of nothing."""
        return f"COALESCE(SUM({sql}), 0)"

    def average(self, sql: str) -> str:
        """The mean of floats."""
        return f"AVG({sql})"

    def exact_average(self, sql: str, source: FieldType) -> str:
        """The mean of ints or Decimals, as a float. Large ones that cancel out leave the rest."""
        return self.average(self.convert(sql, source, Float()))

    def statistic(self, function: str, sql: str) -> str:
        """``stdDevPop``, ``stdDevSamp`` or ``median`` of floats."""
        if function == "median":
            return f"PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY {sql})"
        return f"{'STDDEV_POP' if function == 'stdDevPop' else 'STDDEV_SAMP'}({sql})"

    def extreme(self, function: str, sql: str, kind: FieldType) -> str:
        """``min`` or ``max``."""
        return f"{function.upper()}({sql})"

    def collected(self, sql: str, kind: FieldType, *, distinct: bool) -> str:
        """The values of a group as a list, in the order ``__rank`` or, if distinct, sorted."""
        raise self.unspelt("aggregate.collect")

    def unspelt(self, feature: str) -> UnsupportedFeature:
        """The refusal of something that this compiler has no SQL for."""
        reason = "the dialect's compiler does not say how"
        return UnsupportedFeature(
            f"{self.name} has no spelling for {feature}: {reason}",
            feature=feature,
            dialect=self.name,
            reason=reason,
        )
