"""Models whose rows go into files and come from there, and an instance that has them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from dataflow_core import DataFlow, field
from tests.sqlite.shop import Colour, idle

ENDINGS = ("csv", "jsonl", "parquet", "arrow")


class Article:
    """A field of every type."""

    i: int | None
    s: int | None = field(default=None, bits=32)
    f: float | None
    d: Decimal | None
    wide: Decimal | None = field(default=None, precision=38, scale=10)
    b: bool | None
    t: str | None
    must: str = ""
    raw: bytes | None
    m: datetime | None
    day: date | None
    clock: time | None
    u: uuid.UUID | None
    j: dict | None
    items: list | None
    colour: Colour | None


class Person:
    """Few fields, with rules."""

    name: str = field(unique=True)
    age: int = field(default=0, check={"$gte": 0})
    __dataflow__ = {"timestamps": False}


ROWS: list[dict[str, Any]] = [
    {},
    {
        "i": 2**63 - 1, "s": -(2**31), "f": 1e-300, "d": Decimal("-99999999999999.9999"),
        "wide": Decimal("1234567890123456789012345678.0123456789"), "b": True, "t": "", "raw": b"",
        "m": datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=UTC), "day": date(1, 1, 1),
        "clock": time(23, 59, 59, 999999), "u": uuid.UUID(int=7), "j": {"a": [1, None, 2.5, '"']},
        "items": [], "colour": "red",
    },
    {
        "i": -(2**63), "f": 0.1, "d": Decimal("0.0000"), "b": False, "must": " , ",
        "t": 'said "hi", \r\n new \n line\t', "raw": bytes(range(256)),
        "m": datetime(1, 1, 2, tzinfo=UTC), "day": date(9999, 12, 31), "clock": time(0),
        "j": {"é\U0001f600": "\u2028"}, "items": ["null", 1], "colour": "blue",
    },
    {"t": "null", "must": "\r", "f": 5e-324},
    {"t": "NA", "must": "\ufeff"},
]  # fmt: skip


def _lives(thread: threading.Thread) -> bool:
    thread.join(5)
    return thread.is_alive()


def leftovers(folder: Path) -> list[str]:
    """Files that are not the database's."""
    return sorted(item.name for item in folder.iterdir() if not item.name.startswith("files.db"))


def filing(folder: Path) -> Iterator[DataFlow]:
    """An instance on a file; nothing is borrowed at the end and no thread is left."""
    with DataFlow(f"sqlite:///{folder / 'files.db'}") as made:
        made.model(Article)
        made.model(Person)
        yield made
        assert idle(made)
        assert not [
            thread for thread in threading.enumerate()
            if thread.name.startswith(("dataflow export", "dataflow import")) and _lives(thread)
        ]  # fmt: skip
