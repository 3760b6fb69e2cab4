"""How rows of a model are written: plainly, or with their changes recorded."""

from __future__ import annotations

from dataflow_core.run import bulk, row_updates, upserts, writes
from dataflow_core.run.engine import Engine
from dataflow_core.run.recorded_rows import RecordedWriting
from dataflow_core.schema import Model

__all__ = ["PlainWriting", "deleting_of", "writing_of"]


class PlainWriting:
    """Writes rows whose changes nobody is told of."""

    create = staticmethod(writes.create)
    update = staticmethod(writes.update)
    delete = staticmethod(writes.delete)
    update_many = staticmethod(writes.update_many)
    delete_many = staticmethod(writes.delete_many)
    create_many = staticmethod(bulk.create_many)
    upsert_one = staticmethod(upserts.upsert_one)
    upsert_many = staticmethod(upserts.upsert_many)
    update_rows = staticmethod(row_updates.update_rows)


_PLAIN = PlainWriting()


def writing_of(engine: Engine, model: Model) -> PlainWriting | RecordedWriting:
    """How rows of a model are written."""
    recorders = engine.settings.recorders
    if recorders is None or model.name not in recorders.by_name:
        return _PLAIN
    return RecordedWriting(recorders)


def deleting_of(engine: Engine, model: Model) -> PlainWriting | RecordedWriting:
    """How rows of a model are deleted, with which the database may change those of others."""
    recorders = engine.settings.recorders
    if recorders is None or not recorders.by_name:
        return _PLAIN
    if not recorders.see_deletions(model, engine):
        return _PLAIN
    return RecordedWriting(recorders)
