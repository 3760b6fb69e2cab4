from __future__ import annotations

import asyncio
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from dataflow_core.errors import ConnectionFailed, InvalidOption
from dataflow_postgres import opening
from dataflow_postgres.opening import leaves_no_trace
from tests.postgres.conftest import Connect
from tests.postgres.servers import KEY_PASSWORD, PASSWORD, PrivateServer
from tests.postgres.support import driver_of, setting, until, value

SECRET = "s3cret-value"
ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


async def test_the_session_is_set_up_with_the_first_message(
    connect: Connect, server: PrivateServer
) -> None:
    """Time zone, date style and quoting are ours, whatever the server is configured to."""
    connection = await connect(server.url())
    assert await setting(connection, "TimeZone") == "UTC"
    assert await setting(connection, "DateStyle") == "ISO, MDY"
    assert await setting(connection, "client_encoding") == "UTF8"
    assert await setting(connection, "standard_conforming_strings") == "on"
    assert await setting(connection, "application_name") == "dataflow"
    assert await setting(connection, "jit") == "off"
    connection = await connect(server.url(), server_settings={"jit": "on"})
    assert await setting(connection, "jit") == "on"


async def test_options_that_reach_the_server(connect: Connect, server: PrivateServer) -> None:
    """Application name, search path and other settings hold for the session."""
    connection = await connect(
        server.url() + "?application_name=shop",
        search_path="sales, public",
        server_settings={"work_mem": "7MB", "app.tenant": "acme"},
    )
    assert await setting(connection, "application_name") == "shop"
    assert await setting(connection, "search_path") == "sales, public"
    assert await setting(connection, "work_mem") == "7MB"
    assert await setting(connection, "app.tenant") == "acme"


async def test_the_server_is_told(connect: Connect, server: PrivateServer) -> None:
    """Product, version and encoding of the server are known after connecting."""
    connection = await connect(server.url())
    text = await setting(connection, "server_version")
    assert str(connection.server) == f"PostgreSQL {text.split()[0]}"
    assert connection.server.version >= (14,)
    assert connection.server.details["server_encoding"] == "UTF8"


async def test_a_socket(connect: Connect, server: PrivateServer) -> None:
    """A socket can be given instead of a host, in the URL or as an argument."""
    path = f"{server.folder}/.s.PGSQL.{server.port}"
    over_socket = "SELECT inet_client_addr() IS NULL"
    connection = await connect(f"postgresql://postgres@/postgres?host={path}")
    assert await value(connection, over_socket) is True
    connection = await connect("postgresql://postgres@/postgres", host=path, sslmode="prefer")
    assert await value(connection, over_socket) is True


async def refusal(connect: Connect, url: str, **options: Any) -> ConnectionFailed:
    """Why a connection is refused."""
    with pytest.raises(ConnectionFailed) as caught:
        await connect(url, **options)
    assert SECRET not in f"{caught.value} {caught.value.to_dict()}"
    assert caught.value.outcome == "not done"
    return caught.value


async def test_passwords(connect: Connect, server: PrivateServer) -> None:
    """The right password opens; a wrong one, and none at all, are told apart without showing it."""
    quoted = PASSWORD.replace("@", "%40").replace("/", "%2F").replace("#", "%23")
    place = f"127.0.0.1:{server.port}/postgres"
    connection = await connect(f"postgresql://password:{quoted}@{place}")
    assert await value(connection, "SELECT current_user::text") == "password"
    wrong = await refusal(connect, f"postgresql://password:{SECRET}@{place}")
    assert "password of the user 'password'" in wrong.message
    none = await refusal(connect, f"postgresql://password@{place}")
    assert "no password is given" in none.message


async def test_variables_and_files_are_not_read(
    connect: Connect, server: PrivateServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """The driver's variables and files neither supply a password nor change anything else."""
    file = tmp_path / ".pgpass"
    file.write_text(f"*:*:*:*:{PASSWORD.replace(':', chr(92) + ':')}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    error = await refusal(connect, server.url(user="password"))
    assert "no password is given" in error.message
    for name in ("PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLNEGOTIATION"):
        monkeypatch.setenv(name, "nonsense")
    for name in ("PGTARGETSESSIONATTRS", "PGSERVICE", "PGHOST", "PGPORT", "PGDATABASE"):
        monkeypatch.setenv(name, "nonsense")
    connection = await connect(server.url())
    assert await value(connection, "SELECT 1") == 1


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://postgres@127.0.0.1:1/postgres", "no server listens"),
        ("postgresql://postgres@nowhere.invalid/postgres", "host name 'nowhere.invalid'"),
        ("{nothing}", "there is no database 'nothing'"),
        ("{nobody}", "'nobody' may not log in"),
    ],
)
async def test_why_a_connection_fails(
    connect: Connect, server: PrivateServer, url: str, text: str
) -> None:
    """A refused connection says what is wrong: port, host name, database or user."""
    urls = {"nothing": server.url("nothing"), "nobody": server.url(user="nobody")}
    error = await refusal(connect, url.format(**urls))
    assert text in error.message
    assert error.retryable


async def test_a_setting_that_the_server_does_not_know(
    connect: Connect, server: PrivateServer
) -> None:
    """A setting that does not exist refuses the connection, and is named."""
    error = await refusal(connect, server.url(), server_settings={"work_memory": "1MB"})
    assert "work_memory" in error.message


@pytest.mark.parametrize(
    ("mode", "user", "encrypted"),
    [
        ("disable", "postgres", False),
        ("allow", "postgres", False),
        ("prefer", "postgres", True),
        ("require", "postgres", True),
        ("allow", "encrypted", True),
        ("prefer", "plain", False),
    ],
)
async def test_modes_of_tls(
    connect: Connect, server: PrivateServer, mode: str, user: str, encrypted: bool
) -> None:
    """Each mode encrypts or not, and two of them try the other way where the server wants it."""
    connection = await connect(server.url(user=user), sslmode=mode)
    assert await value(connection, ENCRYPTED) is encrypted


@pytest.mark.parametrize("option", ["sslrootcert", "sslcert", "sslkey"])
async def test_missing_certificates_are_refused_when_they_are_needed(
    connect: Connect, server: PrivateServer, tmp_path: Path, option: str
) -> None:
    """A file may be put there after the instance was made; without it the error names it."""
    there = tmp_path / "there.pem"
    there.touch()
    more = {"sslcert": str(there)} if option == "sslkey" else {}
    with pytest.raises(InvalidOption, match=rf"{option}: .*missing\.pem.* cannot be read: No such"):
        await connect(server.url(), **{option: str(tmp_path / "missing.pem"), **more})


async def test_tls_that_the_server_refuses(connect: Connect, server: PrivateServer) -> None:
    """A mode that demands TLS, or its absence, fails where the server does not allow it."""
    await refusal(connect, server.url(user="plain"), sslmode="require")
    await refusal(connect, server.url(user="encrypted"), sslmode="disable")


async def test_the_certificate_of_the_server(connect: Connect, server: PrivateServer) -> None:
    """verify-ca checks the authority, verify-full also the host name."""
    authority = str(server.folder / "authority.crt")
    connection = await connect(server.url(), sslmode="verify-ca", sslrootcert=authority)
    assert await value(connection, ENCRYPTED) is True
    connection = await connect(server.url(host="localhost"), sslrootcert=authority)
    assert await value(connection, ENCRYPTED) is True
    error = await refusal(connect, server.url(), sslmode="verify-full", sslrootcert=authority)
    assert "IP address mismatch" in error.message
    for mode in ("verify-ca", "require"):
        error = await refusal(connect, server.url(), sslmode=mode, sslrootcert="system")
        assert "certificate" in error.message
    error = await refusal(connect, server.url(), sslmode="verify-full")
    assert "certificate" in error.message


async def test_the_certificate_of_the_client(connect: Connect, server: PrivateServer) -> None:
    """A client can show a certificate of its own, with a key that may be encrypted."""
    url, folder = server.url(user="certified"), server.folder
    certificate = str(folder / "client.crt")
    for key in ({"sslkey": "client.key"}, {"sslkey": "locked.key", "sslpassword": KEY_PASSWORD}):
        options = {**key, "sslkey": str(folder / key["sslkey"])}
        connection = await connect(url, sslmode="require", sslcert=certificate, **options)
        assert await value(connection, "SELECT current_user::text") == "certified"
    await refusal(connect, url, sslmode="require")
    with pytest.raises(InvalidOption) as caught:
        await connect(
            url,
            sslmode="require",
            sslcert=certificate,
            sslkey=str(folder / "locked.key"),
            sslpassword=SECRET,
        )
    assert SECRET not in str(caught.value)
    assert isinstance(caught.value.__cause__, ssl.SSLError)


async def test_a_file_that_is_no_certificate(connect: Connect, server: PrivateServer) -> None:
    """A file that holds something else is refused by the name of its option."""
    with pytest.raises(InvalidOption) as caught:
        await connect(server.url(), sslrootcert=__file__)
    assert caught.value.context["option"] == "sslrootcert"


async def test_tls_of_a_server_that_has_none(connect: Connect, url: str) -> None:
    """Without TLS on the server, the usual mode connects and a demanding one says why it fails."""
    connection = await connect(url)
    assert await value(connection, ENCRYPTED) is False
    error = await refusal(connect, url, sslmode="require")
    assert "offers no TLS" in error.message


async def test_the_kind_of_server(connect: Connect, server: PrivateServer) -> None:
    """A server of another kind than asked for is refused."""
    assert await value(await connect(server.url(), target_session_attrs="primary"), "SELECT 1") == 1
    error = await refusal(connect, server.url(), target_session_attrs="standby")
    assert "target_session_attrs=standby" in error.message


async def test_a_database_of_another_encoding(connect: Connect, server: PrivateServer) -> None:
    """A database that cannot hold every character is refused."""
    server.sql(
        "DROP DATABASE IF EXISTS latin;"
        "\nCREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;"
    )
    error = await refusal(connect, server.url("latin"))
    assert "LATIN1" in error.message


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM t WHERE a IN (1, 2) AND (b = 1 OR (c))",
        "INSERT INTO t (a, b) VALUES ($1, lower($2)) RETURNING id",
        "with x as (select 1) select coalesce(max(a), 0) from x",
        "UPDATE t SET a = (a + 1) * 2",
    ],
)
def test_statements_that_leave_no_trace(sql: str) -> None:
    """Plain reads and writes that call nothing unusual need no cleaning."""
    assert leaves_no_trace(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SET search_path TO elsewhere",
        "select set_config('search_path', '', false)",
        "SELECT pg_advisory_lock(1)",
        "SELECT \"set_config\"('a.b', 'c', false)",
        "SELECT set_config /* = */ ('a.b', 'c', false)",
        "SELECT set_config -- =\n('a.b', 'c', false)",
        "SELECT a INTO TEMP copy FROM t",
        "INSERT INTO t SELECT set_config('a.b', 'c', false)",
        "LISTEN x",
        "PREPARE s AS SELECT 1",
        "CREATE TABLE t (a int)",
        "DO $$ BEGIN END $$",
        "",
    ],
)
def test_statements_that_may_leave_something(sql: str) -> None:
    """Whatever could change the session is cleaned up after."""
    assert not leaves_no_trace(sql)


async def test_an_old_server_is_refused(
    connect: Connect, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is too old is named with the oldest version that is supported."""
    assert opening.OLDEST_VERSION == (14,)
    monkeypatch.setattr(opening, "OLDEST_VERSION", (99,))
    with pytest.raises(ConnectionFailed, match=r"PostgreSQL \d+.* is too old; 14 is the") as caught:
        await connect(url)
    assert caught.value.outcome == "not done"


async def test_a_connection_of_a_loop_in_another_thread(server: PrivateServer) -> None:
    """Closed from elsewhere, a connection is cut by the thread of its own loop alone, in the debug
    mode of event loops too, which refuses anything else."""
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    driver = driver_of(server.url())
    connecting = asyncio.run_coroutine_threadsafe(driver.connect(driver.lanes[0]), loop)
    connection: Any = await asyncio.wrap_future(connecting)
    threads: list[threading.Thread] = []
    cut = connection._cut

    def recorded() -> None:
        threads.append(threading.current_thread())
        cut()

    connection._cut = recorded
    await connection.close()
    assert not connection.usable
    await until(connection._connection.is_closed)
    loop.call_soon_threadsafe(loop.stop)
    await asyncio.to_thread(thread.join)
    loop.close()
    assert threads == [thread]
