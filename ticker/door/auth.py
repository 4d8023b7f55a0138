"""Whether a request comes in: its origin, its token, and whether there is a place.

The same for the stream and for everything else that is served. A refusal is an HTTP answer, before any upgrade.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus

import trio

from ticker.config import Config
from ticker.door.authorization import ANYONE, Grant, Origin, Verifier, find_token, origin_allowed, parse_origin
from ticker.door.connection_limits import ConnectionLimits
from ticker.door.keys import Keys
from ticker.door.rate_limit import RateLimiter
from ticker.errors import BadToken, ConfigError, RefusalCause, UnknownKey
from ticker.net.clocks import wall_clock
from ticker.net.http1 import Refusal

_RETRY_SECONDS = "5"
"""When to try again where all places are taken."""


class Auth:
    """The one gate of a service."""

    def __init__(self, config: Config, clock: Callable[[], int] = wall_clock) -> None:
        """`clock` tells microseconds since 1970 UTC. Raises `ConfigError` for origins that are none."""
        self.admission = ConnectionLimits(config.limits)
        self.keys = Keys(config.tokens) if config.tokens.wanted else None
        self.clock = clock
        self._tokens = config.tokens
        self._limits = config.limits
        self._allowances: dict[str, RateLimiter] = {}
        self._origins = {_origin(text) for text in config.origins}

    def check(self, token: str) -> Grant:
        """What a token grants now. Raises `BadToken`, and `UnknownKey` if newer keys may help."""
        if self.keys is None:
            raise BadToken("no tokens are asked for here")
        if self.keys.ring is None:
            raise UnknownKey("there are no keys to check it with at present")
        return Verifier(self.keys.ring, self._tokens.audience, self._tokens.issuer).check(token, self.clock())

    async def look_for_keys(self) -> None:
        """After `UnknownKey`: look for newer keys; then `check` again."""
        if self.keys is not None:
            await self.keys.look_again()

    def check_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises `Refusal` for a page of an origin that is not allowed."""
        if not origin_allowed(headers, self._origins):
            raise Refusal(HTTPStatus.FORBIDDEN, "pages of that origin may not connect", RefusalCause.ORIGIN)

    def cross_origin(self, headers: Mapping[bytes, bytes]) -> dict[str, str]:
        """What lets a page of an allowed origin read an answer (the Fetch standard's CORS protocol)."""
        text = headers.get(b"origin", b"").decode("latin-1")
        if parse_origin(text) not in self._origins:
            return {}
        return {
            "Access-Control-Allow-Origin": text,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": "ETag, Retry-After",
            "Vary": "Origin",
        }

    async def grant(self, headers: Mapping[bytes, bytes]) -> Grant:
        """What a request's sender may do. Raises `Refusal`. `headers` are by lower-cased name."""
        self.check_origin(headers)
        if self.keys is None:
            return ANYONE
        token, by_cookie = find_token(headers, self._tokens.cookie)
        if token is None:
            text = "a token is needed: Authorization: Bearer, the subprotocol bearer.TOKEN, or a cookie"
            raise Refusal(HTTPStatus.UNAUTHORIZED, text, RefusalCause.TOKEN, WWW_Authenticate="Bearer")
        if by_cookie and b"origin" not in headers and headers.get(b"sec-fetch-site") != b"same-origin":
            # Whoever makes a browser send a request has it send the cookie, too. (A page's own GET has no Origin.)
            raise Refusal(HTTPStatus.FORBIDDEN, "a token in a cookie needs an Origin", RefusalCause.ORIGIN)
        try:
            return self.check(token)
        except UnknownKey:
            await self.look_for_keys()
        except BadToken as bad:
            raise _refused(bad) from None
        if self.keys.ring is None:
            text = "the keys that tokens are checked with cannot be had at present"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, RefusalCause.TOKEN, Retry_After=_RETRY_SECONDS)
        try:
            return self.check(token)
        except BadToken as bad:
            raise _refused(bad) from None

    def spend(self, address: str, grant: Grant, cost: float) -> float:
        """Count the cost of a request over HTTP; how many seconds its sender is to wait before the next one.

        One allowance for each subject, or else address; as many as may be inside are remembered, the latest ones.
        """
        key, now, limits = grant.subject or address, trio.current_time(), self._limits
        allowance = self._allowances.pop(key, None)
        if allowance is None:
            allowance = RateLimiter(limits.requests_per_second, limits.request_burst, now)
            if len(self._allowances) >= limits.max_connections:
                del self._allowances[next(iter(self._allowances))]
        self._allowances[key] = allowance
        return allowance.spend(cost, now)

    def charge(self, address: str, grant: Grant) -> None:
        """Let a request over HTTP begin. Raises `Refusal` if its sender has asked for too much."""
        wait = self.spend(address, grant, 1)
        if wait:
            text = "too many requests; try again later"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, text, RefusalCause.RATE, Retry_After=str(math.ceil(wait)))

    def enter(self, address: str, grant: Grant) -> None:
        """Take a place inside; `admission.go` is to follow. Raises `Refusal` if there is none."""
        cause = self.admission.enter(address, grant.subject)
        if cause is RefusalCause.FULL:
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, "all places are taken"
            raise Refusal(status, text, cause, Retry_After=_RETRY_SECONDS)
        if cause is not None:
            status, text = HTTPStatus.TOO_MANY_REQUESTS, f"all places of this {cause} are taken"
            raise Refusal(status, text, cause, Retry_After=_RETRY_SECONDS)


def _refused(bad: BadToken) -> Refusal:
    """The answer to a bad token (RFC 6750, section 3)."""
    error = 'Bearer error="invalid_token"'
    return Refusal(
        HTTPStatus.UNAUTHORIZED, f"the token is not accepted: {bad}", RefusalCause.TOKEN, WWW_Authenticate=error
    )


def _origin(text: str) -> Origin:
    origin = parse_origin(text)
    if origin is None:
        raise ConfigError(f"origins {text!r}: give scheme and host, and the port if any: https://dash.example.com:8443")
    return origin
