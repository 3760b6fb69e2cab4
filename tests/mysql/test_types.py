from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from typing import Any

import pytest

from dataflow_core.contract import Server
from dataflow_core.errors import InvalidValue
from dataflow_core.filters import fold, upper
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_mysql.compiler import MariaDBCompiler, MySQLCompiler, OldMariaDBCompiler
from dataflow_mysql.dialect import MariaDBDialect, MySQLDialect, OldMariaDBDialect, load
from dataflow_mysql.types import MARIADB, MYSQL, codec

UTC = dt.UTC
SERVERS = {"MariaDB": (MariaDBCompiler, OldMariaDBCompiler), "MySQL": (MySQLCompiler,)}


@pytest.mark.parametrize(
    ("kind", "stored", "value"),
    [
        (Boolean(), "[true, false]", [True, False]),
        (Float(), "[1, 1e22, -2.5]", [1.0, 1e22, -2.5]),
        (Integer(), "[1, 9223372036854775807]", [1, 2**63 - 1]),
        (Decimal(10, 2), '["1.50", "-0.01"]', [decimal.Decimal("1.50"), decimal.Decimal("-0.01")]),
        (Binary(), '["00FF", ""]', [b"\x00\xff", b""]),
        (
            Timestamp(),
            '["2024-01-02 03:04:05.000006"]',
            [dt.datetime(2024, 1, 2, 3, 4, 5, 6, UTC)],
        ),
        (Date(), '["2024-01-02"]', [dt.date(2024, 1, 2)]),
        (Time(), '["03:04:05.000006"]', [dt.time(3, 4, 5, 6)]),
        (Uuid(), '["8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10"]', [
            uuid.UUID("8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10")]),
        (Enumeration(("a",), Text()), '["a"]', ["a"]),
    ],
)  # fmt: skip
def test_collected_elements_have_their_types(
    kind: FieldType, stored: str, value: list[Any]
) -> None:
    """The elements of a list that an aggregate made come back as values of their type."""
    decode = codec(Json("array", kind)).decode
    assert decode is not None
    assert decode(stored) == value
    assert [type(item) for item in decode(stored)] == [type(item) for item in value]


def test_documents_are_nested_as_deep_as_the_server_reads() -> None:
    """A document that a server's functions do not read is refused before any SQL."""
    document: Any = 1
    for _ in range(31):
        document = [document]
    deeper = {"a": document}
    shallow, deep = codec(Json(), MARIADB.json_depth), codec(Json(), MYSQL.json_depth)
    assert shallow.encode is not None
    assert deep.encode is not None
    assert json.loads(shallow.encode(document)) == document
    assert json.loads(shallow.encode([[1]] * 40)) == [[1]] * 40
    assert json.loads(deep.encode(deeper)) == deeper
    with pytest.raises(InvalidValue, match="at most 31 deep"):
        shallow.encode(deeper)


def test_the_server_decides_which_dialect_it_is() -> None:
    """Product and version choose the dialect; an unknown product keeps the plain one."""
    plain = load()
    adapted = {
        ("MariaDB", (10, 11, 19)): MariaDBDialect,
        ("MariaDB", (10, 6, 4)): OldMariaDBDialect,
        ("MySQL", (8, 0, 19)): MySQLDialect,
        ("Something", (1,)): MySQLDialect,
    }
    for (name, version), kind in adapted.items():
        assert type(plain.adapt(Server(name, version))) is kind


async def test_letters_change_case_as_unicode_says(connection: Any) -> None:
    """Every letter folds and rises as in Python, whatever tables the server has."""
    every = map(chr, range(1, 0x110000))
    text = "".join(one for one in every if one.lower() != one or one.upper() != one) + "x😀"
    column = "CONCAT('', `t`.`c`)"
    for compiler_class in SERVERS[connection.server.name]:
        compiler = compiler_class({})
        for sql, expected in (
            (compiler.folded("`c`"), fold(text)),
            (compiler.uppered("`c`"), upper(text)),
            (compiler.folded(f"{column}{' ' * 80}"), fold(text)),
        ):
            statement = f"SELECT {sql} FROM (SELECT ? AS `c`) AS `t`"
            ((changed,),) = await connection.fetch(statement, (text,))
            assert changed == expected


async def test_letters_of_ascii_take_the_short_way(connection: Any) -> None:
    """Text of one byte a character is folded by the server alone."""
    compiler = SERVERS[connection.server.name][0]({})
    sql = f"SELECT {compiler.folded('`c`')}, {compiler.uppered('`c`')} FROM (SELECT ? AS `c`) AS t"
    assert await connection.fetch(sql, ("aBc_Ü"[:4],)) == [("abc_", "ABC_")]
    assert await connection.fetch(sql, (None,)) == [(None, None)]
