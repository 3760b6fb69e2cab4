from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dataflow_core.contract import CONTRACT_VERSION, ConnectOptions
from dataflow_core.errors import InvalidOption, PluginError
from dataflow_core.features import FEATURES
from dataflow_sqlite import dialect, plugin
from dataflow_sqlite.location import locate
from dataflow_sqlite.server import SQLiteServer
from tests.sqlite.support import read_url


def test_every_feature_is_declared() -> None:
    """Every feature id has a level, and what is off says why."""
    features = dialect.load().features
    assert features.keys() == FEATURES.keys()
    assert all(feature.reason for feature in features.values() if feature.level != "full")
    off = [name for name, feature in features.items() if feature.level != "full"]
    assert all(FEATURES[name].tier == "extended" for name in off)


def test_the_declaration_imports_no_driver() -> None:
    """What the entry point loads imports neither aiosqlite nor sqlite3."""
    code = (
        "import sys, dataflow_sqlite.plugin as p; p.dataflow_dialect();"
        "print(sorted({'aiosqlite', 'sqlite3'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout.strip() == "[]"


def test_the_declaration() -> None:
    """SQLite claims its scheme and `:memory:`, and is what opens without a URL."""
    spec = plugin.dataflow_dialect()
    assert (spec.name, spec.schemes, spec.default_url) == ("sqlite", ("sqlite",), ":memory:")
    assert spec.contract == CONTRACT_VERSION
    assert spec.load().name == "sqlite"


def test_every_declared_option_is_understood(path: Path) -> None:
    """Each option of the declaration is checked when a file is opened, also in a URL."""
    path.touch()
    for option in plugin.dataflow_dialect().options:
        with pytest.raises(InvalidOption, match=option.name):
            locate(read_url(f"sqlite:///{path}"), ConnectOptions(options={option.name: object()}))
        with pytest.raises(InvalidOption, match=option.name):
            locate(read_url(f"sqlite:///{path}?{option.name}=@"), ConnectOptions())


def test_an_old_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite without RETURNING is refused with its version, before anything is opened."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    with pytest.raises(PluginError, match=r"3\.34\.1"):
        dialect.load()


async def test_columns_of_a_table() -> None:
    """The columns of a table come in order; a table that is not there has none."""
    sqlite = dialect.load()
    driver = sqlite.open(read_url(":memory:"), ConnectOptions())
    connection = await driver.connect(driver.lanes[0])
    await connection.fetch('CREATE TABLE "a b" (z, "y x", a)', ())
    (table,) = await sqlite.read_tables(connection, ["a b", "nowhere"])
    assert list(table.by_name) == ["z", "y x", "a"]
    assert await sqlite.read_tables(connection, ["nowhere"]) == []
    assert sqlite.adapt(connection.server) is sqlite
    await driver.close()


def beside(path: Path) -> set[str]:
    """The names of a database file and of what SQLite keeps beside it."""
    return {file.name for file in path.parent.iterdir() if file.name.startswith(path.name)}


async def test_databases_for_tests() -> None:
    """Each database of the test server is a new file, which goes with what lies beside it."""
    server = plugin.dataflow_test_server()
    assert isinstance(server, SQLiteServer)
    server.start()
    try:
        url, other = server.new_database(), server.new_database()
        assert url != other
        driver = dialect.load().open(read_url(url), ConnectOptions())
        connection = await driver.connect(driver.lanes[1])
        await connection.fetch("CREATE TABLE t (v)", ())
        path = Path(url.removeprefix("sqlite:///"))
        assert beside(path) == {path.name, f"{path.name}-shm", f"{path.name}-wal"}
        server.drop_database(url)
        assert beside(path) == set()
        await connection.close()
    finally:
        server.stop()
    assert str(path.parent) not in map(str, path.parent.parent.iterdir())
    assert server.name == "sqlite"
    assert sqlite3.sqlite_version in server.description
