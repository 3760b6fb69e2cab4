"""A workflow as a picture: Mermaid text, and HTML for notebooks. Parameter values are left out."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from dataflow_core.workflow.graph import ORDER_ONLY

if TYPE_CHECKING:
    from dataflow_core.workflow.graph import Workflow

__all__ = ["html", "mermaid"]

# Mermaid writes a character as its number between `#` and `;`. `%%` would start a comment.
_SPECIAL: Final = '#&"<>`|[](){}\\%'


def mermaid(workflow: Workflow) -> str:
    """The workflow as a Mermaid flow chart; a dotted arrow carries only the order, and the nodes of
    a transaction stand in a box of its name."""
    names = {node_id: f"n{number}" for number, node_id in enumerate(workflow.nodes)}
    boxes = {
        node_id: f'{names[node_id]}["{_label(node_id)}<br/>{_label(node.type.name)}"]'
        for node_id, node in workflow.nodes.items()
    }
    lines = ["flowchart TD"]
    for number, part in enumerate(workflow.parts):
        lines.append(f'    subgraph t{number}["transaction {_label(part.name)}"]')
        lines += [f"        {boxes.pop(node_id)}" for node_id in part.nodes]
        lines.append("    end")
    lines += [f"    {box}" for box in boxes.values()]
    for connection in workflow.connections:
        source, target = names[connection.source], names[connection.target]
        if connection.parameter == ORDER_ONLY:
            lines.append(f"    {source} -.-> {target}")
        else:
            text = f"{_label(connection.output.text)} to {_label(connection.parameter)}"
            lines.append(f'    {source} -->|"{text}"| {target}')
    return "\n".join(lines) + "\n"


def html(workflow: Workflow) -> str:
    """The workflow as a table in sequential order, with the Mermaid text folded below it."""
    fed: dict[str, list[str]] = {node_id: [] for node_id in workflow.nodes}
    for connection in workflow.connections:
        fed[connection.target].append(
            f"{connection.parameter} from {connection.source}.{connection.output.text}"
        )
    cells = {
        node_id: f"<td>{_text(part.name)}</td>" for part in workflow.parts for node_id in part.nodes
    }
    head, empty = ("<th>transaction</th>", "<td></td>") if workflow.parts else ("", "")
    rows = [
        f"<tr><td>{number}</td><td>{_text(node_id)}</td>"
        f"<td>{_text(workflow.nodes[node_id].type.name)}</td>"
        f"{cells.get(node_id, empty)}"
        f"<td>{'<br>'.join(map(_text, fed[node_id]))}</td></tr>"
        for number, node_id in enumerate(workflow.order, 1)
    ]
    return (
        "<table><thead><tr><th></th><th>node</th><th>type</th>"
        f"{head}<th>connected</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
        f"<details><summary>Mermaid</summary><pre>{_text(mermaid(workflow))}</pre></details>"
    )


def _label(text: str) -> str:
    return "".join(
        f"#{ord(character)};" if character in _SPECIAL or not character.isprintable() else character
        for character in text
    )


def _text(text: str) -> str:
    return escape(text, quote=True)
