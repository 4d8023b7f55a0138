"""Feeds of venues with a WebSocket API, one module each, and the helpers to write another one.

An author imports the helpers from here. `Venue` is the feed: options, connections, heartbeats, repair of gaps. A
`Tracker` is the venue's protocol without I/O, from frames to publications; a `VenueState` keeps sequence numbers,
gaps and halts for it, and `Books` the order books. `decode_*`, `decompress` and `read_*` turn frames into values.
`open_connection` is the bare connection, for a venue that does not fit a `Venue`.

Modules here import only the vocabulary (`ticker.market`, `ticker.errors`, `ticker.numbers`, `ticker.texts`),
`ticker_feeds.parsing` and each other.
"""

from ticker_feeds.venues.books import Books, Change
from ticker_feeds.venues.connection import (
    VenueClosed,
    VenueConnection,
    VenueSilent,
    VenueUnreachable,
    open_connection,
)
from ticker_feeds.venues.messages import (
    BadMessage,
    Frame,
    Message,
    decode_json,
    decode_object,
    decompress,
    named_symbols,
    read_integer,
    read_kind,
    read_levels,
    read_positive,
    read_sequence,
    read_text,
    read_unix_time,
    read_utc,
    read_value,
    read_values,
    without_empty_sides,
    without_zero_prices,
)
from ticker_feeds.venues.order_book import OrderBook
from ticker_feeds.venues.state import VenueState
from ticker_feeds.venues.tracker import Request, Tracker, VenueRefused
from ticker_feeds.venues.venue import Venue

__all__ = [
    "BadMessage",
    "Books",
    "Change",
    "Frame",
    "Message",
    "OrderBook",
    "Request",
    "Tracker",
    "Venue",
    "VenueClosed",
    "VenueConnection",
    "VenueRefused",
    "VenueSilent",
    "VenueState",
    "VenueUnreachable",
    "decode_json",
    "decode_object",
    "decompress",
    "named_symbols",
    "open_connection",
    "read_integer",
    "read_kind",
    "read_levels",
    "read_positive",
    "read_sequence",
    "read_text",
    "read_unix_time",
    "read_utc",
    "read_value",
    "read_values",
    "without_empty_sides",
    "without_zero_prices",
]
