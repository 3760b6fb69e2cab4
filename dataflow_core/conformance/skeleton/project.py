"""What every new package has: build file, README, tests, tox, continuous integration."""

from __future__ import annotations

from typing import Final

__all__ = ["FILES"]

FILES: Final = {
    "pyproject.toml": """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "${distribution}"
version = "0.1.0"
description = "${name} for DataFlow"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["${core}>=${version}"${requirements}]

[project.optional-dependencies]
test = ["${core}[conformance]", "mypy>=1.13", "ruff>=0.8"]

[project.entry-points.dataflow]
${name} = "${package}.plugin"

[tool.setuptools]
packages = ["${package}"]

[tool.setuptools.package-data]
${package} = ["py.typed"]

[tool.pytest.ini_options]
testpaths = ["tests"]

[tool.mypy]
strict = true
packages = ["${package}", "tests"]

[tool.ruff]
line-length = 100
target-version = "py311"

[tool.ruff.lint]
select = ["B", "E", "F", "I", "RUF", "UP"]
""",
    "README.md": """
# ${distribution}

The dialect `${name}` of DataFlow: ${about}.

    pip install -e .[test]
    tox

`tox` runs the conformance suite, and the checks of types and style. One case alone:

    dataflow-conformance run ${scheme}://... --case filters.eq.n

Modules:

| module | holds |
| --- | --- |
| `plugin.py` | the declaration: name, URL schemes, options; loads no driver |
| `dialect.py` | what the database offers, how it is opened, what its errors mean |
| `compiler.py` | the SQL, where it is not that of the base compiler |

The dialect is made for contract version ${contract}; the core refuses one that is made for another.
""",
    ".gitignore": """
__pycache__/
*.egg-info/
build/
dist/
.tox/
.mypy_cache/
.pytest_cache/
.ruff_cache/
""",
    "tox.ini": """
[tox]
env_list = py, lint, type

[testenv]
description = the conformance suite
extras = test
pass_env =
    ${environment}
    CONFORMANCE_TOPICS
commands = python -m pytest {posargs}

[testenv:conformance]
description = the conformance suite on the database of a URL: tox -e conformance -- URL
commands = dataflow-conformance run {posargs}

[testenv:lint]
description = rules and format
commands =
    ruff check .
    ruff format --check .

[testenv:type]
description = types, strictly
commands = mypy
""",
    ".github/workflows/conformance.yml": """
name: conformance
on: [push, pull_request]
jobs:
  conformance:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        python: ["3.11", "3.12", "3.13"]
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: $${{ matrix.python }}
      - run: pip install tox
      - run: tox
""",
    "${package}/py.typed": "",
    "${package}/__init__.py": '''
"""${name} for DataFlow. The dialect is declared in ``plugin``; this loads no driver."""
''',
    "tests/__init__.py": "",
    "tests/test_conformance.py": '''
"""The dialect keeps every promise that it makes."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from dataflow_core.conformance import run

from ${package}.plugin import dataflow_test_server

# Separated by commas, to run a part only.
TOPICS = [topic for topic in os.environ.get("CONFORMANCE_TOPICS", "").split(",") if topic]


@pytest.fixture
def url() -> Iterator[str]:
    """An empty database."""
    given = os.environ.get("${environment}")
    if given is not None:
        yield given
        return
    server = dataflow_test_server()
    server.start()
    try:
        made = server.new_database()
        yield made
        server.drop_database(made)
    finally:
        server.stop()


def test_conformance(url: str) -> None:
    """Every claim of the feature table is true."""
    report = asyncio.run(run(url, topics=TOPICS))
    assert report.passed, report.to_text()
''',
}
