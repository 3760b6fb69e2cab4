"""The page of the error codes is what the classes say."""

from __future__ import annotations

from pathlib import Path

from dataflow_core.errors import all_errors, docs_link, reference

ROOT = Path(__file__).resolve().parents[3]
COMMAND = (
    "python -c \"from dataflow_core.errors import reference; print(reference(), end='')\" "
    "> docs/reference/errors.md"
)


def test_page_is_up_to_date() -> None:
    """The page in the repository is what the catalogue writes."""
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    assert page == reference(), f"write it again: {COMMAND}"


def test_every_link_has_its_heading() -> None:
    """The link of each error leads to a heading of the page, which names its class."""
    page = reference()
    for kind in all_errors():
        name, _, anchor = docs_link(kind.code).partition("#")
        assert (ROOT / name).is_file()
        assert f"\n### {anchor.upper()}\n\n**`{kind.__name__}`**" in page
        assert f"| [{kind.code}](#{anchor}) | `{kind.__name__}` |" in page
