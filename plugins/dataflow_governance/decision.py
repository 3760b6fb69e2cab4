"""What is done with each row of a person: deleted, anonymised, or kept; and in which order."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from dataflow_core.errors import ConflictingParameters
from dataflow_core.schema import Field, Link, Model
from dataflow_governance.graph import Key, names_of, values_of
from dataflow_governance.walk import Belongings, Node

__all__ = ["Decision", "decide", "retained_fields"]


def retained_fields(model: Model, policy: str) -> list[Field]:
    """The fields of a model that a policy keeps."""
    return [item for item in model.fields if item.retain is not None and policy == "standard"]


@define(eq=False)
class Decision:
    """What is to be done.

    Attributes:
        deleted: the keys of the rows that go.
        cleared: fields of rows that stay, which become NULL since what they refer to goes.
        referred: how many rows stay, by model, only because others that stay refer to them.
        retained: how many rows stay, by model and field, since the field says so.
        waves: the deleted rows in an order in which nothing is ever referred to; before each wave,
            fields of rows that go later become NULL.
    """

    found: Belongings
    policy: str
    deleted: dict[Model, set[Key]]
    cleared: dict[Model, dict[Key, set[str]]] = field(factory=dict)
    referred: dict[Model, int] = field(factory=dict)
    retained: dict[tuple[Model, Field], int] = field(factory=dict)
    waves: list[tuple[dict[Model, dict[Key, set[str]]], dict[Model, list[Key]]]] = field(
        factory=list
    )

    def kept(self, model: Model) -> list[Key]:
        """The rows of a model that stay."""
        gone = self.deleted.get(model, set())
        return [key for key in self.found.rows.get(model, ()) if key not in gone]

    def erased(self, model: Model) -> list[Field]:
        """The fields of a model whose values go."""
        kept = retained_fields(model, self.policy)
        return [item for item in model.fields if item.personal and item not in kept]


def decide(found: Belongings, policy: str, *, delete: bool, delete_person: bool) -> Decision:
    """Decide what is done with the rows of a person.

    Parameters:
        delete: whether rows go, and not only their personal values; ``delete_person``: the row of
            the person among them.

    Raises:
        ConflictingParameters: rows that go require each other in a circle.
    """
    rows = found.rows if delete else {}
    decision = Decision(found, policy, {model: set(some) for model, some in rows.items()})
    staying: list[Node] = []
    person = next(iter(found.rows[found.graph.subject]))
    if not delete_person:
        staying.append((found.graph.subject, person))
    for model, some in found.rows.items():
        if model.read_only:
            staying += [(model, key) for key in some]
        for item in retained_fields(model, policy):
            keys = [key for key, row in some.items() if row[item.name] is not None]
            if keys:
                decision.retained[model, item] = len(keys)
            staying += [(model, key) for key in keys]
    _keep(decision, staying)
    if delete:
        needed = [(model, key) for model, keys in found.needed.items() for key in keys]
        for model, _ in _keep(decision, needed):
            decision.referred[model] = decision.referred.get(model, 0) + 1
    _order(decision)
    return decision


def _keep(decision: Decision, nodes: list[Node]) -> list[Node]:
    """Let rows stay, and those that they cannot do without; which of them were to go."""
    spared: list[Node] = []
    pending = list(nodes)
    for model, key in pending:
        # One that goes is spared; one that would have stayed anyhow may still refer to others.
        if key in decision.deleted.get(model, ()):
            decision.deleted[model].discard(key)
            spared.append((model, key))
        for link, target in _references(decision, model, key):
            name = _clearable(link, decision.policy)
            if name is None:
                pending.append(target)
    return spared


def _references(decision: Decision, model: Model, key: Key) -> Iterator[tuple[Link, Node]]:
    """The references of a row to rows that go."""
    found = decision.found
    row = found.rows[model][key]
    for link in found.graph.out[model]:
        values = values_of(names_of(link.fields), row)
        if values is None:
            continue
        target = found.keys(link.target, names_of(link.target_fields)).get(values)
        if target is not None and target in decision.deleted.get(link.target, ()):
            yield link, (link.target, target)


def _clearable(link: Link, policy: str) -> str | None:
    """A field of a reference that may become NULL, so that it leads nowhere."""
    if link.owner.read_only:
        return None
    kept = retained_fields(link.owner, policy)
    for item in link.fields:
        if item.nullable and not item.primary_key and item not in kept:
            return item.name
    return None


def _order(decision: Decision) -> None:
    """Clear what stays of references to what goes; put what goes in order, children first."""
    for model in decision.found.rows:
        for key in decision.kept(model):
            for link, _ in _references(decision, model, key):
                name = _clearable(link, decision.policy)
                assert name is not None
                decision.cleared.setdefault(model, {}).setdefault(key, set()).add(name)
    # A row that refers to itself is a circle too: not every database deletes such a row.
    left = {
        (model, key): None
        for model, rows in decision.found.rows.items()
        for key in rows
        if key in decision.deleted.get(model, ())
    }
    above: dict[Node, list[tuple[Link, Node]]] = {}
    below: dict[Node, int] = dict.fromkeys(left, 0)
    for node in left:
        above[node] = list(_references(decision, *node))
        for _, target in above[node]:
            below[target] += 1
    cleared: dict[Model, dict[Key, set[str]]] = {}
    ready = [node for node in left if not below[node]]
    while left:
        if not ready:
            cleared = _broken(left, above, below)
            ready = [node for node in left if not below[node]]
            if not ready:
                models = ", ".join(dict.fromkeys(model.name for model, _ in left))
                raise ConflictingParameters(
                    f"rows of {models} require each other in a circle, so none can be deleted"
                    " before the other; make one of the references nullable"
                )
        wave: dict[Model, list[Key]] = {}
        for node in ready:
            del left[node]
            wave.setdefault(node[0], []).append(node[1])
        decision.waves.append((cleared, wave))
        following: list[Node] = []
        for node in ready:
            for _, target in above[node]:
                below[target] -= 1
                if not below[target]:
                    following.append(target)
        cleared, ready = {}, following


def _broken(
    left: dict[Node, None],
    above: dict[Node, list[tuple[Link, Node]]],
    below: dict[Node, int],
) -> dict[Model, dict[Key, set[str]]]:
    """Give up the references of a circle that may be NULL; the fields to clear."""
    cleared: dict[Model, dict[Key, set[str]]] = {}
    for model, key in left:
        staying = []
        for link, target in above[model, key]:
            # What a row keeps of its values does not matter any more when it goes itself.
            name = _clearable(link, "strict")
            if name is None:
                staying.append((link, target))
                continue
            below[target] -= 1
            cleared.setdefault(model, {}).setdefault(key, set()).add(name)
        above[model, key] = staying
    return cleared
