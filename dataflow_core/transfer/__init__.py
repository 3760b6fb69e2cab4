"""Files in and out: CSV and JSON Lines by the core alone, Parquet and Arrow by pyarrow."""

from dataflow_core.transfer.formats import FORMATS, format_of
from dataflow_core.transfer.json_lines import json_rows
from dataflow_core.transfer.source import Source
from dataflow_core.transfer.target import Target

__all__ = ["FORMATS", "Source", "Target", "format_of", "json_rows"]
