"""What is asked of a database about its schema."""

from __future__ import annotations

from attrs import frozen

from dataflow_core.schema import ForeignKey, Model

__all__ = ["CreateTable"]


@frozen
class CreateTable:
    """Make the table of a model, with its constraints and indexes, if it is not there.

    ``foreign_keys`` are those of the model, resolved to tables and columns.
    """

    model: Model
    foreign_keys: tuple[ForeignKey, ...] = ()
