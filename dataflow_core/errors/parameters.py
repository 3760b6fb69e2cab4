"""DF-1xx: what a node was given."""

from __future__ import annotations

from dataflow_core.errors.base import DataFlowError, Solution


class ParameterError(DataFlowError):
    """A node was given parameters that it cannot use; nothing was sent to the database."""

    title = "Parameters of a node"


class MissingParameter(ParameterError):
    """A parameter or field without a default was not given."""

    code = "DF-101"
    title = "A required parameter is missing"
    causes: tuple[str, ...] = (
        "A field that has no default and is not nullable was left out.",
        "The connection that should feed the parameter was not made.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Give the parameter.", 'db.run_sync("UserCreateNode", name="Ada")'),
        Solution("Give the field a default.", "class User:\n    name: str\n    age: int = 0"),
    )


class InvalidType(ParameterError, TypeError):
    """A value has a type that the field or parameter does not take."""

    code = "DF-102"
    title = "A value has the wrong type"
    causes: tuple[str, ...] = (
        "Text was given where a number, a date or a boolean is declared.",
        "`True` or `False` was given where an integer is declared: they are not numbers here.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Convert the value before it is given; values are never guessed.",
            'db.run_sync("UserCreateNode", name="Ada", age=int("36"))',
        ),
    )


class InvalidValue(ParameterError, ValueError):
    """A value has the right type but cannot be accepted."""

    code = "DF-103"
    title = "A value cannot be accepted"
    causes: tuple[str, ...] = (
        "A number is outside the range of the field, or is not finite.",
        "Text is longer than `max_length`, or holds a NUL character or a lone surrogate.",
        "The value is none of the declared choices.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Give a value that the field can hold.",
            'db.run_sync("UserCreateNode", name="Ada", age=36)',
        ),
        Solution(
            "Declare the field wide enough.", "class User:\n    name: str = field(max_length=500)"
        ),
    )


class ManagedField(ParameterError):
    """A field that DataFlow fills itself was given."""

    code = "DF-104"
    title = "A managed field was given"
    causes: tuple[str, ...] = (
        "`updated_at`, a generated key or a policy's column was written by hand.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Leave the field out; it is filled for you.",
            'db.run_sync("UserUpdateNode", id=1, fields={"name": "Ada"})',
        ),
    )


class UnknownParameter(ParameterError):
    """A node was given a parameter that it does not have."""

    code = "DF-105"
    title = "Unknown parameter"
    causes: tuple[str, ...] = ("The name is misspelt.", "The parameter belongs to another node.")
    solutions: tuple[Solution, ...] = (
        Solution("Use the parameter's name.", 'db.run_sync("UserListNode", order_by=["name"])'),
    )


class UnknownField(ParameterError):
    """A name is no field of the model."""

    code = "DF-106"
    title = "Unknown field"
    causes: tuple[str, ...] = (
        "The name is misspelt.",
        "The column exists in the database but the model does not declare it.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Use a field that the model declares.",
            'db.run_sync("UserListNode", filter={"name": "Ada"})',
        ),
        Solution("Declare the field.", "class User:\n    name: str\n    nickname: str | None"),
    )


class ConflictingParameters(ParameterError):
    """Two parameters were given that cannot be used together."""

    code = "DF-107"
    title = "Parameters exclude each other"
    causes: tuple[str, ...] = (
        "Both the key and a filter were given.",
        "A field was given both by its name and in `values` or `data`.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Give one of the two.", 'db.run_sync("UserReadNode", filter={"name": "Ada"})'),
    )


class LimitExceeded(ParameterError):
    """What was asked is larger than a configured limit."""

    code = "DF-108"
    title = "A limit is exceeded"
    causes: tuple[str, ...] = (
        "A filter is nested too deep or has too many conditions.",
        "A list of values, of sort keys or of stages is too long.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Ask for less at a time.",
            "for start in range(0, len(keys), 1_000):\n"
            "    part = keys[start : start + 1_000]\n"
            '    db.run_sync("UserListNode", filter={"id": {"$in": part}})',
        ),
        Solution(
            "Where it is about the rows of a list, allow more of them.",
            "db = DataFlow(max_rows=50_000)",
        ),
    )


class FilterRequired(ParameterError):
    """An update or delete was asked for without saying which rows."""

    code = "DF-109"
    title = "A filter is required"
    causes: tuple[str, ...] = (
        "Neither a key nor a filter was given.",
        "The filter is empty, which would mean every row.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Say which row.", 'db.run_sync("UserDeleteNode", id=1)'),
        Solution(
            "For every row, say so.",
            'db.run_sync("UserBulkDeleteNode", filter={}, allow_all=True)',
        ),
    )
