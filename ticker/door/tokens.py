"""Tokens (JSON Web Tokens, RFC 7519): finding one in a request, and verifying it. Keys and the time are passed in.

1. The operator's configuration fixes the algorithm and the keys; a token only names one of the keys (RFC 8725, sections
   3.1 and 3.2).
2. A token must have `exp` and the configured audience. It expires `TOKEN_LEEWAY_US` after `exp`.
3. The result is a `Grant`, which only narrows the limits of the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple, TypeAlias

import jwt
import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ticker.bounds import MAX_TOKEN, MAX_TOKEN_SUBJECT, MAX_TOKEN_SYMBOLS, TOKEN_LEEWAY_US
from ticker.config import MAX_INTERVAL_MS
from ticker.door.grants import Grant
from ticker.door.key_ring import KeyRing
from ticker.errors import BadToken
from ticker.market import MAX_SYMBOL
from ticker.numbers import MAX_INTEGER

BEARER = "bearer."
"""Prefix of a token in a list of subprotocols, the one header of a WebSocket that browsers let a page set."""

_LAST_DATE = 253_402_300_799
"""The end of the year 9999, in seconds since 1970."""

_Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=_LAST_DATE)] | Annotated[float, Meta(ge=0, le=_LAST_DATE)]


class _Claims(Struct):
    """The claims in use here (RFC 7519, section 4, and our own); PyJWT checks `aud` and `iss`.

    A claim that is null is not one that was left out: it would grant more than its issuer can have meant.
    """

    exp: _Seconds
    nbf: _Seconds = 0
    sub: Annotated[str, Meta(max_length=MAX_TOKEN_SUBJECT)] | UnsetType = UNSET
    symbols: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=MAX_SYMBOL)]], Meta(max_length=MAX_TOKEN_SYMBOLS)]
        | UnsetType
    ) = UNSET
    max_symbols: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] = MAX_INTEGER
    min_interval_ms: Annotated[int, Meta(ge=0, le=MAX_INTERVAL_MS)] = 0
    metrics: bool = False
    follow: bool = False
    realtime: bool | UnsetType = UNSET


class Verifier(NamedTuple):
    """Verifies tokens with the keys of one ring."""

    ring: KeyRing
    audience: str
    issuer: str | None = None

    def check(self, token: str, now: int) -> Grant:
        """Return the grant of a token at `now` (microseconds since 1970 UTC). Raises `BadToken`."""
        if len(token) > MAX_TOKEN:
            raise BadToken(f"it is longer than {MAX_TOKEN} characters")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != self.ring.algorithm:
                raise BadToken(f"its algorithm is not {self.ring.algorithm}")
            if "crit" in header:
                raise BadToken("it has a crit header, and no extensions are known here")
            key = self.ring.find(header.get("kid"))
            payload = jwt.decode(
                token,
                key,
                algorithms=[self.ring.algorithm],
                audience=self.audience,
                issuer=self.issuer,
                # These three ask the system's clock; they are checked below.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp", "aud"]},
            )
            claims = msgspec.convert(payload, _Claims)
        except jwt.InvalidSignatureError:
            raise BadToken("its signature is not valid") from None
        except (jwt.PyJWTError, msgspec.ValidationError) as error:
            raise BadToken(str(error)[:200]) from None
        except (ValueError, TypeError, RecursionError):
            raise BadToken("it is no JSON Web Token") from None
        return _grant(claims, now)


def _grant(claims: _Claims, now: int) -> Grant:
    expires, begins = int(claims.exp * 1_000_000), int(claims.nbf * 1_000_000)
    if expires + TOKEN_LEEWAY_US <= now:
        raise BadToken("it has expired")
    if begins - TOKEN_LEEWAY_US > now:
        raise BadToken("it is not valid yet")
    subject = None if claims.sub is UNSET else claims.sub
    symbols = None if claims.symbols is UNSET else frozenset(claims.symbols)
    realtime = None if claims.realtime is UNSET else claims.realtime
    return Grant(
        subject,
        expires,
        symbols,
        claims.max_symbols,
        claims.min_interval_ms,
        claims.metrics,
        claims.follow,
        realtime,
    )


def find_token(headers: Mapping[bytes, bytes], cookie: str) -> tuple[str | None, bool]:
    """Return the token of a request, if any, and whether it is a cookie, which a browser adds to requests of any page.

    `headers` are by lower-cased name. In this order: `Authorization: Bearer`, a subprotocol `bearer.TOKEN`, the cookie.
    """
    scheme, _, credentials = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip(), False
    for offer in headers.get(b"sec-websocket-protocol", b"").decode("latin-1").split(","):
        if offer.strip().startswith(BEARER):
            return offer.strip().removeprefix(BEARER), False
    for pair in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == cookie:
            return value.strip('"'), True
    return None, False
