"""The root of the error tree: a code, a message, causes, solutions, and a link to the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self, TypeVar, get_args

from attrs import frozen

from dataflow_core.errors.safe_json import HIDDEN, is_secret, printable, safe_json
from dataflow_core.naming_hints import quoted

DOCS_PAGE = "docs/reference/errors.md"
_SHOWN_SOLUTIONS = 2

Outcome = Literal["not done", "done", "unknown"]
"""What became of a write that failed: nothing changed, it was carried out, or nobody can tell."""

_OUTCOMES: tuple[str, ...] = get_args(Outcome)


@frozen
class Solution:
    """One way out of an error: what to do, and code that does it.

    Attributes:
        text: what to do, one sentence.
        snippet: code that does it.
        language: `python`, or `shell` for a command line.
    """

    text: str
    snippet: str
    language: Literal["python", "shell"] = "python"


class DataFlowError(Exception):
    """The root of all errors that DataFlow raises on purpose; catch it to catch them all.

    Parameters:
        message: what is wrong, where, and what was expected; one line, free of secrets.
        suggestion: the nearest right name; shown as "did you mean 'name'?".
        outcome: for a failed write: `"not done"`, `"done"` or `"unknown"`.
        causes: instead of those of the class, where the raiser knows better.
        solutions: likewise.
        context: where it happened (model, field, node, ...), readable under `error.context`.

    Attributes:
        code: the stable code, for example `DF-101`; it never changes its meaning.
        title: the meaning in a few words.
        message, suggestion, outcome, context: as given.
        causes: what usually leads here.
        solutions: ways out, each with a snippet.
        docs: where the error is described.
        retryable: whether the same call may succeed if it is simply made again.
    """

    code: ClassVar[str] = "DF-000"
    title: ClassVar[str] = "DataFlow error"
    retryable: ClassVar[bool] = False
    causes: tuple[str, ...] = ("The call could not be carried out as it was asked.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Read the code, the message and the context.",
            "from dataflow_core.errors import DataFlowError\n\n"
            "try:\n"
            '    db.run_sync("UserReadNode", id=1)\n'
            "except DataFlowError as error:\n"
            "    print(error.code, error.to_dict())",
        ),
    )

    def __init__(
        self,
        message: str,
        /,
        *,
        suggestion: str | None = None,
        outcome: Outcome | None = None,
        causes: Iterable[str] = (),
        solutions: Iterable[Solution] = (),
        **context: Any,
    ) -> None:
        super().__init__(message)
        if outcome is not None and outcome not in _OUTCOMES:
            raise ValueError(f"outcome must be one of {_OUTCOMES}, not {quoted(outcome)}")
        self.message = message
        self.suggestion = suggestion
        self.outcome = outcome
        self.context: dict[str, Any] = context
        if own_causes := tuple(causes):
            self.causes = own_causes
        if own_solutions := tuple(solutions):
            self.solutions = own_solutions

    @property
    def docs(self) -> str:
        """The link to the description of this error."""
        return docs_link(self.code)

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.message}"]
        if self.suggestion is not None:
            lines.append(f"  did you mean {quoted(self.suggestion)}?")
        if self.outcome is not None:
            lines.append(f"  outcome: {self.outcome}")
        lines.extend(self._explanation())
        lines.append(f"  docs: {self.docs}")
        return printable("\n".join(lines))

    def _explanation(self) -> list[str]:
        """Return the lines between what went wrong and the link."""
        lines = []
        for solution in self.solutions[:_SHOWN_SOLUTIONS]:
            lines.append(f"  try: {solution.text}")
            if "\n" not in solution.snippet:
                lines.append(f"       {solution.snippet}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the error as values that the json module accepts, secrets hidden."""
        return {
            "code": self.code,
            "error": type(self).__name__,
            "title": self.title,
            "message": printable(self.message),
            "context": self._safe_context(),
            "causes": list(self.causes),
            "solutions": [
                {"text": solution.text, "snippet": solution.snippet, "language": solution.language}
                for solution in self.solutions
            ],
            "suggestion": None if self.suggestion is None else printable(self.suggestion),
            "outcome": self.outcome,
            "docs": self.docs,
        }

    def _safe_context(self) -> dict[str, Any]:
        # Key by key, so that the context itself is never cut short.
        return {
            key: HIDDEN if is_secret(key) else safe_json(value)
            for key, value in self.context.items()
        }

    def _pickled_state(self) -> dict[str, Any]:
        """Return the attributes in a form that always survives a process boundary."""
        return {**self.__dict__, "context": self._safe_context()}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message), self._pickled_state()

    def __copy__(self) -> Self:
        duplicate = _rebuild(type(self), self.message)
        duplicate.__dict__.update(self.__dict__)
        duplicate.context = dict(self.context)
        return duplicate


_Error = TypeVar("_Error", bound=DataFlowError)


def _rebuild(kind: type[_Error], message: str) -> _Error:
    return kind.__new__(kind, message)


def docs_link(code: str) -> str:
    """Return the link to the description of an error code."""
    return f"{DOCS_PAGE}#{code.lower()}"
