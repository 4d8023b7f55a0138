"""ticker/door/key_ring.py: keys from PEM, JWK Sets and secrets."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate
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


ED = KEYS["EdDSA"].public_key()
CERTIFICATE = load_pem_x509_certificate(trustme.CA().cert_pem.bytes())
DER = ED.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "text",
    [
        *map(public_pem, KEYS.values()),
        b"# the issuer's\n" + public_pem(KEYS["EdDSA"]),
        public_pem(KEYS["EdDSA"]).replace(b"\n", b"\r\n"),
        private_pem(KEYS["ES256"]),
        ED.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        b'no-pty,command="x" ' + KEYS["RS256"].public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAAC3NzaC1lZDI1NTE5AAAAIA\n---- END SSH2 PUBLIC KEY ----\n",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n",
        DER,
        base64.b64encode(DER),
        base64.urlsafe_b64encode(DER),
        json.dumps(jwk(KEYS["EdDSA"], "one")).encode(),
        json.dumps({"keys": [jwk(KEYS["EdDSA"], "one")]}).encode(),
        CERTIFICATE.public_bytes(Encoding.PEM),
        CERTIFICATE.public_bytes(Encoding.DER),
    ],
    ids=lambda _text: "key",
)
def test_a_key_or_certificate_that_others_may_know_is_no_secret(text: bytes) -> None:
    with pytest.raises(ConfigError, match=r"no secret: give a public key as `tokens\.key`"):
        shared_secret(text)


@given(st.binary(min_size=32, max_size=80))
def test_random_bytes_are_a_secret(secret: bytes) -> None:
    for text in (secret, secret.hex().encode(), base64.b64encode(secret)):
        if len(text.strip()) >= 32:
            assert shared_secret(text).keys == {None: text.strip()}


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
    ring = key_set(document, "ES256")
    assert set(ring.keys) == {"good"}
    assert ring.unused == (
        "key 2, kid 'for encryption': its use is 'enc', not sig",
        "key 3, kid 'for another': its alg is 'ES384', not ES256",
        "key 4, kid None: a token can only name a key whose kid is a text",
        "key 5, kid 'another curve': give a key of Ed25519, ECDSA on P-256, or RSA with 2048 bits or more",
        "key 6, kid 'no curve': it is no key for ES256",
        "key 7, kid 'nothing': it is no key for ES256",
        "key 8, kid 'secret': it is a private key or a secret, which only the issuer should have",
    )


def test_two_keys_with_one_id_are_both_refused_and_the_same_key_twice_is_not() -> None:
    first, second, third = (ed25519.Ed25519PrivateKey.generate() for _ in range(3))
    ring = key_set(jwks(jwk(first, "one"), jwk(second, "one"), jwk(third, "two"), jwk(third, "two")), "EdDSA")
    assert set(ring.keys) == {"two"}
    assert ring.unused == ("kid 'one': several keys have it; give each key a kid of its own",)
    for key in (first, second):
        with pytest.raises(UnknownKey):
            Verifier(ring, "ticker").check(token(key, "EdDSA", {"kid": "one"}), NOW)
    with pytest.raises(ConfigError, match="no key with a kid for EdDSA; kid 'one': several keys have it"):
        key_set(jwks(jwk(first, "one"), jwk(second, "one")), "EdDSA")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"key_ops": ["sign"]}, r"its key_ops are \['sign'\], without verify"),
        ({"key_ops": []}, "without verify"),
        ({"key_ops": "verify"}, "without verify"),
        ({"key_ops": None}, "without verify"),
        ({"use": "enc"}, "its use is 'enc', not sig"),
        ({"use": None}, "its use is None, not sig"),
        ({"alg": "HS256"}, "its alg is 'HS256', not EdDSA"),
        ({"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}, "it is a private key"),
    ],
)
def test_a_key_of_a_set_that_is_not_for_verifying_is_refused_with_the_reason(more: dict[str, Any], why: str) -> None:
    key = KEYS["EdDSA"]
    with pytest.raises(ConfigError, match=why):
        key_set(jwks({**jwk(key, "one"), **more}), "EdDSA")
    assert set(key_set(jwks({**jwk(key, "one"), "key_ops": ["sign", "verify"]}), "EdDSA").keys) == {"one"}


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
