"""The messages of one WebSocket on their way from trio-websocket's reader to the task that answers them: one at a time.

It stands in the place of both ends of the memory channel of that size that each `WebSocketConnection` has, and does
what trio-websocket asks of them. That channel is seven objects and 2 KB of every idle client; this is one.
"""

from __future__ import annotations

from typing import Self

import trio
from trio.lowlevel import Abort, Task


class Mailbox:
    """Room for one message. One task sends, and one receives."""

    __slots__ = ("_ended", "_message", "_waiting")

    def __init__(self) -> None:
        self._message: bytes | str | None = None
        self._ended = False
        self._waiting: Task | None = None
        """The sender, as long as there is no room, or the receiver, as long as there is no message: never both."""

    def __repr__(self) -> str:
        return f"<Mailbox {'with a message' if self._message is not None else 'without one'}, ended: {self._ended}>"

    async def send(self, message: bytes | str) -> None:
        """Wait for room, and put a message there. Raises `trio.BrokenResourceError` behind the end."""
        await trio.lowlevel.checkpoint()
        while self._message is not None and not self._ended:
            self._waiting = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._give_up)
        if self._ended:
            raise trio.BrokenResourceError("no further messages are taken")
        self._message = message
        self._wake()

    async def receive(self) -> bytes | str:
        """Wait for the next message. Raises `trio.EndOfChannel` when no more will come."""
        await trio.lowlevel.checkpoint()
        while self._message is None and not self._ended:
            self._waiting = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._give_up)
        if self._message is None:
            raise trio.EndOfChannel
        message, self._message = self._message, None
        self._wake()
        return message

    async def aclose(self) -> None:
        """End it: the message that is there can still be received."""
        self._ended = True
        self._wake()
        await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _wake(self) -> None:
        if self._waiting is not None:
            trio.lowlevel.reschedule(self._waiting)
            self._waiting = None

    def _give_up(self, _: object) -> Abort:
        self._waiting = None
        return Abort.SUCCEEDED
