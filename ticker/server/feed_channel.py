"""What a feed is given to publish with: a channel like `trio.MemorySendChannel` that knows whose it is.

Closing it ends nothing but this outlet: a feed that closes its channel closes it for nobody else.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Self, TypeAlias

import trio

from ticker.errors import BadPublication
from ticker.market import FeedItem
from ticker.net.clocks import hub_time


class FeedState:
    """One feed, as the publisher knows it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.symbols: dict[str, None] = {}
        """What it declared, in that order."""
        self.publications = 0
        """How many have come from it."""
        self.heard_at: int | None = None
        """The hub's time when it last sent anything, and be it an empty batch as a sign of life."""
        self.failures = 0
        """How often it was started again."""
        self.counters: Mapping[str, int] = {}
        """What the feed counts itself, by name."""


class MarkStale:
    """Some of what a source declared is no longer live, until fresh values come: these, or a part from `start` on.

    `reason` is the word that clients get. `done` is set when it was applied, as was all that the source sent before.
    """

    PART = 1_000
    """So many instruments in one."""

    def __init__(self, reason: str, start: int = 0, symbols: Sequence[str] | None = None) -> None:
        self.reason = reason
        self.done = trio.Event()
        self._start = start
        self._symbols = symbols

    def symbols_of(self, source: FeedState) -> Iterable[str]:
        """Which they are, when it is applied: by then the source may have declared more."""
        if self._symbols is not None:
            return self._symbols
        return list(islice(source.symbols, self._start, self._start + self.PART))


_BATCHES = {list, tuple}
"""An update is a tuple, too, so the type itself counts."""

FeedMessage: TypeAlias = tuple[FeedState, FeedItem | MarkStale]
"""What travels from the feeds to the publisher."""


class FeedChannel(trio.abc.SendChannel[FeedItem]):
    """One feed's way to the publisher."""

    def __init__(self, source: FeedState, channel: trio.MemorySendChannel[FeedMessage], max_batch: int) -> None:
        """`max_batch` is the most publications in one batch."""
        self._source = source
        self._channel = channel
        self._max_batch = max_batch
        self._closed = False

    def send(self, value: FeedItem) -> Coroutine[Any, Any, None]:
        """Publish; waits while the service asks the feed to slow down.

        Raises `BadPublication` for a batch that is too large, and `trio.ClosedResourceError` if this was closed.
        """
        self._check(value)
        return self._channel.send((self._source, value))

    def send_nowait(self, value: FeedItem) -> None:
        """Publish, or raise `trio.WouldBlock` if the service asks the feed to slow down; otherwise as `send`."""
        self._check(value)
        self._channel.send_nowait((self._source, value))

    def clone(self) -> FeedChannel:
        """Another outlet of the same feed, to be closed by itself."""
        self._check(())
        return FeedChannel(self._source, self._channel, self._max_batch)

    def close(self) -> None:
        """Publish nothing more."""
        self._closed = True

    async def aclose(self) -> None:
        """As `close`."""
        self.close()
        await trio.lowlevel.checkpoint()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _check(self, value: FeedItem) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        self._source.heard_at = hub_time()
        if type(value) in _BATCHES and len(value) > self._max_batch:  # type: ignore[arg-type]  # it is one of these
            raise BadPublication(f"a batch of more than {self._max_batch} publications: split it")
