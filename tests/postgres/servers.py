"""Private servers for tests: PostgreSQL with TLS and a replica, a pooler, a bad network."""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
from pathlib import Path
from typing import Any, Final

from dataflow_core.conformance.servers import (
    Program,
    ServerProcess,
    ServerUnavailable,
    free_port,
    unprivileged_account,
)
from dataflow_postgres.server import server_program
from tests.postgres.pooler import pooler_program

PASSWORD: Final = "p@ss:w/ord#1"
KEY_PASSWORD: Final = "opens the key"

# Whoever is named here logs in only in one way; everybody else in any.
_ACCESS: Final = """
local   all          all                   trust
host    replication  all      127.0.0.1/32 trust
host    all          password 127.0.0.1/32 scram-sha-256
hostssl all          encrypted 127.0.0.1/32 trust
hostnossl all        encrypted 127.0.0.1/32 reject
hostnossl all        plain    127.0.0.1/32 trust
hostssl all          plain    127.0.0.1/32 reject
hostssl all          certified 127.0.0.1/32 cert
host    all          nobody   127.0.0.1/32 reject
host    all          all      127.0.0.1/32 trust
"""
_USERS: Final = """
CREATE ROLE password LOGIN PASSWORD '{password}';
CREATE ROLE encrypted LOGIN;
CREATE ROLE plain LOGIN;
CREATE ROLE certified LOGIN;
CREATE ROLE nobody LOGIN;
CREATE ROLE other NOLOGIN;
GRANT other TO certified;
"""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _process(name: str, program: Program) -> ServerProcess:
    account = unprivileged_account("postgres")
    environment = program.environment
    return ServerProcess(name, account=account, environment=environment, stop_signal=signal.SIGINT)


class PrivateServer:
    """A PostgreSQL server of this test run's own."""

    def __init__(self) -> None:
        self.program = server_program()
        self.process = _process("own-postgres", self.program)
        self.port = free_port()

    @property
    def folder(self) -> Path:
        """Where its files are, and its socket."""
        return self.process.folder

    def url(
        self, database: str = "postgres", user: str = "postgres", host: str = "127.0.0.1"
    ) -> str:
        """The URL of a database."""
        return f"postgresql://{user}@{host}:{self.port}/{database}"

    def start(self) -> None:
        """Make and start it."""
        run, folder = self.process.run, self.folder
        run(
            self.program.beside("initdb").command(
                *("-D", folder / "data", "-U", "postgres", "-E", "UTF8", "--locale", "C.UTF-8"),
                *("--auth", "trust", "--no-instructions", "--no-sync"),
            )
        )
        make_certificates(self.process)
        (folder / "data" / "pg_hba.conf").write_text(_ACCESS)
        settings = {
            "ssl": "on",
            "ssl_cert_file": folder / "server.crt",
            "ssl_key_file": folder / "server.key",
            "ssl_ca_file": folder / "authority.crt",
            "timezone": "Asia/Kathmandu",
            "datestyle": "SQL, DMY",
            "jit": "on",
            "deadlock_timeout": "100ms",
        }
        self._start(folder / "data", settings)
        self.sql(_USERS.format(password=PASSWORD))

    def copy(self, primary: PrivateServer) -> None:
        """Make and start it as a replica of another one."""
        data = self.folder / "data"
        self.process.run(
            self.program.beside("pg_basebackup").command(
                *("-D", data, "-R", "-X", "stream", "-c", "fast", "-h", "127.0.0.1"),
                *("-p", primary.port, "-U", "postgres"),
            )
        )
        self._start(data, {"ssl": "off"})

    def _start(self, data: Path, settings: dict[str, Any]) -> None:
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self.process.start(
            self.program.command(
                *("-D", data, "-p", self.port, "-h", "127.0.0.1,::1", "-k", self.folder),
                *("-c", "fsync=off", *options),
            ),
            ready=self._answers,
        )

    def _answers(self) -> bool:
        try:
            self.sql("SELECT 1")
        except ServerUnavailable:
            return False
        return True

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run statements as the administrator, over the socket; what they print."""
        command = self.program.beside("psql").command(
            *("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
            *("-h", self.folder, "-p", self.port, "-U", "postgres", "-d", database),
        )
        return self.process.run(command, text=text).strip()


def make_certificates(process: ServerProcess) -> None:
    """An authority, and signed by it a server at ``localhost`` and a client ``certified``."""
    folder = process.folder
    subject = ("-days", "2", "-nodes", "-newkey", "rsa:2048")
    _openssl(
        process,
        *("req", "-x509", *subject, "-subj", "/CN=authority"),
        *("-keyout", folder / "authority.key", "-out", folder / "authority.crt"),
    )
    for name, common in (("server", "localhost"), ("client", "certified")):
        _openssl(
            process,
            *("req", "-nodes", "-newkey", "rsa:2048", "-subj", f"/CN={common}"),
            *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr"),
        )
        extension = process.write(f"{name}.ext", f"subjectAltName=DNS:{common}\n")
        _openssl(
            process,
            *("x509", "-req", "-days", "2", "-CAcreateserial", "-extfile", extension),
            *("-CA", folder / "authority.crt", "-CAkey", folder / "authority.key"),
            *("-in", folder / f"{name}.csr", "-out", folder / f"{name}.crt"),
        )
        (folder / f"{name}.key").chmod(0o600)
    _openssl(
        process,
        *("rsa", "-aes256", "-passout", f"pass:{KEY_PASSWORD}"),
        *("-in", folder / "client.key", "-out", folder / "locked.key"),
    )


def _openssl(process: ServerProcess, *arguments: str | Path) -> None:
    process.run(("openssl", *arguments))


class Pooler:
    """A pgbouncer in transaction mode, as it is configured by default otherwise."""

    def __init__(self, server: PrivateServer, **settings: Any) -> None:
        program = pooler_program()
        self.process = _process("pgbouncer", program)
        self.port = free_port()
        lines = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": self.process.folder,
            "auth_type": "any",
            "pool_mode": "transaction",
            "max_client_conn": 500,
            **settings,
        }
        written = "\n".join(f"{name} = {value}" for name, value in lines.items())
        target = f"* = host=127.0.0.1 port={server.port} user=postgres"
        config = self.process.write(
            "pooler.ini", f"[databases]\n{target}\n[pgbouncer]\n{written}\n"
        )
        self.process.start(program.command(config), ready=lambda: _listens(self.port))

    def url(self, database: str) -> str:
        """The URL of a database behind it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


class Network:
    """A TCP connection to a server that can be held up and cut."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._closing = False

    async def __aenter__(self) -> Network:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        self._closing = True
        self.flow()
        self.cut()
        await asyncio.gather(*self._tasks)

    def hold(self) -> None:
        """Let nothing through any more, and answer nothing."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let everything through again."""
        self._flowing.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        await self._flowing.wait()
        if self._closing:
            return
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers.add(other_writer)
        await asyncio.gather(self._pump(reader, other_writer), self._pump(other_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()
