"""Databases in memory: private to their instance, whole within it, gone with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_MEMORY: Final = "connection.memory"


class Note:
    """A text."""

    id: int
    text: str = ""


async def _count(handle: Any) -> int:
    return int((await handle.run("NoteCountNode", filter={}))["count"])


def _handle(session: Session) -> Any:
    handle = session.in_memory()
    handle.model(Note, validation="off")
    return handle


@case("memory.private", feature=_MEMORY, since="0.2")
async def private(session: Session) -> None:
    """Two instances with a database in memory do not see each other's rows."""
    one, other = _handle(session), _handle(session)
    await one.run("NoteCreateNode", id=1, text="mine")
    session.equal(await _count(other), 0)
    await other.run("NoteCreateNode", id=1, text="yours")
    session.equal((await one.run("NoteReadNode", id=1))["text"], "mine")


@case("memory.whole", feature=_MEMORY, since="0.2")
async def whole(session: Session) -> None:
    """Within an instance all calls see one database, however many run at once."""
    handle = _handle(session)
    await asyncio.gather(*(handle.run("NoteCreateNode", id=n) for n in range(20)))
    session.equal(await asyncio.gather(*(_count(handle) for _ in range(20))), [20] * 20)
    async with handle.transaction():
        await handle.run("NoteCreateNode", id=20)
        session.equal(await _count(handle), 21)
    session.equal(await _count(handle), 21)


@case("memory.gone", feature=_MEMORY, since="0.2")
async def gone(session: Session) -> None:
    """Closing the instance ends the database: the next one begins with nothing."""
    handle = _handle(session)
    await handle.run("NoteCreateNode", id=1)
    await handle.aclose()
    session.equal(await _count(_handle(session)), 0)
