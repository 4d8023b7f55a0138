"""Key rings: the keys that verify tokens, parsed from PEM, from a JWK Set or from a shared secret. No I/O.

The operator's configuration fixes the algorithm and the keys; a token only names one of the keys (RFC 8725, sections
3.1 and 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeAlias

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import Meta, Struct

from ticker.config import MAX_JWKS_KEYS
from ticker.errors import ConfigError, UnknownKey

_MIN_RSA_BITS = 2048
_MIN_SECRET_BYTES = 32

Key: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey | bytes


class KeyRing(NamedTuple):
    """The keys that tokens may be signed with, all for one algorithm. A key without an id fits every token."""

    algorithm: str
    keys: Mapping[str | None, Key]

    def __repr__(self) -> str:
        return f"<KeyRing {self.algorithm}: {', '.join(map(str, self.keys))}>"

    def find(self, kid: object) -> Key:
        """Return the key that a token names. Raises `UnknownKey`."""
        if None in self.keys:
            return self.keys[None]
        key = self.keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise UnknownKey("it is signed with a key that is not known here")
        return key


def public_key(pem: bytes) -> KeyRing:
    """Return the ring of one public key in PEM, whose type implies the algorithm. Raises `ConfigError`."""
    if b"PRIVATE KEY" in pem:
        raise ConfigError("that is a private key, which only the issuer should have; give the public one")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("that is no public key in PEM form (BEGIN PUBLIC KEY)") from None
    return KeyRing(algorithm_of(key), {None: key})  # type: ignore[dict-item]  # `algorithm_of` has checked its type


def shared_secret(secret: bytes) -> KeyRing:
    """Return the ring of a secret shared with the issuer, for HS256 (RFC 7518, section 3.2). Raises `ConfigError`."""
    secret = secret.strip()
    if len(secret) < _MIN_SECRET_BYTES:
        raise ConfigError(f"a secret for HS256 has {_MIN_SECRET_BYTES} bytes or more; `ticker token keys` makes one")
    return KeyRing("HS256", {None: secret})


def key_set(document: bytes, algorithm: str) -> KeyRing:
    """Return the ring of the keys of a JWK Set (RFC 7517) that are for this algorithm. Raises `ConfigError`."""
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
            continue  # a set may hold keys for other purposes
    if not keys:
        raise ConfigError(f"that JWK Set has no key with a kid for {algorithm}")
    return KeyRing(algorithm, keys)


class _KeySet(Struct):
    keys: Annotated[list[dict[str, Any]], Meta(max_length=MAX_JWKS_KEYS)]


def algorithm_of(key: object) -> str:
    """Return the algorithm of tokens signed with a key of this type. Raises `ConfigError`."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return "RS256"
    raise ConfigError(f"give a key of Ed25519, ECDSA on P-256, or RSA with {_MIN_RSA_BITS} bits or more")
