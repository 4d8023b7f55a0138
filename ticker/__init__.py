"""Ticker: live market data, pushed to thousands of clients over TLS.

For programs that read prices: `connect` (with Trio), `aio.connect` (with asyncio), `watch` (an ordinary iterator) and
`snapshot` (one call). For feed
adapters: `ticker.market` and the package `ticker_feeds`.

The names below are imported when they are first used: an adapter needs no client, and the command line has to handle
Ctrl-C before a second of imports.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ticker import aio
    from ticker.client.book import Book
    from ticker.client.candles import Bar, Candles
    from ticker.client.client import Client, connect
    from ticker.client.events import (
        Connected,
        Disconnected,
        Event,
        Mismatch,
        Refused,
        SourceBack,
        SourceSilent,
        Unmatched,
    )
    from ticker.client.features import Features
    from ticker.client.fields import ChangedFields, Fields
    from ticker.client.frames import to_pandas, to_polars
    from ticker.client.notebook import show
    from ticker.client.questions import Found
    from ticker.client.rows import CandleRow, Level, LevelChange, TradeRow
    from ticker.client.subscription import Change, Subscription
    from ticker.client.sync_client import snapshot, watch
    from ticker.client.trades import Print, Trades
    from ticker.errors import ConfigError, ConnectionFailed, TickerError

__all__ = [
    "Bar",
    "Book",
    "CandleRow",
    "Candles",
    "Change",
    "ChangedFields",
    "Client",
    "ConfigError",
    "Connected",
    "ConnectionFailed",
    "Disconnected",
    "Event",
    "Features",
    "Fields",
    "Found",
    "Level",
    "LevelChange",
    "Mismatch",
    "Print",
    "Refused",
    "SourceBack",
    "SourceSilent",
    "Subscription",
    "TickerError",
    "TradeRow",
    "Trades",
    "Unmatched",
    "aio",
    "connect",
    "show",
    "snapshot",
    "to_pandas",
    "to_polars",
    "watch",
]

_MODULES = {
    "ticker.client.book": ("Book",),
    "ticker.client.candles": ("Bar", "Candles"),
    "ticker.client.client": ("Client", "connect"),
    "ticker.client.events": (
        "Connected",
        "Disconnected",
        "Event",
        "Mismatch",
        "Refused",
        "SourceBack",
        "SourceSilent",
        "Unmatched",
    ),
    "ticker.client.features": ("Features",),
    "ticker.client.fields": ("ChangedFields", "Fields"),
    "ticker.client.frames": ("to_pandas", "to_polars"),
    "ticker.client.notebook": ("show",),
    "ticker.client.questions": ("Found",),
    "ticker.client.rows": ("CandleRow", "Level", "LevelChange", "TradeRow"),
    "ticker.client.subscription": ("Change", "Subscription"),
    "ticker.client.sync_client": ("snapshot", "watch"),
    "ticker.client.trades": ("Print", "Trades"),
    "ticker.errors": ("ConfigError", "ConnectionFailed", "TickerError"),
}
"""The public names by the modules that define them."""


def __getattr__(name: str) -> object:
    from importlib import import_module  # noqa: PLC0415  # as late as what it imports

    if name == "aio":
        return import_module("ticker.aio")
    for module, names in _MODULES.items():
        if name in names:
            value: object = getattr(import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
