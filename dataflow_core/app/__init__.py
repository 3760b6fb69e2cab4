"""The face: ``DataFlow``."""

from dataflow_core.app.dataflow import DataFlow

__all__ = ["DataFlow"]
