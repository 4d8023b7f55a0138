"""ticker/door/origins.py: origins of pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticker.door.origins import OPAQUE, origin_allowed, parse_origin


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://dash.example.com", ("https", "dash.example.com", 443)),
        ("HTTPS://Dash.Example.com:443", ("https", "dash.example.com", 443)),
        ("http://localhost:3000", ("http", "localhost", 3000)),
        ("https://[::1]:8443", ("https", "::1", 8443)),
        ("capacitor://localhost", ("capacitor", "localhost", None)),
        ("tauri://localhost:1420", ("tauri", "localhost", 1420)),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", ("chrome-extension", "abcdefghijklmnop" * 2, None)),
        (
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
            ("moz-extension", "2c127fa4-62c7-7e4f-90e5-472b45eecfdc", None),
        ),
    ],
)
def test_an_origin_is_a_scheme_a_host_and_a_port(text: str, origin: tuple[str, str, int | None]) -> None:
    scheme, host, port = origin
    assert parse_origin(text) == (scheme, f"[{host}]" if ":" in host else host, port)


@pytest.mark.parametrize(
    "text",
    ["Null", "", "1a://b", "file:///", "dash.example.com", "https://", "https://a/", "https://a?b", "https://u@a",
     "https://a b", "https://a:b", "https://a:", "https://a, https://b", "https://é"],
)  # fmt: skip
def test_what_is_no_origin_is_none(text: str) -> None:
    assert parse_origin(text) is None


ALLOWED = {("https", "dash.example.com", 443), ("capacitor", "localhost", None)}


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, b"ticker.example.com", True),
        (b"https://ticker.example.com", b"ticker.example.com", True),
        (b"https://ticker.example.com:443", b"ticker.example.com", True),
        (b"https://ticker.example.com:8443", b"ticker.example.com:8443", True),
        (b"https://[::1]:8443", b"[::1]:8443", True),
        (b"https://dash.example.com", b"ticker.example.com", True),
        (b"http://ticker.example.com", b"ticker.example.com", False),
        (b"https://ticker.example.com", b"ticker.example.com:8443", False),
        (b"https://ticker.example.com.evil.com", b"ticker.example.com", False),
        (b"https://evil-dash.example.com", b"ticker.example.com", False),
        (b"https://dash.example.com:8443", b"ticker.example.com", False),
        (b"http://dash.example.com", b"ticker.example.com", False),
        (b"https://evil.com", b"ticker.example.com", False),
        (b"capacitor://localhost", b"ticker.example.com", True),
        (b"capacitor://localhost:1", b"ticker.example.com", False),
        (b"ionic://localhost", b"ticker.example.com", False),
        (b"capacitor://ticker.example.com", b"ticker.example.com", False),
        (b"file://", b"ticker.example.com", False),
        (b"null", b"ticker.example.com", False),
        (b"null", b"null", False),
        (b"", b"", False),
        (b"https://ticker.example.com, https://evil.com", b"ticker.example.com", False),
        (b"https://evil.com#", b"evil.com#", False),
    ],
)
def test_a_page_comes_in_from_here_or_from_an_allowed_origin(origin: bytes | None, host: bytes, allowed: bool) -> None:  # noqa: FBT001
    headers = {b"host": host} if origin is None else {b"host": host, b"origin": origin}
    assert origin_allowed(headers, ALLOWED) is allowed


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_origin_and_host_are_judged(origin: bytes, host: bytes) -> None:
    parsed = parse_origin(origin.decode("latin-1"))
    own = parse_origin("https://" + host.decode("latin-1"))
    allowed = parsed is not None and (parsed == own or parsed in ALLOWED)
    assert origin_allowed({b"origin": origin, b"host": host}, ALLOWED) is allowed


@pytest.mark.parametrize("name", ["null", "file://"])
def test_an_origin_that_many_pages_share_is_allowed_by_name_only(name: str) -> None:
    headers = {b"host": b"ticker.example.com", b"origin": name.encode()}
    assert not origin_allowed(headers, ALLOWED)
    assert origin_allowed(headers, {OPAQUE[name]})
    assert not origin_allowed(headers, {origin for text, origin in OPAQUE.items() if text != name})
