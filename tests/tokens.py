"""An issuer of tokens for tests: its keys and its tokens, good and bad."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

KEYS: dict[str, PrivateKey] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65_537, 2048),
}
SECRET = b"0123456789abcdef0123456789abcdef"


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def token(
    key: PrivateKey | bytes = KEYS["EdDSA"],
    algorithm: str = "EdDSA",
    headers: dict[str, Any] | None = None,
    /,
    **claims: Any,  # noqa: ANN401  # claims of any type; None leaves a claim out
) -> str:
    """A good token, except for the given claims."""
    whole = {"aud": "ticker", "exp": time.time() + 3600, **claims}
    payload = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(payload, key, algorithm, headers)


def bearer(text: str) -> str:
    """The header line with this token."""
    return f"Authorization: Bearer {text}\r\n"


def key_file(folder: Path, key: PrivateKey = KEYS["EdDSA"]) -> str:
    """The public key in a file, as an operator has it."""
    path = folder / "token-public.pem"
    path.write_bytes(public_pem(key))
    return str(path)


def jwk(key: PrivateKey, kid: str | None, **more: str) -> dict[str, Any]:
    """A public key as an entry of a JWK Set."""
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        made = OKPAlgorithm.to_jwk(public)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        made = ECAlgorithm.to_jwk(public)
    else:
        made = RSAAlgorithm.to_jwk(public)
    return {**json.loads(made), **({"kid": kid} if kid is not None else {}), **more}
