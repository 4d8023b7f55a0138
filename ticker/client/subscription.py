"""Subscriptions, and the changes that a user iterates over: merged until the user takes them.

The rule of the server holds here too: a slow consumer gets fewer and fuller changes, never old ones. A subscription
without a reader holds at most one value per field.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self, cast

import trio

from ticker.client.fields import ChangedFields
from ticker.client.replica import Fields
from ticker.errors import TickerError
from ticker.market import is_symbol
from ticker.protocol.symbols import matcher

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """The changes of all the subscription's symbols at one moment of the market.

    `cut` is the number of that moment and `time` its time by the server's clock. `changes` are the changed fields by
    symbol: prices and sizes as `Decimal`, None for a field that was withdrawn.
    """

    cut: int
    time: datetime
    changes: Mapping[str, ChangedFields] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Change cut={self.cut} symbols={len(self.changes)}>"


class Subscription:
    """An endless asynchronous iterator of `Change`; the first one has the present values, all of them.

    It is *held* until the server has answered for each of its names, and again when a new connection begins: earlier
    changes are a part of a moment only.

    It ends when the client is closed, or when it is closed itself (`async with` does that). A client that gives up
    ends it with `ConnectionFailed`.
    """

    def __init__(self, names: tuple[str, ...], close: Callable[[Subscription], None], *, held: bool = False) -> None:
        self.names = names
        """Its symbols and patterns."""
        self.held = held
        """Whether changes wait for the rest of their moment."""
        self._close = close
        self._has_patterns = not all(map(is_symbol, names))
        self._match = matcher(names)
        self._matched: dict[str, bool] = {}
        """Results of `_match` by symbol, if there are patterns: matching one costs more than a look-up."""
        self._pending: dict[str, Fields] = {}
        self._cut = 0
        self._time = 0
        self._wake = trio.Event()
        self._over = False
        self._error: TickerError | None = None

    def __repr__(self) -> str:
        names = ", ".join(self.names[:3]) + f" and {len(self.names) - 3} more" * (len(self.names) > 3)
        return f"<Subscription to {names or 'nothing'} pending={len(self._pending)}{' ended' * self._over}>"

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Change:
        await trio.lowlevel.checkpoint()
        while self.held or not self._pending:
            if self._error is not None:
                raise self._error
            if self._over:
                raise StopAsyncIteration
            await self._wake.wait()
        changes, self._pending = self._pending, {}
        if not self._over:
            self._wake = trio.Event()
        moment = _EPOCH + timedelta(microseconds=self._time)
        return Change(self._cut, moment, cast("dict[str, ChangedFields]", changes))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unsubscribe, and drop pending changes."""
        self._close(self)
        self._pending.clear()
        self.end(None)

    def matches(self, symbol: str) -> bool:
        """Return whether one of its names is this symbol, or a pattern that matches it."""
        if not self._has_patterns:
            return bool(self._match(symbol))
        matched = self._matched.get(symbol)
        if matched is None:
            matched = self._matched[symbol] = bool(self._match(symbol))
        return matched

    def select(self, symbols: Collection[str]) -> Iterator[str]:
        """Iterate over the symbols that it covers, in as many steps as the shorter of both collections has items.

        `symbols` has to answer `in` with a look-up.
        """
        if not self._has_patterns and len(self.names) < len(symbols):
            return (name for name in dict.fromkeys(self.names) if name in symbols)
        return (symbol for symbol in symbols if self.matches(symbol))

    def merge(self, cut: int, time: int, changes: Mapping[str, Fields]) -> None:
        """Add the changes of its symbols to the pending ones."""
        for symbol in self.select(changes.keys()):
            if fields := changes[symbol]:
                self._pending.setdefault(symbol, {}).update(fields)
        self._cut, self._time = cut, time
        if self._pending and not self.held:
            self._wake.set()

    def hold(self) -> None:
        """Keep changes back: those of a new connection come in parts."""
        self.held = True
        if self._wake.is_set():
            self._wake = trio.Event()

    def release(self, cut: int, time: int) -> None:
        """Give changes again: with the pending ones the copy is complete at this cut."""
        self.held = False
        self._cut, self._time = cut, time
        if self._pending:
            self._wake.set()

    def end(self, error: TickerError | None) -> None:
        """End the iteration, with this error if there is one. Changes that are held are only a part, and dropped."""
        if self.held:
            self.held = False
            self._pending.clear()
        self._over, self._error = True, error
        self._wake.set()
