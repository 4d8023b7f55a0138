"""Feeds: where prices come from.

A feed is any class of this shape:

    class MyFeed:
        def __init__(self, *, host: str, depth: int = 10) -> None: ...

        async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
            await updates.send(Instrument("EURUSD", price_scale=5))
            async for bid, ask in ...:
                await updates.send(Update("EURUSD", {"bid": bid, "ask": ask}))

It is named in a feed spec, `my_package.my_module:MyFeed?host=example.org&depth=5` (see `ticker_feeds.loading`): the
options are the keyword-only parameters of `__init__`, each a `str`, `int`, `float` or `bool`, or one of these `|
None`. Its publications are described in `ticker.market`, the one module of the service that a feed needs to know.

- `__init__` checks its options and raises `ConfigError` or `ValueError` for those it cannot use; it opens nothing that
  `run` would have to close.
- `run` returns when its source has ended and raises when its source broke. It may be called again after either.
- An empty batch, `await updates.send([])`, is a sign of life without data.
- `silence_seconds`, if the feed has such an attribute: when nothing came from it for so long, not even a sign of life,
  its instruments become `stale` (`feed_silent`), and `run` is cancelled and called again.
- `instrument_silence_seconds`: an instrument that had no update or trade for so long (no `Levels`, if it has only a
  book) becomes `stale` (`instrument_silent`).
- `counters`, a mapping of names to numbers: the feed's own counts (gaps, parse errors, ...), for the metrics.
- `faulty_symbols`, a collection of instruments of which it gives unusable values on purpose, for tests of displays:
  these are counted, and not logged.
- The channel is bounded: a `send` that waits is the service asking the feed to slow down.
- When `run` returns or raises, the service marks the feed's instruments `stale`, until they are updated again.
"""

from __future__ import annotations

from typing import Protocol

import trio

from ticker.market import FeedItem

__all__ = ["Feed"]


class Feed(Protocol):
    """The interface between the service and a feed."""

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Send publications, or batches that clients shall see as one moment, until the source ends."""
