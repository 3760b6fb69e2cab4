"""The state of one compilation: what is bound so far, and how fields are spelt at the moment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from dataflow_core.compile.needs import require
from dataflow_core.compile.statement import Encode, Parameter
from dataflow_core.filters.ast import Slot
from dataflow_core.schema import Field, Model
from dataflow_core.types import FieldType

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = ["Build", "LiteralBuild", "Render"]

_MARK: Final = re.compile("\0([0-9]+)\0")


@define
class Build:
    """Collects the parameters of one statement.

    While it is built, a value is a mark in the text: only the finished text tells the order of the
    values, since its parts are not written in the order in which they are compiled.

    ``columns`` maps field names to SQL where they are not the columns of a table; ``source`` is
    what has those columns. ``steps`` are named queries that stand before the statement: a chain of
    them is not nested, so a long pipeline is not too deep for a parser. ``changing`` is the model
    whose rows the statement changes.
    """

    compiler: BaseCompiler
    marks: dict[Parameter, str] = field(factory=dict)
    columns: Mapping[str, str] | None = None
    steps: list[str] = field(factory=list)
    source: str | None = None
    changing: Model | None = None
    aliases: int = 0

    def step(self, query: str) -> str:
        """Put a query before the statement; the name to select from."""
        name = self.compiler.quote(f"__step{len(self.steps) + 1}")
        self.steps.append(f"{name} AS ({query})")
        return name

    def with_steps(self, query: str) -> str:
        """The statement with the queries that stand before it."""
        return f"WITH {', '.join(self.steps)} {query}" if self.steps else query

    def alias(self) -> str:
        """A name for a table that no other one of the statement has."""
        self.aliases += 1
        return f"__related{self.aliases}"

    def bind(self, slot: Slot, encode: Encode | None = None) -> str:
        """The placeholder of a slot's value; ``encode`` defaults to the codec of its type."""
        if encode is None:
            encode = self.compiler.codec(slot.type).encode
        return self.bind_as(slot, encode, slot.type)

    def bind_as(
        self, slot: Slot, encode: Encode | None = None, kind: FieldType | None = None
    ) -> str:
        """The mark of a slot's value; without a ``kind`` the text says what it is."""
        parameter = Parameter(slot.index, encode, kind, slot.read)
        # NUL is in no name and no literal, so nothing else looks like a mark.
        return self.marks.setdefault(parameter, f"\0{len(self.marks)}\0")

    def finished(self, text: str) -> tuple[str, tuple[Parameter, ...]]:
        """The text with the dialect's placeholders, and the parameters in their order."""
        known = list(self.marks)
        compiler = self.compiler
        numbers: dict[int, int] = {}
        parameters: list[Parameter] = []

        def place(mark: re.Match[str]) -> str:
            at = int(mark[1])
            if not compiler.numbered or at not in numbers:
                parameters.append(known[at])
                numbers[at] = len(parameters)
            return compiler.parameter(numbers[at], known[at].kind)

        return _MARK.sub(place, text), tuple(parameters)

    def column(self, target: Field) -> str:
        """How a field is spelt here."""
        if self.columns is not None:
            return self.columns[target.name]
        return self.compiler.column(target)

    def need(self, feature: str) -> None:
        """Refuse if the dialect declares the feature off, whatever the version of the server.

        Whoever runs an operation has asked before, and knows the version: ``needed``.
        """
        compiler = self.compiler
        require(compiler.features, (feature,), dialect=compiler.name, version=None)


@define
class LiteralBuild(Build):
    """Writes values into the text instead of binding them: a CHECK takes no parameters."""

    values: Sequence[Any] = ()

    def bind_as(
        self, slot: Slot, encode: Encode | None = None, kind: FieldType | None = None
    ) -> str:
        """The stored form of a value as a literal."""
        value = self.values[slot.index]
        return self.compiler.literal(value if encode is None else encode(value), kind)


Render = Callable[["BaseCompiler", Any, Build], str]
"""An entry of a compiler's table: the SQL of one node."""
