"""A unique field that becomes required, or optional: several rows may have NULL, none the same."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import NotNullViolation, SchemaChangeRefused, UniqueViolation


def opened(url: str, optional: bool) -> DataFlow:
    """An instance whose model has a unique field, optional or not."""
    db = DataFlow(url)
    if optional:

        class Badge:
            number: int | None = field(None, unique=True)

    else:

        class Badge:  # type: ignore[no-redef]
            number: int = field(unique=True)

    db.model(validation="off")(Badge)
    return db


def made(url: str, *numbers: int | None) -> None:
    """The table of the optional field, with rows."""
    with opened(url, optional=True) as db:
        for number in numbers:
            db.run_sync("BadgeCreateNode", number=number)


def column(db: DataFlow) -> dict[str, Any]:
    """What the database says of the field."""
    described = db.discover_schema()["badges"]["columns"]
    return next(item for item in described if item["name"] == "number")


def test_it_is_not_required_while_rows_have_no_value(database_url: str) -> None:
    """The refusal names the column and the reason, the same on every database; nothing changes."""
    made(database_url, None, None, 1)
    with opened(database_url, optional=False) as db:
        with pytest.raises(SchemaChangeRefused, match="have no value for 'number' of Badge: fill"):
            db.run_sync("BadgeListNode")
        assert column(db)["nullable"]


def test_it_is_required_once_every_row_has_a_value(database_url: str) -> None:
    """The column then refuses NULL, and is as unique as before."""
    made(database_url, 1, 2)
    with opened(database_url, optional=False) as db:
        with pytest.raises(UniqueViolation):
            db.run_sync("BadgeCreateNode", number=2)
        assert (column(db)["nullable"], column(db)["unique"]) == (False, True)


def test_it_is_optional_again_on_request(database_url: str) -> None:
    """An earlier shape is an older program's until it is asked for; NULL is then taken again."""
    made(database_url, 1)
    with opened(database_url, optional=False) as db:
        db.run_sync("BadgeCreateNode", number=2)
    with opened(database_url, optional=True) as db:
        with pytest.raises(NotNullViolation):
            db.run_sync("BadgeCreateNode", number=None)
        db.migrate()
        for _ in range(2):
            db.run_sync("BadgeCreateNode", number=None)
        with pytest.raises(UniqueViolation):
            db.run_sync("BadgeCreateNode", number=1)
        assert not db.plan()


def test_a_required_one_becomes_optional_by_itself(database_url: str) -> None:
    """A shape that the table never had is taken on at first use, and several rows have NULL."""
    with opened(database_url, optional=False) as db:
        db.run_sync("BadgeCreateNode", number=1)
    with opened(database_url, optional=True) as db:
        for _ in range(2):
            db.run_sync("BadgeCreateNode", number=None)
        assert (column(db)["nullable"], column(db)["unique"]) == (True, True)


def test_a_renamed_one_is_looked_at_under_its_former_name(database_url: str) -> None:
    """A field that is renamed and required at once is refused for the rows without a value."""
    made(database_url, None)
    with DataFlow(database_url) as db:

        @db.model(validation="off")
        class Badge:
            digits: int = field(unique=True, renamed_from="number")

        with pytest.raises(SchemaChangeRefused, match="have no value for 'digits'"):
            db.run_sync("BadgeListNode")
