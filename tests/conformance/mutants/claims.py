"""Dialects that say something false about what they offer."""

from __future__ import annotations

from typing import Any, Final

from dataflow_core.conformance import Outcome
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.features import Feature
from dataflow_core.filters import Pattern
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
        whole="order.null_first",
    ),
    Mutant(
        "says that it cannot do what core then refuses",
        ("filters.regex.dot", "filters.regex.refused.lazy"),
        Outcome.STALE_CLAIM,
        claims={"filters.regex": _OFF},
        whole="filters.regex",
    ),
    Mutant(
        "says that it has not built a type that it stores",
        ("types.date.round_trip", "types.date.datetime.refused"),
        Outcome.STALE_CLAIM,
        claims={"types.date": Feature("not_implemented", "some day")},
        whole="types.date",
    ),
    Mutant(
        "says that it has no savepoints and has them",
        ("transactions.savepoint.rollback", "transactions.savepoint.nested"),
        Outcome.STALE_CLAIM,
        claims={"transactions.savepoint": _OFF},
        whole="transactions.savepoint",
    ),
    Mutant(
        "says that it has not built what works",
        ("select.distinct", "select.distinct.text"),
        Outcome.STALE_CLAIM,
        claims={"select.distinct": Feature("not_implemented", "some day")},
        whole="select.distinct",
    ),
    Mutant(
        "says that only a newer server can do what works",
        ("paging.limit_offset",),
        Outcome.STALE_CLAIM,
        claims={"paging": Feature("full", "only there", server=lambda version: version > (99,))},
        whole="paging",
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
    # Core refuses by itself most of what is declared off; what it cannot see is the dialect's word.
    Mutant(
        "declares a feature off and refuses it in another's name",
        ("constraints.unique.key", "constraints.not_null"),
        Outcome.BROKEN_CLAIM,
        claims={"constraints.errors": _OFF},
        translate=lambda error, situation: refuse("updates.arithmetic")(),
    ),
    Mutant(
        "declares a feature off and refuses it after SQL was sent",
        ("constraints.unique.key", "constraints.not_null"),
        Outcome.BROKEN_CLAIM,
        claims={"constraints.errors": _OFF},
        translate=lambda error, situation: refuse("constraints.errors")(),
    ),
    Mutant(
        "declares a feature off and sends nonsense instead of refusing",
        ("identifiers.keywords",),
        claims={"identifiers": _OFF},
        compiler=spelling(quote=failing),
    ),
    Mutant(
        "declares a feature off without a reason",
        ("filters.bits.all_set",),
        claims={"filters.bits": Feature("unsupported")},
    ),
)
