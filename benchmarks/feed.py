"""The feed for Ticker in the benchmarks: it reads the same lines on stdin as every peer.

A line is `NUMBER PRICE TIME`: the instrument's number, its price as an integer, and the update's due time in
microseconds since 1970 UTC. Lines that arrive together are published together.
"""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import trio

from ticker.market import FeedItem, Instrument, Update

DECLARED_AT_ONCE = 1000
LOOKUP_SECONDS = 10.0
FEEDS_WITHOUT_NAMES = 50
LINES_AT_ONCE = 50


_getaddrinfo = socket.getaddrinfo


def _unanswered(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:  # noqa: A002, ANN401
    """Wait in a thread, as glibc does for a name server that does not answer. Addresses need none."""
    if not flags & socket.AI_NUMERICHOST:
        time.sleep(LOOKUP_SECONDS)
    return _getaddrinfo(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)


class Lines:
    """`symbols` instruments named S0, S1, ... with prices at scale 2."""

    def __init__(self, *, symbols: int = 1) -> None:
        self._symbols = symbols

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Publish the updates on stdin until it ends."""
        names = [f"S{number}" for number in range(self._symbols)]
        for start in range(0, self._symbols, DECLARED_AT_ONCE):
            some = names[start : start + DECLARED_AT_ONCE]
            await updates.send([Instrument(name, price_scale=2) for name in some])
            if self._symbols > DECLARED_AT_ONCE:  # the snapshot of a large market shall be no list of empty records
                await updates.send([Update(name, {"open": "100.00", "bid": "99.99", "ask": "100.01"}) for name in some])
        stdin = trio.lowlevel.FdStream(sys.stdin.fileno())
        rest = b""
        async for data in stdin:
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                await updates.send(self.read(lines))

    def read(self, lines: Sequence[bytes]) -> list[Update]:
        """Return the updates in complete lines."""
        return [self.update(*map(int, line.split())) for line in lines]

    @staticmethod
    def update(number: int, price: int, time: int) -> Update:
        """Return what a line says of its instrument."""
        text = str(price)
        return Update(f"S{number}", {"last": f"{text[:-2]}.{text[-2:]}", "time": time})


class Batches(Lines):
    """Each line holds many updates of texts, as JSON: reading them is as little work as it can be."""

    def __init__(self, *, symbols: int = 1) -> None:
        super().__init__(symbols=symbols)
        self._decode = msgspec.json.Decoder(list[tuple[str, dict[str, str | int]]]).decode

    def read(self, lines: Sequence[bytes]) -> list[Update]:
        """Return the updates in complete lines."""
        return [Update(symbol, fields) for line in lines for symbol, fields in self._decode(line)]


class Troubled(Lines):
    """The same with a feed's troubles outside: it logs lines that nobody reads, and its names are not found in time."""

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Also log a hundred lines at a time, and look names up."""
        socket.getaddrinfo = _unanswered
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._log)
            for number in range(FEEDS_WITHOUT_NAMES):
                nursery.start_soon(self._look_up, f"venue{number}.example")
            await super().run(updates)
            nursery.cancel_scope.cancel()

    async def _log(self) -> None:
        while True:
            for number in range(LINES_AT_ONCE):
                logging.getLogger("benchmarks.feed").warning("trouble %d: %s", number, "-" * 100)
            await trio.sleep(0.5)

    async def _look_up(self, name: str) -> None:
        while True:
            with trio.move_on_after(1.0), suppress(OSError):
                await trio.socket.getaddrinfo(name, 443)
            await trio.sleep(0.5)
