"""Conditions on places inside JSON: sent as text, tested in Python by the filters' own definition.

SQLite's JSON functions read numbers and quoted names differently from one version to the next, so a
leaf travels as a small JSON tree with its operands, and ``dataflow_json_matches`` tests it.
"""

from __future__ import annotations

from typing import Any

from dataflow_core.compile import BaseCompiler, Build
from dataflow_core.dialect import json_condition, json_operand, json_operands
from dataflow_core.filters import Predicate

__all__ = ["json_predicate"]


def json_predicate(compiler: BaseCompiler, node: Predicate, build: Build) -> str:
    """The SQL of a leaf on a place inside JSON."""
    target: Any = getattr(node, "target", None)
    operands = [build.bind(slot, json_operand(node, slot)) for slot in json_operands(node)]
    condition = compiler.literal(json_condition(node), None)
    arguments = [build.column(target.field), condition, *operands]
    return f"dataflow_json_matches({', '.join(arguments)})"
