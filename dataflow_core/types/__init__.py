"""Field types: what a column may hold, and the one place where a Python value is checked.

``FieldType.check`` takes what a user gave and returns the canonical value, or refuses it. The only
conversions are int to float or Decimal, ISO 8601 text to date, time and datetime, text to UUID, an
enum member to its value; a naive datetime means UTC. Nothing else is ever rewritten.
"""

from dataflow_core.types.base import NEVER, FieldType
from dataflow_core.types.documents import JSON_DEPTH, Json
from dataflow_core.types.fitting import fits, type_of
from dataflow_core.types.numbers import MAX_PRECISION, Decimal, Float, Integer
from dataflow_core.types.plain import Binary, Boolean, Enumeration, Text, Uuid, check_text
from dataflow_core.types.times import Date, Time, Timestamp

__all__ = [
    "JSON_DEPTH",
    "MAX_PRECISION",
    "NEVER",
    "Binary",
    "Boolean",
    "Date",
    "Decimal",
    "Enumeration",
    "FieldType",
    "Float",
    "Integer",
    "Json",
    "Text",
    "Time",
    "Timestamp",
    "Uuid",
    "check_text",
    "fits",
    "type_of",
]
