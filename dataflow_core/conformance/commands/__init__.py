"""The commands of ``dataflow-conformance``, a module for each.

A command is a function from its arguments to the exit code; it is found by its first word.
"""

from collections.abc import Callable, Sequence
from typing import Final

from dataflow_core.conformance.commands import diff, init, new_dialect, parity, run

__all__ = ["COMMANDS", "Command"]

Command = Callable[[Sequence[str]], int]

COMMANDS: Final[dict[str, Command]] = {
    "run": run.main,
    "init": init.main,
    "diff": diff.main,
    "parity": parity.main,
    "new-dialect": new_dialect.main,
}
"""By name; the first line of a command's docstring says in ``--help`` what it does."""
