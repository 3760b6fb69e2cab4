"""Workflows as pictures."""

from __future__ import annotations

from html.parser import HTMLParser
from itertools import pairwise

from dataflow_core.workflow import Workflow, WorkflowBuilder
from tests.core.workflow.fakes import FakeOwner

NASTY = '"]; <script>alert(1)</script> | `%% #x\n{}&'


def built(*names: str) -> Workflow:
    """A workflow whose nodes are connected one after the other."""
    owner = FakeOwner(live=False)
    owner.add("EchoNode")
    builder = WorkflowBuilder(owner)
    for name in names:
        builder.add_node("EchoNode", name, {"password": "hunter2"})
    for source, target in pairwise(names):
        builder.add_connection(source, "result.0.id", target, "user_id")
    builder.add_connection(names[0], "result", names[-1], "input")
    return builder.build()


def test_the_diagram_has_nodes_and_arrows():
    """Each node shows id and type, each arrow path and parameter; order only is dotted."""
    assert built("ada", "read").to_mermaid() == (
        "flowchart TD\n"
        '    n0["ada<br/>EchoNode"]\n'
        '    n1["read<br/>EchoNode"]\n'
        '    n0 -->|"result.0.id to user_id"| n1\n'
        "    n0 -.-> n1\n"
    )


def test_names_cannot_break_the_diagram():
    """What Mermaid or HTML would read as its own is written as numbers."""
    lines = built(NASTY, "read").to_mermaid().splitlines()
    assert len(lines) == 5
    label = lines[1].removeprefix('    n0["').removesuffix('<br/>EchoNode"]')
    assert not set('"<>`|[]{}&\n%') & set(label)


def test_the_notebook_shows_a_table():
    """The table lists the nodes in sequential order with what is connected; values are left out."""
    text = built("ada", "read")._repr_html_()
    assert text.index("<td>ada</td>") < text.index("<td>read</td>")
    assert "user_id from ada.result.0.id" in text
    assert "hunter2" not in text


def test_names_cannot_break_the_table():
    """Names are escaped, so that no element comes from them."""
    seen: list[str] = []

    class Elements(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            seen.append(tag)

    Elements().feed(built(NASTY, "read")._repr_html_())
    assert set(seen) == {
        *("table", "thead", "tbody", "tr", "th", "td", "br"),
        *("details", "summary", "pre"),
    }
