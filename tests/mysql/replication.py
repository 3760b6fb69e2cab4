"""Two MariaDB servers of which one copies the other."""

from __future__ import annotations

import secrets
from typing import Any

from dataflow_core.url import DatabaseURL, parse_url
from dataflow_mysql.server import MySQLServer
from tests.mysql.support import connected, driver_of, value


class LoggingServer(MySQLServer):
    """A private server that can be a source or a copy; each has a number of its own."""

    number = 1

    def _arguments(self) -> tuple[str, ...]:
        return (*super()._arguments(), "--log-bin=binary", f"--server-id={self.number}")


class CopyingServer(LoggingServer):
    """The other one."""

    number = 2


def root(server: Any) -> DatabaseURL:
    """The URL of its administrator."""
    url: DatabaseURL = server._running().url
    return url


async def follow(source: Any, copy: Any, url: str) -> str:
    """Make the second server copy a database of the first one; the URL of the copy."""
    password = secrets.token_hex(8)
    primary = await connected(driver_of(url))
    await primary.fetch(f"CREATE USER copier@'%' IDENTIFIED BY '{password}'", ())
    await primary.fetch("GRANT REPLICATION SLAVE ON *.* TO copier@'%'", ())
    # What was done before would change the users of the copy too.
    start = await value(primary, "SELECT @@gtid_binlog_pos")
    await primary.close()
    database = parse_url(url).database
    copy.create(root(copy), database)
    copied = f"{root(copy).render(hide_password=False)}/{database}"
    replica = await connected(driver_of(copied))
    await replica.fetch("SET GLOBAL gtid_slave_pos = ?", (start,))
    await replica.fetch(
        f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={root(source).port},"
        f" MASTER_USER='copier', MASTER_PASSWORD='{password}', MASTER_USE_GTID=slave_pos,"
        " MASTER_CONNECT_RETRY=1",
        (),
    )
    await replica.fetch("START SLAVE", ())
    await replica.close()
    return copied
