"""`new-dialect`: what it writes is a dialect, and runs the suite."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dataflow_core.conformance.command import main
from dataflow_core.contract import CONTRACT_VERSION

ROOT = Path(__file__).resolve().parents[2]


def written(folder: Path, name: str, like: str) -> Path:
    """Write a package and a note, beside it, that makes it look installed."""
    package = folder / name
    assert main(["new-dialect", name, "--like", like, "--output", str(package)]) == 0
    note_of(package)
    return package


def note_of(package: Path) -> None:
    """Write, beside a package, what makes it look installed."""
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    note = package.parent / "installed" / f"{package.name}-0.1.0.dist-info"
    note.mkdir(parents=True)
    about = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n"
    (note / "METADATA").write_text(about, "utf-8")
    [(entry, module)] = project["entry-points"]["dataflow"].items()
    (note / "entry_points.txt").write_text(f"[dataflow]\n{entry} = {module}\n", "utf-8")


def run(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the package is installed."""
    path = (package, package.parent / "installed", ROOT)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.timeout(200)
def test_a_relative_passes_what_its_base_passes(tmp_path: Path) -> None:
    """A copy under a new scheme: the suite passes, the report names the new dialect."""
    package = written(tmp_path, "acme_lite", "sqlite")
    command = ("-m", "dataflow_core.conformance", "run", f"acme-lite:///{tmp_path}/a.db")
    result = run(package, *command, "--topic", "paging", "--topic", "order")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "dialect acme_lite" in result.stdout
    server = (
        "from dataflow_acme_lite.plugin import dataflow_test_server as make\n"
        "server = make(); server.start(); url = server.new_database(); print(url)\n"
        "server.drop_database(url); server.stop()"
    )
    assert run(package, "-c", server).stdout.startswith("acme-lite://")


def passes_on(package: Path, url: str, scheme: str) -> None:
    """Run some topics on the database of a URL, by the scheme of the new package."""
    own = f"{scheme}://{url.partition('://')[2]}"
    command = ("-m", "dataflow_core.conformance", "run", own)
    result = run(package, *command, "--topic", "paging", "--topic", "upsert")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "dialect acme" in result.stdout
    assert "0 pass" not in result.stdout


@pytest.mark.timeout(200)
def test_a_relative_of_postgres_passes(tmp_path: Path, postgres_url: str) -> None:
    """What is written for a relative of the dialect runs on its server."""
    passes_on(written(tmp_path, "acme", "postgres"), postgres_url, "acme")


@pytest.mark.timeout(200)
def test_a_relative_of_mysql_passes(tmp_path: Path, mysql_url: str) -> None:
    """What is written for a relative of the dialect runs on its server."""
    passes_on(written(tmp_path, "acme", "mysql"), mysql_url, "acme")


@pytest.mark.parametrize("like", ["postgres", "mysql"])
def test_the_server_of_a_relative_can_be_private(tmp_path: Path, like: str) -> None:
    """The test server keeps what that of its base can do: one for itself, one that is durable."""
    code = (
        "from dataflow_acme.plugin import dataflow_test_server as make\n"
        "other = make().private(durable=True)\n"
        "print(type(other).__name__, other.is_private, other.durable)"
    )
    result = run(written(tmp_path, "acme", like), "-c", code)
    assert result.stdout.split() == ["AcmeServer", "True", "True"], result.stderr


@pytest.mark.timeout(200)
def test_a_dialect_of_nothing_has_known_gaps_only(tmp_path: Path) -> None:
    """Every feature is declared `not_implemented`, and that is true."""
    package = written(tmp_path, "acme", "none")
    command = ("-m", "dataflow_core.conformance", "run", "acme:///nowhere", "--report", "r.json")
    result = run(package, *command, "--topic", "paging", "--topic", "identifiers", "--quiet")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "FAIL" not in result.stdout
    assert "STALE" not in result.stdout
    assert "known gap" in result.stdout


@pytest.mark.parametrize("like", ["none", "sqlite", "postgres", "mysql"])
def test_every_installed_dialect_can_be_a_base(tmp_path: Path, like: str) -> None:
    """The classes of the base are found by what it loads; the modules of the package import."""
    package = written(tmp_path, "acme", like)
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert {
        "pyproject.toml",
        "README.md",
        "tox.ini",
        ".gitignore",
        ".github/workflows/conformance.yml",
        "tests/test_conformance.py",
        "dataflow_acme/plugin.py",
        "dataflow_acme/dialect.py",
        "dataflow_acme/compiler.py",
        "dataflow_acme/py.typed",
    } <= files
    assert f"contract={CONTRACT_VERSION}" in (package / "dataflow_acme/plugin.py").read_text()
    assert not [
        path for path in files if "$" in (package / path).read_text("utf-8").replace("${{", "")
    ]
    code = (
        "from dataflow_acme.plugin import dataflow_dialect\n"
        "dialect = dataflow_dialect().load()\n"
        "print(dialect.name, dialect.compiler.name, type(dialect.compiler).__module__)"
    )
    result = run(package, "-W", "error", "-c", code)
    assert result.stdout.split() == ["acme", "acme", "dataflow_acme.compiler"], result.stderr


def test_what_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds something is not written over."""
    (tmp_path / "kept").write_text("mine", "utf-8")
    assert main(["new-dialect", "acme", "--output", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("name", ["Acme", "1st", "a-b", "class", "core", "", "a__b", "x/y"])
def test_a_name_that_no_module_can_have_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal says what a name looks like; nothing is written."""
    folder = tmp_path / "new"
    assert main(["new-dialect", name, "--output", str(folder)]) == 2
    assert "small letters" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize("name", ["sqlite", "postgresql", "mariadb"])
def test_a_name_that_is_taken_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installed dialect keeps its name, its package and its URL schemes."""
    folder = tmp_path / "new"
    assert main(["new-dialect", name, "--output", str(folder)]) == 2
    assert "call the new one otherwise" in capsys.readouterr().err
    assert not folder.exists()


def test_an_unknown_base_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal names those that are installed, and the nearest."""
    folder = tmp_path / "new"
    assert main(["new-dialect", "acme", "--like", "sqlit", "--output", str(folder)]) == 2
    told = capsys.readouterr().err
    assert "sqlite" in told
    assert "did you mean" in told
    assert not folder.exists()
