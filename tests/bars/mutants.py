"""Mutants of a module: each lacks one thing that the module says.

A mutant is the text of the module with one statement removed, one condition always or never met,
one operand, element, keyword argument, choice or decorator left out.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

__all__ = ["Mutant", "mutants_of"]

Change = Callable[[ast.AST], None]


@frozen
class Mutant:
    """``name`` says where and what, without line numbers; ``text`` is the whole module."""

    path: str
    name: str
    text: str


def mutants_of(root: Path, path: str) -> list[Mutant]:
    """All mutants of the module at ``path`` below ``root``."""
    source = (root / path).read_text(encoding="utf-8")
    places = [(number, what) for number, what, _ in _changes(ast.parse(source))]
    found: dict[str, Mutant] = {}
    for at, (_, what) in enumerate(places):
        tree = ast.parse(source)
        change = list(_changes(tree))[at][2]
        change()
        name, again = what, 1
        while name in found:
            again += 1
            name = f"{what} #{again}"
        text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
        found[name] = Mutant(path, name, text)
    return list(found.values())


def _changes(tree: ast.Module) -> Iterator[tuple[int, str, Callable[[], None]]]:
    """Where, what, and how to do it, in the order of the module."""
    pending: list[tuple[Any, str]] = [(tree, "")]
    while pending:
        node, within = pending.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            within = f"{within}.{node.name}" if within else node.name
            for at, decorator in enumerate(node.decorator_list):
                what = f"{within}: without @{ast.unparse(decorator)}"
                yield node.lineno, what, _without(node.decorator_list, at)
        for part, value in ast.iter_fields(node):
            if part in ("annotation", "returns", "args") and not isinstance(node, ast.Call):
                continue
            if part == "decorator_list":
                continue
            if part in ("body", "orelse", "finalbody") and isinstance(value, list):
                yield from _statements(value, within)
        if isinstance(node, ast.expr | ast.comprehension | ast.keyword):
            yield from _expressions(node, within)
        children = [
            child
            for part, value in ast.iter_fields(node)
            if part not in ("annotation", "returns", "decorator_list")
            and not (part == "args" and isinstance(value, ast.arguments))
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST) and not _left_alone(child)
        ]
        pending = [*((child, within) for child in children), *pending]


def _statements(body: list[ast.stmt], within: str) -> Iterator[tuple[int, str, Any]]:
    for at, statement in enumerate(body):
        if _left_alone(statement):
            continue
        what = f"{within}: without '{_first_line(statement)}'"
        yield statement.lineno, what, _replaced(body, at, ast.Pass())
        if isinstance(statement, ast.If):
            test = ast.unparse(statement.test)
            for value in (True, False):
                what = f"{within}: {value} for '{test}'"
                yield statement.lineno, what, _set(statement, "test", ast.Constant(value))


def _expressions(node: Any, within: str) -> Iterator[tuple[int, str, Any]]:
    text = "" if isinstance(node, ast.comprehension) else ast.unparse(node)
    if isinstance(node, ast.BoolOp):
        for at, value in enumerate(node.values):
            what = f"{within}: '{text}' without '{ast.unparse(value)}'"
            neutral = ast.Constant(isinstance(node.op, ast.And))
            yield node.lineno, what, _replaced(node.values, at, neutral)
    elif isinstance(node, ast.IfExp):
        for met in (True, False):
            yield (
                node.lineno,
                f"{within}: {met} for the test of '{text}'",
                _set(node, "test", ast.Constant(met)),
            )
    elif isinstance(node, ast.Call):
        for at, keyword in enumerate(node.keywords):
            what = f"{within}: '{text}' without '{keyword.arg}'"
            yield node.lineno, what, _without(node.keywords, at)
        for at, value in enumerate(node.args):
            if isinstance(value, ast.Starred):
                what = f"{within}: '{text}' without '{ast.unparse(value)}'"
                yield node.lineno, what, _without(node.args, at)
    elif isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Load):
        for at, value in enumerate(node.elts):
            what = f"{within}: '{text}' without '{ast.unparse(value)}'"
            yield node.lineno, what, _without(node.elts, at)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        for side in ("left", "right"):
            what = f"{within}: '{text}' without the {side}"
            other = node.right if side == "left" else node.left
            # The type that is left stands twice.
            yield node.lineno, what, _set(node, side, other)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield (
            node.lineno,
            f"{within}: '{text}' without 'not'",
            _set(node, "operand", ast.UnaryOp(ast.Not(), node.operand)),
        )
    elif isinstance(node, ast.comprehension):
        for at, value in enumerate(node.ifs):
            what = f"{within}: without 'if {ast.unparse(value)}'"
            yield value.lineno, what, _without(node.ifs, at)


def _left_alone(node: ast.AST) -> bool:
    """What says nothing that could be missing, or is missed at once: imports, docstrings, names."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Pass):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def _first_line(node: ast.stmt) -> str:
    return ast.unparse(node).partition("\n")[0]


def _without(items: list[Any], at: int) -> Callable[[], None]:
    def change() -> None:
        del items[at]

    return change


def _replaced(items: list[Any], at: int, other: ast.AST) -> Callable[[], None]:
    def change() -> None:
        items[at] = other

    return change


def _set(node: Any, part: str, other: Any) -> Callable[[], None]:
    def change() -> None:
        setattr(node, part, other)

    return change
