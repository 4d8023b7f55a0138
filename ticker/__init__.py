"""Ticker: live market data, pushed to thousands of clients over TLS.

For programs that read prices: `connect` (with Trio) and `watch` (an ordinary iterator). For feed adapters:
`ticker.market` and the package `ticker_feeds`.

The names below are imported when they are first used: an adapter needs no client, and the command line has to handle
Ctrl-C before a second of imports.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ticker.client.client import Client, connect
    from ticker.client.events import Connected, Disconnected, Event, Refused, Unmatched
    from ticker.client.fields import ChangedFields, Fields
    from ticker.client.subscription import Change, Subscription
    from ticker.client.sync_client import watch
    from ticker.errors import ConfigError, ConnectionFailed, TickerError

__all__ = [
    "Change",
    "ChangedFields",
    "Client",
    "ConfigError",
    "Connected",
    "ConnectionFailed",
    "Disconnected",
    "Event",
    "Fields",
    "Refused",
    "Subscription",
    "TickerError",
    "Unmatched",
    "connect",
    "watch",
]

_MODULES = {
    "ticker.client.client": ("Client", "connect"),
    "ticker.client.events": ("Connected", "Disconnected", "Event", "Refused", "Unmatched"),
    "ticker.client.fields": ("ChangedFields", "Fields"),
    "ticker.client.subscription": ("Change", "Subscription"),
    "ticker.client.sync_client": ("watch",),
    "ticker.errors": ("ConfigError", "ConnectionFailed", "TickerError"),
}
"""The public names by the modules that define them."""


def __getattr__(name: str) -> object:
    from importlib import import_module  # noqa: PLC0415  # as late as what it imports

    for module, names in _MODULES.items():
        if name in names:
            value: object = getattr(import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
