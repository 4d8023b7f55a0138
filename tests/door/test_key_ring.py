"""ticker/door/key_ring.py: keys from PEM, JWK Sets and secrets."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import example, given
from hypothesis import strategies as st

from tests.tokens import KEYS, SECRET, PrivateKey, jwk, private_pem, public_pem, token
from ticker.door.key_ring import KeyRing, key_set, public_key, shared_secret
from ticker.door.tokens import Verifier
from ticker.errors import BadToken, ConfigError, UnknownKey

NOW = int(time.time() * 1e6)


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65_537, 1024)],  # noqa: S505  # to be refused
    ids=["P-384", "RSA-1024"],
)
def test_a_weak_or_unusual_key_is_refused(key: PrivateKey) -> None:
    with pytest.raises(ConfigError, match="give a key of Ed25519"):
        public_key(public_pem(key))


def test_a_private_key_is_not_taken_for_a_public_one() -> None:
    with pytest.raises(ConfigError, match="that is a private key"):
        public_key(private_pem(KEYS["ES256"]))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match="that is no public key"):
        public_key(content)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="32 bytes"):
        shared_secret(b"0123456789abcdef\n")


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def test_a_key_set_gives_the_key_that_a_token_names() -> None:
    first, second = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    ring = key_set(jwks(jwk(first, "one"), jwk(second, "two"), jwk(KEYS["RS256"], "three")), "EdDSA")
    assert set(ring.keys) == {"one", "two"}
    verifier = Verifier(ring, "ticker")
    verifier.check(token(second, "EdDSA", {"kid": "two"}), NOW)
    with pytest.raises(BadToken, match="its signature is not valid"):
        verifier.check(token(second, "EdDSA", {"kid": "one"}), NOW)
    for headers in ({"kid": "three"}, {"kid": "four"}, None):
        with pytest.raises(UnknownKey):
            verifier.check(token(second, "EdDSA", headers), NOW)


def test_a_key_set_keeps_only_keys_that_are_for_signing_with_this_algorithm() -> None:
    key = KEYS["ES256"]
    document = jwks(
        jwk(key, "good", use="sig", alg="ES256"),
        jwk(key, "for encryption", use="enc"),
        jwk(key, "for another", alg="ES384"),
        jwk(key, None),
        jwk(ec.generate_private_key(ec.SECP384R1()), "another curve"),
        {"kty": "EC", "kid": "no curve"},
        {"kid": "nothing"},
        {"kty": "oct", "kid": "secret", "k": "AAAA"},
    )
    assert set(key_set(document, "ES256").keys) == {"good"}


@given(st.binary(max_size=200))
@example(b'{"keys": []}')
@example(b'{"keys": 1}')
@example(b'{"keys":' + b"[" * 5000)
@example(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": 5, "kid": "a"}]}).encode())
@example(json.dumps({"keys": [{"kty": "RSA", "n": "AQ", "e": "AQ", "kid": "a"}]}).encode())
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    for algorithm in ("EdDSA", "RS256"):
        with pytest.raises(ConfigError):
            key_set(document, algorithm)


def test_a_ring_of_one_key_fits_whatever_a_token_names() -> None:
    assert KeyRing("HS256", {None: SECRET}).find("any") == SECRET


def test_no_repr_shows_a_secret() -> None:
    ring = shared_secret(SECRET)
    assert repr(ring) == "<KeyRing HS256: None>"
    assert SECRET.decode() not in repr(Verifier(ring, "ticker"))
    key = ed25519.Ed25519PrivateKey.generate()
    assert repr(key_set(jwks(jwk(key, "one"), jwk(key, "two")), "EdDSA")) == "<KeyRing EdDSA: one, two>"
