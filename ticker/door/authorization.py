"""Who may come in, and what they may see: tokens, origins, entitlements. Keys and the time are passed in.

The rules:

1. The operator's configuration fixes the algorithm and the keys; a token only says which of the keys it was signed with
   (RFC 8725, sections 3.1 and 3.2). A token must have `exp` and the configured audience.
2. What a token grants is a `Grant`. It can only narrow what the service's limits allow.
3. A symbol outside a grant behaves, everywhere, like one that does not exist.
4. A browser says where its page comes from (`Origin`). It comes in if that is this server itself or one of the allowed
   origins, compared as scheme, host and port (RFC 6454, section 5). Programs send no Origin; the token admits them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, NamedTuple, TypeAlias

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import Meta, Struct

from ticker.config import MAX_INTERVAL_MS
from ticker.errors import BadToken, ConfigError, UnknownKey
from ticker.market import MAX_INTEGER, MAX_SYMBOL
from ticker.protocol.symbols import Match, matcher

MAX_TOKEN = 8_192
"""The longest token, in characters."""

LEEWAY_US = 10_000_000
"""So far may the issuer's clock be from ours, in microseconds."""

BEARER = "bearer."
"""What a token begins with in a list of subprotocols: browsers cannot set any other header."""

_MIN_RSA_BITS = 2048
_MIN_SECRET_BYTES = 32
_LAST_DATE = 253_402_300_799
"""The end of the year 9999, in seconds since 1970."""

Key: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey | bytes


@dataclass(frozen=True)
class Grant:
    """What one client may do. Times are microseconds since 1970 UTC."""

    subject: str | None = None
    """Whose token it is; limits per subject are counted by this."""
    expires: int | None = None
    symbols: frozenset[str] | None = None
    """Symbols and patterns it may see; None: all of them."""
    max_symbols: int = MAX_INTEGER
    min_interval_ms: int = 0

    @cached_property
    def sees(self) -> Match:
        """Tells whether it may see a symbol: something true if so."""
        return (lambda _symbol: True) if self.symbols is None else matcher(self.symbols)

    @cached_property
    def view(self) -> str:
        """Names what it may see, for an epoch: a copy that was made under another view cannot be resumed."""
        if self.symbols is None:
            return ""
        return "." + sha256("\n".join(sorted(self.symbols)).encode()).hexdigest()[:12]


ANYONE = Grant()
"""What everybody gets where no tokens are asked for."""


# Keys


class KeyRing(NamedTuple):
    """The keys that tokens may be signed with, all for one algorithm. A key without an id fits every token."""

    algorithm: str
    keys: Mapping[str | None, Key]

    def find(self, kid: object) -> Key:
        """The key that a token names. Raises `UnknownKey`."""
        if None in self.keys:
            return self.keys[None]
        key = self.keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise UnknownKey("it is signed with a key that is not known here")
        return key


def public_key(pem: bytes) -> KeyRing:
    """The ring of one public key in PEM; its type says the algorithm. Raises `ConfigError` without the file's name."""
    if b"PRIVATE KEY" in pem:
        raise ConfigError("that is a private key, which only the issuer should have; give the public one")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("that is no public key in PEM form (BEGIN PUBLIC KEY)") from None
    return KeyRing(algorithm_of(key), {None: key})  # type: ignore[dict-item]  # `algorithm_of` has checked its type


def shared_secret(secret: bytes) -> KeyRing:
    """The ring of a secret that the issuer has as well, for HS256 (RFC 7518, section 3.2). Raises `ConfigError`."""
    secret = secret.strip()
    if len(secret) < _MIN_SECRET_BYTES:
        raise ConfigError(f"a secret for HS256 has {_MIN_SECRET_BYTES} bytes or more; `ticker token keys` makes one")
    return KeyRing("HS256", {None: secret})


def key_set(document: bytes, algorithm: str) -> KeyRing:
    """The ring of those keys of a JWK Set (RFC 7517) that are for this algorithm. Raises `ConfigError`."""
    try:
        listed = msgspec.json.decode(document, type=_KeySet).keys
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"that is no JWK Set: {error}") from None
    keys: dict[str | None, Key] = {}
    for each in listed:
        kid = each.get("kid")
        if each.get("use", "sig") != "sig" or each.get("alg", algorithm) != algorithm or not isinstance(kid, str):
            continue
        try:
            key = jwt.PyJWK(each, algorithm).key
            if algorithm_of(key) == algorithm:
                keys[kid] = key
        except (jwt.PyJWTError, ConfigError, ValueError, TypeError, UnsupportedAlgorithm):
            continue  # a set may hold keys for others, which are none of ours
    if not keys:
        raise ConfigError(f"that JWK Set has no key with a kid for {algorithm}")
    return KeyRing(algorithm, keys)


class _KeySet(Struct):
    keys: Annotated[list[dict[str, Any]], Meta(max_length=100)]


def algorithm_of(key: object) -> str:
    """The algorithm that tokens are signed with by a key of this type. Raises `ConfigError`."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return "RS256"
    raise ConfigError(f"give a key of Ed25519, ECDSA on P-256, or RSA with {_MIN_RSA_BITS} bits or more")


# Tokens


_Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=_LAST_DATE)] | Annotated[float, Meta(ge=0, le=_LAST_DATE)]


class _Claims(Struct):
    """The claims that mean something here (RFC 7519, section 4, and our own); PyJWT checks `aud` and `iss`."""

    exp: _Seconds
    nbf: _Seconds = 0
    sub: Annotated[str, Meta(max_length=256)] | None = None
    symbols: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=MAX_SYMBOL)]], Meta(max_length=1000)] | None
    ) = None
    max_symbols: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] = MAX_INTEGER
    min_interval_ms: Annotated[int, Meta(ge=0, le=MAX_INTERVAL_MS)] = 0


class Verifier(NamedTuple):
    """Checks tokens (JSON Web Tokens, RFC 7519)."""

    ring: KeyRing
    audience: str
    issuer: str | None = None

    def check(self, token: str, now: int) -> Grant:
        """What a token grants at `now` (microseconds since 1970 UTC). Raises `BadToken`."""
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
    if expires + LEEWAY_US <= now:
        raise BadToken("it has expired")
    if begins - LEEWAY_US > now:
        raise BadToken("it is not valid yet")
    symbols = frozenset(claims.symbols) if claims.symbols is not None else None
    return Grant(claims.sub, expires + LEEWAY_US, symbols, claims.max_symbols, claims.min_interval_ms)


def find_token(headers: Mapping[bytes, bytes], cookie: str) -> tuple[str | None, bool]:
    """The token of a request, and whether it came as a cookie, which a browser sends along whoever asks for it.

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


# Origins


Origin: TypeAlias = tuple[str, str, int]
"""Scheme, host and port."""

_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"(https?)://([^/?#@\s]+)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)


def parse_origin(text: str) -> Origin | None:
    """An origin as a browser writes it, `https://dash.example.com:8443`; None for what is none, as `null`."""
    whole = _ORIGIN.fullmatch(text)
    return _at(whole[1].lower(), whole[2]) if whole is not None else None


def origin_allowed(headers: Mapping[bytes, bytes], allowed: Collection[Origin]) -> bool:
    """Whether a request comes from no browser, from a page of this server, or from an allowed origin."""
    if b"origin" not in headers:
        return True
    origin = parse_origin(headers[b"origin"].decode("latin-1"))
    own = _at("https", headers.get(b"host", b"").decode("latin-1"))
    return origin is not None and (origin == own or origin in allowed)


def _at(scheme: str, authority: str) -> Origin | None:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        return None
    return scheme, parts[1].lower(), int(parts[2]) if parts[2] else _PORTS[scheme]
