"""Writing a file in a thread of its own: whole, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from dataflow_core.dialect.worker import Worker
from dataflow_core.errors import FileNotUsable
from dataflow_core.schema import Field
from dataflow_core.transfer.formats import Format, FormatWriter

__all__ = ["Target", "in_any_case"]

T = TypeVar("T")


async def in_any_case(work: asyncio.Future[T]) -> T:
    """Wait until something has ended; a cancellation meanwhile is raised afterwards."""
    cancelled = False
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        work.exception()
        raise asyncio.CancelledError
    return work.result()


class Target:
    """A file to be written: ``open``, ``write`` and ``finish``, or ``give_up``.

    The rows go into a file beside it, which takes its name at the very end.
    """

    def __init__(self, path: Path, form: Format, *, overwrite: bool) -> None:
        self.path = path
        self._format = form
        self._overwrite = overwrite
        self._beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.part")
        self._file: BinaryIO | None = None
        self._writer: FormatWriter | None = None
        self._worker = Worker(f"dataflow export {path.name}")

    async def check(self) -> None:
        """Refuse what cannot be written, before anything is read from the database."""
        await self._worker.submit(self._check)

    def _check(self) -> None:
        if self.path.is_dir():
            raise self._unusable("is a folder")
        if not self.path.parent.is_dir():
            raise self._unusable("its folder does not exist")
        if not self._overwrite and self.path.exists():
            raise self._unusable("exists already; say overwrite=True to replace it")

    def _unusable(self, reason: str) -> FileNotUsable:
        where = os.path.abspath(self.path)  # noqa: PTH100 - a link is not to be followed
        return FileNotUsable(
            f"{self.path} cannot be written ({where}): {reason}", path=where, outcome="not done"
        )

    async def open(self, fields: Sequence[Field]) -> None:
        """Begin the file."""

        def begin() -> None:
            self._file = self._beside.open("xb")
            self._writer = self._format.writer(self._file, fields)

        await self._run(begin)

    async def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write rows, in order."""
        writer = self._writer
        assert writer is not None
        await self._run(lambda: writer.write(rows))

    async def finish(self) -> None:
        """Make it the file that was asked for."""
        await self._run(self._finish)
        self._worker.stop()

    def _finish(self) -> None:
        assert self._writer is not None and self._file is not None
        self._writer.finish()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._overwrite:
            self._beside.replace(self.path)
            return
        try:
            # Unlike renaming, this fails if somebody has made the file meanwhile.
            self.path.hardlink_to(self._beside)
        except FileExistsError:
            raise self._unusable("exists already; say overwrite=True to replace it") from None
        except OSError:
            # A file system without links.
            self._beside.replace(self.path)
        else:
            self._beside.unlink()

    async def _run(self, work: Callable[[], None]) -> None:
        try:
            await self._worker.submit(work)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise self._unusable(reason) from error

    async def give_up(self) -> None:
        """Leave nothing behind; the file of that name, if there is one, stays as it was."""
        await in_any_case(self._worker.submit(self._remove))
        self._worker.stop()

    def _remove(self) -> None:
        if self._writer is not None and self._file is not None and not self._file.closed:
            self._writer.give_up()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._beside.unlink(missing_ok=True)
