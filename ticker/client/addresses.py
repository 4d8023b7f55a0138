"""The addresses of a service, and when each of them may be tried again.

Any server of a service can go on with a copy, so a client that has lost one tries the next address at once. Each has a
backoff of its own, and the wait that its server asked for: with all of them down, the client goes round as slowly as it
would call a single one. An address whose server has said that coming back is of no use is dropped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

import trio

from ticker.client.reconnect import Backoff, ConnectionEnd
from ticker.errors import ConnectionFailed

Dial: TypeAlias = Callable[[], Awaitable[trio.abc.Stream]]
"""Makes a stream to a server, or raises `Unreachable`."""


class Address(NamedTuple):
    """A server's URL, and the way to it."""

    url: str
    dial: Dial


class _Turn:
    """An address in the row."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.backoff = Backoff()
        self.ready = 0.0
        """Time from which on it may be tried."""


class Addresses:
    """One or more addresses, in turn. Times are seconds of any monotonic clock."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._row = [_Turn(address) for address in addresses]
        """The present one comes first."""

    def __repr__(self) -> str:
        return f"<Addresses: {len(self._row)}>"

    @property
    def current(self) -> Address:
        """The address of the present connection, or of the next attempt."""
        return self._row[0].address

    def leave(self, end: ConnectionEnd, now: float, *, useful: bool) -> float | None:
        """The connection to the present address has ended: go on to the next one.

        Returns the seconds to wait before the attempt there; None if coming back is of no use anywhere. `useful`: a
        REPLY came on that connection, so the backoff of its address starts over.
        """
        left, others = self._row[0], self._row[1:]
        if useful:
            left.backoff.reset()
        left.ready = now + left.backoff.next_wait(end.retry_seconds, end.spread_seconds)
        if end.retryable:
            others.append(left)
        elif not others:
            return None
        following = min(range(len(others)), key=lambda number: max(others[number].ready, now))
        self._row = others[following:] + others[:following]
        return max(self._row[0].ready - now, 0.0)


def hosts_of(addresses: Sequence[Address]) -> str:
    """Return the hosts of some addresses for people; a URL may also contain a password or a token."""
    return ", ".join(dict.fromkeys(urlsplit(address.url).hostname or "" for address in addresses))


def together(failures: Sequence[ConnectionFailed]) -> ConnectionFailed:
    """Return one error for the failures at some addresses, with the data of the last one."""
    if len(failures) == 1:
        return failures[0]
    last = failures[-1]
    return ConnectionFailed(
        "; ".join(map(str, failures)),
        status=last.status,
        close_code=last.close_code,
        retryable=any(each.retryable for each in failures),
        retry_seconds=min((each.retry_seconds for each in failures if each.retryable), default=0.0),
    )
