"""Nodes: what a workflow is made of."""

from dataflow_core.nodes.base import Context, Effect, NodeType, Output, Parameter

__all__ = ["Context", "Effect", "NodeType", "Output", "Parameter"]
