"""Messages of Binance: the quotes, trades and statistics in them, without any state."""

from __future__ import annotations

from ticker.market import Side, Trade, Update
from ticker_feeds.venues.messages import (
    BadMessage,
    Frame,
    Message,
    decode_object,
    read_kind,
    read_positive,
    read_sequence,
    read_text,
    read_unix_time,
    read_values,
    without_zero_prices,
)

FIELDS = {
    "bookTicker": {"b": "bid", "B": "bid_size", "a": "ask", "A": "ask_size"},
    "24hrMiniTicker": {"c": "last", "o": "open", "h": "high", "l": "low", "v": "volume"},
    "24hrTicker": {"c": "last", "Q": "last_size", "o": "open", "h": "high", "l": "low", "v": "volume"},
}


_SIDES = {True: str(Side.SELL), False: str(Side.BUY)}
"""The side that took, by whether the buyer was the maker."""


def parse(raw: Frame) -> list[Update | Trade]:
    """Return the updates and trades in a message, by the venue's symbols; none without prices. Raises `BadMessage`."""
    return stated_in(event_in(decode_object(raw)))


def event_in(message: Message) -> Message:
    """The event in a message of a combined stream, or of a single one; with its kind, which spot leaves out in one."""
    stream = message.get("stream")
    if stream is None:
        event = message
    else:
        event = message.get("data")  # type: ignore[assignment]  # it is looked at right here
        if not isinstance(event, dict):
            raise BadMessage("data: no object")
    # The stream tells the kind as well: of a quote without one of its values, nothing else does.
    if "e" not in event and (str(stream).endswith("@bookTicker") or event.keys() >= {"u", "s", "b", "B", "a", "A"}):
        return {**event, "e": "bookTicker"}
    return event


def stated_in(event: Message) -> list[Update | Trade]:
    """Return the updates and trades in an event. Raises `BadMessage`."""
    kind = read_kind(event, "e")
    if kind == "trade":
        return _trade(event)
    names = FIELDS.get(kind)
    if names is None:
        return []
    symbol = read_text(event, "s")
    fields = read_values(event, names)
    if not any(fields.get(name) is not None for name in ("bid", "ask", "last")):
        raise BadMessage(f"a {event['e']} without prices", symbol)
    if event["e"] == "24hrTicker":
        fields["trade_count"] = event.get("n")
    key = "T" if "T" in event else "E"
    if key in event:
        fields["time"] = read_unix_time(event, key)
    return [Update(symbol, without_zero_prices(fields))]


def _trade(event: Message) -> list[Update | Trade]:
    symbol = read_text(event, "s")
    if event.get("X", "MARKET") != "MARKET":
        return []
    price, size = read_positive(event, "p", symbol), read_positive(event, "q", symbol)
    time, maker = read_unix_time(event, "T"), event.get("m")
    side = _SIDES[maker] if isinstance(maker, bool) else None
    return [
        Trade(symbol, price, size, side, time if isinstance(time, int) else None, read_sequence(event, "t", symbol))
    ]
