"""What a failing case tells: the call, what was sent, both sides, the spelling of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from dataflow_core import DataFlow
from dataflow_core.conformance.watched import SentStatement
from dataflow_core.errors import UnsupportedFeature

if TYPE_CHECKING:
    from dataflow_core.conformance.session import CaseFailed, Session

__all__ = ["compiled_call", "cut", "described_call", "described_sides", "spelled_elsewhere"]

_SHOWN: Final = 1_500
_SHOWN_SQL: Final = 700
_SHOWN_STATEMENTS: Final = 5


def cut(text: str, limit: int = _SHOWN) -> str:
    """A text, its end left out where it is long."""
    return text if len(text) <= limit else f"{text[:limit]} ..."


def described_call(session: Session) -> list[str]:
    """The latest call of a case, and the statements that it sent with their values."""
    if session.last is None:
        return []
    node, parameters = session.last
    recording = session.last_on.recording
    sent = list(recording.statements)
    shown = sent[-_SHOWN_STATEMENTS:]
    lines = [f"operation: {node}({cut(repr(parameters))})"]
    left_out = recording.left_out + len(sent) - len(shown)
    if left_out:
        lines.append(f"({left_out} earlier statements of the call are not shown)")
    lines += _statements("statement", shown)
    if not shown:
        lines.append("statement: none was sent")
    return lines


def described_sides(failure: CaseFailed) -> list[str]:
    """What the evaluator gives, and what the database gave."""
    if failure.expected is None and failure.got is None:
        return []
    return [f"expected: {cut(repr(failure.expected))}", f"got:      {cut(repr(failure.got))}"]


async def spelled_elsewhere(session: Session) -> list[str]:
    """The statements of the latest call as the other installed dialects spell them.

    They are compiled only: no other database is connected to.
    """
    if session.last is None:
        return []
    lines: list[str] = []
    for spec in session.db.plugins.dialects():
        if spec.name != session.database.dialect.name:
            try:
                lines += await _spelled_by(session, spec.load())
            except Exception as error:  # another's dialect may be broken, and its driver not there
                lines.append(
                    f"{spec.name}: cannot be told: {type(error).__name__}: {cut(str(error))}"
                )
    return lines


async def _spelled_by(session: Session, dialect: Any) -> list[str]:
    assert session.last is not None
    node, parameters = session.last
    # A handle of its own that never connects: its engine compiles with the other dialect.
    handle = DataFlow(session.url, **session.options)
    try:
        handle.engine().dialect = dialect
        for cls in session.classes:
            handle.model(cls, validation="off")
        return compiled_call(handle, node, parameters, label=dialect.name)
    finally:
        await handle.aclose()


def compiled_call(
    handle: Any, node: str, parameters: Mapping[str, Any], *, label: str = "statement"
) -> list[str]:
    """The statements of a call as far as they can be had without running it."""
    try:
        statements = handle.explain(node, **parameters)
    except UnsupportedFeature as refusal:
        return [f"{label}: refused: {refusal.message}"]
    except Exception as error:  # a report is never lost to its own decoration
        return [f"{label}: cannot be told: {type(error).__name__}: {cut(str(error))}"]
    sent = [SentStatement(one.sql, one.parameters) for one in statements[:_SHOWN_STATEMENTS]]
    return list(_statements(label, sent)) or [f"{label}: none"]


def _statements(label: str, statements: Iterable[SentStatement]) -> Iterator[str]:
    for statement in statements:
        yield f"{label}: {cut(statement.sql, _SHOWN_SQL)}"
        if statement.values:
            yield f"  values: {_values(statement.values, statement.more)}"


def _values(values: Sequence[Any], more: int) -> str:
    return cut(repr(list(values))) + (f" and {more} more" if more else "")
