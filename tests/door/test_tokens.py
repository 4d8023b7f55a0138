"""ticker/door/tokens.py: finding and verifying tokens."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import example, given
from hypothesis import strategies as st

from tests.tokens import KEYS, SECRET, public_pem, token
from ticker.door.grants import Grant
from ticker.door.key_ring import public_key, shared_secret
from ticker.door.tokens import Verifier, find_token
from ticker.errors import BadToken

NOW = int(time.time() * 1e6)
VERIFIER = Verifier(public_key(public_pem(KEYS["EdDSA"])), "ticker")


def refused(text: str, verifier: Verifier = VERIFIER, now: int = NOW) -> str:
    with pytest.raises(BadToken) as caught:
        verifier.check(text, now)
    return str(caught.value)


def forged(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = json.dumps(header).encode(), json.dumps(claims).encode(), signature
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


# Verifying


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_signed_with_the_issuers_key_is_accepted(algorithm: str) -> None:
    ring = public_key(public_pem(KEYS[algorithm]))
    assert ring.algorithm == algorithm
    assert Verifier(ring, "ticker").check(token(KEYS[algorithm], algorithm, sub="alice"), NOW).subject == "alice"


def test_a_token_signed_with_the_shared_secret_is_accepted() -> None:
    verifier = Verifier(shared_secret(SECRET + b"\n"), "ticker")
    assert verifier.check(token(SECRET, "HS256"), NOW).subject is None


def test_a_grant_holds_what_the_claims_say() -> None:
    text = token(exp=2_000_000_000, sub="bob", symbols=["EUR*", "XAUUSD"], max_symbols=7, min_interval_ms=250, more=1)
    grant = VERIFIER.check(text, NOW)
    assert grant == Grant("bob", 2_000_000_000_000_000, frozenset({"EUR*", "XAUUSD"}), 7, 250)
    assert [symbol for symbol in ("EURUSD", "XAUUSD", "XAUEUR", "USDEUR") if grant.sees(symbol)] == ["EURUSD", "XAUUSD"]


@pytest.mark.parametrize("claim", [True, False])
def test_a_token_says_whether_it_is_for_real_time(claim: object) -> None:
    assert VERIFIER.check(token(realtime=claim), NOW).realtime is claim
    assert VERIFIER.check(token(), NOW).realtime is None


@pytest.mark.parametrize("claim", [1, 0, "true", [], {}])
def test_a_token_that_does_not_say_it_so_is_refused(claim: object) -> None:
    with pytest.raises(BadToken, match="Expected `bool`"):
        VERIFIER.check(token(realtime=claim), NOW)


def test_a_token_without_symbols_grants_all_and_one_with_none_grants_none() -> None:
    assert VERIFIER.check(token(), NOW).symbols is None
    assert VERIFIER.check(token(symbols=[]), NOW).symbols == frozenset()


def test_an_unsigned_token_is_refused() -> None:
    claims = {"aud": "ticker", "exp": NOW / 1e6 + 100}
    for algorithm in ("none", "None", "NONE", "nOnE"):
        assert "its algorithm is not EdDSA" in refused(forged({"alg": algorithm, "typ": "JWT"}, claims))


def test_a_token_cannot_choose_its_algorithm() -> None:
    """The classic: the public key, which everybody has, is used as the secret of HS256."""
    for algorithm, key in KEYS.items():
        pem = public_pem(key)
        verifier = Verifier(public_key(pem), "ticker")
        import hmac  # noqa: PLC0415

        unsigned = forged({"alg": "HS256"}, {"aud": "ticker", "exp": NOW / 1e6 + 100}).rstrip(".")
        signature = hmac.digest(pem, unsigned.encode(), "sha256")
        text = unsigned + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        assert f"its algorithm is not {algorithm}" in refused(text, verifier)


def test_a_token_of_another_key_is_refused() -> None:
    assert refused(token(ed25519.Ed25519PrivateKey.generate())) == "its signature is not valid"


def test_a_token_that_was_changed_is_refused() -> None:
    header, _, signature = token(sub="alice").split(".")
    changed = base64.urlsafe_b64encode(json.dumps({"aud": "ticker", "exp": 2**31, "sub": "root"}).encode())
    assert refused(f"{header}.{changed.rstrip(b'=').decode()}.{signature}") == "its signature is not valid"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": -1}, "exp"),
        ({"exp": 1e300}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": NOW / 1e6 - 11}, "it has expired"),
        ({"nbf": NOW / 1e6 + 11}, "it is not valid yet"),
        ({"aud": None}, "aud"),
        ({"aud": "other"}, "Audience"),
        ({"aud": ["other", "another"]}, "Audience"),
        ({"aud": 7}, "claim"),
        ({"sub": 7}, "ubject"),
        ({"sub": "x" * 257}, "sub"),
        ({"symbols": "EURUSD"}, "symbols"),
        ({"symbols": [1]}, "symbols"),
        ({"symbols": [""]}, "symbols"),
        ({"symbols": ["x" * 129]}, "symbols"),
        ({"symbols": ["x"] * 1001}, "symbols"),
        ({"max_symbols": -1}, "max_symbols"),
        ({"max_symbols": 1.5}, "max_symbols"),
        ({"min_interval_ms": 60_001}, "min_interval_ms"),
    ],
)
def test_a_claim_that_cannot_be_is_named(claims: dict[str, Any], why: str) -> None:
    assert why in refused(token(**claims))


@pytest.mark.parametrize("claim", ["exp", "nbf", "aud", "sub", "symbols", "max_symbols", "min_interval_ms"])
def test_a_claim_that_is_null_is_refused_and_grants_nothing(claim: str) -> None:
    claims = {"aud": "ticker", "exp": 2_000_000_000, claim: None}
    text = jwt.encode(claims, KEYS["EdDSA"], "EdDSA")
    assert refused(text)


def test_clocks_may_differ_by_ten_seconds_and_not_by_more() -> None:
    text = token(exp=2_000_000_000, nbf=1_900_000_000, iat=2_100_000_000)
    first, last = 1_899_999_990_000_000, 2_000_000_009_999_999
    assert VERIFIER.check(text, first) == VERIFIER.check(text, last) == Grant(None, 2_000_000_000_000_000)
    assert refused(text, now=first - 1) == "it is not valid yet"
    assert refused(text, now=last + 1) == "it has expired"


def test_the_audience_may_be_one_of_several() -> None:
    VERIFIER.check(token(aud=["other", "ticker"]), NOW)


def test_the_issuer_must_be_the_configured_one() -> None:
    strict = VERIFIER._replace(issuer="https://login.example.com")
    strict.check(token(iss="https://login.example.com"), NOW)
    for claims in ({"iss": "https://login.example.com.evil"}, {"iss": None}):
        assert refused(token(**claims), strict)


def test_a_critical_extension_is_refused() -> None:
    assert refused(token(KEYS["EdDSA"], "EdDSA", {"crit": ["b64"], "b64": False}))


def test_a_token_that_is_too_long_is_not_even_parsed() -> None:
    assert refused("a" * 8193) == "it is longer than 8192 characters"
    assert "longer" not in refused("a" * 8192)


@given(st.text(max_size=200) | st.lists(st.text(max_size=40), min_size=3, max_size=3).map(".".join))
@example("[" * 3000 + "." + "[" * 3000 + ".")
@example(".".join([base64.urlsafe_b64encode(b"[" * 2000).decode()] * 3))
@example(".".join([base64.urlsafe_b64encode(b'{"alg":"EdDSA","kid":[1]}').decode()] * 3))
@example("\udcff.\udcff.\udcff")
def test_any_text_is_a_bad_token(text: str) -> None:
    assert refused(text)


@given(
    st.dictionaries(
        st.sampled_from(["exp", "nbf", "aud", "iss", "sub", "symbols", "max_symbols", "iat", "jti", "min_interval_ms"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
            max_leaves=6,
        ),
    )
)
def test_any_signed_claims_are_a_grant_or_a_bad_token(claims: dict[str, Any]) -> None:
    unsigned = forged({"alg": "EdDSA"}, claims).rstrip(".")
    key = KEYS["EdDSA"]
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    signature = base64.urlsafe_b64encode(key.sign(unsigned.encode())).rstrip(b"=").decode()
    try:
        grant = VERIFIER.check(f"{unsigned}.{signature}", NOW)
    except BadToken:
        return
    assert grant.expires is not None


# Finding


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, (None, False)),
        ({b"authorization": b"Bearer abc"}, ("abc", False)),
        ({b"authorization": b"bearer  abc "}, ("abc", False)),
        ({b"authorization": b"Basic abc"}, (None, False)),
        ({b"sec-websocket-protocol": b"ticker.v1.json, bearer.a.b.c"}, ("a.b.c", False)),
        ({b"sec-websocket-protocol": b"ticker.v1.json", b"cookie": b"x=1; ticker_token=abc; y=2"}, ("abc", True)),
        ({b"cookie": b'ticker_token="abc"'}, ("abc", True)),
        ({b"cookie": b"other=abc"}, (None, False)),
        ({b"cookie": b"ticker_token=c", b"authorization": b"Bearer a"}, ("a", False)),
    ],
)
def test_a_token_is_found_in_the_header_the_subprotocols_or_the_cookie(
    headers: dict[bytes, bytes], found: tuple[str | None, bool]
) -> None:
    assert find_token(headers, "ticker_token") == found


@given(st.dictionaries(st.sampled_from([b"authorization", b"cookie", b"sec-websocket-protocol"]), st.binary()))
def test_any_headers_hold_a_token_or_none(headers: dict[bytes, bytes]) -> None:
    text, _ = find_token(headers, "ticker_token")
    assert text is None or isinstance(text, str)
