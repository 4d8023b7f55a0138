"""A feed driven by the script, with a record of its publications."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import trio

from ticker.market import FeedItem, Instrument, Publication, Reason, Update, Value

Command: TypeAlias = FeedItem | Exception | None
"""Publications to send, an exception to fail with, or None to end."""


class State(Enum):
    """The state of a feed."""

    RUNNING = "running"
    DOWN = Reason.FEED_DOWN
    ENDED = Reason.FEED_ENDED


class ScriptedFeed:
    """One feed over all its restarts."""

    def __init__(self, name: str, symbols: tuple[str, ...]) -> None:
        self.name = name
        self.symbols = symbols
        self.state = State.DOWN
        self.told, self._commands = trio.open_memory_channel[Command](1000)
        self.declared: dict[str, Instrument] = {}
        """Definitions, sent first after each start."""
        self.latest: dict[str, dict[str, Value]] = {}
        """Values, sent next: the latest of each field, without refused ones."""

    def tell(self, command: Command) -> None:
        """Queue a command."""
        for each in command if isinstance(command, list) else [command]:
            if isinstance(each, Instrument):
                self.declared[each.symbol] = each
        self.told.send_nowait(command)

    def update(self, symbol: str, **fields: Value) -> Update:
        """Make an update that the feed repeats after a restart."""
        self.latest.setdefault(symbol, {}).update(fields)
        return Update(symbol, fields)

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        self.state = State.RUNNING
        again: list[Publication] = list(self.declared.values())
        again += [Update(symbol, dict(fields)) for symbol, fields in self.latest.items()]
        await updates.send(again)
        async for command in self._commands:
            if isinstance(command, Exception):
                self.state = State.DOWN
                raise command
            if command is None:
                self.state = State.ENDED
                return
            await updates.send(command)
