"""Key rings: the keys that verify tokens, parsed from PEM, from a JWK Set or from a shared secret. No I/O.

The operator's configuration fixes the algorithm and the keys; a token only names one of the keys (RFC 8725, sections
3.1 and 3.2).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeAlias

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key, load_pem_public_key
from cryptography.x509 import load_der_x509_certificate
from msgspec import Meta, Struct

from ticker.bounds import MAX_JWKS_KEYS
from ticker.errors import ConfigError, UnknownKey
from ticker.texts import shown

_MIN_RSA_BITS = 2048
_MIN_SECRET_BYTES = 32
_SHOWN_KEYS = 5
"""Unusable keys that an error names."""

_ARMOURED = re.compile(
    rb"(?m)^\s*-----? ?BEGIN |\b(?:ssh|ecdsa-sha2|sk-ssh|sk-ecdsa-sha2)-[\w@.-]+ AAAA|PuTTY-User-Key-File"
)
"""Keys and certificates as texts: PEM and PGP, and the formats of SSH."""

Key: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey | bytes


class KeyRing(NamedTuple):
    """The keys that tokens may be signed with, all for one algorithm. A key without an id fits every token."""

    algorithm: str
    keys: Mapping[str | None, Key]
    unused: tuple[str, ...] = ()
    """The other keys of a JWK Set, each with the reason why no token can name it."""

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
    """Return the ring of a secret shared with the issuer, for HS256 (RFC 7518, section 3.2).

    Raises `ConfigError`, also for a key or certificate in any usual form: a text that others may know is no secret, and
    its owner could sign tokens with it.
    """
    if _is_key(secret):
        raise ConfigError(
            "that is a key or a certificate, and no secret: give a public key as `tokens.key` (PEM) or `tokens.jwks`; "
            "`ticker token keys --algorithm HS256` makes a secret"
        )
    secret = secret.strip()
    if len(secret) < _MIN_SECRET_BYTES:
        raise ConfigError(f"a secret for HS256 has {_MIN_SECRET_BYTES} bytes or more; `ticker token keys` makes one")
    return KeyRing("HS256", {None: secret})


def key_set(document: bytes, algorithm: str) -> KeyRing:
    """Return the ring of the keys of a JWK Set (RFC 7517) that verify tokens of this algorithm. Raises `ConfigError`.

    The other keys are listed as `unused`. Different keys with one `kid` are among them: a token could mean any of them.
    """
    try:
        listed = msgspec.json.decode(document, type=_KeySet).keys
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"that is no JWK Set: {error}") from None
    keys: dict[str | None, Key] = {}
    unused: list[str] = []
    duplicates: set[str] = set()
    for number, each in enumerate(listed, 1):
        try:
            kid, key = _key_id(each), _verifying_key(each, algorithm)
        except ConfigError as error:
            unused.append(f"key {number}, kid {shown(each.get('kid'))}: {error}")
        else:
            if keys.setdefault(kid, key) != key:
                duplicates.add(kid)
    for kid in sorted(duplicates):
        del keys[kid]
        unused.append(f"kid {shown(kid)}: several keys have it; give each key a kid of its own")
    if not keys:
        raise ConfigError("; ".join([f"that JWK Set has no key with a kid for {algorithm}", *unused[:_SHOWN_KEYS]]))
    return KeyRing(algorithm, keys, tuple(unused))


def _key_id(jwk: Mapping[str, Any]) -> str:
    kid = jwk.get("kid")
    if not isinstance(kid, str):
        raise ConfigError("a token can only name a key whose kid is a text")
    return kid


def _verifying_key(jwk: Mapping[str, Any], algorithm: str) -> Key:
    """Return the public key in a JWK. Raises `ConfigError` with the reason why it verifies no token here."""
    if "d" in jwk or jwk.get("kty") == "oct":
        raise ConfigError("it is a private key or a secret, which only the issuer should have")
    if jwk.get("use", "sig") != "sig":
        raise ConfigError(f"its use is {shown(jwk['use'])}, not sig")
    if jwk.get("alg", algorithm) != algorithm:
        raise ConfigError(f"its alg is {shown(jwk['alg'])}, not {algorithm}")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise ConfigError(f"its key_ops are {shown(operations)}, without verify")
    try:
        key = jwt.PyJWK(dict(jwk), algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(f"it is no key for {algorithm}") from None
    if algorithm_of(key) != algorithm:
        raise ConfigError(f"it is a key for {algorithm_of(key)}")
    return key  # type: ignore[no-any-return]  # `algorithm_of` has checked its type


def _is_key(content: bytes) -> bool:
    """Return whether this is a key or a certificate: PEM, SSH, PGP, a JWK or a JWK Set, or DER, bare or in base64."""
    if _ARMOURED.search(content) is not None:
        return True
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        document = None
    if isinstance(document, dict) and document.keys() & {"kty", "keys"}:
        return True
    try:
        decoded = base64.b64decode(
            b"".join(content.split()), altchars=b"-_" if b"-" in content or b"_" in content else None
        )
    except ValueError:
        decoded = b""
    return any(_is_der(each) for each in (content, content.strip(), decoded))


def _is_der(content: bytes) -> bool:
    if not content.startswith(b"\x30"):  # a SEQUENCE, as all of these are
        return False
    for load in (load_der_public_key, load_der_x509_certificate, lambda data: load_der_private_key(data, None)):
        try:
            load(content)
        except (ValueError, UnsupportedAlgorithm):
            continue
        except TypeError:
            return True  # an encrypted private key
        return True
    return False


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
