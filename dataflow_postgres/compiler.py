"""The SQL of PostgreSQL, where it is not that of the base compiler."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Final

from dataflow_core.compile import (
    CHANGES,
    INSERTED,
    PREDICATES,
    BaseCompiler,
    Build,
    Codec,
    LiteralBuild,
    LoadStatement,
    Render,
    RowSecurity,
    StagedStatements,
    listed,
)
from dataflow_core.features import Feature
from dataflow_core.filters import (
    JsonPath,
    Membership,
    Pattern,
    Predicate,
    fold,
    render_regex,
    upper,
)
from dataflow_core.operations import Upsert
from dataflow_core.schema import Field, Model
from dataflow_core.types import FieldType
from dataflow_core.updates import Assignment, BitChange, Compute
from dataflow_postgres.bulk import load_statement, staged_statements
from dataflow_postgres.catalogue import TENANT_SETTING
from dataflow_postgres.columns import storage_of
from dataflow_postgres.documents import json_condition
from dataflow_postgres.expressions import PostgresExpressions, once
from dataflow_postgres.types import bound_type, codec, element_type

__all__ = ["FOLDING_COLLATIONS", "TENANT_SECURITY", "PostgresCompiler"]

FOLDING_COLLATIONS: Final = ("pg_c_utf8", "C.utf8", "und-x-icu")
"""Collations whose lower() and upper() know all letters; the first that a server has is used."""

_SAFE: Final = (
    r"\u0001-\u00de\u00e0-\u012f\u0131-\u0148\u014a-\u017e\u0300-\u0344\u0346-\u036f\u0386-\u038f"
    r"\u0391-\u03a1\u03a4-\u03af\u03b1-\u03ce\u0400-\u0481\u0490-\u04bf\u04d0-\u04f5\u0590-\u109f"
    r"\u1100-\u11ff\u1780-\u17ff\u1ea0-\u1ef9\u2000-\u20ff\u2190-\u2bff\u2e80-\ua4cf\uac00-\ud7a3"
    r"\ue000-\ufaff\ufe00-\uffef\U0001f000-\U0001faff\U00020000-\U0003ffff"
)
"""Characters of which every one of these collations, and Python, of any version, know the same."""

_NEARBY: Final = 1_000
"""How many ids the counter of a key counts up one by one to reach an id that was given."""
_LOCK: Final = int.from_bytes(b"datakeys")


@cache
def _changed_letters(to_upper: bool) -> tuple[str, str]:
    """The letters that ``fold``, or ``upper``, changes, and what they become."""
    change: Callable[[str], str] = upper if to_upper else fold
    letters = []
    for start in range(0, 0x20000, 0x100):
        block = "".join(map(chr, range(start, start + 0x100)))
        if (block.upper() if to_upper else block.lower()) != block:
            letters += [letter for letter in block if change(letter) != letter]
    # A table is looked through from its start, so what stays and is most common stands there.
    common = string.ascii_uppercase if to_upper else string.ascii_lowercase
    text = f"{common} {string.digits}" + "".join(letters)
    return text, change(text)


def _text(value: str) -> str:
    """A text as a literal that no setting of the server reads otherwise."""
    escaped = value.replace("'", "''")
    if "\\" not in value:
        return f"'{escaped}'"
    return "E'" + escaped.replace("\\", "\\\\") + "'"


def _membership(compiler: BaseCompiler, node: Membership, build: Build) -> str:
    """A list is one array, whatever its length."""
    if isinstance(node.target, JsonPath):
        return compiler.json_predicate(node, build)
    column, kind = build.column(node.target), node.slot.type
    if isinstance(build, LiteralBuild):
        return f"{column} IN ({listed(node.slot, build)})"
    encode = compiler.codec(kind).encode

    def encode_list(items: list[Any]) -> list[Any]:
        return items if encode is None else [encode(item) for item in items]

    values = f"{build.bind_as(node.slot, encode_list)}::{bound_type(kind)}[]"
    if bound_type(kind) != element_type(kind):
        values += f"::{element_type(kind)}[]"
    return f"{column} = ANY ({values})"


def _pattern(compiler: BaseCompiler, node: Pattern, build: Build) -> str:
    """Texts that others keep are looked through by code point too, and without what fills them."""
    if isinstance(node.target, JsonPath):
        return compiler.json_predicate(node, build)
    subject = compiler.column_value(build.column(node.target), node.target.type)
    return compiler.text_match(subject, node, build)


def _compute(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    """What is computed is turned into the type of a column that others made."""
    value = CHANGES[Compute](compiler, item, build)
    if storage_of(getattr(item.field.type, "base", item.field.type)) is None:
        return value
    return f"CAST({value} AS {element_type(item.field.type)})"


def _bit(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    change = item.change
    assert isinstance(change, BitChange)
    if change.operator != "xor":
        return CHANGES[BitChange](compiler, item, build)
    build.need("updates.bits")
    return f"(COALESCE({build.column(item.field)}, 0) # {build.bind(change.slot)})"


TENANT_SECURITY: Final = RowSecurity(f"SELECT pg_catalog.set_config('{TENANT_SETTING}', $1, TRUE)")
"""How the tenant in force is told."""


class PostgresCompiler(PostgresExpressions):
    """Compiles for PostgreSQL 14 and newer.

    Parameters:
        features: the level of every feature id.
        folding: the collation out of ``FOLDING_COLLATIONS`` that the server has, if any: without
            it, letters beyond ASCII are looked up in a table, which is slow.
    """

    name = "postgres"
    inserted_flag = "(xmax = 0)"
    rows_at_once = 20_000
    predicates: ClassVar[dict[type, Render]] = {
        **PREDICATES,
        Membership: _membership,
        Pattern: _pattern,
    }
    changes: ClassVar[dict[type, Render]] = {**CHANGES, BitChange: _bit, Compute: _compute}

    def __init__(self, features: Mapping[str, Feature], folding: str | None = None) -> None:
        super().__init__(features)
        self.folding = folding

    def codec(self, kind: FieldType) -> Codec:
        """How values of a type travel."""
        return codec(kind)

    def parameter(self, position: int, kind: FieldType | None) -> str:
        """A parameter with its type: PostgreSQL would choose one by what stands beside it."""
        mark = self.placeholder(position)
        if kind is None:
            return mark
        bound, wanted = bound_type(kind), element_type(kind)
        return f"{mark}::{bound}" if bound == wanted else f"{mark}::{bound}::{wanted}"

    def literal(self, value: Any, kind: FieldType | None) -> str:
        """A value, as the driver would take it, as a literal of SQL."""
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, list):
            return f"ARRAY[{', '.join(self.literal(item, kind) for item in value)}]"
        if isinstance(value, int):
            return str(value)
        text = _text(f"\\x{value.hex()}" if isinstance(value, bytes) else str(value))
        wanted = "text" if kind is None else element_type(kind)
        return text if wanted == "text" else f"{text}::{wanted}"

    # Rows

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
        """An INSERT; where ids are given that the database counts, the counter moves with them."""
        given = [item for item in columns if item.generated == "database"]
        if not given:
            return super().insert(model, columns, rows, tail=tail, back=back, flag=flag)
        [key] = given
        named = None if flag is None else f"{flag} AS {self.quote(INSERTED)}"
        more = [] if key in back else given
        written = super().insert(model, columns, rows, tail=tail, back=(*back, *more), flag=named)
        names = [self.quote(item.column) for item in back]
        names += [] if flag is None else [self.quote(INSERTED)]
        return (
            f'WITH "__written" AS ({written}), "__moved" AS MATERIALIZED'
            f" ({self.moved_counter(model, key)}) SELECT {', '.join(names) or '1'}"
            ' FROM "__written" WHERE (SELECT COUNT(*) FROM "__moved") >= 0'
        )

    def moved_counter(self, model: Model, key: Field) -> str:
        """Moves the counter of a key on to the greatest id in ``"__written"``, never back.

        A near one is counted up to. For a far one the counter is set, by one transaction at a time;
        it would only go back if, in between, somebody counted a thousand ids by ``nextval``.
        """
        table, column = _text(self.table(model)), _text(key.column)
        last = 'COALESCE(PG_SEQUENCE_LAST_VALUE("counter"), 0)'
        # By a column of its own: of "counter" alone, COUNT would be one of the query around it.
        counted = (
            'SELECT COUNT("number") FROM (SELECT NEXTVAL("counter") AS "number"'
            ' FROM GENERATE_SERIES("last" + 1, "top") OFFSET 0) AS "counted"'
        )
        lock = f'SELECT PG_ADVISORY_XACT_LOCK({_LOCK})::text AS "locked" OFFSET 0'
        jump = (
            f'SELECT SETVAL("counter", "top") FROM ({lock}) AS "alone"'
            f' WHERE "locked" IS NOT NULL AND "top" > {last}'
        )
        return (
            f'SELECT CASE WHEN "top" - "last" <= {_NEARBY} THEN ({counted}) ELSE ({jump}) END'
            f' FROM (SELECT "counter", {last} AS "last",'
            f' (SELECT MAX({self.quote(key.column)}) FROM "__written") AS "top"'
            f' FROM (SELECT PG_GET_SERIAL_SEQUENCE({table}, {column})::regclass AS "counter"'
            ' OFFSET 0) AS "of_key" OFFSET 0) AS "state"'
            ' WHERE "counter" IS NOT NULL AND "top" > "last"'
        )

    def load(
        self, table: str, columns: Sequence[Field], *, model: Model | None = None
    ) -> LoadStatement | None:
        """By COPY."""
        return load_statement(self, table, columns, model)

    def reserve_keys(self, model: Model) -> str | None:
        """By counting them up; of a key without a counter NULL."""
        [key] = model.primary_key
        return (
            'SELECT NEXTVAL("counter") FROM (SELECT PG_GET_SERIAL_SEQUENCE('
            f'{_text(self.table(model))}, {_text(key.column)})::regclass AS "counter" OFFSET 0)'
            f' AS "of_key", GENERATE_SERIES(1, {self.placeholder(1)}::bigint)'
        )

    def staged(self, operation: Upsert) -> StagedStatements | None:
        """By COPY into a temporary table."""
        return staged_statements(self, operation)

    # Predicates

    def text_match(self, subject: str, node: Pattern, build: Build) -> str:
        """A regular expression of the portable subset; anything else is LIKE."""
        if node.kind != "regex":
            return super().text_match(subject, node, build)
        # Without the modes that end at newlines, since the pattern says itself what a dot is.
        ignore_case = node.ignore_case
        pattern = build.bind(
            node.slot, lambda text: render_regex(text, end="$", ignore_case=ignore_case)
        )
        return f"{self.folded(subject) if ignore_case else subject} ~ {pattern}"

    def json_predicate(self, node: Predicate, build: Build) -> str:
        """The SQL of a leaf on a place inside JSON."""
        return json_condition(self, node, build)

    # Texts

    def folded(self, sql: str) -> str:
        """Text in lower case, as ``dataflow_core.filters.fold``."""
        return self._case_changed(sql, "LOWER", to_upper=False)

    def uppered(self, sql: str) -> str:
        """Text in upper case, as ``dataflow_core.filters.upper``."""
        return self._case_changed(sql, "UPPER", to_upper=True)

    def _case_changed(self, sql: str, function: str, *, to_upper: bool) -> str:
        """Fast for ASCII and for letters that all agree about; by a table for the rest."""
        letters, changed = map(_text, _changed_letters(to_upper))
        known = ""
        if self.folding is not None:
            known = (
                f" WHEN {{text}} COLLATE \"C\" !~ '[^{_SAFE}]'"
                f' THEN {function}({{text}} COLLATE {self.quote(self.folding)}) COLLATE "C"'
            )
        return once(
            "CASE WHEN OCTET_LENGTH({text}) = CHAR_LENGTH({text})"
            f' THEN {function}({{text}} COLLATE "C"){known}'
            f' ELSE TRANSLATE({{text}} COLLATE "C", {letters}, {changed}) END',
            text=sql,
        )
