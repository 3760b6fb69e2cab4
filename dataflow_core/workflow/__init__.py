"""Workflows: nodes and their connections, put together, checked, and run."""

from __future__ import annotations

from dataflow_core.workflow.builder import WorkflowBuilder
from dataflow_core.workflow.graph import Workflow
from dataflow_core.workflow.runtime import AsyncLocalRuntime, LocalRuntime

__all__ = ["AsyncLocalRuntime", "LocalRuntime", "Workflow", "WorkflowBuilder"]
