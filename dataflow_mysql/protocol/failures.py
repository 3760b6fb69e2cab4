"""The two ways in which a statement fails at the other end."""

from __future__ import annotations

__all__ = ["ConnectionGone", "ServerError"]


class ServerError(Exception):
    """The server's answer to a statement that it did not carry out.

    ``text`` may quote values, so it is not printed with the error.
    """

    def __init__(self, number: int, text: str, state: str = "") -> None:
        super().__init__(number, state)
        self.number = number
        self.text = text
        self.state = state

    def __str__(self) -> str:
        return f"server error {self.number} ({self.state or 'no SQLSTATE'})"


class ConnectionGone(Exception):
    """The connection broke.

    ``sent`` says whether a statement was on its way, ``undone`` whether the server undoes it with
    the transaction that it was part of.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent
        self.undone = False
