"""CREATE TABLE for DuckDB: keys count by a sequence, lengths are checked."""

from __future__ import annotations

from dataflow_core.dialect import BaseDDLCompiler
from dataflow_core.schema import Field, Model
from dataflow_core.types import FieldType, Text
from dataflow_duckdb.compiler import column_type, sequence

__all__ = ["DuckDBDDLCompiler"]


class DuckDBDDLCompiler(BaseDDLCompiler):
    """Compiles schema operations."""

    def column_type(self, kind: FieldType) -> str:
        """The type of a column."""
        return column_type(kind)

    def before_table(self, model: Model) -> list[str]:
        """A sequence for a key that the database counts."""
        return [
            f"CREATE SEQUENCE IF NOT EXISTS {self.compiler.quote(sequence(field, model))}"
            for field in model.primary_key
            if field.generated == "database"
        ]

    def generated_key(self, field: Field, model: Model) -> str:
        """The next number of the sequence."""
        name = self.compiler.quote(sequence(field, model))
        return f"DEFAULT nextval({self.compiler.literal(name, None)})"

    def checks(self, model: Model) -> list[tuple[str, str]]:
        """DuckDB tells what a failed check says but not its name, so that the check says it."""
        return [
            (name, f"({condition}) OR {self.compiler.literal(name, None)} IS NULL")
            for name, condition in super().checks(model)
        ]

    def type_checks(self, field: Field) -> list[tuple[str, str]]:
        """DuckDB accepts VARCHAR(10) and does not keep to it."""
        checks = super().type_checks(field)
        if isinstance(field.type, Text) and field.type.max_length is not None:
            length = f"length({self.compiler.quote(field.column)})"
            checks.append(("length", f"{length} <= {field.type.max_length}"))
        return checks
