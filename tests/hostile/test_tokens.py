"""Forged and unfit tokens over real TLS, beside a client that has to be served (see tests/hostile/test_list.py)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.bounds import HANG_SECONDS
from tests.conftest import MSGPACK, upgrade
from tests.hostile.support import attacked
from tests.tokens import KEYS, SECRET, bearer, key_file, public_pem, token
from ticker.config import Tokens
from ticker.errors import Code
from ticker.protocol.messages import Error, Reply

ISSUER = "https://login.example.com"
GOOD = {"aud": "ticker", "iss": ISSUER, "exp": 4_000_000_000}


def good(**claims: Any) -> str:  # noqa: ANN401  # any claim
    return token(**{"iss": ISSUER, **claims})


def part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forged(header: dict[str, Any], secret: bytes | None = None, claims: dict[str, Any] | None = None) -> str:
    """A token made by hand; signed with HMAC if there is a secret, and otherwise with nothing."""
    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims or GOOD).encode())}"
    signature = hmac.digest(secret, signed.encode(), hashlib.sha256) if secret is not None else b""
    return f"{signed}.{part(signature)}"


def other_claims(text: str) -> str:
    """The signature of a good token under other claims."""
    header, _, signature = text.split(".")
    return f"{header}.{part(json.dumps({**GOOD, 'symbols': ['*']}).encode())}.{signature}"


PEM = public_pem(KEYS["EdDSA"])
RAW = KEYS["EdDSA"].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

FORGED = {
    "alg none": forged({"alg": "none", "typ": "JWT"}),
    "alg None": forged({"alg": "None"}),
    "alg nOnE": forged({"alg": "nOnE"}),
    "no alg": forged({"typ": "JWT"}),
    "alg that is no text": forged({"alg": ["EdDSA"]}),
    "alg null": forged({"alg": None}),
    "EdDSA without a signature": forged({"alg": "EdDSA"}),
    "a signature cut off": good().rpartition(".")[0] + ".",
    "HS256 with the public key": forged({"alg": "HS256"}, PEM),
    "HS256 with the public key, stripped": forged({"alg": "HS256"}, PEM.strip()),
    "HS256 with the public key in DER": forged({"alg": "HS256"}, RAW),
    "HS256 with nothing": forged({"alg": "HS256"}, b""),
    "EdDSA said and HMAC done": forged({"alg": "EdDSA"}, PEM),
    "a key of its own": token(ed25519.Ed25519PrivateKey.generate(), iss=ISSUER),
    "another type of key": token(KEYS["RS256"], "RS256", iss=ISSUER),
    "a secret": token(SECRET, "HS256", iss=ISSUER),
    "a key in its header": token(
        KEYS["EdDSA"], "EdDSA", {"jku": "https://127.0.0.1:1/keys", "crit": ["jku"]}, iss=ISSUER
    ),
    "a kid that leads out": forged({"alg": "HS256", "kid": "../../../../dev/null"}, b""),
    "other claims": other_claims(good()),
    **{
        f"{claim} is null": jwt.encode({**GOOD, claim: None}, KEYS["EdDSA"], "EdDSA")
        for claim in ("symbols", "max_symbols", "min_interval_ms", "sub", "nbf")
    },
    "expired": good(exp=time.time() - 60),
    "never expires": good(exp=None),
    "expires at no time": good(exp="never"),
    "not valid yet": good(nbf=time.time() + 86_400),
    "another audience": good(aud="other"),
    "no audience": good(aud=None),
    "another issuer": good(iss="https://evil.example"),
    "no issuer": token(),
    "endless": good(symbols=["x" * 60] * 130),
    "nothing": "",
    "dots": "." * 100,
}


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(key=key_file(tmp_path), issuer=ISSUER)


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED)
async def test_a_token_that_is_not_the_issuers_lets_nobody_in(text: str, tokens: Tokens) -> None:
    """Neither in the header, nor among the subprotocols, nor in a cookie, nor for anything besides the stream."""
    heads = [
        upgrade(more=bearer(text)),
        upgrade(f"{MSGPACK}, bearer.{text}"),
        upgrade(more=f"Cookie: ticker_token={text}\r\nOrigin: https://localhost\r\n"),
        f"GET /v1/snapshot?symbols=A HTTP/1.1\r\nHost: localhost\r\n{bearer(text)}\r\n".encode(),
        f"GET /v1/events?symbols=A HTTP/1.1\r\nHost: localhost\r\n{bearer(text)}\r\n".encode(),
    ]
    async with attacked(tokens=tokens, more=bearer(good())) as service:
        for head in heads:
            answer = await service.refusal(head)
            assert answer.startswith(b"HTTP/1.1 401 "), answer[:60]
            assert b"1.00" not in answer


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED)
async def test_a_token_that_is_not_the_issuers_renews_nothing(text: str, tokens: Tokens) -> None:
    async with attacked(tokens=tokens, more=bearer(good())) as service:
        peer = await service.peer(more=bearer(good()))
        with trio.fail_after(HANG_SECONDS):
            error = await peer.answer("auth", token=text)
            assert isinstance(error, Error)
            assert (error.code, error.fatal) == (Code.BAD_TOKEN, False)
            assert isinstance(await peer.answer("ping"), Reply)


@pytest.mark.parametrize("name", ["token", "access_token", "ticker_token", "authorization", "bearer"])
async def test_a_token_in_the_query_is_not_taken(name: str, tokens: Tokens) -> None:
    """It would stand in logs, histories and Referer headers."""
    async with attacked(tokens=tokens, more=bearer(good())) as service:
        for path in ("/v1/stream?", "/v1/snapshot?symbols=A&", "/v1/events?symbols=A&"):
            answer = await service.refusal(upgrade(path=f"{path}{name}={good()}"))
            assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 "))
            assert b"1.00" not in answer


async def test_the_same_token_where_it_belongs_is_taken(tokens: Tokens) -> None:
    """The tokens above are refused for their own faults: this one is accepted in the same places."""
    async with attacked(tokens=tokens, more=bearer(good())) as service:
        await service.peer(more=bearer(good()))
        await service.peer(more=bearer(token(KEYS["EdDSA"], "EdDSA", None, **GOOD)))
