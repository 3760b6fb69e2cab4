"""The nodes: what is asked, checked, and done in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from dataflow_core import Context
from dataflow_core.errors import InvalidType, InvalidValue, MissingParameter, RecordNotFound
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Model
from dataflow_governance.access import Access
from dataflow_governance.audit import read_trail, trail_for_erasing
from dataflow_governance.decision import decide, retained_fields
from dataflow_governance.erase import Erasure
from dataflow_governance.export import FORMAT_NAMES, exported
from dataflow_governance.graph import Graph, Key, equal, key_names
from dataflow_governance.walk import Belongings, belongings

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["anonymize_user_data", "comply", "export_user_data"]

_POLICIES: Final = ("standard", "strict")
_REQUESTS: Final = ("export", "delete")
_RETRIES: Final = 4

Result = dict[str, Any]


@frozen
class _Asked:
    """The person that a node is about, and what else all of them take."""

    node: str
    context: Context
    model: Model
    key: Key
    tenant_id: Any
    trail: bool
    dry_run: bool

    @property
    def db(self) -> DataFlow:
        db: DataFlow = self.context.db
        return db


async def export_user_data(
    context: Context,
    user_id: Any,
    model: str = "User",
    format: str = "json",
    include_deleted: bool = False,
    include_audit_trail: bool = False,
    tenant_id: Any = None,
) -> Result:
    """Give all rows of a person: ``{model: [rows]}``, or ``{model: text}`` as CSV.

    Parameters:
        user_id: the key of the person's row; of several fields, a dict or a list of its values.
        model: the name of the model whose rows are the persons.
        format: ``json`` or ``csv``.
        include_deleted: whether rows that were deleted softly are among them.
        include_audit_trail: whether the entries of the rows in the audit trail are.
        tenant_id: the tenant, if not the one in force.

    Raises:
        InvalidType, InvalidValue, UnknownField: it cannot be done as asked; nothing was sent.
        RecordNotFound: there is no such person.
    """
    node = "UserDataExportNode"
    _check_choice(node, "format", format, FORMAT_NAMES)
    _check_flag(node, "include_deleted", include_deleted)
    asked = _asked(node, context, model, user_id, tenant_id, include_audit_trail, False)
    return await _export(asked, format, include_deleted)


async def anonymize_user_data(
    context: Context,
    user_id: Any,
    model: str = "User",
    retention_policy: str = "standard",
    cascade_delete: bool = False,
    dry_run: bool = False,
    include_audit_trail: bool = False,
    tenant_id: Any = None,
) -> Result:
    """Erase the personal fields of a person's rows; how many rows, by model and what was done.

    Parameters:
        retention_policy: ``standard`` keeps what a field marks with ``retain``; ``strict`` nothing.
        cascade_delete: rows that lead to the person's own row are deleted, children first.
        dry_run: nothing is changed; the counts are the same.
        others: as those of the export.

    Raises:
        InvalidType, InvalidValue, UnknownField: it cannot be done as asked; nothing was changed.
        RecordNotFound: there is no such person.
    """
    node = "UserDataAnonymizeNode"
    _check_choice(node, "retention_policy", retention_policy, _POLICIES)
    _check_flag(node, "cascade_delete", cascade_delete)
    asked = _asked(node, context, model, user_id, tenant_id, include_audit_trail, dry_run)
    return await _erase(asked, retention_policy, delete=cascade_delete, delete_person=False)


async def comply(
    context: Context,
    user_id: Any,
    request_type: str,
    model: str = "User",
    format: str = "json",
    retention_policy: str = "standard",
    include_audit_trail: bool = False,
    dry_run: bool = False,
    tenant_id: Any = None,
) -> Result:
    """Answer the request of a person: ``export`` or ``delete`` all of their rows.

    Rows that were deleted softly are among them. ``dry_run`` gives the numbers of rows only. The
    other parameters are those of ``UserDataExportNode`` and ``UserDataAnonymizeNode``.
    """
    node = "GDPRComplianceNode"
    _check_choice(node, "request_type", request_type, _REQUESTS)
    _check_choice(node, "format", format, FORMAT_NAMES)
    _check_choice(node, "retention_policy", retention_policy, _POLICIES)
    asked = _asked(node, context, model, user_id, tenant_id, include_audit_trail, dry_run)
    if request_type == "export":
        result = await _export(asked, format, True)
    else:
        result = await _erase(asked, retention_policy, delete=True, delete_person=True)
    return {**result, "request_type": request_type}


async def _export(asked: _Asked, form: str, deleted: bool) -> Result:
    async def work() -> Result:
        access = Access(asked.context, asked.tenant_id, deleted)
        found = await _belongings(asked, access, {}, needed=False)
        counts = {model.name: len(rows) for model, rows in found.rows.items()}
        rows = counts if asked.dry_run else await exported(found, access, form)
        return {"result": rows, "counts": counts, "format": form, **await _trail(asked, found)}

    return await _in_transaction(asked, work, read_only=True)


async def _erase(asked: _Asked, policy: str, *, delete: bool, delete_person: bool) -> Result:
    trail = trail_for_erasing(asked.db, asked.db.models_of(asked.model.database))

    async def work() -> Result:
        access = Access(asked.context, asked.tenant_id, deleted=True)
        models = asked.db.models_of(asked.model.database)
        also = {model: [item.name for item in retained_fields(model, policy)] for model in models}
        found = await _belongings(asked, access, also, needed=delete)
        decision = decide(found, policy, delete=delete, delete_person=delete_person)
        erasure = Erasure(decision, access, trail)
        await erasure.check()
        if not asked.dry_run:
            await erasure.carry_out()
        about = await _trail(asked, found)
        return {
            "result": erasure.counts(),
            "retained": erasure.reasons(),
            "dry_run": asked.dry_run,
            **about,
        }

    return await _in_transaction(asked, work, read_only=asked.dry_run)


async def _in_transaction(
    asked: _Asked, work: Callable[[], Coroutine[Any, Any, Result]], *, read_only: bool
) -> Result:
    """Do it as a whole, on one picture of the database: within the transaction in force, if any."""
    database = asked.model.database
    if asked.db.current_transaction(database) is not None:
        async with asked.db.transaction(database):
            return await work()
    result: Result = {}
    attempts = asked.db.transaction(
        database, isolation="repeatable read", read_only=read_only, retry=_RETRIES
    )
    async for attempt in attempts:
        async with attempt:
            result = await work()
    return result


async def _belongings(
    asked: _Asked, access: Access, also: Mapping[Model, Sequence[str]], *, needed: bool
) -> Belongings:
    # Looked up again: the first use may have found that the tables are otherwise.
    models = asked.db.models_of(asked.model.database)
    subject = next(model for model in models if model.name == asked.model.name)
    graph = Graph(subject, models)
    document = equal(key_names(subject), asked.key)
    select = dict.fromkeys((*graph.read(subject), *also.get(subject, ())))
    async for rows in access.pages(subject, document, tuple(select)):
        return await belongings(graph, rows[0], access, also, needed=needed)
    raise RecordNotFound(f"{asked.node}: no {subject.name} has this key", model=subject.name)


async def _trail(asked: _Asked, found: Belongings) -> Result:
    """What the result says of the audit trail, and what else is to be said."""
    notes = [
        f"{model.name} has no key: its rows cannot be told apart, and nothing was done with them"
        for model in found.graph.without_key
    ]
    notes += [
        f"the rows of {model.name} are only read: {model.read_only}"
        for model in found.rows
        if model.read_only
    ]
    if not asked.trail:
        return {"audit_trail": {}, "notes": notes}
    keys = {model: list(rows) for model, rows in found.rows.items()}
    entries, missing = await read_trail(asked.db, keys, asked.tenant_id)
    return {"audit_trail": entries, "notes": [*notes, *missing]}


def _asked(
    node: str,
    context: Context,
    model: Any,
    user_id: Any,
    tenant_id: Any,
    trail: Any,
    dry_run: Any,
) -> _Asked:
    """What all nodes take, checked before anything is sent."""
    _check_flag(node, "include_audit_trail", trail)
    _check_flag(node, "dry_run", dry_run)
    db: DataFlow = context.db
    names = db.list_models()
    if model not in names:
        raise InvalidValue(
            f"{node}: there is no model {quoted(model)}, whose rows would be the persons; give"
            " model, the name of the one that is there",
            suggestion=nearest(model, names) if isinstance(model, str) else None,
            parameter="model",
        )
    subject = next(item for item in db.models_of() if item.name == model)
    key = _key(node, subject, user_id)
    return _Asked(node, context, subject, key, tenant_id, trail, dry_run)


def _key(node: str, subject: Model, given: Any) -> Key:
    names = key_names(subject)
    if not names:
        raise InvalidValue(f"{node}: {subject.name} has no key, so no row is that of a person")
    if given is None:
        raise MissingParameter(f"{node}: user_id is missing: the key of {subject.name}")
    if isinstance(given, Mapping):
        for name in given:
            subject.field(name, f"{node}: user_id")
        if set(given) != set(names):
            raise InvalidValue(
                f"{node}: user_id gives {', '.join(map(str, given))}; the key of {subject.name} is"
                f" {', '.join(names)}",
                parameter="user_id",
            )
        given = [given[name] for name in names]
    elif len(names) == 1:
        given = [given]
    if not isinstance(given, list | tuple) or len(given) != len(names) or None in given:
        raise InvalidType(
            f"{node}: the key of {subject.name} is {', '.join(names)}, got {quoted(given)}",
            parameter="user_id",
        )
    return tuple(
        item.type.check(value, f"{subject.name}.{item.name}")
        for item, value in zip(subject.given_key, given, strict=True)
    )


def _check_choice(node: str, name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InvalidValue(
            f"{node}: {name} is one of {', '.join(choices)}, not {quoted(value)}",
            suggestion=nearest(value, choices) if isinstance(value, str) else None,
            parameter=name,
        )


def _check_flag(node: str, name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidType(
            f"{node}: {name} is True or False, got {quoted(value)}", expected="bool", where=name
        )
