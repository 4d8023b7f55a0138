"""Feeds that tests name in a spec, `tests.feeds_for_tests:Scripted?name=...`; the service loads them as anybody's."""

from __future__ import annotations

import itertools
import json
import logging
from pathlib import Path
from typing import TypeAlias

import trio

from ticker.market import FeedItem, Instrument, Trade, Update
from ticker_feeds.venues.coinbase import Coinbase

Step: TypeAlias = FeedItem | Exception
"""A step of a test's feed: an item to send, or an error to fail with."""

SCRIPTS: dict[str, trio.MemoryReceiveChannel[Step]] = {}
"""Steps of each feed by its name, written by the test."""


class Scripted:
    """Follows the steps of a test, and ends when the test closes the channel."""

    def __init__(self, *, name: str) -> None:
        self._script = SCRIPTS[name]

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        async for step in self._script:
            if isinstance(step, Exception):
                raise step
            await updates.send(step)


class Watched(Scripted):
    """The same, with limits to its silence."""

    def __init__(
        self, *, name: str, silence_seconds: float | None = None, instrument_silence_seconds: float | None = None
    ) -> None:
        super().__init__(name=name)
        self.silence_seconds = silence_seconds
        self.instrument_silence_seconds = instrument_silence_seconds


class Impatient(Coinbase):
    """A venue that is given up after a second without a word."""

    silence_seconds = 1.0


class Counting:
    """For a service in a process of its own: `last` of the symbol COUNT goes up by one, a hundred times a second."""

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        await updates.send([Instrument("COUNT"), Update("COUNT", {"last": "0.50", "note": "steady"})])
        for number in itertools.count(1):
            await updates.send(Update("COUNT", {"last": f"{number}.50"}))
            await trio.sleep(0.01)


class Chatty(Counting):
    """It also logs and prints more than anybody would read: 500 KB a second, each."""

    lines, length = 25, 100
    """So many lines of the log at a time, each longer than this."""

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(super().run, updates)
            nursery.start_soon(self._chat)

    async def _chat(self) -> None:
        for number in itertools.count(1):
            for _ in range(self.lines):
                logging.getLogger("chatty").warning("line %d: %s", number, "-" * self.length)
                print(number, "-" * 200)
            await trio.sleep(0.01)


class Picky:
    """Refuses its option."""

    def __init__(self, *, price: str) -> None:
        raise ValueError(f"price {price!r}: it never suits")

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Never gets here."""


class Keyed:
    """Needs a key, and has nothing to say."""

    def __init__(self, *, api_key: str) -> None:
        assert api_key

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        await updates.send([])
        await trio.sleep_forever()


class Failing:
    """Declares an instrument and fails."""

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        await updates.send(Instrument("LAST"))
        raise OSError("the venue\nhung up")


class Faulty:
    """Declares an instrument, and its code is at fault."""

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        await updates.send(Instrument("LAST"))
        raise ValueError("no\nprice")


class Closing:
    """Publishes once and closes its channel, as `async with` does."""

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        async with updates:
            await updates.send([Instrument("ONCE"), Update("ONCE", {"last": 1})])


class FromFile:
    """For a service in a process of its own: publishes the contents of a file, which a test may rewrite at any time.

    The file holds a JSON map of symbols to fields; those that begin with `@` are metadata of the instrument. Fields
    that are no longer in it are withdrawn. While it is missing, the feed fails.
    """

    def __init__(self, *, path: str) -> None:
        self._path = Path(path)

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        before = ""
        published: dict[str, dict[str, str | None]] = {}
        while True:
            text = self._path.read_text(encoding="utf-8")  # it is short
            if text != before:
                before = text
                wanted: dict[str, dict[str, str | None]] = json.loads(text)
                for symbol in (*wanted, *(gone for gone in published if gone not in wanted)):
                    said = wanted.get(symbol, {})
                    fields = {name: value for name, value in said.items() if not name.startswith("@")}
                    if symbol not in published:
                        metadata = {name[1:]: value or "" for name, value in said.items() if name not in fields}
                        await updates.send(Instrument(symbol, metadata=metadata))
                    await updates.send(Update(symbol, {**dict.fromkeys(published.get(symbol, {})), **fields}))
                    published[symbol] = fields
            await trio.sleep(0.02)


class Prints:
    """For a service in a process of its own: publishes each line of a file, as it is written, as a print.

    A line is symbol, time in seconds, price and size.
    """

    def __init__(self, *, path: str) -> None:
        self._path = Path(path)

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        published, declared = 0, set[str]()
        while True:
            lines = self._path.read_text(encoding="utf-8").splitlines()  # it is short
            for line in lines[published:]:
                symbol, time, price, size = line.split()
                if symbol not in declared:
                    declared.add(symbol)
                    await updates.send(Instrument(symbol))
                await updates.send(Trade(symbol, price, size, time=int(float(time) * 1_000_000)))
            published = len(lines)
            await trio.sleep(0.02)
