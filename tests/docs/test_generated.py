"""The generated parts of the pages are what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import generate

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("kind", generate.WORDS)
def test_each_word_is_described(kind: str) -> None:
    """Each word that the code knows has a line in descriptions.toml, and each line a word."""
    described = set(generate.DESCRIPTIONS[kind])
    known = set(generate.WORDS[kind])
    assert not known - described, "without a description"
    assert not described - known, "described, but unknown to the code"


def test_descriptions_have_no_other_tables() -> None:
    """Each table of descriptions.toml is one that is compared with the code."""
    assert generate.DESCRIPTIONS.keys() == generate.WORDS.keys()


def test_each_page_is_as_the_code_says() -> None:
    """No generated part differs from the code; `python docs/generate.py` writes them anew."""
    stale = [
        page.relative_to(ROOT).as_posix()
        for page in generate.pages()
        if generate.rendered(text := page.read_text(encoding="utf-8")) != text
    ]
    assert not stale


def test_each_generated_part_stands_in_one_page() -> None:
    """Nothing that is generated is missing in the pages, or stands there twice."""
    found = [
        name
        for page in generate.pages()
        for name in generate.names(page.read_text(encoding="utf-8"))
    ]
    assert sorted(found) == sorted(generate.GENERATED)


def test_each_generated_row_says_something() -> None:
    """No cell of the last column, which describes, is empty, but where nothing is to be said."""
    told = ("filters", "updates", "stages", "functions", "options", "field", "settings")
    classes = ("dialect class", "compiler class", "ddl class", "sync driver class")
    for name in (*told, *classes):
        rows = generate.GENERATED[name]().splitlines()[2:]
        assert rows
        assert not [row for row in rows if row.endswith("|  |")], name


def test_examples_name_their_operator() -> None:
    """The example of an operator uses the operator, and is Python."""
    for kind in ("filters", "updates", "stages", "functions"):
        for word, (example, _) in generate.DESCRIPTIONS[kind].items():
            compile(example, word, "eval")
            assert word in example


def test_links_lead_somewhere() -> None:
    """Each link from page to page leads to a file that exists, and to a heading in it."""
    broken = []
    for page in generate.pages():
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def anchors(page: Path) -> set[str]:
    """The anchors that headings of a page and its own `<a>` tags make."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", text).strip().lower().replace(" ", "-") for text in headings}
    return made | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
