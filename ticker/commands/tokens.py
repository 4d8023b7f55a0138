"""`ticker token`: keys and tokens for development, and for whoever has no other issuer."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cyclopts import App, Parameter

from ticker.door.key_ring import algorithm_of, shared_secret
from ticker.errors import ConfigError

token_app = App(
    name="token",
    help="Make keys, and issue tokens that let clients in.",
    help_format="plaintext",
    result_action="return_value",
)


@token_app.command
def keys(folder: Path = Path(), *, algorithm: Literal["EdDSA", "ES256", "RS256", "HS256"] = "EdDSA") -> None:
    """Make a key to issue tokens with. Nothing that is there is overwritten.

    Writes token-private.pem, which only the issuer may have, and token-public.pem, for `ticker serve --token-key`; for
    HS256 token-secret, which both need ([tokens] secret = "..." in the config file).

    Parameters
    ----------
    folder
        Where to write them.
    algorithm
        What tokens are signed with.
    """
    if algorithm == "HS256":
        _write(folder / "token-secret", os.urandom(32).hex().encode(), 0o600)
        return
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = rsa.generate_private_key(65_537, 3072)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(
        folder / "token-private.pem", private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600
    )
    _write(folder / "token-public.pem", public, 0o644)


@token_app.command
def issue(  # noqa: PLR0913  # one parameter per claim
    *,
    key: Path,
    subject: str,
    symbols: Annotated[list[str] | None, Parameter(negative=())] = None,
    max_symbols: int | None = None,
    min_interval: int | None = None,
    minutes: float = 60,
    audience: str = "ticker",
    issuer: str | None = None,
    key_id: str | None = None,
) -> None:
    """Issue a token, and print it.

    Parameters
    ----------
    key
        The private key, PEM, or the secret, as `ticker token keys` made it.
    subject
        Whose token it is (claim `sub`).
    symbols
        A symbol or pattern that may be seen, such as 'EUR*'. Give it again for more. Left out: all.
    max_symbols
        The most symbols and patterns of one connection.
    min_interval
        The least milliseconds between two frames.
    minutes
        How long it is valid.
    audience
        Who it is for (claim `aud`).
    issuer
        Who issued it (claim `iss`).
    key_id
        Which key of a JWK Set it is signed with (header `kid`).
    """
    if not 0 < minutes <= 525_600:
        raise ConfigError(f"--minutes {minutes}: give a number above 0, at most a year's")
    private, algorithm = _signing_key(key)
    now = int(time.time())
    optional = {"iss": issuer, "symbols": symbols, "max_symbols": max_symbols, "min_interval_ms": min_interval}
    claims: dict[str, Any] = {"sub": subject, "aud": audience, "iat": now, "exp": now + int(minutes * 60)}
    claims |= {name: value for name, value in optional.items() if value is not None}
    print(jwt.encode(claims, private, algorithm, headers={"kid": key_id} if key_id is not None else None))


def _signing_key(path: Path) -> tuple[Any, str]:
    """The private key or secret in a file, and its algorithm."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--key {path}: {error.strerror}; give a readable file") from None
    try:
        if b"-----BEGIN" not in content:
            return shared_secret(content).find(None), "HS256"
        private = load_pem_private_key(content, None)
        return private, algorithm_of(private.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(f"--key {path}: that is no private key in PEM form without a password") from None
    except ConfigError as error:
        raise ConfigError(f"--key {path}: {error}") from None


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    print(f"wrote {path}")
