"""What a page says that its code prints is printed."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tests.docs import test_snippets

SAID = re.compile(r"^It prints:\n\n((?:    .*\n)+)", re.MULTILINE)


def said(page: Path) -> list[str]:
    """The outputs that a page shows."""
    return [textwrap.dedent(text) for text in SAID.findall(page.read_text(encoding="utf-8"))]


PAGES = [page for page in test_snippets.pages() if said(page)]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    """Each block after "It prints:" is part of what the page's code prints."""
    result = test_snippets.run(page, tmp_path)
    assert result.returncode == 0, result.stderr
    for text in said(page):
        assert text in result.stdout


def test_readme_and_tutorial_show_what_is_printed() -> None:
    """The first pages that a newcomer reads show outputs."""
    assert {"README", "tutorial"} <= {page.stem for page in PAGES}
