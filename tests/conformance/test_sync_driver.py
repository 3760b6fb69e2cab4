"""The adapter for drivers that block, and a database without savepoints, held by the suite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from dataflow_core.conformance import Report, run
from dataflow_core.conformance.outcome import Outcome
from dataflow_core.contract import (
    Connection,
    ConnectOptions,
    DialectSpec,
    Driver,
    Isolation,
    Lane,
    Server,
    hookimpl,
)
from dataflow_core.dialect import Answer, BaseDialect, Paramstyle, SyncDriver
from dataflow_core.features import Feature
from dataflow_core.schema.tables import Table
from dataflow_core.url import DatabaseURL, parse_url
from dataflow_sqlite.compiler import SQLiteCompiler
from dataflow_sqlite.dialect import FEATURES, SQLiteDialect
from dataflow_sqlite.location import Location, locate
from dataflow_sqlite.opening import Opening


class NumberedCompiler(SQLiteCompiler):
    """SQLite with the placeholders of the base compiler."""

    name = "blocking"
    numbered = True

    def placeholder(self, position: int) -> str:
        return f"${position}"


class BlockingDriver(SyncDriver):
    """A file of SQLite through the blocking module, as if it had no savepoints."""

    interruptible = True
    savepoints = False

    def __init__(self, location: Location) -> None:
        super().__init__(str(location))
        self.location = location
        self.openings: dict[Any, Opening] = {}

    @property
    def lanes(self) -> tuple[Lane, ...]:
        return (Lane("read", writes=False), Lane("write", size=1))

    def open_connection(self, lane: Lane) -> sqlite3.Connection:
        opening = Opening(self.location, not lane.writes)
        raw = opening.connect()
        if opening.failure is not None:
            raise opening.failure
        raw.execute("PRAGMA busy_timeout = 5000")
        self.openings[raw] = opening
        return raw

    def server(self, raw: Any) -> Server:
        return Opening.server

    def run(self, raw: Any, sql: str, parameters: Any) -> Answer:
        try:
            return super().run(raw, sql, parameters)
        except sqlite3.Error as error:
            error.__cause__ = self.openings[raw].errors.take()
            raise

    def begin_sql(self, isolation: Isolation | None, read_only: bool) -> Sequence[str]:
        return ("BEGIN" if read_only else "BEGIN IMMEDIATE",)

    def interrupt(self, raw: Any) -> None:
        raw.interrupt()


class NamedDriver(BlockingDriver):
    """The same with parameters by name."""

    paramstyle: ClassVar[Paramstyle] = "named"
    interruptible = False


class BlockingDialect(SQLiteDialect):
    """SQLite through the adapter."""

    name = "blocking"
    features = {**FEATURES, "transactions.savepoint": Feature("unsupported", "left out")}
    compiler_class = NumberedCompiler
    blocking: type[BlockingDriver] = BlockingDriver
    columns_sql = "SELECT name FROM pragma_table_info($1) ORDER BY cid"

    async def read_tables(
        self, connection: Connection, names: Sequence[str] | None = None
    ) -> Sequence[Table]:
        return await BaseDialect.read_tables(self, connection, names)

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        return self.blocking(locate(parse_url(f"sqlite:///{url.database}"), options))


class NamedDialect(BlockingDialect):
    """The same with parameters by name."""

    blocking = NamedDriver


class BlockingPlugin:
    """Declares one of them."""

    def __init__(self, dialect: type[BlockingDialect]) -> None:
        self.dialect = dialect

    @hookimpl
    def dataflow_dialect(self) -> DialectSpec:
        return DialectSpec(name="blocking", schemes=("blocking",), load=self.dialect, contract=1)


async def run_blocking(folder: Any, dialect: type[BlockingDialect], **chosen: Any) -> Report:
    """Run a part of the suite."""
    plugins = [("blocking", BlockingPlugin(dialect))]
    return await run(f"blocking:///{folder}/a.db", options={"plugins": plugins}, **chosen)


def bad(report: Report) -> list[tuple[str, Outcome, str]]:
    """The cases that went wrong."""
    results = [result for result in report.results if result.outcome.bad]
    return [(item.case.id, item.outcome, item.observation.explanation) for item in results]


@pytest.mark.one_python
@pytest.mark.timeout(400)
async def test_the_suite_passes_through_the_adapter(tmp_path: Any) -> None:
    """Statements, transactions, bulk writes, cancelling: all as through an asynchronous driver."""
    topics = ["paging", "upsert", "bulk", "constraints", "transactions", "cancellation", "faults"]
    report = await run_blocking(tmp_path, BlockingDialect, topics=topics)
    assert not bad(report)
    declined = {item.case.id for item in report.results if item.outcome is Outcome.DECLINED}
    assert {"transactions.savepoint.nested", "transactions.savepoint.rollback"} <= declined


@pytest.mark.timeout(400)
async def test_a_driver_that_cannot_be_interrupted_loses_its_connection_only(tmp_path: Any) -> None:
    """What is cancelled or too slow gives its connection up, and the next call has another."""
    report = await run_blocking(tmp_path, NamedDialect, topics=["paging", "isolation"])
    assert not bad(report)
    report = await run_blocking(tmp_path, NamedDialect, cases=["cancellation.query"])
    assert not bad(report)
