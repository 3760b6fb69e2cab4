"""The Python blocks of a Markdown page, and a program that runs them in order.

    python tests/docs/snippets.py PAGE

Blocks of one page share one namespace and may use `await`. A block whose first line is a comment
with a path, such as `# package/module.py`, is that file: it is written, imported from there, and
what it defines is in the namespace. A block after the comment
`<!-- no-run: reason -->` is only compiled. Needs the standard library only, so that it also runs
where nothing but the wheels is installed.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
_PATH = re.compile(r"# (?P<path>[\w./-]+/[\w./-]+\.py)\n")
_COMMENT = re.compile(r"^ *<!-- *(?P<text>.*?) *-->")


class Block(NamedTuple):
    """One fenced Python block."""

    line: int
    """Number of the block's first line of code in the page."""
    source: str
    comment: str
    """Text of the HTML comment just before the block, empty without one."""

    @property
    def file(self) -> str | None:
        """The path of the file that the block is."""
        found = _PATH.match(self.source)
        return found["path"] if found else None

    @property
    def runs(self) -> bool:
        """Whether the block is run, not only compiled."""
        return not self.comment.startswith("no-run")


def python_blocks(text: str) -> list[Block]:
    """Read the fenced blocks marked `python`, in order.

    Raises ValueError when a fence is never closed or a `no-run` gives no reason.
    """
    blocks: list[Block] = []
    lines = text.splitlines()
    comment = ""
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            if lines[number].strip():
                found = _COMMENT.match(lines[number])
                comment = found["text"] if found else ""
            number += 1
            continue
        start = number + 1
        end = start
        while end < len(lines) and not re.match(
            rf"^ *{re.escape(opening['fence'])}[`~]*\s*$", lines[end]
        ):
            end += 1
        if end == len(lines):
            raise ValueError(f"line {start}: the fence is never closed")
        if opening["info"].strip() == "python":
            if re.fullmatch(r"no-run:? *", comment):
                raise ValueError(f"line {start}: no-run needs a reason")
            source = textwrap.dedent("\n".join(lines[start:end])) + "\n"
            blocks.append(Block(start + 1, source, comment))
        comment = ""
        number = end + 1
    return blocks


def written(block: Block) -> dict[str, Any]:
    """Write the file that a block is, and import it from its package; what is in it."""
    assert block.file is not None
    path = Path(block.file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.source, encoding="utf-8")
    # The package is the folder that holds the file; what holds the package is to be installed.
    folder = str(path.parent.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
        sys.modules.pop(path.parent.name, None)  # a package of that name in another folder
    name = f"{path.parent.name}.{path.stem}"
    sys.modules.pop(name, None)
    importlib.invalidate_caches()
    module = importlib.import_module(name)
    return {key: value for key, value in vars(module).items() if not key.startswith("__")}


def run_page(page: Path) -> None:
    """Compile every block of the page and run those that are to be run."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for block in python_blocks(page.read_text(encoding="utf-8")):
            # Empty lines in front: a traceback then names the line of the page.
            code = compile(
                "\n" * (block.line - 1) + block.source,
                str(page),
                "exec",
                flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                dont_inherit=True,
            )
            if not block.runs:
                continue
            if block.file is not None:
                namespace.update(written(block))
            elif code.co_flags & inspect.CO_COROUTINE:
                runner.run(eval(code, namespace))  # noqa: S307 - our own documentation
            else:
                exec(code, namespace)  # noqa: S102 - our own documentation


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
