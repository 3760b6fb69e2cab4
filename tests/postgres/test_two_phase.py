from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.run.two_phase import prepared_transaction
from dataflow_postgres.connection import PostgresConnection


async def test_a_server_that_prepares_none(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose `max_prepared_transactions` is 0 is refused before the block is entered."""
    fetch = PostgresConnection.fetch

    async def none(self: PostgresConnection, sql: str, parameters: Sequence[Any]) -> Any:
        return [("0",)] if sql.startswith("SHOW max_prep") else await fetch(self, sql, parameters)

    monkeypatch.setattr(PostgresConnection, "fetch", none)
    async with DataFlow(postgres_url) as db:
        with pytest.raises(UnsupportedFeature, match="max_prepared_transactions") as caught:
            async with prepared_transaction(db.engine(), "one"):
                raise AssertionError("it was entered")
    assert caught.value.outcome == "not done"
