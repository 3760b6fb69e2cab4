"""The workflow that is being run, for whoever has to know within an operation."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

__all__ = ["workflow_run"]

workflow_run: Final[ContextVar[str]] = ContextVar("dataflow_workflow_run", default="")
"""The id of the run; empty outside of workflows."""
