"""What was found of a model and its table."""

from __future__ import annotations

from attrs import frozen

from dataflow_core.evolve.compare import Comparison
from dataflow_core.evolve.registry import Record
from dataflow_core.schema import Model
from dataflow_core.schema.definition import checksum, definition_of
from dataflow_core.schema.tables import Table

__all__ = ["Finding"]


@frozen
class Finding:
    """What was found of one model: its table, what is recorded of it, what differs."""

    model: Model
    table: Table | None
    records: tuple[Record, ...]
    differing: Comparison

    @property
    def latest(self) -> Record | None:
        """The latest record of the model."""
        return self.records[-1] if self.records else None

    @property
    def is_older(self) -> bool:
        """Whether the model is a shape that the table had before: an older program is running."""
        own = checksum(definition_of(self.model))
        return any(record.checksum == own for record in self.records[:-1])

    @property
    def fits(self) -> bool:
        """Whether nothing is to be done."""
        return self.table is not None and not self.differing.steps and not self.differing.problems
