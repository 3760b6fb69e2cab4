"""Standing between the engine and a dialect: what is really sent is noted, claims may be set aside.

Nothing of it reaches a log: the values are the cases' own, and they are kept for the report of the
case that failed, and no longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import define, field, frozen

from dataflow_core.features import FEATURES, Feature

if TYPE_CHECKING:
    from dataflow_core.compile import LoadStatement
    from dataflow_core.contract import (
        Connection,
        ConnectOptions,
        Dialect,
        Driver,
        Lane,
        Server,
    )
    from dataflow_core.url import DatabaseURL

__all__ = ["EVERYTHING", "Handle", "Recording", "SentStatement", "WatchedDialect"]

_KEPT_STATEMENTS: Final = 20
_KEPT_VALUES: Final = 40

EVERYTHING: Final[Mapping[str, Feature]] = {name: Feature("full") for name in FEATURES}
"""A table that claims every feature."""


class _Noting(Mapping[str, Feature]):
    """A table that notes which features were asked for; to look with ``get`` asks for nothing."""

    def __init__(self, table: Mapping[str, Feature], asked: dict[str, None]) -> None:
        self._table = table
        self._asked = asked

    def __getitem__(self, name: str) -> Feature:
        self._asked[name] = None
        return self._table[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self._table.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


@frozen
class SentStatement:
    """A statement that was sent, with the first of its values as the driver got them.

    ``more`` is how many values are not kept.
    """

    sql: str
    values: tuple[Any, ...]
    more: int = 0


@define(eq=False)
class Recording:
    """The latest statements that went over the connections of a handle."""

    statements: deque[SentStatement] = field(factory=lambda: deque(maxlen=_KEPT_STATEMENTS))
    _left_out: int = 0

    def add(self, sql: str, parameters: Sequence[Any]) -> None:
        """Note a statement; the oldest one goes."""
        if len(self.statements) == _KEPT_STATEMENTS:
            self._left_out += 1
        values = tuple(islice(parameters, _KEPT_VALUES))
        self.statements.append(SentStatement(sql, values, len(parameters) - len(values)))

    @property
    def left_out(self) -> int:
        """How many statements since ``clear`` are not kept."""
        return self._left_out

    def clear(self) -> None:
        """Forget what was sent so far."""
        self.statements.clear()
        self._left_out = 0


class Handle:
    """A handle of which every call of a node is told; otherwise the handle itself."""

    def __init__(self, inner: Any, note: Callable[[str, dict[str, Any]], None]) -> None:
        self._inner = inner
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def run(self, node: str, /, **parameters: Any) -> Any:
        """Run a node, as ``DataFlow.run``."""
        self._note(node, parameters)
        return self._inner.run(node, **parameters)


class _Delegate:
    """Has every attribute of what it stands for."""

    def __init__(self, inner: Any, recording: Recording) -> None:
        self._inner = inner
        self._recording = recording

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _WatchedConnection(_Delegate):
    """A connection whose statements are noted."""

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Coroutine[Any, Any, Any]:
        self._recording.add(sql, parameters)
        return cast("Coroutine[Any, Any, Any]", self._inner.fetch(sql, parameters))

    def fetch_named(self, sql: str, parameters: Sequence[Any]) -> Coroutine[Any, Any, Any]:
        self._recording.add(sql, parameters)
        return cast("Coroutine[Any, Any, Any]", self._inner.fetch_named(sql, parameters))

    def execute(self, sql: str, parameters: Sequence[Any]) -> Coroutine[Any, Any, Any]:
        self._recording.add(sql, parameters)
        return cast("Coroutine[Any, Any, Any]", self._inner.execute(sql, parameters))

    def stream(self, sql: str, parameters: Sequence[Any], size: int) -> AsyncGenerator[Any, None]:
        self._recording.add(sql, parameters)
        return cast("AsyncGenerator[Any, None]", self._inner.stream(sql, parameters, size))

    def stream_as(
        self, tell: str, tenant: str, sql: str, parameters: Sequence[Any], size: int
    ) -> AsyncGenerator[Any, None]:
        self._recording.add(sql, parameters)
        return cast(
            "AsyncGenerator[Any, None]",
            self._inner.stream_as(tell, tenant, sql, parameters, size),
        )

    def fetch_together(
        self, statements: Sequence[tuple[str, Sequence[Any]]]
    ) -> Coroutine[Any, Any, Any]:
        for sql, parameters in statements:
            self._recording.add(sql, parameters)
        return cast("Coroutine[Any, Any, Any]", self._inner.fetch_together(statements))

    def load(
        self, statement: LoadStatement, rows: Sequence[Sequence[Any]]
    ) -> Coroutine[Any, Any, Any]:
        self._recording.add(statement.text, ())
        return cast("Coroutine[Any, Any, Any]", self._inner.load(statement, rows))


class _WatchedDriver(_Delegate):
    """A driver whose connections are watched."""

    async def connect(self, lane: Lane) -> Connection:
        connection = await self._inner.connect(lane)
        return cast("Connection", _WatchedConnection(connection, self._recording))


class WatchedDialect(_Delegate):
    """A dialect whose connections are watched.

    Parameters:
        inner: the dialect.
        recording: where the statements are noted.
        asked: where the features that core asks for are noted.
        claim_everything: whether core is to send even what the dialect declares off.
    """

    def __init__(
        self,
        inner: Dialect,
        recording: Recording,
        asked: dict[str, None],
        *,
        claim_everything: bool = False,
    ) -> None:
        super().__init__(inner, recording)
        self._claim_everything = claim_everything
        self._asked = asked
        self._features = _Noting(EVERYTHING if claim_everything else inner.features, asked)
        if claim_everything:
            # The base class of compilers looks the claims up here, also for the DDL compiler.
            cast("Any", inner.compiler).features = EVERYTHING

    @property
    def inner(self) -> Dialect:
        """The dialect itself."""
        return cast("Dialect", self._inner)

    @property
    def features(self) -> Mapping[str, Feature]:
        """What the dialect declares, or everything."""
        return self._features

    def adapt(self, server: Server) -> Dialect:
        """The dialect for a server, watched as well."""
        adapted = self.inner.adapt(server)
        watched = WatchedDialect(
            adapted, self._recording, self._asked, claim_everything=self._claim_everything
        )
        return cast("Dialect", watched)

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        """A driver whose connections are watched."""
        return cast("Driver", _WatchedDriver(self.inner.open(url, options), self._recording))
