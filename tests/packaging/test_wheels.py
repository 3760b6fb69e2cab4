"""The wheels hold what they should and work away from the checkout."""

from __future__ import annotations

import configparser
import zipfile
from pathlib import Path

import pytest

from tests.docs import snippets
from tests.packaging.building import ROOT, environment, metadata, projects, run

pytestmark = pytest.mark.timeout(400)


def test_each_wheel_has_one_import_name(wheels: dict[str, Path]) -> None:
    """A wheel installs exactly one top-level name, its own, and nothing called `dataflow`."""
    for name, wheel in wheels.items():
        tops = {entry.partition("/")[0] for entry in zipfile.ZipFile(wheel).namelist()}
        assert {top for top in tops if not top.endswith(".dist-info")} == {name}


def test_each_wheel_holds_its_modules_and_no_more(wheels: dict[str, Path]) -> None:
    """A wheel holds every module of its package and py.typed; no tests, no build files."""
    for name, wheel in wheels.items():
        entries = {
            entry
            for entry in zipfile.ZipFile(wheel).namelist()
            if not entry.partition("/")[0].endswith(".dist-info")
        }
        folder = ROOT / (name if name == "dataflow_core" else projects()[name])
        expected = {
            f"{name}/{file.relative_to(folder).as_posix()}"
            for file in folder.rglob("*.py")
            if "build" not in file.relative_to(folder).parts
        }
        assert entries == {*expected, f"{name}/py.typed"}
        tests = [
            entry
            for entry in entries
            if "/tests/" in entry or Path(entry).name.startswith(("test_", "conftest"))
        ]
        assert not tests


def test_each_plugin_wheel_declares_its_entry_point(wheels: dict[str, Path]) -> None:
    """Every distribution but the core has entry points in group `dataflow`, to modules it holds."""
    for name, wheel in wheels.items():
        archive = zipfile.ZipFile(wheel)
        declared = [entry for entry in archive.namelist() if entry.endswith("/entry_points.txt")]
        if name == "dataflow_core":
            continue
        (file,) = declared
        parser = configparser.ConfigParser()
        parser.read_string(archive.read(file).decode())
        assert parser["dataflow"], f"{name} has no entry point in group dataflow"
        for target in parser["dataflow"].values():
            module = target.partition(":")[0].replace(".", "/")
            assert {f"{module}.py", f"{module}/__init__.py"} & set(archive.namelist())


def test_core_needs_attrs_and_pluggy_only() -> None:
    """The core's runtime requirements are attrs and pluggy."""
    requirements = metadata(Path())["dependencies"]
    assert isinstance(requirements, list)
    assert {entry.partition(">")[0] for entry in requirements} == {"attrs", "pluggy"}


def test_extras_name_distributions_of_this_repository() -> None:
    """An extra that names a first-party distribution names one that exists here."""
    known = {metadata(project)["name"] for project in projects().values()}
    extras = metadata(Path())["optional-dependencies"]
    assert isinstance(extras, dict)
    for extra, requirements in extras.items():
        for requirement in requirements:
            name = requirement.partition("[")[0].partition(">")[0]
            assert not name.startswith("dataflow") or name in known, f"extra {extra}: {requirement}"


def test_quick_start_runs_from_the_wheels(wheels: dict[str, Path], tmp_path: Path) -> None:
    """The README's quick start runs in a clean environment that has only the wheels."""
    blocks = snippets.python_blocks((ROOT / "README.md").read_text("utf-8"))
    quick_start = next(block for block in blocks if block.comment == "quickstart")
    commands = environment(tmp_path / "environment", *wheels.values())
    python = commands / "python"
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    where = "import dataflow_core; print(dataflow_core.__file__)"
    assert Path(run(python, "-I", "-c", where, folder=folder)).is_relative_to(commands.parent)
    page = folder / "quickstart.md"
    page.write_text(f"```python\n{quick_start.source}```\n", encoding="utf-8")
    output = run(python, "-I", "-W", "error", Path(snippets.__file__), page, folder=folder)
    assert output.strip(), "the quick start prints something"
    command = commands / "dataflow-conformance"
    assert "17 pass" in run(command, ":memory:", "--topic", "paging", "-n", "2", folder=folder)
