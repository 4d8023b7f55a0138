"""The channel on which a feed publishes, and the messages that it carries to the publisher or the recorder.

It looks like a `trio.MemorySendChannel`, and knows its feed. Closing it ends this channel and no other: all feeds share
the sink behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

import trio

from ticker.bounds import STALE_PER_MESSAGE
from ticker.errors import BadPublication
from ticker.market import FeedItem, Levels, Reason, Rows, Trade, Update, Withdrawal
from ticker.net.clocks import hub_time


class FeedPhase(StrEnum):
    """The phase of a feed in the service's runner."""

    RUNNING = "running"
    DOWN = "down"
    """It failed, and waits to be started again."""
    ENDED = "ended"


class Applied(NamedTuple):
    """How many publications of an instrument were applied: signs of life of its values, and of its book."""

    values: int
    """Updates and prints."""
    levels: int


class FeedState:
    """The state of one feed: its instruments and its counts."""

    def __init__(self, name: str, label: str = "") -> None:
        self.name = name
        """Its spec without secrets, unique, for the log."""
        self.label = label or name
        """Its name without options, unique, for metrics and pages."""
        self.phase = FeedPhase.RUNNING
        self.started_at = 0
        """Start of its present run, on the hub's clock."""
        self.data_at: int | None = None
        """Time of its last data that was applied: an update, a withdrawal, levels or a print."""
        self.alive_at: int | None = None
        """Time of its last data or sign of life. Declarations are neither: a feed makes them before it connects."""
        self.symbols: dict[str, int] = {}
        """The instruments that it declared or updated, in that order, and how many of its updates and prints were
        applied."""
        self.levels: dict[str, int] = {}
        """The instruments of which it gave levels, and how many of these were applied."""
        self.publications = 0
        """Number of publications received."""
        self.heard_at: int | None = None
        """Time of its last publication or sign of life, on the hub's clock."""
        self.failures = 0
        """Number of failures."""
        self.blocked = 0
        """Number of those in which it blocked the service, and was interrupted."""
        self.refusals: Counter[str] = Counter()
        """Numbers of publications, or parts of them, that could not be used, by cause."""
        self.counts: Callable[[], Mapping[str, float]] = dict
        """Returns the feed's own counts as they are now, by name."""
        self.faulty_symbols: frozenset[str] = frozenset()
        """Instruments of which it gives values that cannot be used on purpose: these are counted, and not logged."""

    def applied_of(self, symbol: str) -> Applied:
        """Return the numbers of this feed's publications of an instrument that were applied."""
        return Applied(self.symbols.get(symbol, 0), self.levels.get(symbol, 0))

    @property
    def condition(self) -> str:
        """Return its state in a word: `waiting` (no data yet), `live`, `reconnecting`, `down` or `ended`."""
        if self.phase is not FeedPhase.RUNNING:
            return str(self.phase)
        if self.data_at is None:
            return "waiting"
        return "live" if self.data_at >= self.started_at else "reconnecting"

    def __repr__(self) -> str:
        return (
            f"<FeedState {self.name}: {len(self.symbols)} instruments, {self.publications} publications,"
            f" {self.failures} failures>"
        )


class MarkStale:
    """The values that a feed gave of these instruments, or of a part of all from `start` on, are not current any more.

    Clients see `stale` and the `reason`. `done` is set once this and every earlier message of the feed was applied.
    """

    def __init__(self, reason: str, start: int = 0, symbols: Sequence[str] | None = None) -> None:
        self.reason = reason
        self.done = trio.Event()
        self._start = start
        self._symbols = symbols

    def __repr__(self) -> str:
        which = f"from {self._start}" if self._symbols is None else ", ".join(self._symbols[:5])
        return f"<MarkStale {self.reason}: {which}>"

    def symbols_of(self, feed_state: FeedState) -> Iterable[str]:
        """Return the instruments, as of now: the feed may have declared more since the mark was sent."""
        if self._symbols is not None:
            return self._symbols
        return list(islice(feed_state.symbols, self._start, self._start + STALE_PER_MESSAGE))


class MarkSilent(MarkStale):
    """Of these instruments the feed gives no values any more. Those that it gave are not current.

    `books`: nor does it give levels. Otherwise their books go on.
    """

    def __init__(self, symbols: Sequence[str], *, books: bool) -> None:
        super().__init__(Reason.INSTRUMENT_SILENT, symbols=symbols)
        self.books = books


class RestoredBars(NamedTuple):
    """Bars of an earlier run, from the history: not a feed's. `done` is set once they are in the cache.

    No more follow those that have no symbol.
    """

    symbol: str
    period: str
    price_scale: int
    size_scale: int
    rows: Sequence[Rows]
    """Ascending, as rows of a candle table at these scales."""
    done: trio.Event


FeedMessage: TypeAlias = tuple[FeedState, FeedItem | MarkStale | RestoredBars]
"""A feed, and a publication, a batch or a mark of it; or what the history brings back."""


class FeedSink(Protocol):
    """Takes the messages of feeds, in order: the publisher's memory channel, or a recorder."""

    def send(self, value: FeedMessage, /) -> Coroutine[Any, Any, None]:
        """Take a message; wait while there is no room."""
        ...

    def send_nowait(self, value: FeedMessage, /) -> None:
        """Take a message. Raises `trio.WouldBlock` if there is no room."""


_BATCHES = {list, tuple}
"""Exact types: an `Update` is a tuple, too."""


DATA = {Update, Withdrawal, Levels, Trade}
"""Publications that come from the venue; a feed declares, and marks as stale, without it."""


def batch_of(item: object) -> Sequence[Any]:
    """Return the publications of a feed's item as a batch. Their types are unchecked."""
    return item if type(item) in _BATCHES else (item,)  # type: ignore[return-value]  # the type was looked up


def _comes_from_venue(batch: Sequence[Any]) -> bool:
    """Whether this is data, or a sign of life: an empty batch."""
    return not batch or any(type(each) in DATA for each in batch)


class FeedChannel(trio.abc.SendChannel[FeedItem]):
    """One feed's channel to the sink."""

    def __init__(self, feed_state: FeedState, sink: FeedSink, max_batch: int) -> None:
        """`max_batch` is the largest number of publications in one batch."""
        self._feed_state = feed_state
        self._sink = sink
        self._max_batch = max_batch
        self._closed = False
        self._run_over = trio.Event()
        """Shared by all clones."""

    def __repr__(self) -> str:
        return f"<FeedChannel{' (closed)' if self._closed else ''} of {self._feed_state!r}>"

    def send(self, value: FeedItem) -> Coroutine[Any, Any, None]:
        """Publish; waits while the sink has no room, which asks the feed to slow down.

        Raises `BadPublication` for a batch that is too large, and `trio.ClosedResourceError` if this was closed.
        """
        self._check(value)
        return self._sink.send((self._feed_state, value))

    def send_nowait(self, value: FeedItem) -> None:
        """Publish, or raise `trio.WouldBlock` if the sink has no room; otherwise as `send`."""
        self._check(value)
        self._sink.send_nowait((self._feed_state, value))

    def clone(self) -> FeedChannel:
        """Return another channel of the same feed, to be closed by itself."""
        self._check_open()
        clone = FeedChannel(self._feed_state, self._sink, self._max_batch)
        clone._run_over = self._run_over
        return clone

    def end_run(self) -> None:
        """Close this channel and all its clones: a task or thread that outlives the feed's run says nothing more."""
        self._run_over.set()

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

    def _check_open(self) -> None:
        if self._closed or self._run_over.is_set():
            raise trio.ClosedResourceError

    def _check(self, value: FeedItem) -> None:
        self._check_open()
        now = self._feed_state.heard_at = hub_time()
        if _comes_from_venue(batch_of(value)):
            self._feed_state.alive_at = now
        if type(value) in _BATCHES and len(value) > self._max_batch:  # type: ignore[arg-type]  # it is one of these
            raise BadPublication(f"a batch of more than {self._max_batch} publications: split it")
