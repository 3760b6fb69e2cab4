"""Several statements sent at once: one trip to the server instead of one for each."""

from __future__ import annotations

from collections.abc import Sequence

from pymysql.constants import COMMAND

from dataflow_mysql.protocol.failures import ServerError
from dataflow_mysql.protocol.wire import Answer, PacketWire

__all__ = ["PipelineWire"]


class PipelineWire(PacketWire):
    """One connection that also takes statements before it has answered those before them.

    The server reads and answers them in their order, whether or not one of them fails.
    """

    _left = 0
    _outcomes: list[Answer | ServerError]

    async def query_all(self, texts: Sequence[bytes]) -> list[Answer | ServerError]:
        """Send statements; what each of them gave."""
        first, *others = texts
        ended = self._command(COMMAND.COM_QUERY, first)
        outcomes: list[Answer | ServerError] = []
        self._left, self._outcomes = len(others), outcomes
        for text in others:
            self._send(COMMAND.COM_QUERY, text)
        try:
            outcomes.append(await ended)
        except ServerError as error:
            outcomes.append(error)
        return outcomes

    def _finish(self, outcome: Answer | ServerError) -> None:
        """The answer to one of the statements is complete."""
        if not self._left or self._failure is not None:
            super()._finish(outcome)
            return
        self._left -= 1
        self._outcomes.append(outcome)
        self._expect_answer()
