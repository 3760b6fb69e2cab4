"""Changes of rows, told within their transaction: for audit logs, outboxes, change feeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from attrs import frozen

from dataflow_core.schema import Model

__all__ = ["ChangeKind", "ChangeRecorder", "ChangeScope", "RowChange", "RowChanges"]

ChangeKind = Literal["insert", "update", "delete"]

Values = tuple[Any, ...]


@frozen(eq=False, slots=False)
class RowChange:
    """What became of one row.

    Attributes:
        kind: ``insert``, ``update`` or ``delete``.
        before: the row as it was, Python values by field; ``None`` for one that is new.
        after: the row as it is; ``None`` for one that is gone.
    """

    kind: ChangeKind
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@frozen(eq=False)
class RowChanges:
    """Changes of one kind to rows of one model, row by row; iterating gives a ``RowChange`` each.

    Attributes:
        model: the model of the rows.
        kind: ``insert``, ``update`` or ``delete``.
        names: the fields, in the order of the values.
        before: the values of each row as it was; ``None`` of an insert.
        after: those of each row as it is, in the same order of rows; ``None`` of a delete.
    """

    model: Model
    kind: ChangeKind
    names: tuple[str, ...]
    before: Sequence[Values] | None = None
    after: Sequence[Values] | None = None

    def __len__(self) -> int:
        return len(self.after if self.before is None else self.before)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[RowChange]:
        names, nothing = self.names, [None] * len(self)
        for before, after in zip(self.before or nothing, self.after or nothing, strict=True):
            yield RowChange(
                self.kind,
                None if before is None else dict(zip(names, before, strict=True)),
                None if after is None else dict(zip(names, after, strict=True)),
            )


class ChangeScope(Protocol):
    """What a recorder can do: everything happens in the transaction of the changes."""

    @property
    def database(self) -> str:
        """The name of the database within the instance."""
        ...

    @property
    def transaction_id(self) -> str:
        """An id of the transaction: the same for all its changes, and for no others."""
        ...

    @property
    def run_id(self) -> str:
        """The id of the workflow's run that makes the changes; empty outside of workflows."""
        ...

    @property
    def tenant_id(self) -> Any:
        """The tenant in force, or ``None``."""
        ...

    async def insert(self, model: Model, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of a model of the recorder, all with the same fields; nothing comes back."""
        ...

    async def run(self, node: str, /, **parameters: Any) -> dict[str, Any]:
        """Run a node of the instance."""
        ...


@runtime_checkable
class ChangeRecorder(Protocol):
    """Is handed every change of a model's rows; what ``dataflow_change_recorder`` returns.

    An error that it raises undoes the change.
    """

    @property
    def models(self) -> Sequence[Model]:
        """The models whose tables it writes, in the database of the model that it was asked for.

        The instance gets to know them, and makes their tables as those of its other models.
        """
        ...

    async def record(self, changes: RowChanges, scope: ChangeScope) -> Any:
        """Changes were made, or are about to be made by the next statement: note them.

        Called in the order of the changes. What is returned and not ``None`` is kept until the
        commit, unless the change is undone before, by itself or with a savepoint.
        """
        ...

    async def before_commit(self, kept: Sequence[Any], scope: ChangeScope) -> None:
        """The transaction is about to be committed: what ``record`` has returned in it.

        Called once where there is something, last thing in the transaction.
        """
        ...
