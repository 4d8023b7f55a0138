"""ticker/texts.py: texts of the other side, shown as text only."""

from __future__ import annotations

import pytest

from ticker.texts import LONGEST_SHOWN, excerpt, printable, without_passwords


@pytest.mark.parametrize("text", ["", "EURUSD", "Société Générale", "日本", "€ 5", "a b", "🙂", "مرحبا"])
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == excerpt(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x00\x07\x7f", "\\x00\\x07\\x7f"),
        ("\u202eDSU\u2066", "\\u202eDSU\\u2066"),
        ("\u200b\u2028\u2029\ufeff", "\\u200b\\u2028\\u2029\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_whatever_is_not_printable_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == excerpt(text) == shown
    assert printable(text).isprintable()


def test_a_long_text_is_cut_off() -> None:
    assert excerpt("x" * LONGEST_SHOWN) == "x" * LONGEST_SHOWN
    assert excerpt("x" * 10**6) == "x" * (LONGEST_SHOWN - 1) + "…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:p:w@host:443/x", "https://me:***@host:443/x"),
        ("error for 'https://pw@host/x?key=pw' here", "error for 'https://***@host/x?***' here"),
        ("https://host/x is it? yes: a@b", "https://host/x is it? yes: a@b"),
        ("/a/b@c?d", "/a/b@c?d"),
    ],
)
def test_what_may_be_secret_in_urls_is_not_shown(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
