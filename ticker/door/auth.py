"""The decision on one request: its origin, its token, the rate of its sender, and a free place.

The same for the stream and for everything else that is served. A refusal is an HTTP response, before any upgrade.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import structlog
import trio

from ticker.bounds import FULL_RETRY_SECONDS, SHARED_ALLOWANCE, SHARED_WAIT_SECONDS
from ticker.config import Config
from ticker.door.callers import Caller
from ticker.door.connection_limits import ConnectionLimits
from ticker.door.grants import ANYONE, Grant
from ticker.door.key_source import KeySource
from ticker.door.memory import MemoryLedger
from ticker.door.origins import OPAQUE, Origin, origin_allowed, parse_origin
from ticker.door.proxies import TrustedProxies
from ticker.door.rate_limit import RateLimiter
from ticker.door.sender import Sender
from ticker.door.tokens import Verifier, find_token
from ticker.errors import BadToken, ConfigError, RefusalCause, UnknownKey
from ticker.net.clocks import wall_clock
from ticker.net.http1 import Refusal
from ticker.net.seldom import Seldom
from ticker.texts import excerpt

_DELAYED_ONLY: Final = (
    'it is for delayed data only ("realtime": false), and this service shows them in real time; connect to one with'
    " --delay"
)

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.door.auth")


class Auth:
    """Decides on the requests of one service."""

    def __init__(self, config: Config, clock: Callable[[], int] = wall_clock) -> None:
        """`clock` returns microseconds since 1970 UTC. Raises `ConfigError` for a bad origin or network."""
        self.connection_limits = ConnectionLimits(config.limits)
        self.keys = KeySource(config.tokens) if config.tokens.wanted else None
        self.clock = clock
        self._tokens = config.tokens
        self._limits = config.limits
        self._rate_limiters: dict[str, RateLimiter] = {}
        self._shared_limiters: dict[str, RateLimiter] = {}
        self.memory = MemoryLedger(config.limits)
        self.proxies = TrustedProxies(config.proxies)
        self._delayed = config.delay is not None
        self.late = False
        """Whether all of the market is late although this service does not delay it: what it follows is."""
        self._origins = {_origin(text) for text in config.origins}
        self._refused_origins = Seldom()

    def __repr__(self) -> str:
        return f"<Auth: {self.keys or 'no tokens'}, {self.connection_limits}>"

    def check_token(self, token: str) -> Grant:
        """Return the grant of a token now. Raises `BadToken`, and `UnknownKey` if newer keys may help."""
        if self.keys is None:
            raise BadToken("no tokens are asked for here")
        if self.keys.ring is None:
            raise UnknownKey("there are no keys to check it with at present")
        return Verifier(self.keys.ring, self._tokens.audience, self._tokens.issuer).check(token, self.clock())

    def check_renewal(self, token: str, present: Grant) -> Grant:
        """Return the grant of a fresh token on a connection with this one. Raises as `check_token`."""
        grant = self.check_token(token)
        if self._is_for_others(grant):
            raise BadToken(_DELAYED_ONLY)
        if self.sees_real_time(grant) != self.sees_real_time(present):
            raise BadToken("it differs in `realtime` from that of this connection; connect anew with it")
        return grant

    def sees_real_time(self, grant: Grant) -> bool:
        """Whether its client sees the market in real time; else it is delayed."""
        return not self._delayed or (self.keys is not None and grant.realtime is True)

    def _is_for_others(self, grant: Grant) -> bool:
        return grant.realtime is False and not (self._delayed or self.late)

    async def find_unknown_key(self) -> None:
        """Load newer keys after an `UnknownKey`; then `check_token` again."""
        if self.keys is not None:
            await self.keys.find_unknown()

    def check_origin(self, headers: Mapping[bytes, bytes], address: str) -> None:
        """Raises `Refusal` for a page of an origin that is not allowed."""
        if not origin_allowed(headers, self._origins):
            self._log_origin(headers, address)
            raise Refusal(HTTPStatus.FORBIDDEN, "pages of that origin may not connect", RefusalCause.ORIGIN)

    def _log_origin(self, headers: Mapping[bytes, bytes], address: str) -> None:
        origin = excerpt(headers[b"origin"].decode("latin-1"))
        if not self._refused_origins.allows(origin, time.monotonic()):
            return
        if parse_origin(origin) is None:
            remedy = "none: that is no origin of a page"
        else:
            remedy = (
                f'--origin {origin}, or origins = ["{origin}"]; of a page of this service, a proxy has to keep Host'
            )
        host = excerpt(headers.get(b"host", b"").decode("latin-1"))
        _log.warning("a page was refused", origin=origin, host=host, peer=address, remedy=remedy)

    def cors_headers(self, headers: Mapping[bytes, bytes]) -> dict[str, str]:
        """Return the headers that let a page of an allowed origin read a response (the Fetch standard's CORS)."""
        text = headers.get(b"origin", b"").decode("latin-1")
        if parse_origin(text) not in self._origins:
            return {}
        return {
            "Access-Control-Allow-Origin": text,
            **({} if text in OPAQUE else {"Access-Control-Allow-Credentials": "true"}),
            "Access-Control-Expose-Headers": "ETag, Retry-After",
            "Vary": "Origin",
        }

    async def authorize(self, headers: Mapping[bytes, bytes], address: str) -> Grant:
        """Return the grant of a request's sender. Raises `Refusal`. `headers` are by lower-cased name."""
        self.check_origin(headers, address)
        if self.keys is None:
            return ANYONE
        token, by_cookie = find_token(headers, self._tokens.cookie)
        if token is None:
            text = "a token is needed: Authorization: Bearer, the subprotocol bearer.TOKEN, or a cookie"
            raise Refusal(HTTPStatus.UNAUTHORIZED, text, RefusalCause.TOKEN, WWW_Authenticate="Bearer")
        origin = headers.get(b"origin", b"null").decode("latin-1")
        if by_cookie and origin in OPAQUE and headers.get(b"sec-fetch-site") != b"same-origin":
            # Any page can make a browser send its cookies along. (Only a page's own GET has no Origin.)
            raise Refusal(HTTPStatus.FORBIDDEN, "a token in a cookie needs an Origin", RefusalCause.ORIGIN)
        grant = await self._grant(token, self.keys)
        if self._is_for_others(grant):
            raise Refusal(HTTPStatus.FORBIDDEN, f"the token is not accepted: {_DELAYED_ONLY}", RefusalCause.TOKEN)
        return grant

    async def _grant(self, token: str, keys: KeySource) -> Grant:
        try:
            return self.check_token(token)
        except UnknownKey:
            await self.find_unknown_key()
        except BadToken as bad:
            raise _refused(bad) from None
        if keys.ring is None:
            text = "the keys that tokens are checked with cannot be had at present"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, RefusalCause.TOKEN, Retry_After=str(FULL_RETRY_SECONDS))
        try:
            return self.check_token(token)
        except BadToken as bad:
            raise _refused(bad) from None

    def spend(self, address: str, grant: Grant, cost: float) -> float:
        """Count the cost of a request over HTTP; return the seconds that its sender has to wait before the next one.

        The rate is limited by subject, or else by address. The latest `max_connections` of them are remembered.
        """
        return self._spend(self._rate_limiters, Sender(address, grant), cost, 1, math.inf)

    def spend_shared(self, sender: Sender, cost: float) -> float:
        """Count the cost of a request for all streams of its sender; return the seconds that they have to wait."""
        return self._spend(self._shared_limiters, sender, cost, SHARED_ALLOWANCE, SHARED_WAIT_SECONDS)

    def _spend(
        self, limiters: dict[str, RateLimiter], sender: Sender, cost: float, allowance: int, longest_wait: float
    ) -> float:
        key = sender.payer
        now, limits = trio.current_time(), self._limits
        limiter = limiters.pop(key, None)
        if limiter is None:
            per_second, burst = limits.requests_per_second * allowance, limits.request_burst * allowance
            limiter = RateLimiter(per_second, burst, now, longest_wait)
            if len(limiters) >= limits.max_connections:
                del limiters[next(iter(limiters))]
        limiters[key] = limiter
        return limiter.spend(cost, now)

    def check_rate(self, address: str, grant: Grant) -> None:
        """Count a request over HTTP. Raises `Refusal` beyond the rate of its sender."""
        wait = self.spend(address, grant, 1)
        if wait:
            text = "too many requests; try again later"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, text, RefusalCause.RATE, Retry_After=str(math.ceil(wait)))

    async def admit(self, caller: Caller, grant: Grant) -> None:
        """Admit a connection, until `connection_limits.release`. Raises `Refusal` beyond a limit."""
        limits = self.connection_limits
        cause = limits.admit(caller.address, grant.subject)
        if cause is None and caller.place is not None:
            try:
                cause = await caller.place.admit(caller.address, grant.subject)
            except BaseException:
                limits.release(grant.subject)
                raise
            if cause is not None:
                limits.release(grant.subject)
        if cause is RefusalCause.FULL:
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, "all places are taken"
            raise Refusal(status, text, cause, Retry_After=str(FULL_RETRY_SECONDS))
        if cause is not None:
            status, text = HTTPStatus.TOO_MANY_REQUESTS, f"all places of this {cause} are taken"
            raise Refusal(status, text, cause, Retry_After=str(FULL_RETRY_SECONDS))


def _refused(bad: BadToken) -> Refusal:
    """The response to a bad token (RFC 6750, section 3)."""
    error = 'Bearer error="invalid_token"'
    return Refusal(
        HTTPStatus.UNAUTHORIZED, f"the token is not accepted: {bad}", RefusalCause.TOKEN, WWW_Authenticate=error
    )


def _origin(text: str) -> Origin:
    origin = parse_origin(text)
    if origin is None:
        raise ConfigError(
            f"origins {text!r}: give scheme and host, and the port if any: https://dash.example.com:8443,"
            " capacitor://localhost; or null"
        )
    return origin
