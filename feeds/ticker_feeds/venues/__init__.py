"""Feeds of venues with a WebSocket API, one module each, and the helpers to write another one.

An author imports the helpers from here. `Venue` is the feed: options, connections, heartbeats, repair of gaps. A
`Tracker` is the venue's protocol without I/O, from frames to publications; a `VenueState` keeps sequence numbers and
statuses for it. `decode_*`, `decompress` and `read_*` turn frames into values. `open_connection` is the bare
connection, for a venue that does not fit a `Venue`.

Modules here import only `ticker.market`, `ticker.errors`, `ticker_feeds.parsing` and each other.
"""

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
    read_decimal,
    read_decimals,
    read_integer,
    read_kind,
    read_microseconds,
    read_text,
    without_empty_sides,
)
from ticker_feeds.venues.state import StatusTracker, VenueState
from ticker_feeds.venues.tracker import Request, Tracker, VenueRefused
from ticker_feeds.venues.venue import Venue

__all__ = [
    "BadMessage",
    "Frame",
    "Message",
    "Request",
    "StatusTracker",
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
    "open_connection",
    "read_decimal",
    "read_decimals",
    "read_integer",
    "read_kind",
    "read_microseconds",
    "read_text",
    "without_empty_sides",
]
