"""``dataflow-conformance``: the first word says what to do, a URL alone means ``run``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence

from dataflow_core import __version__
from dataflow_core.conformance.commands import COMMANDS
from dataflow_core.conformance.commands.arguments import PROGRAM
from dataflow_core.conformance.runner import SUITE
from dataflow_core.errors import DataFlowError
from dataflow_core.naming_hints import nearest

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters:
        arguments: what follows the program's name; by default that of this process.

    Returns the exit code: 0 all is well, 1 something is not as claimed or got worse, 2 it could
    not be done.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    first = given[0] if given else "--help"
    if first in ("-h", "--help"):
        print(_help())
        return 0 if given else 2
    if first == "--version":
        print(f"{PROGRAM}: suite {SUITE}, core {__version__}")
        return 0
    name = "run"
    if first in COMMANDS:
        name = given.pop(0)
    elif not first.startswith("-") and ":" not in first:
        meant = nearest(first, COMMANDS)
        print(
            f"{first!r} is neither a command nor the URL of a database"
            + (f"; did you mean {meant!r}?" if meant else f"; the commands: {', '.join(COMMANDS)}"),
            file=sys.stderr,
        )
        return 2
    try:
        return COMMANDS[name](given)
    except (DataFlowError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def _help() -> str:
    lines = [
        f"usage: {PROGRAM} [run] URL [options]",
        *(f"       {PROGRAM} {name} ..." for name in COMMANDS if name != "run"),
        f"       {PROGRAM} --version",
        "",
        "commands:",
    ]
    width = max(map(len, COMMANDS))
    for name, command in COMMANDS.items():
        summary = (inspect.getdoc(command) or "").partition("\n")[0]
        lines.append(f"  {name.ljust(width)}  {summary}")
    lines += ["", f"`{PROGRAM} COMMAND --help` tells the options of a command."]
    return "\n".join(lines)
