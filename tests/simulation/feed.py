"""A feed driven by the script, with a record of its publications."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from random import Random
from typing import TypeAlias

import trio

from tests.simulation.history import TABLES
from tests.tables_model import TapeModel
from ticker.market import (
    FeedItem,
    Instrument,
    Level,
    Levels,
    Publication,
    Reason,
    Stale,
    Trade,
    Update,
    Value,
    Withdrawal,
)

Command: TypeAlias = FeedItem | Exception | None
"""Publications to send, an exception to fail with, or None to end."""


class State(Enum):
    """The state of a feed."""

    RUNNING = "running"
    DOWN = Reason.FEED_DOWN
    ENDED = Reason.FEED_ENDED


class Shown:
    """The values to be shown of one instrument, kept apart from the code under test."""

    def __init__(self) -> None:
        self.values: dict[str, Decimal | str] = {}
        self.outdated = False

    def update(self, fields: Mapping[str, Value]) -> None:
        """Take an update: an outdated value that it does not name is gone, and so is one that nobody can read."""
        read = {name: readable(name, value) for name, value in fields.items() if name not in {"status", "reason"}}
        usable = len(fields) > len(read) or any(read[name] is not None or fields[name] is None for name in read)
        if self.outdated and usable:
            self.values.clear()
            self.outdated = False
        for name, value in read.items():
            if value is None:
                self.values.pop(name, None)
            else:
                self.values[name] = value


def readable(name: str, value: object) -> Decimal | str | None:
    """Return the value as it is to be shown; None if it cannot be read."""
    if name in {"note", "funding"} and isinstance(value, str):
        return value
    if not isinstance(value, str | Decimal) and type(value) is not int:
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    return number if number.is_finite() and number.adjusted() < 40 else None


class ScriptedFeed:
    """One feed over all its restarts."""

    def __init__(self, name: str, symbols: tuple[str, ...], chance: Random, clock: Callable[[], int]) -> None:
        """`clock` is the server's, in microseconds since 1970 UTC."""
        self.name = name
        self.symbols = symbols
        self._chance = chance
        self._clock = clock
        self.shown: defaultdict[str, Shown] = defaultdict(Shown)
        """By symbol, for the service's present run."""
        self.tapes: defaultdict[str, TapeModel] = defaultdict(lambda: TapeModel(max(TABLES.trades)))
        """By symbol, likewise."""
        self.state = State.DOWN
        self.told, self._commands = trio.open_memory_channel[Command](1000)
        self.declared: dict[str, Instrument] = {}
        """Definitions, sent first after each start."""
        self.latest: dict[str, dict[str, Value]] = {}
        """Values, sent next: the latest of each field, without refused ones."""
        self.books: dict[str, Levels] = {}
        """Whole books, sent last: a venue's snapshot after a new connection."""

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

    def book(self, symbol: str, bids: list[Level], asks: list[Level], depth: int | None) -> Levels:
        """Make a whole book, which the feed sends again after a restart."""
        self.books[symbol] = Levels(symbol, bids, asks, complete=True, depth=depth)
        return self.books[symbol]

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        self.state = State.RUNNING
        again: list[Publication] = list(self.declared.values())
        again += [self._partly(symbol, fields) for symbol, fields in self.latest.items()]
        again += self.books.values()
        await self._send(updates, again)
        async for command in self._commands:
            if isinstance(command, Exception):
                self._stop(State.DOWN)
                raise command
            if command is None:
                self._stop(State.ENDED)
                return
            await self._send(updates, command)

    def _partly(self, symbol: str, fields: dict[str, Value]) -> Update:
        """Repeat the latest values, but now and then not all: a venue does not send everything anew."""
        if self._chance.random() < 0.3:
            for name in self._chance.sample(sorted(fields), self._chance.randint(0, len(fields))):
                del fields[name]
        return Update(symbol, dict(fields))

    def forget(self) -> None:
        """The service begins a new run."""
        self.shown.clear()
        self.tapes.clear()

    async def _send(self, updates: trio.abc.SendChannel[FeedItem], item: FeedItem) -> None:
        await updates.send(item)
        for each in item if isinstance(item, list) else [item]:
            if isinstance(each, Update):
                self.shown[each.symbol].update(each.fields)
            elif isinstance(each, Withdrawal):
                self.shown[each.symbol] = Shown()
            elif isinstance(each, Stale) and not each.book_only:
                self.shown[each.symbol].outdated = True
            elif isinstance(each, Trade):
                self._print(each)
            elif isinstance(each, Levels) and each.complete:
                # Where the feed gives nothing else, its whole book makes the instrument current again.
                shown = self.shown[each.symbol]
                shown.outdated = shown.outdated and bool(shown.values)

    def _print(self, trade: Trade) -> None:
        """The last print brings fields of its instrument, unless it is busted."""
        tape = self.tapes[trade.symbol]
        printed = tape.apply(trade)
        tape.close(self._clock())
        if printed is not None and printed.latest:
            time = {} if trade.time is None else {"time": trade.time}
            self.shown[trade.symbol].update({"last": trade.price, "last_size": trade.size, **time})

    def _stop(self, state: State) -> None:
        self.state = state
        for each in self.shown.values():
            each.outdated = True
