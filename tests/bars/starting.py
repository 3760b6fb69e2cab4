"""A program that starts, uses its models, and says what it found; run many at once by a test."""

from __future__ import annotations

import json
import sys
from typing import Any

from dataflow_core import DataFlow, field


def declare(db: DataFlow, version: int) -> None:
    """The models of one version of the program."""
    if version == 1:

        @db.model(validation="off")
        class Owner:
            name: str = field(unique=True)

        @db.model(validation="off")
        class Item:
            owner_id: int = field(references="Owner.id")
            title: str = field(index=True)

        return

    @db.model(validation="off")
    class Owner:  # type: ignore[no-redef]
        name: str = field(unique=True)
        city: str = "nowhere"

    @db.model(validation="off")
    class Item:  # type: ignore[no-redef]
        owner_id: int = field(references="Owner.id")
        title: str = field(index=True)
        price: int | None = field(None, check={"$gte": 0})
        tags: list[str] | None = None


def main(url: str, version: int, number: int) -> dict[str, Any]:
    """Create an owner and an item of it; what is there afterwards."""
    with DataFlow(url) as db:
        declare(db, version)
        owner = db.run_sync("OwnerCreateNode", name=f"owner {version}.{number}")
        db.run_sync("ItemCreateNode", owner_id=owner["id"], title="thing")
        return {
            "owners": db.run_sync("OwnerCountNode")["count"],
            "plan": str(db.plan()),
        }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
