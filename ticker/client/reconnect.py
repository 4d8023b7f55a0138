"""Whether the client connects again after a connection has ended, and when. Pure but for the jitter.

The rules (PROTOCOL.md, sections 2 and 8):

1. An HTTP response instead of the upgrade is final if it carries Ticker's own JSON, but for the statuses in
   `_RETRIED_STATUSES`. Anything else (a login page, a redirect, a gateway's error) is from something in between, and
   may pass. `Retry-After` is the shortest wait; a random part is added to it, as all refused clients hear the same.
2. A close code decides by its row in the table of close codes. Other codes, and a connection lost without one, are
   retried.
3. GOODBYE gives the reason, says whether to come back, and gives the shortest wait. A fatal ERROR gives the reason.
4. Everything else is retried: an unreachable host, a failed TLS handshake, silence, a violation of the protocol.
5. The wait is the server's (at most a day) or that of the backoff, whichever is longer. The backoff doubles with each
   failure, and starts over after a connection on which a REPLY came: who greets and then fails is not called without
   a pause. Each of several addresses has a wait of its own, so that another one is tried at once
   (`ticker.client.addresses`).
6. A first connection is not retried, but each address is tried: then `connect` raises `ConnectionFailed`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from ticker.client.events import Disconnected
from ticker.errors import ConnectionFailed
from ticker.net.dialing import own_message
from ticker.protocol.messages import Close, Goodbye
from ticker.texts import excerpt

_FIRST_SECONDS, _LONGEST_SECONDS = 0.25, 15.0

_MAX_RETRY_SECONDS = 86_400.0
"""The longest wait that a server can ask for."""

_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses of conditions that may pass (RFC 9110, section 15, and RFC 6585)."""

_NOT_SENT = frozenset({1005, 1006})
"""Codes that stand for a connection that ended without one (RFC 6455, section 7.4.1)."""

_OWN_FINDINGS = frozenset({1002, 1007, 1009})
"""Codes that trio-websocket also reports for a fault that it found itself, without a close frame of the server."""


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """How a connection ended, and so whether and when to retry."""

    reason: str
    retryable: bool = True
    retry_seconds: float = 0.0
    """Shortest wait, as the server asked for it."""
    spread_seconds: float = 0.0
    """The most that is added to it at random."""
    status: int | None = None
    close_code: int | None = None

    def failure(self, url: str) -> ConnectionFailed:
        """Return the error for a client that does not retry."""
        return ConnectionFailed(
            f"{url}: {self.reason}",
            status=self.status,
            close_code=self.close_code,
            retryable=self.retryable,
            retry_seconds=self.retry_seconds,
        )

    def event(self, wait: float, url: str = "") -> Disconnected:
        """Return the event for a client of this URL that retries after so many seconds."""
        return Disconnected(self.reason, wait, self.status, self.close_code, url)

    def after_goodbye(self, goodbye: Goodbye) -> ConnectionEnd:
        """Return the end of a connection on which this GOODBYE came."""
        seconds = min(goodbye.retry_ms / 1000, _MAX_RETRY_SECONDS)
        return replace(self, reason=excerpt(goodbye.reason), retryable=goodbye.come_back, retry_seconds=seconds)

    def after_close(self, code: int | None) -> ConnectionEnd:
        """Return the end of a connection that was closed with this code; None if it was lost without one."""
        if code is None or code in _NOT_SENT:
            return self
        final = code in set(Close) and not Close(code).come_back
        return replace(self, close_code=code, retryable=self.retryable and not final)

    def before_welcome(self, code: int | None) -> ConnectionEnd:
        """Return the end of a connection that was closed with this code before its WELCOME.

        Something in between may have answered, so a code that this client may have chosen itself ends nothing for good.
        """
        return self.after_close(None if code in _OWN_FINDINGS else code)


LOST = ConnectionEnd("the connection was lost")
DIFFERENT = ConnectionEnd("the copy differs from the service's; everything is subscribed anew")
BEHIND = ConnectionEnd("this server has not caught up with the copy")
NOT_COMPLETED = ConnectionEnd("the connection was not completed")
NO_WEBSOCKET = ConnectionEnd("its answer opens no WebSocket; it is not a Ticker service")


def rejected(status: int, retry_after: str, body: bytes) -> ConnectionEnd:
    """Return the end of a connection whose upgrade was answered with this HTTP status, `Retry-After` and body."""
    message = own_message(status, body)
    seconds = _seconds(retry_after)
    if message is None:
        reason = f"something in between answered, with HTTP status {status}; it is not a Ticker service"
    else:
        reason = f"the server answered with HTTP status {status}: {excerpt(message)}"
    return ConnectionEnd(
        reason,
        retryable=message is None or status in _RETRIED_STATUSES,
        retry_seconds=seconds,
        spread_seconds=seconds,
        status=status,
    )


class Backoff:
    """The growing waits between attempts, with jitter."""

    def __init__(self) -> None:
        self._top = _FIRST_SECONDS

    def reset(self) -> None:
        """Start over with a short wait."""
        self._top = _FIRST_SECONDS

    def next_wait(self, at_least: float = 0.0, spread: float = 0.0) -> float:
        """Return the number of seconds to wait before the next attempt; up to `spread` is added to `at_least`."""
        wanted = at_least + random.uniform(0, spread)  # noqa: S311  # jitter, not a secret
        wait = max(wanted, self._top * random.uniform(0.5, 1))  # noqa: S311
        self._top = min(self._top * 2, _LONGEST_SECONDS)
        return wait


def _seconds(retry_after: str) -> float:
    """Seconds of a `Retry-After`, at most a day; 0 without one, and for a date, which no `ticker` sends."""
    text = retry_after.strip()
    return min(float(text), _MAX_RETRY_SECONDS) if text.isascii() and text.isdecimal() else 0.0
