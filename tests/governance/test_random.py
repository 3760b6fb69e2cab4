from __future__ import annotations

import random
from typing import Any

import pytest

from dataflow_core import DataFlow
from tests.governance.society import Key, Kind, Row, Society, belonging, stored

WITHOUT_DATABASES = ("pgbouncer",)
SOCIETIES = {False: 3, True: 60}

Stored = dict[Kind, dict[Key, Row]]

WAYS: list[tuple[str, dict[str, Any]]] = [
    ("GDPRComplianceNode", {"request_type": "delete", "retention_policy": "strict"}),
    ("GDPRComplianceNode", {"request_type": "delete"}),
    ("UserDataAnonymizeNode", {"retention_policy": "strict", "cascade_delete": True}),
    ("UserDataAnonymizeNode", {"cascade_delete": True}),
    ("UserDataAnonymizeNode", {}),
]


@pytest.mark.bars
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(("node", "options"), WAYS)
async def test_nothing_of_the_person_is_left(
    database_url: str, seed: int, full_bars: bool, node: str, options: dict[str, Any]
) -> None:
    """Over random models and rows: no personal value of the person is left in any column.

    Rows of others are as they were; what was done is what the dry run and the definition say.
    """
    for number in range(SOCIETIES[full_bars]):
        society = Society(random.Random(f"{seed} {number}"), f"S{number}")
        async with DataFlow(database_url, enable_model_persistence=False) as db:
            society.register(db)
            await society.fill(db)
            await society.delete_softly(db)
            before = await stored(db, society)
            person = next(iter(before[society.kinds[0]]))
            mine = belonging(society, before, person)
            given = {"user_id": person[0], "model": society.kinds[0].name}
            exported = await db.run("UserDataExportNode", include_deleted=True, **given)
            assert exported["counts"] == {kind.name: len(keys) for kind, keys in mine.items()}
            tried = await db.run(node, dry_run=True, **given, **options)
            assert await stored(db, society) == before
            done = await db.run(node, **given, **options)
            after = await stored(db, society)
        assert tried["result"] == done["result"]
        assert tried["retained"] == done["retained"]
        check(society, before, after, mine, done["result"])


def check(
    society: Society,
    before: Stored,
    after: Stored,
    mine: dict[Kind, set[Key]],
    counts: dict[str, dict[str, int]],
) -> None:
    """What must hold of the rows before and after."""
    erased: set[Any] = set()
    for kind in society.kinds:
        own = mine.get(kind, set())
        others = {key: row for key, row in before[kind].items() if key not in own}
        left = {key: row for key, row in after[kind].items() if key in own}
        assert {key: row for key, row in after[kind].items() if key not in own} == others
        if own:
            assert counts[kind.name]["deleted"] == len(own) - len(left)
            assert counts[kind.name]["anonymized"] == len(left)
            assert counts[kind.name]["kept"] == 0
        erased |= {before[kind][key][name] for key in own for name in kind.personal}
    values = {value for rows in after.values() for row in rows.values() for value in row.values()}
    assert not erased & values
