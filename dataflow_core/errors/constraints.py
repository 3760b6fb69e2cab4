"""DF-703 to DF-708: rows that break a rule of their table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from dataflow_core.errors.base import Outcome, Solution
from dataflow_core.errors.database import DatabaseError

Side = Literal["child", "parent"]


class ConstraintViolation(DatabaseError):
    """A row breaks a rule of its table; the statement changed nothing.

    Parameters:
        message: which rule is broken, without the values of the row.
        table: the table.
        constraint: the name that the model gives the constraint, or None.
        columns: the columns of the constraint; of `OutOfRange`, those that were computed.
        index: the number of the row in a bulk call, from 0, or None.
    """

    title = "A rule of a table is broken"

    def __init__(
        self,
        message: str,
        /,
        *,
        table: str | None = None,
        constraint: str | None = None,
        columns: Iterable[str] = (),
        index: int | None = None,
        suggestion: str | None = None,
        outcome: Outcome | None = "not done",
        **context: Any,
    ) -> None:
        self.table = table
        self.constraint = constraint
        self.columns = tuple(columns)
        self.index = index
        super().__init__(
            message,
            suggestion=suggestion,
            outcome=outcome,
            table=table,
            constraint=constraint,
            columns=self.columns,
            index=index,
            **context,
        )


class UniqueViolation(ConstraintViolation):
    """A row has the same key, or the same unique values, as another row."""

    code = "DF-703"
    title = "A unique value exists already"
    causes: tuple[str, ...] = (
        "The row was created before.",
        "Two rows of a bulk call have the same unique value.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Create or update, whichever is needed.",
            'db.run_sync("UserUpsertNode", id=1, name="Ada")',
        ),
        Solution(
            "Skip the rows that exist.",
            'db.run_sync("UserBulkCreateNode", data=rows, conflict="skip")',
        ),
    )


class ForeignKeyViolation(ConstraintViolation):
    """A row refers to a row that does not exist, or is still referred to.

    Parameters:
        side: `"child"` where the row refers to nothing, `"parent"` where others refer to it,
            None where the database does not tell.
    """

    code = "DF-704"
    title = "A reference is broken"
    causes: tuple[str, ...] = (
        "The row that is referred to does not exist (yet).",
        "The row to be deleted is still referred to.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Create the row that is referred to first.",
            'ada = db.run_sync("UserCreateNode", name="Ada")\n'
            'db.run_sync("OrderCreateNode", user_id=ada["id"])',
        ),
        Solution(
            "Say what happens to the rows that refer to it.",
            'class Order:\n    user_id: int = field(references="User.id", on_delete="cascade")',
        ),
    )

    def __init__(
        self,
        message: str,
        /,
        *,
        side: Side | None = None,
        table: str | None = None,
        constraint: str | None = None,
        columns: Iterable[str] = (),
        index: int | None = None,
        suggestion: str | None = None,
        outcome: Outcome | None = "not done",
        **context: Any,
    ) -> None:
        self.side = side
        super().__init__(
            message,
            table=table,
            constraint=constraint,
            columns=columns,
            index=index,
            suggestion=suggestion,
            outcome=outcome,
            side=side,
            **context,
        )


class NotNullViolation(ConstraintViolation):
    """A column that must have a value was left without one."""

    code = "DF-705"
    title = "A value is missing"
    causes: tuple[str, ...] = (
        "The table demands a value that the model does not.",
        "None was given explicitly.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Give the value.", 'db.run_sync("UserCreateNode", name="Ada")'),
        Solution(
            "Declare the field optional, if the table is the model's own.",
            "class User:\n    name: str | None",
        ),
    )


class CheckViolation(ConstraintViolation):
    """A row breaks a check of its table."""

    code = "DF-706"
    title = "A check of the table failed"
    causes: tuple[str, ...] = ("A value is outside of what the table's check allows.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Look at the checks of the table.", 'print(db.discover_schema()["users"]["checks"])'
        ),
    )


class ValueTooLong(ConstraintViolation):
    """Text or bytes are longer than their column."""

    code = "DF-707"
    title = "A value is too long"
    causes: tuple[str, ...] = ("The column is shorter than the value; values are never cut.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Declare the field long enough.", "class User:\n    name: str = field(max_length=500)"
        ),
    )


class OutOfRange(ConstraintViolation):
    """A number or a date is outside of what its column can hold."""

    code = "DF-708"
    title = "A value is out of range"
    causes: tuple[str, ...] = (
        "The column is narrower than the value.",
        "A sum or an increment left the range.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Declare the field wide enough.",
            "class Account:\n    balance: Decimal = field(precision=30, scale=4)",
        ),
    )
