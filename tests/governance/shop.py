"""A shop with persons, what is theirs, what they share, and what is nobody's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dataflow_core import DataFlow, field

ADA, BOB = 1, 2


class User:
    __dataflow__ = {"timestamps": False}

    name: str = field(personal=True)
    email: str | None = field(unique=True, personal=True)
    boss_id: int | None = field(references="User.id")


class Product:
    """Shared by all: nothing leads from it to a person."""

    __dataflow__ = {"timestamps": False}

    title: str


class Order:
    __dataflow__ = {"timestamps": False}

    user_id: int = field(references="User.id")
    address: str = field(personal=True)
    total: int = field(retain="tax law")


class Item:
    __dataflow__ = {"timestamps": False}

    order_id: int = field(references="Order.id")
    product_id: int = field(references="Product.id")
    note: str | None = field(personal=True)


class Post:
    __dataflow__ = {"timestamps": False}

    author_id: int = field(references="User.id")
    text: str = field(personal=True)
    answers_id: int | None = field(references="Post.id")


class Comment:
    __dataflow__ = {"timestamps": False}

    post_id: int = field(references="Post.id")
    author_id: int | None = field(references="User.id")
    text: str = field(personal=True)


MODELS = (User, Product, Order, Item, Post, Comment)


def opened(url: str, *more: type, **options: Any) -> DataFlow:
    """An instance with the models of the shop, and others."""
    db = DataFlow(url, enable_model_persistence=False, validation="off", **options)
    for model in (*MODELS, *more):
        # Each instance gets a class of its own, as a decorator would give it.
        db.model(type(model.__name__, (model,), {"__module__": __name__}))
    return db


@asynccontextmanager
async def shop(url: str, *more: type, **options: Any) -> AsyncIterator[DataFlow]:
    """The shop: Ada and Bob, an order of each with two items, a post of each with a comment."""
    async with opened(url, *more, **options) as db:
        await fill(db)
        yield db


async def fill(db: DataFlow) -> None:
    """Write the rows."""
    for name, boss in (("Ada", None), ("Bob", ADA)):
        await db.run("UserCreateNode", name=name, email=f"{name.lower()}@example.org", boss_id=boss)
    await db.run("ProductBulkCreateNode", data=[{"title": "chair"}, {"title": "desk"}])
    for user in (ADA, BOB):
        await db.run("OrderCreateNode", user_id=user, address=f"{user} High Street", total=50)
        items = [{"product_id": 1, "note": f"for {user}"}, {"product_id": 2, "note": None}]
        await db.run("ItemBulkCreateNode", data=items, order_id=user)
        await db.run("PostCreateNode", author_id=user, text=f"post of {user}", answers_id=None)
        await db.run("CommentCreateNode", post_id=user, author_id=None, text=f"below {user}")


async def rows(db: DataFlow, model: str) -> list[dict[str, Any]]:
    """All rows of a model."""
    found: list[dict[str, Any]] = (await db.run(f"{model}ListNode"))["records"]
    return found


async def everything(db: DataFlow) -> dict[str, list[dict[str, Any]]]:
    """All rows of all models."""
    return {model: await rows(db, model) for model in db.list_models()}


def done(deleted: int = 0, anonymized: int = 0, kept: int = 0) -> dict[str, int]:
    """The counts of a model."""
    return {"deleted": deleted, "anonymized": anonymized, "kept": kept}
