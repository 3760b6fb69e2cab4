"""The SQL of MySQL and MariaDB, where it is not that of the base compiler."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import evolve

from dataflow_core.compile import (
    CHANGES,
    OPERATIONS,
    BaseCompiler,
    Build,
    Compiled,
    LoadStatement,
    Render,
    StagedStatements,
    counted,
    filter_text,
    names_list,
    row_tests,
    statement,
    values_list,
    where_clause,
)
from dataflow_core.dialect import refuse_exponential
from dataflow_core.expressions import Call, Expression, FieldValue
from dataflow_core.features import Feature
from dataflow_core.filters import EVERYTHING, Pattern, Predicate, Slot, render_regex
from dataflow_core.operations import Delete, Update, UpdateMany, Upsert
from dataflow_core.schema import Field, Model
from dataflow_core.types import FieldType, Text
from dataflow_core.updates import Assignment, BitChange, Compute, MoveFrom
from dataflow_mysql.bulk import load_statement, staged_statements
from dataflow_mysql.documents import json_predicate
from dataflow_mysql.expressions import MySQLExpressions, text_literal
from dataflow_mysql.types import MARIADB, MYSQL, OLD_MARIADB, plain_type

__all__ = ["MariaDBCompiler", "MySQLCompiler", "OldMariaDBCompiler"]

_BITS: Final = {"and": "&", "or": "|", "xor": "^"}
_NO_LIMIT: Final = 2**64 - 1


def _bit(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    """The result of bits is unsigned: a negative number has to be made one again."""
    change = item.change
    assert isinstance(change, BitChange)
    build.need("updates.bits")
    column = f"COALESCE({build.column(item.field)}, 0)"
    return f"CAST(({column} {_BITS[change.operator]} {build.bind(change.slot)}) AS SIGNED)"


def _reads(node: Expression) -> Iterator[str]:
    """The fields that an expression reads."""
    if isinstance(node, FieldValue):
        yield node.field.name
    elif isinstance(node, Call):
        for argument in node.arguments:
            yield from _reads(argument)


def _read_by(item: Assignment) -> set[str]:
    if isinstance(item.change, Compute):
        return set(_reads(item.change.expression))
    return {item.change.source.name} if isinstance(item.change, MoveFrom) else set()


def _in_order(assignments: Sequence[Assignment]) -> list[Assignment] | None:
    """The assignments so that each reads what none before has changed; ``None`` if in a circle."""
    left, result = list(assignments), []
    while left:
        for item in left:
            others = [other for other in left if other is not item]
            if not any(item.field.name in _read_by(other) for other in others):
                break
        else:
            return None
        left.remove(item)
        result.append(item)
    return result


def _update(compiler: MySQLCompiler, operation: Update) -> Compiled:
    compiled: Compiled = OPERATIONS[Update](compiler, operation)
    if _in_order(operation.assignments) is not None:
        return compiled
    model = operation.model
    build = Build(compiler, changing=model)
    if compiled.found is None:
        where = where_clause(compiler, operation.filter, build)
    else:
        # The key of the row that was found stands behind the values of the operation.
        keys = model.primary_key
        marks = [build.bind(Slot(at - len(keys), key.type)) for at, key in enumerate(keys)]
        pairs = zip(keys, marks, strict=True)
        tests = [f"{compiler.quote(key.column)} = {mark}" for key, mark in pairs]
        where = f" WHERE {' AND '.join(tests)}"
    sql = compiler.update_from_old(model, operation.assignments, where, build)
    return evolve(compiled, statement=statement(sql, build, ()))


def _update_many(compiler: MySQLCompiler, operation: UpdateMany) -> Compiled:
    if _in_order(operation.assignments) is not None:
        compiled: Compiled = OPERATIONS[UpdateMany](compiler, operation)
        return compiled
    build = Build(compiler, changing=operation.model)
    where = where_clause(compiler, operation.filter, build)
    sql = compiler.update_from_old(operation.model, operation.assignments, where, build)
    return Compiled(statement(sql, build, ()))


def _delete(compiler: MySQLCompiler, operation: Delete) -> Compiled:
    """A subquery with a limit has to be wrapped into another one."""
    if operation.unique or "delete" not in compiler.returning:
        compiled: Compiled = OPERATIONS[Delete](compiler, operation)
        return compiled
    model = operation.model
    build = Build(compiler, changing=model)
    table, names = compiler.table(model), names_list(compiler, model.primary_key)
    subject = f"({names})" if len(model.primary_key) > 1 else names
    where = where_clause(compiler, operation.filter, build)
    found = f"SELECT {names} FROM (SELECT {names} FROM {table}{where} LIMIT 2) AS `__found`"
    rest = where.replace(" WHERE ", " AND ", 1)
    sql = f"DELETE FROM {table} WHERE {subject} IN ({found}){rest}"
    return Compiled(
        statement(f"{sql} RETURNING {names_list(compiler, model.fields)}", build, model.fields)
    )


class MySQLCompiler(MySQLExpressions):
    """Compiles for MySQL from 8.0.19.

    Parameters:
        features: the level of every feature id.
        loads: whether the server takes rows by LOAD DATA from a client.
    """

    name = "mysql"
    numbered = False
    returning = frozenset[str]()
    upserts = False
    rows_at_once = 20_000
    pipelines = True
    variant = MYSQL
    changes: ClassVar[dict[type, Render]] = {**CHANGES, BitChange: _bit}
    operations: ClassVar[dict[type, Any]] = {
        **OPERATIONS,
        Update: _update,
        UpdateMany: _update_many,
        Delete: _delete,
    }

    def __init__(self, features: Mapping[str, Feature], *, loads: bool = False) -> None:
        super().__init__(features)
        self.loads = loads

    def quote(self, name: str) -> str:
        """In backticks: double quotes are texts."""
        return "`" + name.replace("`", "``") + "`"

    def placeholder(self, position: int) -> str:
        """Without a number: the driver writes the value in its place."""
        return "?"

    def order_item(self, sql: str, *, descending: bool, nullable: bool) -> str:
        """NULL comes first ascending and last descending by itself."""
        return f"{sql} {'DESC' if descending else 'ASC'}"

    def paging(self, limit: str | None, offset: str | None) -> list[str]:
        """OFFSET needs a LIMIT, and there is no sign for none."""
        if offset is None:
            return [] if limit is None else [f"LIMIT {limit}"]
        return [f"LIMIT {limit or _NO_LIMIT}", f"OFFSET {offset}"]

    def random(self) -> str:
        """An expression that is different for every row."""
        return "RAND()"

    def group_item(self, sql: str, position: int) -> str:
        """By position: two expressions with a collation are never the same to one server."""
        return str(position)

    def default_row(self) -> str:
        """An empty list."""
        return "() VALUES ()"

    def last_key(self) -> str:
        """The first key that the connection's last INSERT made."""
        return "LAST_INSERT_ID()"

    def literal(self, value: Any, kind: FieldType | None) -> str:
        """A value as a literal that every mode of the session reads alike."""
        if isinstance(value, bool):
            return str(int(value))
        if isinstance(value, float):
            text = repr(value)
            return text if "e" in text else f"{text}e0"
        if isinstance(value, decimal.Decimal):
            return format(value, "f")
        if isinstance(value, dt.datetime):
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
        if isinstance(value, str):
            return text_literal(value)
        if isinstance(value, bytes):
            # One server's catalogue would show the bytes themselves as a text.
            return f"UNHEX('{value.hex()}')"
        return super().literal(value, kind)

    def load(
        self, table: str, columns: Sequence[Field], *, model: Model | None = None
    ) -> LoadStatement | None:
        """By LOAD DATA, if the server takes what it does not read from its own disk."""
        return load_statement(self, table, columns) if self.loads else None

    def staged(self, operation: Upsert) -> StagedStatements | None:
        """By LOAD DATA into a temporary table."""
        return staged_statements(self, operation) if self.loads else None

    def related_source(self, model: Model, build: Build) -> str:
        """A copy of a table that the statement changes: it may not be read beside that."""
        if build.changing is not model:
            return self.table(model)
        # With a limit it is no part of the query around it.
        names = names_list(self, model.fields)
        return f"(SELECT {names} FROM {self.table(model)} LIMIT {_NO_LIMIT})"

    # Changes

    def assignments(self, assignments: Sequence[Assignment], build: Build) -> str:
        """In an order in which each reads the old row: the server makes them one by one."""
        return super().assignments(_in_order(assignments) or assignments, build)

    def update_from_old(
        self, model: Model, assignments: Sequence[Assignment], where: str, build: Build
    ) -> str:
        """An UPDATE whose assignments read each other's fields: the old row stands beside it."""
        table = self.table(model)
        used = {item.field.name for item in assignments}.union(*map(_read_by, assignments))
        fields = [field for field in model.fields if field.name in used]
        old: Mapping[str, str] = {
            field.name: f"`__old`.`__value{at}`" for at, field in enumerate(fields)
        }
        keys = [
            f"{self.quote(key.column)} AS `__key{at}`" for at, key in enumerate(model.primary_key)
        ]
        columns = [
            f"{self.quote(field.column)} AS `__value{at}`" for at, field in enumerate(fields)
        ]
        same = " AND ".join(
            f"{table}.{self.quote(key.column)} = `__old`.`__key{at}`"
            for at, key in enumerate(model.primary_key)
        )
        build.columns = old
        changes = ", ".join(
            f"{table}.{self.quote(item.field.column)}"
            f" = {self.changes[type(item.change)](self, item, build)}"
            for item in assignments
        )
        build.columns = None
        rows = f"SELECT {', '.join([*keys, *columns])} FROM {table}{where} {self.locking()}"
        return f"UPDATE {table} JOIN ({rows}) AS `__old` ON {same} SET {changes}"

    def one_of(self, columns: Sequence[Field], rows: int) -> str:
        """A condition: the columns have one of so many combinations of values, bound in order."""
        names = names_list(self, columns)
        if len(columns) == 1:
            return f"{names} IN ({', '.join('?' * rows)})"
        return f"({names}) IN ({values_list(self, columns, rows)})"

    def update_rows(
        self,
        model: Model,
        match: Sequence[Field],
        updates: Sequence[Field],
        rows: int,
        among: Predicate = EVERYTHING,
    ) -> str:
        """One UPDATE over a list of rows; the first one gives names and collations."""
        table, given = self.table(model), [*match, *updates]
        marks = [f"{self.inserted(field.type)} AS `__value{at}`" for at, field in enumerate(given)]
        further = f" UNION ALL SELECT {', '.join('?' * len(given))}" * (rows - 1)
        names = [f"{table}.{self.quote(field.column)}" for field in given]
        pairs = [f"{name} = `__new`.`__value{at}`" for at, name in enumerate(names)]
        same = " AND ".join([*pairs[: len(match)], *row_tests(self, model)])
        changes = ", ".join([*pairs[len(match) :], *counted(self, model, updates)])
        source = f"SELECT {', '.join(marks)}{further}"
        same += filter_text(self, among, " AND ")
        return f"UPDATE {table} JOIN ({source}) AS `__new` ON {same} SET {changes}"

    def inserted(self, kind: FieldType) -> str:
        """A placeholder, perhaps of NULL, whose text compares by code point."""
        if isinstance(plain_type(kind), Text):
            return self.collated("CONVERT(? USING utf8mb4)")
        return self.typed("?", kind)

    # Predicates

    def text_match(self, subject: str, node: Pattern, build: Build) -> str:
        """Regular expressions of two engines; case is that of folded text."""
        if node.kind != "regex":
            return super().text_match(subject, node, build)
        if node.ignore_case:
            subject = self.folded(subject)

        def pattern(text: str) -> str:
            checked = refuse_exponential(text, "rewrite it")
            return "(?-i)" + render_regex(checked, end=r"\z", ignore_case=node.ignore_case)

        return self.variant.regex.format(subject=subject, pattern=build.bind(node.slot, pattern))

    def json_predicate(self, node: Predicate, build: Build) -> str:
        """A condition inside JSON."""
        return json_predicate(self, node, build)


class MariaDBCompiler(MySQLCompiler):
    """Compiles for MariaDB from 10.10."""

    returning = frozenset(("insert", "delete"))
    variant = MARIADB


class OldMariaDBCompiler(MariaDBCompiler):
    """Compiles for MariaDB before 10.10."""

    variant = OLD_MARIADB
