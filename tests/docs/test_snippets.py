"""The documentation's Python blocks run as they are printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import snippets

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(snippets.__file__)


def pages() -> list[Path]:
    """README.md and everything under docs/ that holds a Python block."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if page.is_file() and "```python" in page.read_text("utf-8")]


def run(
    page: Path, folder: Path, database_url: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one page in a process of its own, warnings as errors, in an empty folder."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("DATAFLOW_")
    }
    environment["PYTHONPATH"] = str(ROOT)
    if database_url is not None:
        environment["DATABASE_URL"] = database_url
    return subprocess.run(
        [sys.executable, "-W", "error", str(RUNNER), str(page)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.timeout(120)
def test_every_page_runs(tmp_path: Path) -> None:
    """Each page's blocks run in order, in one namespace and an empty folder, without a warning."""
    failures = []
    own = {ROOT / "docs" / "how-to" / name for name in ("postgresql.md", "mysql.md")}
    for number, page in enumerate(page for page in pages() if page not in own):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = run(page, folder)
        if result.returncode != 0:
            failures.append(f"{page.relative_to(ROOT)}:\n{result.stdout}{result.stderr}")
    assert not failures, "\n".join(failures)


def test_the_page_on_postgresql_runs(tmp_path: Path, postgres_url: str) -> None:
    """The page's blocks run on PostgreSQL."""
    result = run(ROOT / "docs" / "how-to" / "postgresql.md", tmp_path, postgres_url)
    assert result.returncode == 0, result.stderr


def test_the_page_on_mysql_runs(tmp_path: Path, mysql_url: str) -> None:
    """The page's blocks run on MariaDB or MySQL."""
    result = run(ROOT / "docs" / "how-to" / "mysql.md", tmp_path, mysql_url)
    assert result.returncode == 0, result.stderr


def test_blocks_share_one_namespace_and_may_await(tmp_path: Path) -> None:
    """A later block sees an earlier one's names, and `await` works at the top of a block."""
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n```python\nvalue = 1\n```\n\n```python\nimport asyncio\n"
        "await asyncio.sleep(0)\nprint(value + 1)\n```\n"
    )
    result = run(page, tmp_path)
    assert (result.returncode, result.stdout) == (0, "2\n"), result.stderr


def test_a_block_can_be_a_file(tmp_path: Path) -> None:
    """A block that begins with a path is written there and imported; others see what it defines."""
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n```python\n# outer/made_package/one.py\nvalue = 1\n```\n\n```python\n"
        "# outer/made_package/two.py\nfrom made_package.one import value\n\nvalue += 1\n```\n\n"
        "```python\nprint(value)\n```\n"
    )
    result = run(page, tmp_path)
    assert (result.returncode, result.stdout) == (0, "2\n"), result.stderr
    assert (tmp_path / "outer/made_package/one.py").is_file()


def test_a_failing_block_names_its_line(tmp_path: Path) -> None:
    """A block that fails makes the page fail, and the traceback names the page's line."""
    page = tmp_path / "page.md"
    page.write_text("# Page\n\ntext\n\n```python\nvalue = 1\nvalue / 0\n```\n")
    result = run(page, tmp_path)
    assert result.returncode == 1
    assert "line 7" in result.stderr
    assert "ZeroDivisionError" in result.stderr


def test_no_run_is_compiled_only(tmp_path: Path) -> None:
    """A block marked no-run does not run, but must be valid Python."""
    page = tmp_path / "page.md"
    page.write_text("<!-- no-run: needs a server -->\n```python\nraise SystemExit(3)\n```\n")
    assert run(page, tmp_path).returncode == 0
    page.write_text("<!-- no-run: needs a server -->\n```python\nvalue = = 1\n```\n")
    assert "SyntaxError" in run(page, tmp_path).stderr


def test_no_run_needs_a_reason() -> None:
    """A no-run comment without a reason is refused."""
    with pytest.raises(ValueError, match="reason"):
        snippets.python_blocks("<!-- no-run -->\n```python\npass\n```\n")


def test_only_blocks_marked_python_count() -> None:
    """Other languages and unmarked blocks are left alone; an indented block is taken out."""
    text = "```sh\nls\n```\n\n- item\n\n  ```python\n  x = 1\n  ```\n\n```\nplain\n```\n"
    blocks = snippets.python_blocks(text)
    assert [(block.line, block.source) for block in blocks] == [(8, "x = 1\n")]
