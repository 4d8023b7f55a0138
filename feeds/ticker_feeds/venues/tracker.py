"""The base of a venue's protocol: requests, answers, and the publications that follow from each frame. No I/O.

A subclass is written for each venue. It is tested without a network: make one with a `VenueState`, hand it frames
(`take`), and look at the publications and at `outbox`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, TypeAlias

from ticker.errors import TickerError
from ticker.market import Publication, Reason
from ticker.texts import excerpt
from ticker_feeds.venues.books import Books
from ticker_feeds.venues.messages import BadMessage, Frame, Message, decode_object
from ticker_feeds.venues.state import VenueState

Request: TypeAlias = Message | list[Any] | str | bytes
"""A message to the venue: a `dict` or `list` is sent as JSON, a `str` as a text frame, `bytes` as a binary one."""


class VenueRefused(TickerError):
    """The venue refused everything, so that no symbol of it is the cause. The service runs the feed again later."""

    def __init__(self, text: str) -> None:
        """`text` is the venue's."""
        super().__init__(f"the venue refuses all subscriptions: {excerpt(text)}")


class Tracker(ABC):
    """The protocol of one connection, without its I/O.

    `state` is shared by all connections of a run; `names` are its symbols. A subclass appends its subscriptions to
    `outbox` in `__init__`, and any later request (an answer to the venue's ping, say) in `read`.
    """

    def __init__(self, state: VenueState, books: Books | None = None) -> None:
        self.state = state
        self.books = books
        """The order books whose snapshots are requested on this connection, by `book_requests`."""
        self.names = state.names
        """Published symbols by the venue's symbols."""
        self.outbox: list[Request] = []
        """Requests to send next; the connection empties it."""
        self.pending: set[Hashable] = set()
        """Subscriptions without an answer so far, and without data. They are due within `Venue.answer_seconds`."""
        self.searching = False
        """Whether requests were divided in search of a refused symbol, so that answers take longer. The connection
        resets it."""
        self.ending = False
        """Whether the venue has announced the end of this connection."""

    def __repr__(self) -> str:
        ending = ", ending" if self.ending else ""
        return f"<{type(self).__name__}: {len(self.outbox)} to send, {len(self.pending)} pending{ending}>"

    @abstractmethod
    def read(self, message: Any) -> list[Publication]:  # noqa: ANN401  # the result of `decode`
        """Return the publications that follow from a message, none for a heartbeat.

        Raises `BadMessage` for a message that is not as documented, `VenueRefused` where nothing at all is offered. A
        bad element of a message with several goes to `reject`, so that the others are not lost.
        """

    @abstractmethod
    def symbols(self) -> Iterable[str]:
        """The venue's symbols that this connection follows."""

    def decode(self, raw: Frame) -> Any:  # noqa: ANN401  # the argument of `read`
        """Return the message in a frame; this one takes JSON objects (`decode_object`). Raises `BadMessage`.

        Override it for other messages: `decode_json(raw)` for arrays, `decode_json(decompress(raw, "gzip"))` for
        compressed ones, `raw` itself for plain text, `struct.unpack` for binary layouts.
        """
        return decode_object(raw)

    def snapshot_requests(self, symbol: str) -> list[Request]:  # noqa: ARG002  # for venues that offer it
        """Requests that make the venue send a symbol's full quote at once; none where it has no such request."""
        return []

    def book_requests(self, symbol: str) -> list[Request]:  # noqa: ARG002  # for venues that offer it
        """Requests that make the venue send a symbol's whole order book at once; none where it has no such request."""
        return []

    def take(self, raw: Frame) -> list[Publication]:
        """Return the publications that follow from a frame. Raises `VenueRefused`."""
        try:
            return self.read(self.decode(raw))
        except BadMessage as error:
            return self.reject(error)

    def reject(self, error: BadMessage) -> list[Publication]:
        """Count a bad message, or a bad element of one (`parse_errors`); its symbol, if known, becomes `stale`."""
        self.state.counters["parse_errors"] += 1
        if error.symbol is None or error.symbol not in self.names:
            return []
        return self.state.mark_stale(error.symbol, Reason.BAD_MESSAGE)

    def lost(self) -> list[Publication]:
        """Return the publications after the loss of this connection, one of several, and forget its state."""
        return self.state.reset(self.symbols(), Reason.RECONNECTING)

    def divide(self, symbols: Sequence[str], error: str) -> tuple[list[list[str]], list[Publication]]:
        """A request for these symbols was refused, with an error that names none: find the refused one by halves.

        Returns the symbols of each request to make instead, and the publications that follow: of a single symbol, that
        it is refused. Raises `VenueRefused` once all symbols of the connection are: then none of them is the cause.
        """
        if len(symbols) > 1:
            self.searching = True
            middle = (len(symbols) + 1) // 2
            return [list(symbols[:middle]), list(symbols[middle:])], []
        told = [each for symbol in symbols for each in self.state.mark_refused(symbol)]
        if self.state.refused.issuperset(self.symbols()):
            raise VenueRefused(error)
        return [], told
