"""``audit_log``: every change of a row is written down, in its own transaction.

Options: ``True``, or a dict with ``redact`` (fields of which an entry says that they changed, and
never the value) and ``retention_days`` (what ``db.prune_audit()`` keeps). Multi-tenant models are
audited unless that is switched off.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from dataflow_core.contract import (
    ChangeRecorder,
    ChangeScope,
    ModelPolicy,
    PolicyContext,
    RowChanges,
)
from dataflow_core.errors import InvalidModel, InvalidValue
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Model
from dataflow_policies.audit_chain import Noted, chain_name, hash_of_entry, make_entry, seal
from dataflow_policies.audit_content import key_text, pack, to_json
from dataflow_policies.audit_tables import (
    LONGEST_ACTOR,
    LONGEST_KEY,
    AuditTables,
    audit_tables,
    inside,
)
from dataflow_policies.options import option_of

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["AUDIT_LOG", "acting", "current_actor", "recorder_of", "retention_of"]

_KNOWN: Final = {"redact": list, "retention_days": int}
_LONGEST_CONTENT: Final = 1_000_000
_actor: ContextVar[str | None] = ContextVar("dataflow_actor", default=None)


@contextmanager
def acting(db: DataFlow, actor: str) -> Iterator[None]:
    """Say who makes the changes within: ``with db.acting("ann"):``.

    Holds for the task or thread, and what it starts; ``None`` outside. ``InvalidValue`` for what is
    no text of at most 255 characters.
    """
    if not isinstance(actor, str) or not 0 < len(actor) <= LONGEST_ACTOR:
        raise InvalidValue(
            f"an actor is a text of at most {LONGEST_ACTOR} characters, got {quoted(actor)}"
        )
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def current_actor() -> str | None:
    """Who makes changes at present, as ``db.acting`` says."""
    return _actor.get()


def _options(model: Model) -> Mapping[str, Any] | None:
    """What a model says of its log; ``None``: it has none."""
    if model.options.get("audit_log") is None:
        return {} if model.options.get("multi_tenant") else None
    return option_of(model, "audit_log", _KNOWN)


def retention_of(models: Iterable[Model], name: str) -> dt.datetime | None:
    """The moment before which entries of the model of a name may go; ``None``: none may."""
    options = next((_options(model) for model in models if model.name == name), None)
    days = None if options is None else options.get("retention_days")
    return None if days is None else dt.datetime.now(dt.UTC) - dt.timedelta(days=days)


def _extend(model: Model, context: PolicyContext) -> Model:
    """The same model: only its options are read, so that what is wrong shows when it is made."""
    options = _options(model)
    if options is None:
        return model
    days = options.get("retention_days")
    if days is not None and days < 1:
        raise InvalidModel(
            f"{model.name}: retention_days is a number of days, got {days}", model=model.name
        )
    for name in options.get("redact", ()):
        field = model.by_name.get(name) if isinstance(name, str) else None
        if field is None or field.primary_key:
            raise InvalidModel(
                f"{model.name}: redact names {quoted(name)}, which is no field beside the key",
                suggestion=nearest(str(name), model.by_name),
                model=model.name,
            )
    return model


AUDIT_LOG: Final = ModelPolicy(("audit_log",), _extend)
"""The policy."""


@cache
def _recorder(database: str) -> AuditRecorder:
    return AuditRecorder(audit_tables(database))


def recorder_of(model: Model) -> ChangeRecorder | None:
    """What writes the log of a model; ``None``: it is not audited."""
    return None if _options(model) is None else _recorder(model.database)


@frozen(eq=False)
class AuditRecorder:
    """Writes entries, and seals them before the commit."""

    tables: AuditTables

    @property
    def models(self) -> Sequence[Model]:
        """The models of the log's tables."""
        return self.tables.all

    async def record(self, changes: RowChanges, scope: ChangeScope) -> list[Noted]:
        """Write down changes: an entry for all of them, or one for each tenant's."""
        entries = [
            entry
            for tenant, part in _by_tenant(changes, scope)
            for entry in self._entries(part, scope, tenant)
        ]
        with inside():
            await scope.insert(self.tables.entry, entries)
        return [Noted(entry["chain"], hash_of_entry(entry)) for entry in entries]

    def _entries(
        self, changes: RowChanges, scope: ChangeScope, tenant: str | None
    ) -> Iterator[dict[str, Any]]:
        """The entry of changes; several where one would be longer than a server takes at once."""
        model = changes.model
        options = _options(model.declared) or {}
        content = to_json(pack(changes, options.get("redact", ())))
        if len(content) > _LONGEST_CONTENT and len(changes) > 1:
            for half in _halves(changes):
                yield from self._entries(half, scope, tenant)
            return
        key = _key_of(changes) if len(changes) == 1 else None
        yield make_entry(
            transaction_id=scope.transaction_id,
            chain=chain_name(model.name, tenant),
            model=model.name,
            kind=changes.kind,
            key=key,
            rows=len(changes),
            actor=current_actor(),
            tenant=tenant,
            run_id=scope.run_id or None,
            content=content,
        )

    async def before_commit(self, kept: Sequence[Any], scope: ChangeScope) -> None:
        """Seal the entries of the transaction."""
        noted = [one for several in kept for one in several]
        with inside():
            await seal(scope, self.tables, scope.transaction_id, noted)


def _by_tenant(changes: RowChanges, scope: ChangeScope) -> list[tuple[str | None, RowChanges]]:
    """The changes of each tenant's rows; of a model without tenants all together."""
    name = next((item.name for item in changes.model.context_fields), None)
    if name is None:
        return [(None, changes)]
    at = changes.names.index(name)
    rows = changes.before if changes.after is None else changes.after
    assert rows is not None
    tenants = dict.fromkeys(row[at] for row in rows)
    if len(tenants) == 1:
        return [(str(next(iter(tenants))), changes)]
    return [
        (
            str(tenant),
            evolve(
                changes,
                before=_of(changes.before, at, tenant),
                after=_of(changes.after, at, tenant),
            ),
        )
        for tenant in tenants
    ]


def _halves(changes: RowChanges) -> Iterator[RowChanges]:
    middle = len(changes) // 2
    for part in (slice(None, middle), slice(middle, None)):
        before = None if changes.before is None else changes.before[part]
        after = None if changes.after is None else changes.after[part]
        yield evolve(changes, before=before, after=after)


def _of(
    rows: Sequence[tuple[Any, ...]] | None, at: int, tenant: Any
) -> list[tuple[Any, ...]] | None:
    return None if rows is None else [row for row in rows if row[at] == tenant]


def _key_of(changes: RowChanges) -> str | None:
    """The key of the only row; ``None`` where it is too long for an index."""
    rows = changes.before if changes.after is None else changes.after
    assert rows is not None
    places = [changes.names.index(item.name) for item in changes.model.given_key]
    text = key_text([rows[0][at] for at in places])
    return text if len(text) <= LONGEST_KEY else None
