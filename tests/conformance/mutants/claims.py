"""Dialects that say something false about what they offer."""

from __future__ import annotations

from typing import Any, Final

from dataflow_core.compile import CHANGES
from dataflow_core.conformance import Outcome
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.features import Feature
from dataflow_core.filters import Pattern
from dataflow_core.updates.ast import BitChange
from dataflow_sqlite.compiler import SQLiteCompiler
from tests.conformance.mutants.mutant import Mutant, MutantConnection, spelling

__all__ = ["CLAIMS"]


def refuse(feature: str) -> Any:
    """A method that refuses, in the name of a feature."""

    def refuse_it(*_: Any, **__: Any) -> Any:
        raise UnsupportedFeature("no", feature=feature, dialect="mutant", reason="no")

    return refuse_it


def failing(*_: Any, **__: Any) -> str:
    """A spelling that no database reads."""
    return "this is no SQL"


class RefusesTooLate(MutantConnection):
    """Refuses a statement with LIMIT when it has come back."""

    async def fetch(self, sql: str, parameters: Any) -> Any:
        rows = await self.inner.fetch(sql, parameters)
        if "LIMIT" in sql:
            refuse("paging")()
        return rows


class RefusesSavepoints(MutantConnection):
    """Has no savepoints, and says so only when one is set."""

    async def savepoint(self, name: str) -> None:
        refuse("transactions.savepoint")()


_OFF: Final = Feature("unsupported", "it was never tried")

CLAIMS: Final = (
    Mutant(
        "says that it cannot do what works",
        ("order.ties", "order.of_n", "order.several"),
        Outcome.STALE_CLAIM,
        claims={"order.null_first": _OFF},
    ),
    Mutant(
        "says that it has not built what works",
        ("select.distinct", "select.distinct.text"),
        Outcome.STALE_CLAIM,
        claims={"select.distinct": Feature("not_implemented", "some day")},
    ),
    Mutant(
        "says that only a newer server can do what works",
        ("paging.limit_offset",),
        Outcome.STALE_CLAIM,
        claims={"paging": Feature("full", "only there", server=lambda version: version > (99,))},
    ),
    Mutant(
        "says nothing about a feature",
        ("updates.set", "updates.plain"),
        Outcome.UNDECLARED,
        claims={"updates.set": None},
    ),
    Mutant(
        "says nothing about a feature that it refuses",
        ("filters.regex.dot",),
        Outcome.UNDECLARED,
        claims={"filters.regex": None},
    ),
    Mutant(
        "says full and refuses filters",
        ("filters.regex.dot", "filters.like.percent"),
        Outcome.BROKEN_CLAIM,
        compiler=spelling(
            predicates={**SQLiteCompiler.predicates, Pattern: refuse("filters.text")}
        ),
    ),
    Mutant(
        "says full and has no spelling",
        ("aggregates.push", "aggregates.add_to_set"),
        Outcome.BROKEN_CLAIM,
        compiler=spelling(collected=refuse("aggregate.collect")),
    ),
    Mutant(
        "says full and refuses savepoints when they are used",
        ("transactions.savepoint.rollback", "transactions.savepoint.nested"),
        Outcome.BROKEN_CLAIM,
        connection=RefusesSavepoints,
    ),
    Mutant(
        "declares a feature off and refuses it in another's name",
        ("updates.bit.and", "updates.bit.or"),
        Outcome.BROKEN_CLAIM,
        claims={"updates.bits": _OFF},
        compiler=spelling(changes={**CHANGES, BitChange: refuse("updates.arithmetic")}),
    ),
    Mutant(
        "declares a feature off and refuses it after SQL was sent",
        ("paging.limit_offset",),
        Outcome.BROKEN_CLAIM,
        claims={"paging": _OFF},
        connection=RefusesTooLate,
    ),
    Mutant(
        "declares a feature off and sends nonsense instead of refusing",
        ("updates.bit.and", "updates.bit.or"),
        claims={"updates.bits": _OFF},
        compiler=spelling(changes={**CHANGES, BitChange: failing}),
    ),
    Mutant(
        "declares a feature off without a reason",
        ("filters.bits.all_set",),
        claims={"filters.bits": Feature("unsupported")},
    ),
)
