"""Raw messages of a venue in a file, as its adapter reads them: quotes, trades and, where they are in it, order books.

The symbols are those in the messages. A book is known from its snapshot on: a message of Coinbase or Kraken, of Binance
the answer of its REST interface, a line of its own. One message of it left out: it is stale until the next snapshot.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ticker.market import Publication
from ticker_feeds.venues import BadMessage, Books, Frame, Message, VenueState, binance, coinbase, decode_object, kraken
from ticker_feeds.venues.binance_depth import read_change, read_snapshot
from ticker_feeds.venues.binance_messages import event_in
from ticker_feeds.venues.messages import read_integer, read_text

_EARLY = 1
"""Binance's snapshots before the first change, of which the symbol is not known yet, that are kept."""


class VenueFile(ABC):
    """Reads one file of a venue's messages, from its beginning."""

    def __init__(self, counters: Counter[str]) -> None:
        """`counters` counts gaps and what else is wrong with a book."""
        self._names: dict[str, str] = {}
        self._state = VenueState(self._names, counters)
        self._books = Books(self._state, keeps=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._names)} symbols with a book>"

    @abstractmethod
    def read(self, raw: Frame) -> Sequence[Publication]:
        """Return the publications of a message. Raises `BadMessage`."""

    def _follow(self, symbol: str) -> None:
        """Follow the book of a symbol, if it is new."""
        if symbol not in self._names:
            self._names[symbol] = symbol
            self._books.follow([symbol], asked=False)
            # The answer comes in the file: until then, changes are kept.
            self._books.next_request(0.0)
            del self._state.counters["book_requests"]


class BinanceFile(VenueFile):
    """Combined streams, or single ones, and snapshots by REST."""

    def __init__(self, counters: Counter[str]) -> None:
        super().__init__(counters)
        self._early: list[Message] = []

    def read(self, raw: Frame) -> Sequence[Publication]:
        """Return the publications of a message. Raises `BadMessage`."""
        message = decode_object(raw)
        if "lastUpdateId" in message and "stream" not in message:
            return self._snapshot(message)
        event = event_in(message)
        if event.get("e") != "depthUpdate":
            return binance.parse(raw)
        symbol = read_text(event, "s")
        self._follow(symbol)
        early, self._early = self._early, []
        told = [each for snapshot in early for each in self._snapshot(snapshot)]
        return told + read_change(self._books, event, symbol)

    def _snapshot(self, message: Message) -> Sequence[Publication]:
        if len(self._names) > 1:
            raise BadMessage("a snapshot does not say its symbol: record the depth of one symbol in a file")
        if not self._names:
            self._early = [*self._early, message][-_EARLY:]
            return []
        [symbol] = self._names
        # Beyond as many levels as there are, nothing is known.
        self._books.depth = max(len(message.get(side) or ()) for side in ("bids", "asks")) or None
        return read_snapshot(self._books, message, symbol)


class CoinbaseFile(VenueFile):
    """Messages of Coinbase Exchange."""

    def __init__(self, counters: Counter[str]) -> None:
        super().__init__(counters)
        self._tracker = coinbase.CoinbaseTracker(self._state, self._books)

    def read(self, raw: Frame) -> Sequence[Publication]:
        """Return the publications of a message. Raises `BadMessage`."""
        message = decode_object(raw)
        if message.get("type") not in {"snapshot", "l2update"}:
            return coinbase.parse(raw)
        self._follow(read_text(message, "product_id"))
        return self._tracker.read(message)


class KrakenFile(VenueFile):
    """Messages of Kraken's version 2. Checksums are compared from the first `instrument` message on."""

    def __init__(self, counters: Counter[str]) -> None:
        super().__init__(counters)
        self._tracker = kraken.KrakenTracker(self._state, {}, self._books)

    def read(self, raw: Frame) -> Sequence[Publication]:
        """Return the publications of a message. Raises `BadMessage`."""
        message = decode_object(raw)
        if message.get("method") == "subscribe" and isinstance(message.get("result"), dict):
            if message["result"].get("channel") == "book":
                self._books.cut = read_integer(message["result"], "depth")
            return []
        if message.get("channel") != "book":
            return kraken.parse(raw)
        for element in message.get("data") or ():
            self._follow(read_text(element, "symbol"))
        return self._tracker.read(message)


VENUES: Mapping[str, Callable[[Counter[str]], VenueFile]] = {
    "binance": BinanceFile,
    "coinbase": CoinbaseFile,
    "kraken": KrakenFile,
}
"""For each venue with playable raw messages, the reader of a file."""
