"""What the engine asks of whoever sees to the tables of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from dataflow_core.errors import (
    InvalidModel,
    SchemaChangeRefused,
    SchemaMismatch,
    TableMissing,
    UnsupportedFeature,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dataflow_core.contract import Dialect
    from dataflow_core.run.session import Session
    from dataflow_core.schema import Model

__all__ = ["TABLE_ERRORS", "ModelAdapted", "TableKeeper"]


class ModelAdapted(Exception):
    """The table of a model is not one of this project's, and another model has taken its place.

    No error: what was asked for is asked again of the nodes, which have the other model now.
    """


TABLE_ERRORS: Final = (
    ModelAdapted,
    SchemaMismatch,
    TableMissing,
    SchemaChangeRefused,
    InvalidModel,
    UnsupportedFeature,
)
"""What is wrong with one model's table: nothing was sent that changes anything."""


class TableKeeper(Protocol):
    """Sees to the tables of the models of one database."""

    models: Callable[[], Iterable[Model]]
    """The models of the database."""
    ready: set[Model]
    """The models whose tables were seen to."""

    @property
    def writes(self) -> bool:
        """Whether it may write anything at all."""
        ...

    def pending(self) -> list[Model]:
        """The models whose tables have not been looked at."""
        ...

    async def prepare(
        self, model: Model, session: Session, dialect: Dialect, *, writable: bool = True
    ) -> list[Model]:
        """See to the table of a model and those it refers to; those that were changed."""
        ...
