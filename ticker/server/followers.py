"""The other tickers that follow this process: their connections and what they were sent."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import Protocol

from ticker.bounds import FULL_RETRY_SECONDS
from ticker.bus_bounds import MAX_FOLLOWERS
from ticker.door.grants import Grant
from ticker.errors import DropCause, RefusalCause
from ticker.net.http1 import Refusal
from ticker.net.seldom import Seldom
from ticker.numbers import MAX_INTEGER


class FollowerConnection(Protocol):
    """The connection of one follower."""

    def check_expiry(self, time: int) -> None:
        """End the connection once its token has expired; `time` is microseconds since 1970 UTC."""

    async def say_goodbye(self) -> None:
        """Give what there is, and close, because the server stops."""


class Followers:
    """All of them."""

    def __init__(self) -> None:
        self.places = 0
        """Connections that were let in."""
        self.connections: set[FollowerConnection] = set()
        self.answers = 0
        """Number of requests that were answered."""
        self.bytes = 0
        """Bytes of the answers, without TLS."""
        self.faults = 0
        """Connections that ended because of a message that no follower sends."""
        self.dropped: Counter[DropCause] = Counter()
        self.seldom = Seldom()
        """For log lines."""

    def __repr__(self) -> str:
        return f"<Followers: {len(self.connections)}, {self.bytes} bytes sent>"

    def check(self, grant: Grant) -> None:
        """Check that the bearer of a token may follow. Raises `Refusal`."""
        if not grant.follow:
            text = "the token lets nobody follow: it has no claim follow"
            raise Refusal(HTTPStatus.FORBIDDEN, text, RefusalCause.TOKEN)
        limited = {
            "symbols": grant.symbols is not None,
            "max_symbols": grant.max_symbols != MAX_INTEGER,
            "min_interval_ms": grant.min_interval_ms > 0,
        }
        for claim, is_limited in limited.items():
            if is_limited:
                text = f"a follower gets everything, but the token has the claim {claim}: leave that or follow out"
                raise Refusal(HTTPStatus.FORBIDDEN, text, RefusalCause.TOKEN)

    def take_place(self) -> None:
        """Count one more, until `leave_place`. Raises `Refusal` if there are too many."""
        if self.places >= MAX_FOLLOWERS:
            text = f"{MAX_FOLLOWERS} others follow this process already: follow another one of the same market"
            retry = str(FULL_RETRY_SECONDS)
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, RefusalCause.FULL, Retry_After=retry)
        self.places += 1

    def leave_place(self) -> None:
        """Count one less."""
        self.places -= 1
