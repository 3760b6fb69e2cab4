"""The plain drivers: they load scripts, and tell what is there without this project."""

from __future__ import annotations

import io
import re
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

import aiomysql
import asyncpg

__all__ = ["Plain", "opened"]

_OTHER_PLACES: Final = re.compile(
    r"^\s*(?:/\*.*?\*/\s*|--[^\n]*\n\s*)*"
    r"(?:(?:CREATE|DROP)\s+(?:DATABASE|SCHEMA)\b|USE\s|\\c\s)",
    re.IGNORECASE | re.DOTALL,
)
_NOT_TAKEN: Final = re.compile(
    r"\\|ALTER .* OWNER TO|(CREATE|DROP) DATABASE|(GRANT|REVOKE) "
    r"|CREATE (OR REPLACE )?(PROCEDURAL )?LANGUAGE|ALTER SCHEMA|CREATE SCHEMA public"
)
"""Lines of psql, and what names roles or databases that the test server does not have."""

_QUALIFIED: Final = re.compile(r"(?:`northwind`|\bsakila)\.")
_ROWS_AT_MOST: Final = 1_000
_COPY: Final = re.compile(r"^COPY public\.(\w+) \(([^)]*)\) FROM stdin;\n(.*?)^\\\.$", re.M | re.S)
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}

Rows = Sequence[tuple[Any, ...]]


class Plain(Protocol):
    """A connection of a plain driver.

    Attributes:
        tables: a query of every table and view by name.
        columns: a query of the columns of every table: table, column, whether it may be NULL.
        definitions: queries whose rows change when the schema does.
    """

    tables: str
    columns: str
    definitions: tuple[str, ...]

    async def load(self, scripts: Sequence[str], rows: str | None) -> None:
        """Run scripts, then put in the rows of COPY blocks."""

    async def rows(self, sql: str) -> Rows:
        """The rows of a query."""

    def quoted(self, name: str) -> str:
        """A name as SQL."""

    async def close(self) -> None:
        """Close the connection."""


def _copied(text: str) -> Iterator[tuple[str, list[str], list[list[str | None]]]]:
    """The first rows of each COPY block: table, columns, values as text."""
    for table, columns, block in _COPY.findall(text):
        lines = block.splitlines()[:_ROWS_AT_MOST]
        names = [name.strip().strip('"') for name in columns.split(",")]
        rows = [
            [_value(name, part) for name, part in zip(names, line.split("\t"), strict=True)]
            for line in lines
        ]
        yield table, names, rows


def _value(name: str, part: str) -> str | None:
    if part == "\\N":
        return None
    if name.startswith("active"):
        return {"t": "1", "f": "0"}.get(part, part)
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), part)


class SQLite:
    """sqlite3 of the standard library."""

    tables = (
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
        " AND name NOT LIKE 'sqlite_%'"
    )
    columns = (
        "SELECT m.name, c.name, c.\"notnull\" = 0 AND NOT (c.pk = 1 AND upper(c.type) = 'INTEGER')"
        " FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c"
        " WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%'"
    )
    definitions: tuple[str, ...] = (
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2",
    )

    def __init__(self, url: str) -> None:
        self.connection = sqlite3.connect(unquote(urlsplit(url).path.removeprefix("/")))
        self.connection.isolation_level = None

    async def load(self, scripts: Sequence[str], rows: str | None) -> None:
        for script in scripts:
            # One transaction, or each of thousands of statements waits for the disk.
            own = "BEGIN TRANSACTION" in script.upper()
            self.connection.executescript(script if own else f"BEGIN;\n{script}\n;COMMIT;")
        for table, columns, values in _copied(rows or ""):
            there = {name for _, name, *_ in await self.rows(f"PRAGMA table_info({table})")}
            if "last_update" in there - {*columns}:
                columns.append("last_update")
                values = [[*row, "2006-02-15 10:00:00"] for row in values]
            kept = [index for index, name in enumerate(columns) if name in there]
            marks = ", ".join("?" * len(kept))
            names = ", ".join(columns[index] for index in kept)
            self.connection.execute("BEGIN")
            self.connection.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",
                [[row[index] for index in kept] for row in values],
            )
            self.connection.execute("COMMIT")
        # Tables that were cut refer to rows that are gone; an update of such a row is refused.
        while rows and (gaps := await self.rows("PRAGMA foreign_key_check")):
            for table, number, *_ in gaps:
                self.connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (number,))

    async def rows(self, sql: str) -> Rows:
        return self.connection.execute(sql).fetchall()

    def quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    async def close(self) -> None:
        self.connection.close()


class Postgres:
    """asyncpg."""

    tables = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'v', 'm', 'p', 'f')"
    )
    columns = (
        "SELECT c.relname, a.attname, NOT a.attnotnull"
        " FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f')"
        " AND a.attnum > 0 AND NOT a.attisdropped"
    )
    definitions: tuple[str, ...] = (
        "SELECT c.relname, c.relkind, a.attname, a.atttypid, a.atttypmod, a.attnotnull,"
        " pg_get_expr(d.adbin, d.adrelid) FROM pg_class AS c"
        " LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0"
        " LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum"
        " WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, a.attnum",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
        " FROM pg_constraint ORDER BY 1, 2",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger ORDER BY 1",
    )

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def load(self, scripts: Sequence[str], rows: str | None) -> None:
        for script in scripts:
            lines = script.splitlines(keepends=True)
            kept = [line for line in lines if not _NOT_TAKEN.match(line)]
            await self.connection.execute("".join(kept))
            await self.connection.execute("RESET ALL")
        for table, columns, block in _COPY.findall(rows or ""):
            first = "".join(block.splitlines(keepends=True)[:_ROWS_AT_MOST])
            await self.connection.execute("SET session_replication_role = replica")
            await self.connection.copy_to_table(
                table,
                columns=[name.strip().strip('"') for name in columns.split(",")],
                source=io.BytesIO(first.encode()),
            )
        await self.connection.execute("RESET ALL")

    async def rows(self, sql: str) -> Rows:
        return [tuple(row) for row in await self.connection.fetch(sql)]

    def quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    async def close(self) -> None:
        await self.connection.close()


class MySQL:
    """aiomysql."""

    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
    columns = (
        "SELECT table_name, column_name, is_nullable = 'YES' FROM information_schema.columns"
        " WHERE table_schema = DATABASE()"
    )
    definitions: tuple[str, ...] = (
        "SELECT table_name, ordinal_position, column_name, column_type, is_nullable,"
        " column_default, extra, collation_name, column_comment"
        " FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY 1, 2",
        "SELECT table_name, index_name, seq_in_index, column_name, non_unique, sub_part"
        " FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY 1, 2, 3",
        "SELECT table_name, constraint_name, constraint_type"
        " FROM information_schema.table_constraints WHERE table_schema = DATABASE() ORDER BY 1, 2",
        "SELECT trigger_name, action_statement FROM information_schema.triggers"
        " WHERE trigger_schema = DATABASE() ORDER BY 1",
    )

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def load(self, scripts: Sequence[str], rows: str | None) -> None:
        await self._run("SET FOREIGN_KEY_CHECKS = 0")
        for script in scripts:
            for statement in _statements(script):
                if not _OTHER_PLACES.match(statement):
                    await self._run(statement)
        await self._run("SET FOREIGN_KEY_CHECKS = 0, SQL_MODE = ''")
        for table, columns, values in _copied(rows or ""):
            there = {name for name, *_ in await self.rows(f"SHOW COLUMNS FROM {table}")}
            kept = [index for index, name in enumerate(columns) if name in there]
            names = ", ".join(columns[index] for index in kept)
            marks = ", ".join(["%s"] * len(kept))
            await self._run(
                f"INSERT IGNORE INTO {table} ({names}) VALUES ({marks})",
                [[_as_set(row[index]) for index in kept] for row in values],
            )

    async def _run(self, sql: str, rows: Sequence[Sequence[Any]] | None = None) -> None:
        async with self.connection.cursor() as cursor:
            with warnings.catch_warnings():
                # The server remarks on names of primary keys and on indexes made twice.
                warnings.simplefilter("ignore")
                if rows is None:
                    await cursor.execute(sql)
                else:
                    await cursor.executemany(sql, rows)

    async def rows(self, sql: str) -> Rows:
        async with self.connection.cursor() as cursor:
            await cursor.execute(sql)
            return [tuple(row) for row in await cursor.fetchall()]

    def quoted(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    async def close(self) -> None:
        self.connection.close()


def _unpadded(text: str) -> str:
    return text.rstrip(" ")


def _as_set(text: str | None) -> str | None:
    """An array of PostgreSQL as a SET of MySQL; other text as it is."""
    if text is None or not text.startswith("{"):
        return text
    return text.strip("{}").replace('"', "")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script for the client of MySQL, which end at the end of a line."""
    delimiter, lines = ";", list[str]()
    for line in script.splitlines():
        if line.upper().startswith("DELIMITER"):
            delimiter = line.split()[1]
            continue
        lines.append(line)
        if line.rstrip().endswith(delimiter):
            text = "\n".join(lines).rstrip().removesuffix(delimiter).strip()
            lines.clear()
            if text:
                yield _QUALIFIED.sub("", text)


async def opened(database: str, url: str) -> Plain:
    """A connection of the plain driver."""
    parts = urlsplit(url)
    if database == "sqlite":
        return SQLite(url)
    if database == "postgres":
        connection = await asyncpg.connect(url)
        # Padding is no part of a CHAR, and the server knows the shortest text of a short float.
        for name, decoder in (("bpchar", _unpadded), ("float4", float)):
            await connection.set_type_codec(
                name, encoder=str, decoder=decoder, schema="pg_catalog", format="text"
            )
        return Postgres(connection)
    connection = await aiomysql.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        db=unquote(parts.path.lstrip("/")),
        autocommit=True,
        charset="utf8mb4",
        init_command="SET time_zone = '+00:00'",
    )
    return MySQL(connection)
