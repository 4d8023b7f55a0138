"""Ticker: live market data, pushed to thousands of clients over TLS.

For programs that read prices: `connect` (with Trio) and `watch` (an ordinary iterator). For those that bring them:
`ticker.market` and the package `feeds`.
"""

from ticker.blocking import watch
from ticker.client import Client, Connected, Disconnected, Event, connect
from ticker.client_session import Refused
from ticker.errors import ConfigError, ConnectionFailed, TickerError
from ticker.subscription import Change, Subscription

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
