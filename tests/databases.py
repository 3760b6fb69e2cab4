"""The databases of a test run: fixtures, which servers are needed, and the matrix at the end.

One process starts the servers, each once and only if a selected test needs it; the workers of
pytest-xdist ask that process for databases.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterator
from functools import cache
from typing import Any

import pytest

from dataflow_core.conformance.servers import (
    DatabaseServer,
    Desk,
    ServerDesk,
    ServerDeskClient,
    ServerUnavailable,
    SharedServer,
)
from dataflow_core.contract import TestServer
from dataflow_core.contract.manager import Plugins

EVERY_DATABASE = ("sqlite", "postgres", "pgbouncer", "mysql")
"""What a test with the fixture `database` runs on, unless `--database` says otherwise."""

OUTCOMES = {"passed": 0, "xfailed": 0, "failed": 1, "error": 1, "skipped": 2}
"""The column of the matrix, by the word of the terminal's report."""


@cache
def offered() -> dict[str, TestServer]:
    """The servers of the installed plugins, and PostgreSQL behind a pooler."""
    servers: dict[str, TestServer] = {server.name: server for server in Plugins().test_servers()}
    postgres = servers.get("postgres")
    if isinstance(postgres, DatabaseServer):
        from tests.postgres.pooler import PooledPostgresServer

        servers["pgbouncer"] = PooledPostgresServer(postgres)
    return servers


class Databases:
    """What a run knows of its databases; registered as the plugin `databases`."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.selected = config.getoption("--database") or (
            os.environ.get("DATAFLOW_TEST_DATABASES", "").replace(",", " ").split()
        )
        self.may_be_missing: list[str] = config.getoption("--allow-missing")
        self.not_run: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self.desk: Desk
        given = getattr(config, "workerinput", {}).get("databases")
        if given is None:
            self.desk = ServerDesk(lambda: offered().values(), started=self.say)
        else:
            self.desk = ServerDeskClient(*given)

    def say(self, server: TestServer) -> None:
        """Print which server was taken."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(f"test server {server.name}: {server.description}")

    def names(self, without: Container[str]) -> list[str]:
        """What a test for every database runs on."""
        return [name for name in self.selected or EVERY_DATABASE if name not in without]

    def server(self, name: str) -> SharedServer:
        """A server by name; its absence fails the test that asks."""
        server = SharedServer(self.desk, name, lambda: offered()[name])
        try:
            server.start()
            return server
        except ServerUnavailable as error:
            reason = str(error)
        pytest.fail(reason, pytrace=False)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what is not asked for, and start what the other tests need."""
        if self.selected:
            self.leave_out(items, lambda name: name not in self.selected, "not asked for")
        needed = dict.fromkeys(name for item in items for name in needed_by(item))
        if self.config.getoption("collectonly"):
            return
        for name in needed:
            self.desk.ask("begin", name)
        for name in needed:
            try:
                self.desk.ask("start", name)
            except ServerUnavailable as reason:
                if name in self.may_be_missing:
                    self.leave_out(items, name.__eq__, f"missing, and may be: {reason}")

    def leave_out(self, items: list[pytest.Item], unwanted: Any, reason: str) -> None:
        """Deselect the tests on unwanted databases, and count them."""
        left_out = [item for item in items if any(map(unwanted, databases_of(item)))]
        if not left_out:
            return
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
        for name in (name for item in left_out for name in databases_of(item)):
            self.not_run[name] += 1
            self.reasons[name] = reason
        self.config.hook.pytest_deselected(items=left_out)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note at each test what it runs on; reports carry that to the process that counts."""
        for name in databases_of(item):
            item.user_properties.append(("database", name))

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a test with the fixture `database` on each, but `WITHOUT_DATABASES` of its module."""
        if "database" in metafunc.fixturenames:
            names = self.names(getattr(metafunc.module, "WITHOUT_DATABASES", ()))
            metafunc.parametrize("database", names, indirect=True, scope="session")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where to ask for databases."""
        assert isinstance(self.desk, ServerDesk)
        node.workerinput["databases"] = self.desk.open()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker left out; every worker leaves out the same."""
        not_run, reasons = getattr(node, "workeroutput", {}).get("databases", ({}, {}))
        self.not_run |= Counter(not_run)
        self.reasons.update(reasons)

    def pytest_sessionfinish(self) -> None:
        """Hand what was left out to the process that counts."""
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output["databases"] = (dict(self.not_run), self.reasons)

    def pytest_unconfigure(self) -> None:
        """Stop the servers."""
        if isinstance(self.desk, ServerDesk):
            self.desk.close()

    def matrix(self, stats: dict[str, list[Any]]) -> list[str]:
        """Database, version, passed, failed, not run: the lines of a table, if there is any."""
        counts: dict[str, list[int]] = {name: [0, 0, 0] for name in EVERY_DATABASE}
        for word, column in OUTCOMES.items():
            for report in stats.get(word, ()):
                for key, name in getattr(report, "user_properties", ()):
                    if key == "database":
                        counts.setdefault(name, [0, 0, 0])[column] += 1
        for name, number in self.not_run.items():
            counts.setdefault(name, [0, 0, 0])[2] += number
        if not any(map(any, counts.values())):
            return []
        rows: list[tuple[str, ...]] = [("database", "version", "passed", "failed", "not run")]
        for name, numbers in counts.items():
            rows.append((name, self.version(name, any(numbers)), *map(str, numbers)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            "  ".join(
                cell.ljust(width) if index < 2 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]

    def version(self, name: str, counted: bool) -> str:
        """What stands in the matrix as version: of the server that was taken, or why none was."""
        outcomes = self.desk.outcomes() if isinstance(self.desk, ServerDesk) else {}
        outcome = outcomes.get(name)
        if isinstance(outcome, str):
            return outcome.partition(", ")[0]
        if name == "sqlite" and counted:
            return offered()[name].description
        reason = self.reasons.get(name, "" if outcome is None else "MISSING")
        return reason.partition(":")[0] or ("-" if counted else "no test selected")


def databases_of(item: pytest.Item) -> list[str]:
    """The databases that a test runs on: by its folder, its fixtures and its parameter."""
    folder = item.path.parent.name if item.path.parent.parent.name == "tests" else ""
    named = [folder] if folder in EVERY_DATABASE else []
    return list(dict.fromkeys([*needed_by(item), *(named if not needed_by(item) else [])]))


def needed_by(item: pytest.Item) -> list[str]:
    """The databases whose server a test asks for: by fixture, parameter or the mark `databases`."""
    fixtures = getattr(item, "fixturenames", ())
    needed = [name for name in EVERY_DATABASE if {f"{name}_server", f"{name}_url"} & {*fixtures}]
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "database" in parameters:
        # Where none is left for a test, pytest gives it a mark of its own instead of a name.
        name = parameters["database"]
        needed.append(name if isinstance(name, str) else "none")
    for mark in item.iter_markers("databases"):
        needed += mark.args
    return list(dict.fromkeys(needed))


def of(config: pytest.Config) -> Databases:
    """The databases of a run."""
    plugin = config.pluginmanager.get_plugin("databases")
    assert isinstance(plugin, Databases)
    return plugin


def new_database(server: SharedServer) -> Iterator[str]:
    """A new database, removed afterwards."""
    url = server.new_database()
    yield url
    server.drop_database(url)


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> SharedServer:
    """The PostgreSQL server of the run; `private()` makes one that a test may kill."""
    return of(pytestconfig).server("postgres")


@pytest.fixture(scope="session")
def pgbouncer_server(pytestconfig: pytest.Config) -> SharedServer:
    """PostgreSQL behind a pooler that gives each transaction any connection."""
    return of(pytestconfig).server("pgbouncer")


@pytest.fixture(scope="session")
def mysql_server(pytestconfig: pytest.Config) -> SharedServer:
    """The MariaDB or MySQL server of the run; `private()` makes one that a test may kill."""
    return of(pytestconfig).server("mysql")


@pytest.fixture
def servers(request: pytest.FixtureRequest) -> dict[str, SharedServer]:
    """The servers by name of the databases that a test names by the mark `databases`."""
    names = [name for mark in request.node.iter_markers("databases") for name in mark.args]
    return {name: of(request.config).server(name) for name in dict.fromkeys(names)}


@pytest.fixture
def postgres_url(postgres_server: SharedServer) -> Iterator[str]:
    """A new PostgreSQL database."""
    yield from new_database(postgres_server)


@pytest.fixture
def pgbouncer_url(pgbouncer_server: SharedServer) -> Iterator[str]:
    """A new PostgreSQL database behind the pooler."""
    yield from new_database(pgbouncer_server)


@pytest.fixture
def mysql_url(mysql_server: SharedServer) -> Iterator[str]:
    """A new MariaDB or MySQL database."""
    yield from new_database(mysql_server)


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest) -> SharedServer:
    """The server of each database in turn: `sqlite`, `postgres`, `pgbouncer`, `mysql`."""
    return of(request.config).server(request.param)


@pytest.fixture
def database_url(database: SharedServer) -> Iterator[str]:
    """A new database, of each database in turn."""
    yield from new_database(database)


@pytest.fixture(scope="module")
def module_database_url(database: SharedServer) -> Iterator[str]:
    """A database for all tests of a module, of each database in turn."""
    yield from new_database(database)
