from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dataflow_core.errors import ConnectionFailed, InvalidOption
from dataflow_core.url import parse_url
from dataflow_mysql.protocol.failures import ServerError
from dataflow_mysql.server import MySQLServer
from tests.mysql.support import connected, driver_of, value

PASSWORD = "pässwörd ✓ #$@?!/:%41"


class Authority:
    """Signs certificates; their files lie in a folder that the server can read too."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._signed(self._key, name, None)
        self.file = self._write(f"{name}.pem", self._certificate)

    def issue(self, name: str, address: str | None = None) -> tuple[str, str]:
        """The files of a certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path = self.folder / f"{name}-key.pem"
        path.write_bytes(secret)
        path.chmod(0o644)
        return self._write(f"{name}.pem", self._signed(key, name, address)), str(path)

    def _signed(self, key: Any, name: str, address: str | None) -> Any:
        now = dt.datetime.now(dt.UTC)
        own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(own)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == self.name, path_length=None), True)
        )
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(names, False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: Any) -> str:
        path = self.folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        path.chmod(0o644)
        return str(path)


class EncryptingServer(MySQLServer):
    """A private server with a certificate."""

    name = "mysql_encrypting"
    options: ClassVar[tuple[str, ...]] = ()

    def _arguments(self) -> tuple[str, ...]:
        return (*super()._arguments(), *self.options)


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    """Who signs the certificates of the server and of its clients."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-certificates-"))
    folder.chmod(0o755)
    yield Authority(folder, "authority")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def encrypted_url(authority: Authority) -> Iterator[str]:
    """A database on a server whose certificate is for 127.0.0.1."""
    certificate, key = authority.issue("server", "127.0.0.1")
    server = EncryptingServer(private=True)
    EncryptingServer.options = (
        f"--ssl-ca={authority.file}",
        f"--ssl-cert={certificate}",
        f"--ssl-key={key}",
    )
    server.start()
    yield server.new_database()
    server.stop()


async def cipher(url: str, **options: Any) -> str:
    """What a connection is encrypted with; nothing if it is not."""
    connection = await connected(driver_of(url, **options))
    try:
        rows = await connection.fetch("SHOW SESSION STATUS LIKE 'Ssl_cipher'", ())
        assert await value(connection, "SELECT ?", "x" * 100_000) == "x" * 100_000
        await connection.reset()
        return str(rows[0][1])
    finally:
        await connection.close()


async def test_connections_are_encrypted_if_asked(encrypted_url: str, authority: Authority) -> None:
    """Every mode but disabled encrypts; on this machine the usual mode is not to."""
    assert await cipher(encrypted_url) == ""
    assert await cipher(encrypted_url, ssl_mode="disabled") == ""
    assert await cipher(encrypted_url, ssl_mode="preferred")
    assert await cipher(encrypted_url, ssl_mode="required")
    assert await cipher(encrypted_url, ssl_mode="verify_ca", ssl_ca=authority.file)
    assert await cipher(encrypted_url, ssl_ca=authority.file)


async def test_the_certificate_has_to_be_for_the_host(
    encrypted_url: str, authority: Authority
) -> None:
    """A certificate of a known authority for another host is refused, unless only that is asked."""
    url = encrypted_url.replace("127.0.0.1", "localhost")
    with pytest.raises(ConnectionFailed, match="TLS") as caught:
        await cipher(url, ssl_ca=authority.file)
    assert str(parse_url(encrypted_url).password) not in str(caught.value)
    assert await cipher(url, ssl_ca=authority.file, ssl_mode="verify_ca")


async def test_an_unknown_authority_is_refused(encrypted_url: str, authority: Authority) -> None:
    """A certificate that somebody else signed is refused, as by the authorities of the system."""
    other = Authority(authority.folder, "other")
    for options in (
        {"ssl_ca": other.file},
        {"ssl_ca": other.file, "ssl_mode": "verify_ca"},
        {"ssl_mode": "verify_identity"},
        {"ssl_mode": "verify_ca"},
    ):
        with pytest.raises(ConnectionFailed, match="certificate"):
            await cipher(encrypted_url, **options)


async def test_a_client_shows_its_certificate(encrypted_url: str, authority: Authority) -> None:
    """A user who has to show a certificate gets in with one, and not without."""
    root = await connected(driver_of(encrypted_url))
    await root.fetch("CREATE USER shower@'%' REQUIRE X509", ())
    await root.fetch("GRANT ALL ON *.* TO shower@'%'", ())
    await root.close()
    parts = parse_url(encrypted_url)
    url = f"mysql://shower@127.0.0.1:{parts.port}/{parts.database}"
    with pytest.raises(ConnectionFailed, match="not accepted"):
        await cipher(url, ssl_ca=authority.file)
    certificate, key = authority.issue("shower")
    shown = {"ssl_cert": certificate, "ssl_key": key}
    assert await cipher(url, ssl_ca=authority.file, **shown)
    assert await cipher(url, **shown)


async def test_files_that_hold_no_certificate(
    encrypted_url: str, authority: Authority, tmp_path: Path
) -> None:
    """A file of something else is an error that names the option."""
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(InvalidOption) as caught:
        await cipher(encrypted_url, ssl_ca=str(empty))
    assert caught.value.context["option"] == "ssl_ca"
    with pytest.raises(InvalidOption) as caught:
        await cipher(encrypted_url, ssl_cert=str(empty), ssl_key=str(empty))
    assert caught.value.context["option"] == "ssl_cert"
    certificate, _ = authority.issue("one")
    _, key = authority.issue("two")
    with pytest.raises(InvalidOption):
        await cipher(encrypted_url, ssl_cert=certificate, ssl_key=key)


async def test_a_cancelled_statement_over_tls(encrypted_url: str, authority: Authority) -> None:
    """Cancelling works over an encrypted connection as well."""
    connection = await connected(driver_of(encrypted_url, ssl_ca=authority.file))
    task = asyncio.ensure_future(connection.fetch("SELECT SLEEP(20)", ()))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await connection.cancel()
    assert connection.usable
    assert await value(connection, "SELECT 1") == 1
    await connection.close()


def _greeting(plugin: bytes) -> bytes:
    """What a server without encryption begins with."""
    body = (
        b"\x0a10.11.2-MariaDB\0\x01\0\0\0"
        + b"a" * 8
        + b"\0"
        + b"\xff\xf7\x08\x02\0\xef\x81\x15"
        + b"\0" * 10
        + b"b" * 12
        + b"\0"
        + plugin
        + b"\0"
    )
    return len(body).to_bytes(3, "little") + b"\0" + body


@pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
async def test_nothing_secret_is_sent_without_encryption(mode: str) -> None:
    """A server that offers no encryption, where it is demanded, does not even learn the user."""
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_greeting(b"mysql_native_password"))
        received.append(await reader.read())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        driver = driver_of(f"mysql://ada:secret@127.0.0.1:{port}/shop", ssl_mode=mode)
        with pytest.raises(ConnectionFailed, match="offers no encryption"):
            await connected(driver)
        await asyncio.sleep(0.05)
    assert received == [b""]


async def test_a_password_is_not_sent_in_clear() -> None:
    """A server that asks for the password itself does not get it over a plain connection."""
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_greeting(b"mysql_native_password"))
        received.append(await reader.read(4_096))
        switch = b"\xfemysql_clear_password\0"
        writer.write(len(switch).to_bytes(3, "little") + b"\x02" + switch)
        received.append(await reader.read())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        driver = driver_of(f"mysql://ada:secret@127.0.0.1:{port}/shop", ssl_mode="preferred")
        with pytest.raises(ConnectionFailed, match="in clear"):
            await connected(driver)
        await asyncio.sleep(0.05)
    assert received[-1] == b""
    assert b"secret" not in b"".join(received)


async def test_a_user_without_rights_of_administration(connect: Any, mysql_url: str) -> None:
    """A password of any characters, without encryption, lets a user in who has rights on this
    database only; every setting can be made."""
    root = await connect()
    name = f"u{secrets.token_hex(4)}"
    database = parse_url(mysql_url).database
    # Where there is an anonymous user of this machine, it goes before one of any host.
    users = [f"{name}@'{host}'" for host in ("%", "localhost")]
    try:
        for user in users:
            await root.fetch(f"CREATE USER {user} IDENTIFIED BY ?", (PASSWORD,))
            await root.fetch(f"GRANT ALL ON `{database}`.* TO {user}", ())
        parts = parse_url(mysql_url)
        place = f"127.0.0.1:{parts.port}/{database}"
        connection = await connect(f"mysql://{name}:{quote(PASSWORD, safe='')}@{place}")
        assert (await value(connection, "SELECT CURRENT_USER()")).startswith(name)
        task = asyncio.ensure_future(connection.fetch("SELECT SLEEP(20)", ()))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connection.cancel()
        assert connection.usable
        with pytest.raises(ConnectionFailed, match="not accepted") as caught:
            await connect(f"mysql://{name}:wrong@{place}")
        assert "wrong" not in str(caught.value) and name not in str(caught.value)
        with pytest.raises((ConnectionFailed, ServerError)):
            await connect(mysql_url.replace(f"/{database}", "/no_such_database_at_all"))
    finally:
        await root.fetch(f"DROP USER {', '.join(users)}", ())
