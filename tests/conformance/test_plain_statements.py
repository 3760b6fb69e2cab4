"""The ways round what a database's statements cannot do, on a database that needs none of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataflow_core.compile import filter_text
from dataflow_core.conformance import Report, run
from dataflow_core.contract import ConnectOptions, DialectSpec, Driver, hookimpl
from dataflow_core.filters import EVERYTHING, Predicate
from dataflow_core.schema import Field, Model
from dataflow_core.url import DatabaseURL, parse_url
from dataflow_sqlite.compiler import SQLiteCompiler
from dataflow_sqlite.dialect import SQLiteDialect


class PlainCompiler(SQLiteCompiler):
    """SQLite as if it had neither RETURNING nor ON CONFLICT."""

    returning = frozenset()
    upserts = False
    # Its last key is that of the last row of a statement, not of the first.
    rows_per_statement = 1

    def last_key(self) -> str:
        return "last_insert_rowid()"

    def update_rows(
        self,
        model: Model,
        match: Sequence[Field],
        updates: Sequence[Field],
        rows: int,
        among: Predicate = EVERYTHING,
    ) -> str:
        quote = self.quote
        names = [quote(f"column{at + 1}") for at in range(len(match) + len(updates))]
        marks = ", ".join("?" for _ in names)
        changed = ", ".join(
            f"{quote(item.column)} = new.{name}"
            for item, name in zip(updates, names[len(match) :], strict=True)
        )
        same = " AND ".join(
            f"{quote(model.table)}.{quote(item.column)} = new.{name}"
            for item, name in zip(match, names, strict=False)
        )
        values = ", ".join(f"({marks})" for _ in range(rows))
        same += filter_text(self, among, " AND ")
        return (
            f"UPDATE {quote(model.table)} SET {changed} FROM (VALUES {values}) AS new WHERE {same}"
        )


class PlainDialect(SQLiteDialect):
    """SQLite with the plain compiler."""

    name = "plain"

    def __init__(self) -> None:
        super().__init__()
        self._compiler = PlainCompiler(self.features)

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        return super().open(parse_url(":memory:"), options)


class PlainPlugin:
    """Declares it."""

    @hookimpl
    def dataflow_dialect(self) -> DialectSpec:
        return DialectSpec(name="plain", schemes=("plain",), load=PlainDialect, contract=1)


async def run_plain(**chosen: Any) -> Report:
    """Run a part of the suite."""
    return await run("plain://host/db", options={"plugins": [("plain", PlainPlugin())]}, **chosen)


async def test_the_suite_passes_without_returning_and_without_upserts() -> None:
    """Rows that a statement does not give back are read, upserts are looked up: same results."""
    report = await run_plain(
        topics=["upsert", "bulk", "constraints", "updates", "transactions", "concurrency"]
    )
    bad = [result for result in report.results if result.outcome.bad]
    assert not bad, [(result.case.id, result.observation.explanation) for result in bad]
