"""PostgreSQL behind pgbouncer in transaction mode: each transaction may use another connection."""

from __future__ import annotations

from typing import Literal

from attrs import evolve

from dataflow_core.conformance.servers import (
    DatabaseServer,
    Program,
    ServerProcess,
    ServerUnavailable,
    answers,
    debian_unpack,
    find_program,
    free_port,
    unpacked_program,
    unprivileged_account,
)
from dataflow_core.contract import DatabaseURL
from dataflow_core.url import parse_url

CONFIGURATION = """\
[databases]
* = host={host} port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = {check}
auth_file = {users}
pool_mode = transaction
default_pool_size = 10
max_client_conn = 500
server_lifetime = 60
autodb_idle_timeout = 30
"""


class PooledPostgresServer:
    """A pgbouncer of its own before a PostgreSQL server. It is left as its packagers ship it."""

    __test__ = False

    name: str = "pgbouncer"
    level: Literal["gate", "report"] = "gate"

    def __init__(self, server: DatabaseServer) -> None:
        self.server = server
        self.description = "pgbouncer (not started)"
        self.port = 0
        self._process: ServerProcess | None = None

    def start(self) -> None:
        """Start the server and the pooler."""
        if self._process is not None:
            return
        program = pooler_program()
        self.server.start()
        database = self.server.new_database()
        url = parse_url(database)
        process = ServerProcess(
            self.name,
            account=unprivileged_account("postgres"),
            environment=program.environment,
        )
        self.port = free_port()
        users = process.write("users.txt", f'"{url.username}" "{url.password or ""}"\n')
        configuration = CONFIGURATION.format(
            host=url.host,
            server_port=url.port or 5432,
            port=self.port,
            users=users,
            check="plain" if url.password else "trust",
        )
        try:
            version = process.run(program.command("--version")).split()[1]
            process.start(
                program.command("-q", process.write("pgbouncer.ini", configuration)),
                ready=lambda: answers(lambda: self.server.version(self._pooled(database))),
            )
        except BaseException:
            process.close()
            raise
        self.server.drop_database(database)
        self._process = process
        self.description = f"pgbouncer {version} before {self.server.description}"

    def new_database(self) -> str:
        """A new database, by a URL that leads through the pooler."""
        self.start()
        return self._pooled(self.server.new_database()).render(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Remove a database; the pooler's connections to it are ended."""
        self.server.drop_database(url)

    def connections(self, url: str) -> int:
        """How many connections the pooler has to a database."""
        return self.server.connections(url)

    def kill_connections(self, url: str) -> int:
        """End the pooler's connections to a database."""
        return self.server.kill_connections(url)

    def private(self, *, durable: bool = False) -> PooledPostgresServer:
        """A pooler before a server that nobody else uses; not started yet."""
        return PooledPostgresServer(self.server.private(durable=durable))

    def kill(self) -> None:
        """Kill the server behind the pooler."""
        self.server.kill()

    def restart(self) -> None:
        """Start the server behind the pooler again."""
        self.server.restart()

    def stop(self) -> None:
        """Stop the pooler and the server."""
        process, self._process = self._process, None
        if process is not None:
            process.close()
        self.server.stop()

    def _pooled(self, url: str) -> DatabaseURL:
        return evolve(parse_url(url), host="127.0.0.1", port=self.port)


def pooler_program() -> Program:
    """pgbouncer, of the machine or unpacked."""
    found = find_program("pgbouncer")
    if found is None:
        tree = debian_unpack("pgbouncer", account=unprivileged_account("postgres"))
        found = unpacked_program(tree, "usr/sbin/pgbouncer")
    if found is None:
        raise ServerUnavailable("no `pgbouncer` found (Debian: `apt-get install pgbouncer`)")
    return found
