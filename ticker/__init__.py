"""Ticker: live market data, pushed to thousands of clients over TLS.

For programs that read prices: `connect` (with Trio) and `watch` (an ordinary iterator). For feed adapters:
`ticker.market` and the package `ticker_feeds`.
"""

from ticker.client.client import Client, connect
from ticker.client.events import Connected, Disconnected, Event, Refused
from ticker.client.subscription import Change, Subscription
from ticker.client.sync_client import watch
from ticker.errors import ConfigError, ConnectionFailed, TickerError

__all__ = [
    "Change",
    "Client",
    "ConfigError",
    "Connected",
    "ConnectionFailed",
    "Disconnected",
    "Event",
    "Refused",
    "Subscription",
    "TickerError",
    "connect",
    "watch",
]
