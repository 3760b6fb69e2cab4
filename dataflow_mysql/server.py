"""Throwaway MariaDB and MySQL servers for tests: found on the machine, or fetched."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import pymysql

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
    reachable,
    unpacked_program,
    unprivileged_account,
)
from dataflow_core.contract import DatabaseURL

__all__ = ["MySQL9Server", "MySQLServer"]

# A zone that is not the test's: what should be UTC is seen to be so.
_SETTINGS: Final = (
    "--default-time-zone=+05:45",
    "--max-connections=300",
    "--local-infile=1",
    "--innodb-use-native-aio=0",
)
_QUICK: Final = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0")
_DURABLE: Final = ("--innodb-flush-log-at-trx-commit=1",)
_CONNECT_TIMEOUT: Final = 20
_IMAGE: Final = "mariadb:11.4"
_IMAGE_9: Final = "mysql:9"
_SUITE: Final = "unstable"


class MySQLServer(DatabaseServer):
    """MariaDB or MySQL: given, in a container, of the machine, or unpacked."""

    name = "mysql"
    advice: ClassVar[str] = (
        "Install one (Debian: `apt-get install mariadb-server`), or name one in"
        " DATAFLOW_TEST_MYSQL_URL (mysql://user:password@host:port/database, a user that may create"
        " databases)."
    )

    def ways(self) -> Sequence[Way]:
        """Container, programs of the machine, Debian packages."""
        return (
            Way("docker", lambda: self._container(_IMAGE)),
            Way("programs of this machine", self._installed),
            Way("Debian packages, unpacked", self._unpacked),
        )

    def version(self, url: DatabaseURL) -> str:
        """Product and version."""
        ((text,),) = _ask(url, "SELECT version()")
        product = "MariaDB" if "mariadb" in text.lower() else "MySQL"
        return f"{product} {text.split('-')[0]}"

    def create(self, url: DatabaseURL, name: str) -> None:
        """Make a database."""
        _ask(url, f"CREATE DATABASE `{name}`")

    def drop(self, url: DatabaseURL, name: str) -> None:
        """Remove a database; clients of it would hold it by their locks, so they are sent away."""
        self.disconnect(url, name)
        _ask(url, f"DROP DATABASE IF EXISTS `{name}`")

    def clients(self, url: DatabaseURL, name: str) -> int:
        """How many connections a database has."""
        return len(_client_ids(url, name))

    def disconnect(self, url: DatabaseURL, name: str) -> int:
        """End the connections of a database."""
        ended = 0
        for number in _client_ids(url, name):
            try:
                _ask(url, f"KILL CONNECTION {number}")
            except pymysql.err.OperationalError as error:
                if error.args[0] != pymysql.constants.ER.NO_SUCH_THREAD:
                    raise
            else:
                ended += 1
        return ended

    def _container(self, image: str) -> Found:
        if not docker_wanted():
            raise ServerUnavailable("not asked for (DATAFLOW_TEST_DOCKER=1)")
        image = os.environ.get(f"DATAFLOW_TEST_{self.name.upper()}_IMAGE", image)
        password = secrets.token_hex(12)
        running = Container(
            self.name,
            image,
            port=3306,
            environment={"MYSQL_ROOT_PASSWORD": password, "MARIADB_ROOT_PASSWORD": password},
            arguments=self._arguments(),
        )
        return self.found(_url(running.port, password), f"docker image {image}", running)

    def _installed(self) -> Found:
        program = find_program("mariadbd", "mysqld")
        if program is None:
            raise ServerUnavailable("neither `mariadbd` nor `mysqld` found")
        return self._start(program)

    def _unpacked(self) -> Found:
        # What the release has as its MySQL: MariaDB on Debian. The client's part holds a program
        # that the set-up script calls.
        packages = ("default-mysql-server-core", "default-mysql-client-core")
        tree = debian_unpack(*packages, account=unprivileged_account("mysql"))
        program = unpacked_program(tree, "usr/sbin/mariadbd", "usr/sbin/mysqld")
        if program is None:
            raise ServerUnavailable(f"no `mariadbd` in {tree}")
        return self._start(program)

    def _start(self, program: Program) -> Found:
        """A private instance of a server program."""
        account = unprivileged_account("mysql")
        if not reachable(program.path, account):
            name = account.name if account else "this user"
            raise ServerUnavailable(f"{program.path} cannot be read by {name}")
        process = ServerProcess(self.name, account=account, environment=program.environment)
        try:
            if _is_mariadb(program):
                return self._run_mariadb(program, process)
            return self._run_mysql(program, process)
        except BaseException:
            process.close()
            raise

    def _run_mariadb(self, program: Program, process: ServerProcess) -> Found:
        data = process.folder / "data"
        places = [] if program.tree is None else [f"--basedir={program.tree / 'usr'}"]
        process.run(
            (
                _install_script(program),
                *("--no-defaults", *places, f"--datadir={data}", "--skip-test-db"),
                "--auth-root-authentication-method=normal",
            )
        )
        # Only root, and only from this machine, is to be left.
        others = "DELETE FROM mysql.global_priv WHERE NOT (User = 'root' AND Host = 'localhost')"
        statements = (others, "FLUSH PRIVILEGES")
        if program.tree is not None:
            places.append(f"--plugin-dir={program.tree / 'usr/lib/mysql/plugin'}")
        command = program.command("--no-defaults", *places, f"--datadir={data}")
        return self._serve(program, process, command, statements)

    def _run_mysql(self, program: Program, process: ServerProcess) -> Found:
        places = ["--secure-file-priv="]
        if program.tree is not None:
            share, libraries = program.tree / "usr/share/mysql", program.tree / "usr/lib/mysql"
            places += [
                f"--basedir={program.tree / 'usr'}",
                f"--lc-messages-dir={share}",
                f"--character-sets-dir={share / 'charsets'}",
                f"--plugin-dir={libraries / 'plugin'}",
            ]
        data = process.folder / "data"
        start = program.command("--no-defaults", *places, f"--datadir={data}")
        process.run((*start, "--initialize-insecure"))
        return self._serve(program, process, (*start, "--mysqlx=OFF"), ())

    def _serve(
        self,
        program: Program,
        process: ServerProcess,
        command: Sequence[str],
        statements: Sequence[str],
    ) -> Found:
        """Start the server and give its administrator, who has none, a password."""
        password = secrets.token_hex(12)
        port = free_port()
        socket_path = str(process.folder / "socket")
        places = (f"--port={port}", "--bind-address=127.0.0.1", f"--socket={socket_path}")
        own = f"--pid-file={process.folder / 'pid'}"

        def ready() -> bool:
            # Over the socket, and with the password once there is one: MySQL keeps what it checked
            # there, and takes it over TCP without encryption afterwards.
            return _listens(socket_path) and any(
                answers(lambda word=word: _ask_at(socket_path, word, "SELECT 1"))  # type: ignore[misc]
                for word in (password, "")
            )

        process.start((*command, *places, own, *self._arguments()), ready=ready)
        for statement in (*statements, f"ALTER USER root@localhost IDENTIFIED BY '{password}'"):
            _ask_at(socket_path, "", statement)
        _ask_at(socket_path, password, "SELECT 1")
        return Found(_url(port, password), f"{program.path}, private, port {port}", process)

    def _arguments(self) -> tuple[str, ...]:
        return (*_SETTINGS, "--skip-log-bin", *(_DURABLE if self.durable else _QUICK))


class MySQL9Server(MySQLServer):
    """Real MySQL: given, in a container, of the machine, or unpacked from Debian's unstable suite.

    That suite moves, so tests on it are reported and decide nothing.
    """

    name = "mysql9"
    level: Literal["gate", "report"] = "report"
    advice: ClassVar[str] = (
        "Name a MySQL server in DATAFLOW_TEST_MYSQL9_URL"
        " (mysql://user:password@host:port/database, a user that may create databases)."
    )

    def ways(self) -> Sequence[Way]:
        """Container, programs of the machine, Debian packages of the unstable suite."""
        return (
            Way("docker", lambda: self._container(_IMAGE_9)),
            Way("programs of this machine", self._installed),
            Way(f"Debian packages of {_SUITE}, unpacked", self._unpacked),
        )

    def _arguments(self) -> tuple[str, ...]:
        # Otherwise, from 9.6 on, a deletion may run down a table that refers to itself by a few
        # rows only. Earlier versions do not know it, and need not.
        return (*super()._arguments(), "--loose-innodb-native-foreign-keys=ON")

    def _installed(self) -> Found:
        program = find_program("mysqld")
        if program is None or _is_mariadb(program):
            raise ServerUnavailable("no `mysqld` of MySQL found")
        return self._start(program)

    def _unpacked(self) -> Found:
        account = unprivileged_account("mysql")
        tree = debian_unpack("mysql-server-core", suite=_SUITE, account=account)
        program = unpacked_program(tree, "usr/sbin/mysqld")
        if program is None:
            raise ServerUnavailable(f"no `mysqld` in {tree}")
        return self._start(program)


def _is_mariadb(program: Program) -> bool:
    """Whether a server program is MariaDB's, whatever it is called."""
    if program.path.resolve().name == "mariadbd":
        return True
    answer = subprocess.run(  # noqa: S603 - a server program of the machine
        program.command("--no-defaults", "--version"),
        env={**os.environ, **program.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return "mariadb" in answer.stdout.lower()


def _install_script(program: Program) -> Path:
    """The script that makes MariaDB's data folder."""
    bin_folder = program.path.parent.parent / "bin"
    script = find_program("mariadb-install-db", "mysql_install_db", folders=[bin_folder])
    if script is None:
        raise ServerUnavailable(f"no `mariadb-install-db` beside {program.path}")
    return script.path


def _url(port: int, password: str) -> DatabaseURL:
    return DatabaseURL("mysql", "root", password, "127.0.0.1", port)


def _client_ids(url: DatabaseURL, name: str) -> list[int]:
    """The connections of a database."""
    return [
        number for number, _, _, database, *_ in _ask(url, "SHOW PROCESSLIST") if database == name
    ]


def _ask(url: DatabaseURL, statement: str) -> tuple[Any, ...]:
    """Run one statement on the server that a URL names."""
    return _answer(
        statement,
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
    )


def _listens(path: str) -> bool:
    """Whether a server listens at a socket; the driver leaves its end open when none does."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def _ask_at(path: str, password: str, statement: str) -> tuple[Any, ...]:
    """Run one statement as administrator, over the socket of a private instance."""
    return _answer(statement, unix_socket=path, user="root", password=password)


def _answer(statement: str, **place: Any) -> tuple[Any, ...]:
    connection = pymysql.connect(**place, connect_timeout=_CONNECT_TIMEOUT, autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            rows: tuple[Any, ...] = cursor.fetchall()
            return rows
    finally:
        connection.close()
