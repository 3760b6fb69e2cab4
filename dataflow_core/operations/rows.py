"""What is asked of a database about rows: one frozen class per operation, its values apart.

An operation is its own shape: hashable, compared by structure, without values. Values travel beside
it: ``values`` for slots, ``rows`` for what is written.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from dataflow_core.aggregate.ast import Pipeline
from dataflow_core.filters.ast import EVERYTHING, Predicate, Slot
from dataflow_core.order import SortKey
from dataflow_core.schema import Field, Model
from dataflow_core.updates.ast import Assignment

__all__ = [
    "Aggregate",
    "Count",
    "Create",
    "CreateMany",
    "Delete",
    "DeleteMany",
    "Find",
    "FindRows",
    "Operation",
    "Update",
    "UpdateMany",
    "UpdateRows",
    "Upsert",
]


@frozen(cache_hash=True)
class Create:
    """Insert one row and give it back as stored. ``columns`` are the fields that are written."""

    model: Model
    columns: tuple[Field, ...]


@frozen(cache_hash=True)
class CreateMany:
    """Insert rows; ``conflict`` says what a row does that shares a unique key with a stored one.

    Gives counts, and the keys when ``returning_keys``, or the whole rows when ``returning_rows``.
    """

    model: Model
    columns: tuple[Field, ...]
    conflict: Literal["error", "skip"] = "error"
    returning_keys: bool = False
    returning_rows: bool = False


@frozen(cache_hash=True)
class Find:
    """Rows that pass a filter, sorted, cut. ``columns`` are the fields that come back.

    ``lock`` keeps the rows from changing until the transaction ends. ``paged`` says that the limit
    is the caller's, or that a cursor is: the limit that guards every list is no page.
    """

    model: Model
    columns: tuple[Field, ...]
    filter: Predicate = EVERYTHING
    order: tuple[SortKey, ...] = ()
    limit: Slot | None = None
    offset: Slot | None = None
    distinct: bool = False
    lock: bool = False
    paged: bool = False


@frozen(cache_hash=True)
class FindRows:
    """The rows whose ``keys`` have one of the combinations of values that are given as rows.

    ``columns`` are the fields that come back. ``among`` is a filter, without values, that the rows
    pass. They are locked, as by ``Find``.
    """

    model: Model
    keys: tuple[Field, ...]
    columns: tuple[Field, ...]
    among: Predicate = EVERYTHING


@frozen(cache_hash=True)
class Count:
    """The number of rows that pass a filter; with ``distinct``, of distinct tuples of fields."""

    model: Model
    filter: Predicate = EVERYTHING
    distinct: tuple[Field, ...] = ()


@frozen(cache_hash=True)
class Aggregate:
    """The rows of a pipeline over those that pass a filter."""

    model: Model
    pipeline: Pipeline
    filter: Predicate = EVERYTHING


@frozen(cache_hash=True)
class Update:
    """Change the one row that passes a filter and give it back as it then is.

    More than one match is an error and changes nothing. ``unique`` says that the filter fixes a
    unique key, so that there cannot be more than one.
    """

    model: Model
    filter: Predicate
    assignments: tuple[Assignment, ...]
    unique: bool = False


@frozen(cache_hash=True)
class UpdateMany:
    """Change all rows that pass a filter; gives the number of matches."""

    model: Model
    filter: Predicate
    assignments: tuple[Assignment, ...]


@frozen(cache_hash=True)
class UpdateRows:
    """Set ``columns`` of the rows with the given ``keys``; one statement per row of values."""

    model: Model
    keys: tuple[Field, ...]
    columns: tuple[Field, ...]


@frozen(cache_hash=True)
class Delete:
    """Remove the one row that passes a filter and give it back as it was. See ``Update``."""

    model: Model
    filter: Predicate
    unique: bool = False


@frozen(cache_hash=True)
class DeleteMany:
    """Remove all rows that pass a filter; gives the number of matches."""

    model: Model
    filter: Predicate


@frozen(cache_hash=True)
class Upsert:
    """Insert a row, or, where one with the same ``match`` fields is stored, assign ``updates``.

    ``updates`` are fields set to the value the new row would have had. ``returning`` are the
    fields that come back of every row. ``among`` is the filter, without values, of the unique
    index that ``match`` is: only stored rows that pass it are matched, and new rows pass it.
    """

    model: Model
    columns: tuple[Field, ...]
    match: tuple[Field, ...]
    updates: tuple[Field, ...]
    returning: tuple[Field, ...] = ()
    among: Predicate = EVERYTHING


Operation = (
    Create
    | CreateMany
    | Find
    | FindRows
    | Count
    | Aggregate
    | Update
    | UpdateMany
    | UpdateRows
    | Delete
    | DeleteMany
    | Upsert
)
