"""Reading text files line by line, with the number of each line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from dataflow_core.errors import FileNotUsable, InvalidFileContent

__all__ = ["TextLines", "content_error"]

_AT_ONCE: Final = 1 << 17


def content_error(
    path: Path,
    line: int,
    what: str,
    *,
    column: str | None = None,
    expected: str | None = None,
    position: str = "line",
) -> InvalidFileContent:
    """The refusal of a line (or row) of a file."""
    at = "" if column is None else f", column {column}"
    context: dict[str, Any] = {"path": str(path), position: line}
    if column is not None:
        context["column"] = column
    if expected is not None:
        context["expected"] = expected
    return InvalidFileContent(f"{path.name}, {position} {line}{at}: {what}", **context)


class TextLines:
    """A text file in UTF-8, with or without a byte order mark.

    Lines keep their ends. One that is no UTF-8 is refused by its number.
    """

    def __init__(self, path: Path, newline: str) -> None:
        self._path = path
        try:
            # What cannot be decoded is found in its line, whose number is then known.
            self._file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline)
        except OSError as error:
            raise unreadable(path, error) from error

    def __iter__(self) -> Iterator[str]:
        number = 0
        while lines := self._file.readlines(_AT_ONCE):
            for line in lines:
                number += 1
                if not line.isascii():
                    self._check(line, number)
                yield line

    def _check(self, line: str, number: int) -> None:
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise content_error(
                self._path, number, f"is no UTF-8 at character {error.start + 1}"
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def unreadable(path: Path, error: OSError) -> FileNotUsable:
    """The refusal of a file that cannot be opened."""
    reason = error.strerror or type(error).__name__
    return FileNotUsable(f"{path} cannot be read: {reason}", path=str(path), outcome="not done")
