"""`ticker token`: keys and tokens for development, and for services without an issuer of their own."""

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

from ticker.commands.streams import announce
from ticker.door.key_ring import algorithm_of, shared_secret
from ticker.errors import ConfigError

token_app = App(
    name="token",
    help="Make signing keys, and issue tokens for clients.",
    help_format="plaintext",
    result_action="return_value",
)


@token_app.command
def keys(folder: Path = Path(), *, algorithm: Literal["EdDSA", "ES256", "RS256", "HS256"] = "EdDSA") -> None:
    """Make a signing key for tokens. Existing files are never overwritten.

    Writes token-private.pem, for the issuer only, and token-public.pem, for `ticker serve --token-key`.
    For HS256 it writes token-secret, which both need ([tokens] secret = "..." in the config file).

    Parameters
    ----------
    folder
        Folder for the files.
    algorithm
        Signature algorithm of the tokens.
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
    metrics: Annotated[bool, Parameter(negative=())] = False,
    follow: Annotated[bool, Parameter(negative=())] = False,
    realtime: bool | None = None,
    minutes: float = 60,
    audience: str = "ticker",
    issuer: str | None = None,
    key_id: str | None = None,
) -> None:
    """Issue a token and print it.

    Parameters
    ----------
    key
        Private key or secret of `ticker token keys`: a PEM file, or token-secret.
    subject
        Name of the client (claim `sub`).
    symbols
        Symbol, pattern or table that the client may see: 'EUR*' (quotes alone), 'EUR* book:*'. Repeat the flag for
        more. [default: all]
    max_symbols
        Maximum number of symbols and patterns per connection. [default: the service's limit]
    min_interval
        Minimum conflation interval in milliseconds. [default: none]
    metrics
        Let the client read /metrics, which names feeds and counts everything.
    follow
        Let another ticker follow with it (--follow), which gets everything: not together with symbols, max-symbols
        and min-interval.
    realtime
        Let the client see the market in real time where it is delayed for others (--delay); with --no-realtime only
        delayed: it is refused where nothing is. [default: delayed where there is a delay]
    minutes
        Validity in minutes, above 0, at most a year.
    audience
        Audience of the token (claim `aud`), the one that the service expects.
    issuer
        Issuer of the token (claim `iss`). [default: no claim]
    key_id
        Id of the signing key in a JWK Set (header `kid`). [default: no header]
    """
    if not 0 < minutes <= 525_600:
        raise ConfigError(f"--minutes {minutes}: give a number above 0, at most 525600, a year")
    if follow and (symbols or max_symbols is not None or min_interval is not None):
        raise ConfigError("--follow: a follower gets everything; leave --symbols, --max-symbols and --min-interval out")
    private, algorithm = _signing_key(key)
    now = int(time.time())
    optional = {"iss": issuer, "symbols": symbols, "max_symbols": max_symbols, "min_interval_ms": min_interval}
    optional |= {"realtime": realtime}
    claims: dict[str, Any] = {"sub": subject, "aud": audience, "iat": now, "exp": now + int(minutes * 60)}
    claims |= {"metrics": True} if metrics else {}
    claims |= {"follow": True} if follow else {}
    claims |= {name: value for name, value in optional.items() if value is not None}
    print(jwt.encode(claims, private, algorithm, headers={"kid": key_id} if key_id is not None else None))


def _signing_key(path: Path) -> tuple[Any, str]:
    """Return the private key or secret in a file, and its algorithm. Raises `ConfigError`."""
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
        raise ConfigError(f"--key {path}: no private key; give an unencrypted PEM file or a secret") from None
    except ConfigError as error:
        raise ConfigError(f"--key {path}: {error}") from None


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a writable folder without this file") from None
    announce(f"wrote {path}")
