"""The relations among the models of one database, and their names, read off foreign keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import define, field, frozen

from dataflow_core.errors import UnknownField
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema.model import Field, Model
from dataflow_core.schema.naming import plural, snake_case

__all__ = ["Link", "Relation", "Relations", "links"]


@frozen(cache_hash=True)
class Relation:
    """A way from the rows of one model to those of another: equal values in pairs of fields.

    ``many`` False: ``source`` has the foreign key, so at most one row of ``target`` fits.
    """

    name: str
    source: Model
    fields: tuple[Field, ...]
    target: Model
    target_fields: tuple[Field, ...]
    many: bool


@define(eq=False)
class Relations:
    """The relations of the models of one database; looked for again when the models change.

    A name that would be that of a field, or of several relations, is longer: the field of the
    foreign key stands in it. What has no name of its own even then is ambiguous and refused.
    """

    models: Callable[[], Iterable[Model]]
    _known: tuple[Model, ...] | None = None
    _found: dict[Model, tuple[dict[str, Relation], set[str]]] = field(factory=dict)

    def of(self, model: Model) -> Mapping[str, Relation]:
        """The relations of a model by name."""
        return self._of(model)[0]

    def relation(self, model: Model, name: object, where: str) -> Relation:
        """The relation called ``name``; ``UnknownField`` with the nearest otherwise."""
        found = self.of(model)
        relation = found.get(name) if isinstance(name, str) else None
        if relation is None:
            self.refuse_ambiguous(model, name, where)
            raise self._unknown(model, name, where, "has no relation")
        return relation

    def refuse_ambiguous(self, model: Model, name: object, where: str) -> None:
        """``UnknownField`` if several relations would have this name, with the names they have."""
        if isinstance(name, str) and name in self._of(model)[1]:
            raise self._unknown(model, name, where, "has several relations")

    def _unknown(self, model: Model, name: object, where: str, problem: str) -> UnknownField:
        found = self.of(model)
        listed = f"; it has {', '.join(found)}" if found else ""
        return UnknownField(
            f"{where}: {model.name} {problem} {quoted(name)}{listed}",
            suggestion=nearest(name, found) if isinstance(name, str) else None,
            model=model.name,
            relations=list(found),
        )

    def connected(self, model: Model) -> list[Model]:
        """The models that relations lead to from a model, over any number of others."""
        found = {model: None}
        pending = [model]
        while pending:
            for relation in self.of(pending.pop()).values():
                if relation.target not in found:
                    found[relation.target] = None
                    pending.append(relation.target)
        return list(found)

    def _of(self, model: Model) -> tuple[dict[str, Relation], set[str]]:
        # References lead to a model as it was declared, whatever is lifted of it for a call.
        model = model.declared
        models = tuple(self.models())
        if models != self._known:
            self._known = models
            self._found.clear()
        found = self._found.get(model)
        if found is None:
            found = self._found[model] = _named(model, models)
        return found


@frozen
class Link:
    """A foreign key whose target is known: ``fields`` of ``owner`` hold ``target_fields``."""

    owner: Model
    fields: tuple[Field, ...]
    target: Model
    target_fields: tuple[Field, ...]

    @property
    def stem(self) -> str:
        """The names of the fields, without ``_id``."""
        return "_".join(item.name.removesuffix("_id") or item.name for item in self.fields)

    @property
    def says_what(self) -> bool:
        """Whether the field is named for what it leads to: ``user_id``."""
        return len(self.fields) == 1 and self.stem != self.fields[0].name


def links(model: Model, models: Iterable[Model]) -> list[Link]:
    """The foreign keys of a model that lead to one of the models, each once; enforced or not."""
    return list(dict.fromkeys(_links(model, list(models))))


def _links(model: Model, models: Sequence[Model]) -> Iterator[Link]:
    for item in model.fields:
        if item.references is None:
            continue
        owner, _, name = item.references.rpartition(".")
        for other in models:
            if owner in (other.name, other.table) and name in other.by_name:
                yield Link(model, (item,), other, (other.by_name[name],))
                break
    for key in model.foreign_keys:
        target = next((other for other in models if other.table == key.reference.table), None)
        if target is None:
            continue
        own = _fields(model, key.columns)
        theirs = _fields(target, key.reference.columns)
        if own is not None and theirs is not None:
            yield Link(model, own, target, theirs)


def _fields(model: Model, names: Iterable[str]) -> tuple[Field, ...] | None:
    """The fields of these names, or of the columns of these names."""
    by_column = {item.column: item for item in model.fields}
    found = [model.by_name.get(name) or by_column.get(name) for name in names]
    return None if None in found else tuple(item for item in found if item is not None)


@frozen
class _Wanted:
    """A relation, and the names that it would have, the shorter one first."""

    names: tuple[str, str]
    key: Link
    many: bool = False


def _named(model: Model, models: Sequence[Model]) -> tuple[dict[str, Relation], set[str]]:
    """The relations of a model by name, and the names that several of them would have."""
    by_field: list[_Wanted] = []
    by_class: list[_Wanted] = []
    for key in links(model, models):
        target = snake_case(key.target.name)
        longer = f"{key.stem}_{target}"
        if key.says_what:
            by_field.append(_Wanted((key.stem, longer), key))
        else:
            by_class.append(_Wanted((target, longer), key))
    back = [
        _Wanted((name, f"{name}_by_{key.stem}"), key, many=True)
        for other in models
        for name in (plural(snake_case(other.name)),)
        for key in links(other, models)
        if key.target is model
    ]
    result: dict[str, Relation] = {}
    ambiguous: set[str] = set()
    for group in (by_field, by_class, back):
        for at in (0, 1):
            group = _place(group, at, model, result, ambiguous)
    return result, ambiguous - set(result)


def _place(
    group: Sequence[_Wanted],
    at: int,
    model: Model,
    result: dict[str, Relation],
    ambiguous: set[str],
) -> list[_Wanted]:
    """Give relations their names, where those are no field's and nobody else's; the rest."""
    counts = Counter(item.names[at] for item in group)
    rest = []
    for item in group:
        name = item.names[at]
        if counts[name] == 1 and name not in model.by_name and name not in result:
            result[name] = _relation(name, item.key, many=item.many)
            continue
        rest.append(item)
        if counts[name] > 1:
            ambiguous.add(name)
    return rest


def _relation(name: str, key: Link, *, many: bool) -> Relation:
    if many:
        return Relation(name, key.target, key.target_fields, key.owner, key.fields, many=True)
    return Relation(name, key.owner, key.fields, key.target, key.target_fields, many=False)
