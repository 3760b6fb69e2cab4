"""Violations of constraints as typed errors that name table and columns; nothing changes."""

from __future__ import annotations

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
    call = session.run(model, "Create", id=1, email="b")
    await session.expect_error(
        UniqueViolation, lambda: call, table=model.table, columns=("id",), outcome="not done"
    )
    session.equal(await session.rows(model), rows)


@case("constraints.unique.field", feature=_ERRORS)
async def unique_field(session: Session) -> None:
    """A unique value that is taken is UniqueViolation with its column, by create and by update."""
    model = session.model(Person)
    await session.load(model, [{"id": 1, "email": "a"}, {"id": 2, "email": "b"}])
    for call in (
        session.run(model, "Create", id=3, email="a"),
        session.run(model, "Update", id=2, fields={"email": "a"}),
    ):
        await session.expect_error(UniqueViolation, lambda call=call: call, columns=("email",))  # type: ignore[misc]
    session.equal([row["email"] for row in await session.rows(model)], ["a", "b"])


@case("constraints.unique.several", feature=_ERRORS)
async def unique_several(session: Session) -> None:
    """A unique key of several fields names all of them."""
    model = session.model(Person)
    await session.load(model, [{"id": 1, "first": "a", "last": "b"}, {"id": 2, "first": "a", "last": "c"}])
    call = session.run(model, "Create", id=3, first="a", last="b")
    await session.expect_error(UniqueViolation, lambda: call, columns=("first", "last"))


@case("constraints.unique.null", feature=_ERRORS)
async def unique_null(session: Session) -> None:
    """Null is never a duplicate."""
    model = session.model(Person)
    await session.load(model, [{"id": 1}, {"id": 2}, {"id": 3, "first": "a"}, {"id": 4, "first": "a"}])
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
    call = session.run(model, "BulkUpdate", filter={"id": {"$gt": 0}}, fields={"email": "c"})
    await session.expect_error(UniqueViolation, lambda: call, columns=("email",))
    session.equal(await session.rows(model), rows)


@case("constraints.not_null", feature=_ERRORS)
async def not_null(session: Session) -> None:
    """Null for a field that takes none is refused before SQL; a computed null is NotNullViolation."""
    model = session.model(Person)
    rows = await session.load(model, [{"id": 1, "required": 5}])
    call = session.run(model, "Create", id=2, required=None)
    await session.expect_error(InvalidType, lambda: call, sent=False)
    fields = {"required": {"$mod": ["$required", 0]}}
    call = session.run(model, "Update", id=1, fields=fields)
    await session.expect_error(NotNullViolation, lambda: call, columns=("required",))
    session.equal(await session.rows(model), rows)


@case("constraints.required", feature=_ERRORS)
async def required(session: Session) -> None:
    """A required field that is not given is refused before SQL."""

    class Required:
        id: int
        name: str

    model = session.model(Required)
    await session.run(model, "Count", filter={})
    call = session.run(model, "Create", id=1)
    await session.expect_error(MissingParameter, lambda: call, sent=False)


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
    for call in (
        session.run(book, "Create", id=12, author_id=99),
        session.run(book, "Update", id=10, fields={"author_id": 99}),
    ):
        await session.expect_error(
            ForeignKeyViolation, lambda call=call: call, side="child", columns=("author_id",)  # type: ignore[misc]
        )
    rows = await session.rows(book)
    session.equal([row["author_id"] for row in rows], [1, None])


@case("constraints.foreign_key.parent", feature=_FOREIGN)
async def foreign_parent(session: Session) -> None:
    """A row that is referred to cannot be deleted: ForeignKeyViolation on the parent's side."""
    author, book = await _library(session, "no_action")
    call = session.run(author, "Delete", id=1)
    await session.expect_error(ForeignKeyViolation, lambda: call, side="parent")
    session.equal(len(await session.rows(author)), 2)
    await session.run(book, "Delete", id=10)
    await session.run(author, "Delete", id=1)


@case("constraints.foreign_key.restrict", feature=_FOREIGN)
async def restrict(session: Session) -> None:
    """on_delete='restrict' keeps the row that is referred to."""
    author, _ = await _library(session, "restrict")
    call = session.run(author, "BulkDelete", filter={"id": {"$in": [1, 2]}})
    await session.expect_error(ForeignKeyViolation, lambda: call)
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
    """A check of a field holds for create, update and bulk; null passes where the filter lets it."""

    class Checked:
        id: int
        age: int | None = field(default=None, check={"$gte": 0})

    model = session.model(Checked)
    await session.load(model, [{"id": 1, "age": 0}])
    for call in (
        session.run(model, "Create", id=2, age=-1),
        session.run(model, "Update", id=1, fields={"$inc": {"age": -1}}),
        session.run(model, "BulkCreate", data=[{"id": 3, "age": 1}, {"id": 4, "age": -5}]),
    ):
        await session.expect_error(CheckViolation, lambda call=call: call, table=model.table)  # type: ignore[misc]
    session.equal([row["age"] for row in await session.rows(model)], [0])


@case("constraints.check.model", feature="constraints.check")
async def check_model(session: Session) -> None:
    """A named check of a model compares fields and is named in the error."""

    class Span:
        __dataflow__ = {  # noqa: RUF012 - a model's options are read only
            "checks": {"span_is_forward": {"$expr": {"$lte": ["$low", "$high"]}}}
        }
        id: int
        low: int
        high: int

    model = session.model(Span)
    await session.load(model, [{"id": 1, "low": 1, "high": 1}])
    call = session.run(model, "Create", id=2, low=2, high=1)
    error = await session.expect_error(CheckViolation, lambda: call)
    name = getattr(error, "constraint", None)
    session.true(bool(name) and "span_is_forward" in str(name), f"the constraint is called {name!r}")


@case("constraints.not_found", feature=_ERRORS)
async def not_found(session: Session) -> None:
    """Reading a row that is not there is RecordNotFound, or found: False on request."""
    model = session.model(Person)
    call = session.run(model, "Read", id=1)
    await session.expect_error(RecordNotFound, lambda: call)
    quiet = await session.run(model, "Read", id=1, raise_on_not_found=False)
    session.equal((quiet["found"], quiet["result"]), (False, None))
    gone = await session.run(model, "Delete", id=1)
    session.equal((gone["deleted"], gone["result"]), (False, None))
