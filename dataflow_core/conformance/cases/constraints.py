"""Violations of constraints as typed errors that name table and columns; nothing changes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dataflow_core.conformance.registry import case
from dataflow_core.errors import (
    CheckViolation,
    ForeignKeyViolation,
    InvalidType,
    MissingParameter,
    NotNullViolation,
    RecordNotFound,
    UniqueViolation,
)
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_ERRORS = "constraints.errors"
_FOREIGN = "constraints.foreign_key"


class Person:
    """Unique fields."""

    __dataflow__ = {"unique": [["first", "last"]]}  # noqa: RUF012 - a model's options are read only
    id: int
    email: str | None = field(default=None, unique=True)
    first: str | None = None
    last: str | None = None
    required: int = 0


class Author:
    """What is referred to."""

    id: int
    name: str = ""


@case("constraints.unique.key", feature=_ERRORS)
async def unique_key(session: Session) -> None:
    """A key that is taken is UniqueViolation with table and column; nothing changes."""
    model = session.model(Person)
    rows = await session.load(model, [{"id": 1, "email": "a"}])
    call = partial(session.run, model, "Create", id=1, email="b")
    await session.expect_error(
        UniqueViolation, call, table=model.table, columns=("id",), outcome="not done"
    )
    session.equal(await session.rows(model), rows)


@case("constraints.unique.field", feature=_ERRORS)
async def unique_field(session: Session) -> None:
    """A unique value that is taken is UniqueViolation with its column, by create and by update."""
    model = session.model(Person)
    await session.load(model, [{"id": 1, "email": "a"}, {"id": 2, "email": "b"}])
    for kind, parameters in (
        ("Create", {"id": 3, "email": "a"}),
        ("Update", {"id": 2, "fields": {"email": "a"}}),
    ):
        call = partial(session.run, model, kind, **parameters)
        await session.expect_error(UniqueViolation, call, columns=("email",))
    session.equal([row["email"] for row in await session.rows(model)], ["a", "b"])


@case("constraints.unique.several", feature=_ERRORS)
async def unique_several(session: Session) -> None:
    """A unique key of several fields names all of them."""
    model = session.model(Person)
    await session.load(
        model, [{"id": 1, "first": "a", "last": "b"}, {"id": 2, "first": "a", "last": "c"}]
    )
    call = partial(session.run, model, "Create", id=3, first="a", last="b")
    await session.expect_error(UniqueViolation, call, columns=("first", "last"))


@case("constraints.unique.null", feature=_ERRORS)
async def unique_null(session: Session) -> None:
    """Null is never a duplicate."""
    model = session.model(Person)
    await session.load(
        model, [{"id": 1}, {"id": 2}, {"id": 3, "first": "a"}, {"id": 4, "first": "a"}]
    )
    session.equal(len(await session.rows(model)), 4)


@case("constraints.unique.case", feature=_ERRORS)
async def unique_case(session: Session) -> None:
    """Unique text is unique by code point: 'a', 'A', 'á' and 'a ' stand beside each other."""
    model = session.model(Person)
    emails = ("a", "A", "á", "a ", "ß", "ss", "😀", "😃", "a\u0301")
    await session.load(model, [{"id": n, "email": email} for n, email in enumerate(emails)])
    session.equal(len(await session.rows(model)), len(emails))


@case("constraints.unique.bulk_update", feature=_ERRORS)
async def unique_bulk_update(session: Session) -> None:
    """A bulk update that makes two rows equal is UniqueViolation, and no row changes."""
    model = session.model(Person)
    rows = await session.load(model, [{"id": 1, "email": "a"}, {"id": 2, "email": "b"}])
    call = partial(
        session.run, model, "BulkUpdate", filter={"id": {"$gt": 0}}, fields={"email": "c"}
    )
    await session.expect_error(UniqueViolation, call, columns=("email",))
    session.equal(await session.rows(model), rows)


@case("constraints.not_null", feature=_ERRORS)
async def not_null(session: Session) -> None:
    """Null where none is taken is refused before SQL; a computed null is NotNullViolation."""
    model = session.model(Person)
    rows = await session.load(model, [{"id": 1, "required": 5}])
    call = partial(session.run, model, "Create", id=2, required=None)
    await session.expect_error(InvalidType, call, sent=False)
    fields = {"required": {"$mod": ["$required", 0]}}
    call = partial(session.run, model, "Update", id=1, fields=fields)
    await session.expect_error(NotNullViolation, call, columns=("required",))
    session.equal(await session.rows(model), rows)


@case("constraints.required", feature=_ERRORS)
async def required(session: Session) -> None:
    """A required field that is not given is refused before SQL."""

    class Required:
        id: int
        name: str

    model = session.model(Required)
    await session.run(model, "Count", filter={})
    call = partial(session.run, model, "Create", id=1)
    await session.expect_error(MissingParameter, call, sent=False)


async def _library(session: Session, on_delete: Any) -> tuple[Any, Any]:
    class Book:
        id: int
        author_id: int | None = field(default=None, references="Author.id", on_delete=on_delete)

    author, book = session.model(Author), session.model(Book)
    await session.load(author, [{"id": 1}, {"id": 2}])
    await session.load(book, [{"id": 10, "author_id": 1}, {"id": 11, "author_id": None}])
    return author, book


@case("constraints.foreign_key.child", feature=_FOREIGN)
async def foreign_child(session: Session) -> None:
    """A reference to a row that is not there is ForeignKeyViolation on the child's side."""
    author, book = await _library(session, "no_action")
    del author
    for kind, parameters in (
        ("Create", {"id": 12, "author_id": 99}),
        ("Update", {"id": 10, "fields": {"author_id": 99}}),
    ):
        call = partial(session.run, book, kind, **parameters)
        await session.expect_error(ForeignKeyViolation, call, side="child", columns=("author_id",))
    rows = await session.rows(book)
    session.equal([row["author_id"] for row in rows], [1, None])


@case("constraints.foreign_key.parent", feature=_FOREIGN)
async def foreign_parent(session: Session) -> None:
    """A row that is referred to cannot be deleted: ForeignKeyViolation on the parent's side."""
    author, book = await _library(session, "no_action")
    call = partial(session.run, author, "Delete", id=1)
    await session.expect_error(ForeignKeyViolation, call, side="parent")
    session.equal(len(await session.rows(author)), 2)
    await session.run(book, "Delete", id=10)
    await session.run(author, "Delete", id=1)


@case("constraints.foreign_key.restrict", feature=_FOREIGN)
async def restrict(session: Session) -> None:
    """on_delete='restrict' keeps the row that is referred to."""
    author, _ = await _library(session, "restrict")
    call = partial(session.run, author, "BulkDelete", filter={"id": {"$in": [1, 2]}})
    await session.expect_error(ForeignKeyViolation, call)
    session.equal(len(await session.rows(author)), 2)


@case("constraints.foreign_key.cascade", feature=_FOREIGN)
async def cascade(session: Session) -> None:
    """on_delete='cascade' deletes what refers to the row."""
    author, book = await _library(session, "cascade")
    await session.run(author, "Delete", id=1)
    session.equal([row["id"] for row in await session.rows(book)], [11])


@case("constraints.foreign_key.set_null", feature=_FOREIGN)
async def set_null(session: Session) -> None:
    """on_delete='set_null' clears the reference."""
    author, book = await _library(session, "set_null")
    await session.run(author, "Delete", id=1)
    session.equal([row["author_id"] for row in await session.rows(book)], [None, None])


@case("constraints.check.field", feature="constraints.check")
async def check_field(session: Session) -> None:
    """A check of a field holds for create, update and bulk create."""

    class Checked:
        id: int
        age: int | None = field(default=None, check={"$gte": 0})

    model = session.model(Checked)
    await session.load(model, [{"id": 1, "age": 0}])
    for kind, parameters in (
        ("Create", {"id": 2, "age": -1}),
        ("Update", {"id": 1, "fields": {"$inc": {"age": -1}}}),
        ("BulkCreate", {"data": [{"id": 3, "age": 1}, {"id": 4, "age": -5}]}),
    ):
        call = partial(session.run, model, kind, **parameters)
        await session.expect_error(CheckViolation, call, table=model.table)
    session.equal([row["age"] for row in await session.rows(model)], [0])


@case("constraints.check.model", feature="constraints.check")
async def check_model(session: Session) -> None:
    """A named check of a model holds for several fields and is named in the error."""

    class Span:
        __dataflow__ = {  # noqa: RUF012 - a model's options are read only
            "checks": {
                "span_is_small": {"$or": [{"low": {"$lt": 10}}, {"high": {"$in": [10, 11]}}]}
            }
        }
        id: int
        low: int
        high: int

    model = session.model(Span)
    await session.load(model, [{"id": 1, "low": 9, "high": 99}, {"id": 2, "low": 10, "high": 11}])
    call = partial(session.run, model, "Create", id=3, low=10, high=12)
    error = await session.expect_error(CheckViolation, call)
    name = getattr(error, "constraint", None)
    session.true(bool(name) and "span_is_small" in str(name), f"the constraint is called {name!r}")


@case("constraints.not_found", feature=_ERRORS)
async def not_found(session: Session) -> None:
    """Reading a row that is not there is RecordNotFound, or found: False on request."""
    model = session.model(Person)
    call = partial(session.run, model, "Read", id=1)
    await session.expect_error(RecordNotFound, call)
    quiet = await session.run(model, "Read", id=1, raise_on_not_found=False)
    session.equal((quiet["found"], quiet["result"]), (False, None))
    gone = await session.run(model, "Delete", id=1)
    session.equal((gone["deleted"], gone["result"]), (False, None))
