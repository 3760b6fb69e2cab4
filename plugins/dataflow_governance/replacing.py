"""What the rows of a model become when their personal fields are erased."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final

from attrs import define, field

from dataflow_core.errors import InvalidValue
from dataflow_core.schema import Field, Model
from dataflow_governance.access import BATCH, Access
from dataflow_governance.checks import Rule, rules
from dataflow_governance.graph import Key, Row, inside, key_names, key_of
from dataflow_governance.neutral import constants, fresh

__all__ = ["Replacing"]

_MOST_COMBINATIONS: Final = 2_000


@define(eq=False)
class Replacing:
    """Finds the new values of rows: NULL, else one that keeps keys unique and checks true.

    Attributes:
        fields: the fields to erase.
        cleared: further fields that become NULL, by the key of the row.
    """

    model: Model
    fields: Sequence[Field]
    cleared: dict[Key, set[str]]
    access: Access
    _rules: list[Rule] = field(init=False)
    _unique: list[Field] = field(init=False)
    _constants: dict[str, list[Any]] = field(init=False)
    _used: dict[str, set[Any]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        names = {item.name for item in self.fields}.union(*self.cleared.values())
        self._rules = [rule for rule in rules(self.model) if rule.fields & names]
        keys = [set(key) for key in self.model.unique_keys]
        keys += [set(index.columns) for index in self.model.indexes if index.unique]
        self._constants = {item.name: self._plain(item) for item in self.fields}
        self._unique = [
            item
            for item in self.fields
            if any(item.name in key for key in keys)
            and (not item.nullable or any(item.name in rule.fields for rule in self._rules))
        ]
        self._used = {item.name: set() for item in self._unique}
        for item in self.fields:
            if not self._constants[item.name]:
                raise self._refusal([item])

    @property
    def simple(self) -> bool:
        """Whether every row gets the same values, whatever is in it."""
        return not self._rules and not self._unique

    def _plain(self, item: Field) -> list[Any]:
        found = [None] if item.nullable else []
        if item.references is not None or any(
            item.name in key.columns or item.column in key.columns
            for key in self.model.foreign_keys
        ):
            # Any other value would have to lead to a row.
            return found
        about = [rule.document for rule in self._rules if item.name in rule.fields]
        return found + constants(item, about)

    async def rows(self, keys: Sequence[Key]) -> AsyncIterator[list[Row]]:
        """The new values beside the keys, in batches.

        Raises:
            InvalidValue: there is none for a field; nothing was changed yet.
        """
        if self.simple:
            new = {item.name: self._constants[item.name][0] for item in self.fields}
            for first in range(0, len(keys), BATCH):
                some = keys[first : first + BATCH]
                yield [{**self._named(key), **new, **self._without(key)} for key in some]
            return
        async for rows in self.access.by_key(self.model, keys, self._read()):
            offers = await self._offers(len(rows))
            yield [self._replaced(row, offers) for row in rows]

    def _named(self, key: Key) -> Row:
        return dict(zip(key_names(self.model), key, strict=True))

    def _without(self, key: Key) -> Row:
        return dict.fromkeys(self.cleared.get(key, ()))

    def _read(self) -> tuple[str, ...]:
        names = dict.fromkeys(key_names(self.model))
        for rule in self._rules:
            names.update(dict.fromkeys(rule.fields))
        return tuple(names)

    async def _offers(self, count: int) -> dict[str, list[list[Any]]]:
        """For each unique field kinds of values for so many rows, without what other rows have.

        What is made by chance comes first: what is left of the others is for fields of few values.
        """
        offers = {}
        for item in self._unique:
            plain = [value for value in self._constants[item.name] if value is not None]
            made = [fresh(item) for _ in range(count)] if plain else []
            kinds = [*zip(*made, strict=True), *((value,) for value in plain)]
            seen = await self._taken(item, [value for kind in kinds for value in kind])
            seen |= self._used[item.name]
            offers[item.name] = [_unseen(kind, seen) for kind in kinds]
        return offers

    async def _taken(self, item: Field, values: Sequence[Any]) -> set[Any]:
        taken: set[Any] = set()
        for first in range(0, len(values), BATCH):
            document = inside((item.name,), [(value,) for value in values[first : first + BATCH]])
            pages = self.access.pages(self.model, document, (item.name,), deleted=True)
            async for rows in pages:
                taken.update(row[item.name] for row in rows)
        return taken

    def _replaced(self, row: Row, offers: dict[str, list[list[Any]]]) -> Row:
        names = [item.name for item in self.fields]
        key = key_of(self.model, row)
        base = {**row, **self._without(key)}
        choices = [self._choices(item, offers) for item in self.fields]
        combinations = itertools.product(*choices)
        for values in itertools.islice(combinations, _MOST_COMBINATIONS):
            new = dict(zip(names, values, strict=True))
            if all(rule.passes({**base, **new}) for rule in self._rules):
                self._take(new, offers)
                return {**self._named(key), **new, **self._without(key)}
        empty = [item for item, some in zip(self.fields, choices, strict=True) if not some]
        raise self._refusal(empty or self._ruled())

    def _choices(self, item: Field, offers: dict[str, list[list[Any]]]) -> list[Any]:
        if item.name not in offers:
            return self._constants[item.name]
        absent = [None] if item.nullable else []
        return absent + [kind[0] for kind in offers[item.name] if kind]

    def _take(self, new: Row, offers: dict[str, list[list[Any]]]) -> None:
        """Leave what a row gets to no other one."""
        for item in self._unique:
            value = new[item.name]
            if value is None:
                continue
            self._used[item.name].add(value)
            for kind in offers[item.name]:
                if kind and kind[0] == value:
                    kind.pop(0)

    def _ruled(self) -> list[Field]:
        return [item for item in self.fields if any(item.name in r.fields for r in self._rules)]

    def _refusal(self, fields: Sequence[Field]) -> InvalidValue:
        names = ", ".join(item.name for item in fields) or "its fields"
        return InvalidValue(
            f"{self.model.name}: there is no value for {names} that says nothing of the person and"
            " that the field, its unique keys and checks take; make the field nullable, or have"
            " the rows deleted",
            model=self.model.name,
        )


def _unseen(values: Iterable[Any], seen: set[Any]) -> list[Any]:
    """The values that were not seen, each once; they then were."""
    found = [value for value in dict.fromkeys(values) if value not in seen]
    seen.update(found)
    return found
