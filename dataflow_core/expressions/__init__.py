"""Trees of expressions: parsing, typing, evaluating."""

from dataflow_core.expressions.ast import Call, Expression, FieldValue, Literal, Null

__all__ = ["Call", "Expression", "FieldValue", "Literal", "Null"]
