"""The tables of the audit log, in every database that has an audited model.

Nobody reads or writes them but this plugin: every operation on them, by whichever node, is confined
to a value of the context that only the plugin's own calls have.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from attrs import frozen

from dataflow_core.contract import ReservedTables
from dataflow_core.schema import Field, Index, Model
from dataflow_core.types import Integer, Text, Timestamp, Uuid

__all__ = ["LONGEST_ACTOR", "LONGEST_CHAIN", "LONGEST_KEY", "AuditTables", "audit_tables", "inside"]

PRIMARY: Final = "primary"
LONGEST_CHAIN: Final = 255
LONGEST_KEY: Final = 255
LONGEST_ACTOR: Final = 255
_HASH: Final = 64
_RESERVED: Final = ReservedTables(
    "the audit log",
    "the audit log is read with db.audit(...), checked with db.verify_audit(), and written by"
    " changes of audited models only",
)
inside = _RESERVED.inside
"""``with``: the tables of the log can be used."""


@frozen(eq=False)
class AuditTables:
    """The models of the log's tables in one database.

    Attributes:
        entry: what became of rows: an entry holds one change, or a chunk of them.
        seal: what a transaction has added to a chain, bound to what was there before.
        head: how far each chain goes.
    """

    entry: Model
    seal: Model
    head: Model

    @property
    def all(self) -> tuple[Model, ...]:
        """The models."""
        return self.entry, self.seal, self.head


@cache
def audit_tables(database: str) -> AuditTables:
    """The models of the log in a database."""
    end = "" if database == PRIMARY else f"_{database}"
    chain = Field("chain", Text(LONGEST_CHAIN), "chain")
    transaction = Field("transaction_id", Text(36), "transaction_id")
    entry = Model(
        f"DataflowAudit{end}",
        "dataflow_audit",
        (
            Field("id", Uuid(), "id", primary_key=True),
            _RESERVED.field,
            transaction,
            chain,
            Field("position", Integer(), "position"),
            Field("model", Text(128), "model"),
            Field("kind", Text(16), "kind"),
            Field("key", Text(LONGEST_KEY), "key", nullable=True),
            Field("rows", Integer(), "rows"),
            Field("actor", Text(LONGEST_ACTOR), "actor", nullable=True),
            Field("tenant", Text(LONGEST_CHAIN), "tenant", nullable=True),
            Field("run_id", Text(128), "run_id", nullable=True),
            Field("at", Timestamp(), "at"),
            Field("salt", Text(32), "salt"),
            Field("digest", Text(_HASH), "digest"),
            Field("content", Text(), "content"),
        ),
        indexes=(Index(("chain", "transaction_id")), Index(("model", "key"))),
        database=database,
    )
    seal = Model(
        f"DataflowAuditSeal{end}",
        "dataflow_audit_seals",
        (
            Field("id", Uuid(), "id", primary_key=True),
            _RESERVED.field,
            Field("chain", Text(LONGEST_CHAIN), "chain"),
            Field("sequence", Integer(), "sequence"),
            transaction,
            Field("entries", Integer(), "entries"),
            Field("root", Text(_HASH), "root"),
            Field("previous", Text(_HASH), "previous"),
            Field("hash", Text(_HASH), "hash"),
            Field("at", Timestamp(), "at"),
        ),
        indexes=(Index(("chain", "sequence"), unique=True),),
        database=database,
    )
    head = Model(
        f"DataflowAuditHead{end}",
        "dataflow_audit_heads",
        (
            Field("chain", Text(LONGEST_CHAIN), "chain", primary_key=True),
            _RESERVED.field,
            Field("sequence", Integer(), "sequence"),
            Field("hash", Text(_HASH), "hash"),
        ),
        database=database,
    )
    return AuditTables(entry, seal, head)
