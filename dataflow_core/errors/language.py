"""DF-8xx: filters, updates, pipelines, orders and cursors."""

from __future__ import annotations

from dataflow_core.errors.base import DataFlowError, Solution

_FILTER = Solution(
    "Write the field, then the operator and its value.",
    'db.run_sync("UserListNode", filter={"age": {"$gte": 18}, "name": {"$in": ["Ada"]}})',
)


class LanguageError(DataFlowError):
    """A document of the query language cannot be read; nothing was sent to the database."""

    title = "Query language"


class UnknownOperator(LanguageError):
    """A `$name` is no operator, stage, accumulator or expression at this place."""

    code = "DF-801"
    title = "Unknown operator"
    causes: tuple[str, ...] = (
        "The operator is misspelt.",
        "The operator exists, but not at this place: stages, filters and updates differ.",
    )
    solutions: tuple[Solution, ...] = (_FILTER,)


class InvalidFilter(LanguageError):
    """A filter has a form or a value that cannot be read."""

    code = "DF-802"
    title = "A filter cannot be read"
    causes: tuple[str, ...] = (
        "An operator got a value of the wrong form, such as no list for `$in`.",
        "Field names and operators are mixed in one document.",
        "The value does not have the type of the field.",
    )
    solutions: tuple[Solution, ...] = (_FILTER,)


class PatternRefused(LanguageError):
    """A pattern is too long, not valid, or could run without end."""

    code = "DF-803"
    title = "A pattern is refused"
    causes: tuple[str, ...] = (
        "The regular expression is not valid, or uses what not every database knows.",
        "It could take exponential time, such as nested repetitions.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Use the plain text operators, which need no pattern.",
            'db.run_sync("UserListNode", filter={"name": {"$startswith": "A"}})',
        ),
    )


class InvalidUpdate(LanguageError):
    """The `fields` of an update cannot be read or contradict each other."""

    code = "DF-804"
    title = "An update cannot be read"
    causes: tuple[str, ...] = (
        "One field is changed by two operators.",
        "An operator does not fit the type of the field, such as `$inc` on text.",
        "There is nothing to update.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Mix plain values and operators, each field once.",
            'db.run_sync("UserUpdateNode", id=1, fields={"name": "Ada", "$inc": {"age": 1}})',
        ),
    )


class InvalidPipeline(LanguageError):
    """An aggregation pipeline has a stage or an expression that cannot be read."""

    code = "DF-805"
    title = "A pipeline cannot be read"
    causes: tuple[str, ...] = (
        "A stage is not a document with exactly one `$stage`.",
        "An expression names a field that an earlier stage removed.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Write a list of stages.",
            'db.run_sync(\n    "UserListNode",\n    aggregate=[\n'
            '        {"$match": {"active": True}},\n'
            '        {"$group": {"_id": "$department", "users": {"$sum": 1}}},\n'
            '        {"$sort": {"users": -1}},\n    ],\n)',
        ),
    )


class InvalidOrder(LanguageError):
    """The order of rows cannot be read."""

    code = "DF-806"
    title = "An order cannot be read"
    causes: tuple[str, ...] = (
        "A key is no field name, or is given twice.",
        "The field cannot be sorted.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Give field names, with `-` in front for descending.",
            'db.run_sync("UserListNode", order_by=["-created_at", "name"])',
        ),
    )


class InvalidCursor(LanguageError):
    """A cursor was changed, or belongs to another filter or order."""

    code = "DF-807"
    title = "A cursor does not fit"
    causes: tuple[str, ...] = (
        "The cursor was made with another model, filter or order.",
        "The cursor was shortened or changed on its way.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Repeat the call that gave the cursor, and change only the cursor.",
            'page = db.run_sync("UserListNode", order_by=["name"], limit=10)\n'
            'db.run_sync("UserListNode", order_by=["name"], limit=10, '
            'cursor=page["next_cursor"])',
        ),
    )
