"""Lantern, an invented venue of gzipped JSON arrays: a feed as a newcomer writes it, from feeds/README.md alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import trio

from ticker.market import FeedItem, Instrument, Publication
from ticker_feeds.venues import (
    BadMessage,
    Frame,
    Tracker,
    Venue,
    VenueState,
    decode_json,
    decompress,
    read_integer,
    read_kind,
    read_text,
    read_unix_time,
    read_value,
)


class LanternTracker(Tracker):
    """Messages are `["listing", name, places]`, `["quote", name, buy, sell, ms]`, `["halt", name]` and `["beat"]`."""

    def __init__(self, state: VenueState) -> None:
        super().__init__(state)
        self.outbox.append("follow " + " ".join(self.names))

    def symbols(self) -> Iterable[str]:
        return self.names

    def decode(self, raw: Frame) -> list[Any]:
        message = decode_json(decompress(raw, "gzip"))
        if not isinstance(message, list):
            raise BadMessage("not an array")
        return message

    def read(self, message: list[Any]) -> list[Publication]:
        kind = read_kind(message, 0)
        if kind == "beat" or read_text(message, 1) not in self.names:
            return []
        symbol = read_text(message, 1)
        if kind == "listing":
            return [Instrument(self.names[symbol], read_integer(message, 2, symbol), metadata={"venue": "lantern"})]
        if kind == "halt":
            return self.state.halt(symbol)
        if kind != "quote":
            raise BadMessage(f"unknown type {kind!r}", symbol)
        self.state.resume(symbol)
        fields = {"bid": read_value(message, 2), "ask": read_value(message, 3), "time": read_unix_time(message, 4)}
        return self.state.update(symbol, fields, full_quote=True)


class Lantern(Venue):
    """Prices of Lantern. `symbols` are its names, separated by commas; `url` and `ca` are for another server."""

    NAME: ClassVar[str] = "lantern"

    def __init__(self, *, symbols: str, url: str = "wss://feed.lantern.example", ca: str | None = None) -> None:
        super().__init__(symbols, "", url, ca)

    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        await self.connect(self.url, LanternTracker(state), updates)
