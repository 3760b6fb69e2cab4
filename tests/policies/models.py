"""Models under policies, made anew for each instance."""

from __future__ import annotations

import uuid
from typing import Any

from dataflow_core import DataFlow, field

__all__ = ["Author", "Book", "Chapter", "Shelf", "registered"]


class Author:
    name: str
    email: str | None = field(default=None, unique=True)
    visits: int = 0


class Book:
    author_id: int = field(references="Author.id", on_delete="cascade")
    title: str
    pages: int = 1


class Chapter:
    book_id: int = field(references="Book.id", on_delete="cascade")
    title: str


class Shelf:
    id: uuid.UUID
    book_id: int = field(references="Book.id", on_delete="restrict")


def registered(db: DataFlow, options: dict[str, Any], *models: type) -> DataFlow:
    """The instance with the models, under these options."""
    for model in models:
        body = {**vars(model), "__dataflow__": options}
        body = {name: body[name] for name in body if name not in ("__dict__", "__weakref__")}
        db.model(type(model.__name__, (), body), validation="off")
    return db
