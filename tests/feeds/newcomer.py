"""Lantern, a venue that does not exist: a feed as a newcomer writes it, from feeds/README.md alone."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import trio

from ticker.errors import ConfigError
from ticker.market import FeedItem, Instrument, Publication, Update


def parse(line: bytes) -> list[Publication]:
    """What one line of the venue states; nothing for its heartbeat."""
    message: dict[str, Any] = json.loads(line, parse_float=Decimal)
    match message["type"]:
        case "beat":
            return []
        case "listing":
            return [Instrument(message["name"], message["places"], metadata={"venue": "LANTERN"})]
        case "halt":
            return [Update(message["name"], {"status": "halted", "reason": "exchange_halt"})]
        case "quote":
            fields = {"bid": message["buy"], "ask": message["sell"], "time": message["ms"] * 1000}
            return [Update(message["name"], {**fields, "status": "live", "reason": None})]
    raise ValueError(f"unknown type {message['type']!r}")


class Lantern:
    """Prices of Lantern. `port` is where it listens on `host`; it sends a line for each event."""

    silence_seconds = 15.0

    def __init__(self, *, port: int, host: str = "127.0.0.1") -> None:
        if not 0 < port < 65_536:
            raise ConfigError(f"port {port}: give 1 to 65535")
        self._host, self._port = host, port
        self.counters: Counter[str] = Counter()

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        stream = await trio.open_tcp_stream(self._host, self._port)
        async with stream:
            rest = b""
            async for chunk in stream:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    try:
                        batch = parse(line)
                    except (ValueError, KeyError, TypeError):
                        self.counters["parse_errors"] += 1
                    else:
                        await updates.send(batch)
        raise OSError("Lantern hung up")
