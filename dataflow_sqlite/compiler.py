"""The SQL of SQLite, where it is not that of the base compiler."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from dataflow_core.compile import (
    OPERATIONS,
    PREDICATES,
    BaseCompiler,
    Build,
    Codec,
    LiteralBuild,
    Render,
    listed,
)
from dataflow_core.filters import (
    JsonPath,
    Membership,
    Modulo,
    Pattern,
    Predicate,
)
from dataflow_core.operations import Upsert
from dataflow_core.schema import Model
from dataflow_core.types import Binary, Enumeration, FieldType, Float
from dataflow_sqlite.bulk import upsert
from dataflow_sqlite.documents import json_predicate
from dataflow_sqlite.expressions import SQLiteExpressions
from dataflow_sqlite.functions.regex import check_pattern
from dataflow_sqlite.types import codec

__all__ = ["SQLiteCompiler"]


def _is(kind: FieldType, *kinds: type[FieldType]) -> bool:
    return isinstance(kind.base if isinstance(kind, Enumeration) else kind, kinds)


def _membership(compiler: BaseCompiler, node: Membership, build: Build) -> str:
    """A list as one JSON parameter, whatever its length; floats and bytes do not survive JSON."""
    if isinstance(node.target, JsonPath):
        return compiler.json_predicate(node, build)
    column = build.column(node.target)
    # A CHECK takes no subquery.
    in_json = node.slot.type.storage is None and not _is(node.slot.type, Float, Binary)
    if not in_json or isinstance(build, LiteralBuild):
        return f"{column} IN ({listed(node.slot, build)})"
    encode = compiler.codec(node.slot.type).encode

    def encode_list(items: list[Any]) -> str:
        stored = items if encode is None else [encode(item) for item in items]
        return json.dumps(stored, ensure_ascii=False)

    return f"{column} IN (SELECT value FROM json_each({build.bind(node.slot, encode_list)}))"


def _pattern(compiler: BaseCompiler, node: Pattern, build: Build) -> str:
    if isinstance(node.target, JsonPath):
        return compiler.json_predicate(node, build)
    subject = compiler.column_value(build.column(node.target), node.target.type)
    return compiler.text_match(subject, node, build)


def _modulo(compiler: BaseCompiler, node: Modulo, build: Build) -> str:
    divisor, remainder = build.bind(node.divisor), build.bind(node.remainder)
    return f"{build.column(node.target)} % {divisor} = {remainder}"


class SQLiteCompiler(SQLiteExpressions):
    """Compiles for SQLite 3.35 and newer, with the functions that every connection registers."""

    name = "sqlite"
    rows_at_once = 2_000
    numbered = False
    sees_own_changes = True
    operations: ClassVar[dict[type, Any]] = {**OPERATIONS, Upsert: upsert}
    predicates: ClassVar[dict[type, Render]] = {
        **PREDICATES,
        Membership: _membership,
        Modulo: _modulo,
        Pattern: _pattern,
    }

    def codec(self, kind: FieldType) -> Codec:
        """How values of a type are stored."""
        return codec(kind)

    def placeholder(self, position: int) -> str:
        """Without a number: to look one up takes time that grows with how many there are."""
        return "?"

    def order_item(self, sql: str, *, descending: bool, nullable: bool) -> str:
        """NULL comes first ascending and last descending by itself."""
        return f"{sql} {'DESC' if descending else 'ASC'}"

    def paging(self, limit: str | None, offset: str | None) -> list[str]:
        """OFFSET needs a LIMIT; -1 is none."""
        if offset is None:
            return [] if limit is None else [f"LIMIT {limit}"]
        return [f"LIMIT {limit or '-1'}", f"OFFSET {offset}"]

    def locking(self) -> str:
        """Nothing: a transaction that may write has the database to itself."""
        return ""

    def literal(self, value: Any, kind: FieldType | None) -> str:
        """A stored value as a literal."""
        return str(int(value)) if isinstance(value, bool) else super().literal(value, kind)

    def reserve_keys(self, model: Model) -> str | None:
        """Those that would come next: nobody else writes before the transaction ends."""
        if model.schema is not None:
            return None
        [key] = model.primary_key
        table, name = self.table(model), self.literal(model.table, None)
        counted = f'(SELECT "seq" FROM "sqlite_sequence" WHERE "name" = {name})'
        stored = f"(SELECT MAX({self.quote(key.column)}) FROM {table})"
        return (
            'WITH RECURSIVE "numbers"("number") AS (SELECT 1 UNION ALL SELECT "number" + 1'
            f' FROM "numbers" WHERE "number" < {self.placeholder(1)}) SELECT'
            f' MAX(COALESCE({counted}, 0), COALESCE({stored}, 0)) + "number" FROM "numbers"'
        )

    # Predicates

    def text_match(self, subject: str, node: Pattern, build: Build) -> str:
        """LIKE of SQLite ignores case and backtracks, so it is used for nothing."""
        if node.kind == "prefix" and not node.ignore_case:
            return super().text_match(subject, node, build)
        text = build.bind(node.slot, check_pattern if node.kind == "regex" else None)
        flag = "1" if node.ignore_case else "0"
        if node.kind in ("regex", "like"):
            return f"dataflow_{node.kind}({text}, {subject}, {flag})"
        if node.ignore_case:
            subject, text = self.folded(subject), self.folded(text)
        if node.kind == "contains":
            return f"instr({subject}, {text}) > 0"
        if node.kind == "prefix":
            return f"substr({subject}, 1, length({text})) = {text}"
        return f"substr({subject}, -length({text})) = {text}"

    def json_predicate(self, node: Predicate, build: Build) -> str:
        """A condition inside JSON, tested by ``dataflow_json_matches``."""
        return json_predicate(self, node, build)
