"""A feed that does what the script tells it to, and remembers what it has said."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import trio

from ticker.market import FeedItem, Instrument, Publication, Reason, Update, Value

Command: TypeAlias = FeedItem | Exception | None
"""Send this, fail with that, or end."""


class State(Enum):
    """How a feed fares."""

    RUNNING = "running"
    DOWN = Reason.FEED_DOWN
    ENDED = Reason.FEED_ENDED


class ScriptedFeed:
    """One feed over all its lives."""

    def __init__(self, name: str, symbols: tuple[str, ...]) -> None:
        self.name = name
        self.symbols = symbols
        self.state = State.DOWN
        self.told, self._commands = trio.open_memory_channel[Command](1000)
        self.declared: dict[str, Instrument] = {}
        """What it says first in each of its lives."""
        self.latest: dict[str, dict[str, Value]] = {}
        """What it says next: the values that it has given, without those that were refused."""

    def tell(self, command: Command) -> None:
        """Have it do this, as soon as it can."""
        for each in command if isinstance(command, list) else [command]:
            if isinstance(each, Instrument):
                self.declared[each.symbol] = each
        self.told.send_nowait(command)

    def update(self, symbol: str, **fields: Value) -> Update:
        """An update that it gives again in its next life."""
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
