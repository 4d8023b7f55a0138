"""The dashboard of a service that wants tokens: it asks for one after as few refused requests as there can be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.tokens import key_file, token
from tests.web.browser import Market, cell, held_back, let_go, market, page_of

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {"ONE": {"bid": "1.00"}}


def requested(page: Page, base: str) -> list[str]:
    """The paths of the service that a page asks for from now on, but for the page itself.

    Its clock stands still until it is resumed: where a connection takes long, the page asks why before it has ended.
    """
    page.clock.install()
    page.clock.pause_at(time.time() + 60)
    seen: list[str] = []
    page.on("request", lambda each: seen.append(each.url.removeprefix(base).partition("?")[0]))
    page.on("websocket", lambda each: seen.append(each.url.removeprefix(base.replace("https", "wss", 1))))
    return seen


VISITS = pytest.mark.parametrize("names", ["", "#ONE"], ids=["first visit", "link"])


@contextmanager
def visit(chrome: Browser, folder: Path) -> Iterator[tuple[Market, Page, list[str]]]:
    """A service that wants tokens, a page, and what that asks for."""
    with market(folder) as made, page_of(chrome) as page:
        made.reset(PRICES)
        made.start("--token-key", key_file(folder))
        made.until_ready()
        yield made, page, requested(page, made.url)


@VISITS
def test_without_a_token_two_requests_are_refused_and_then_it_is_asked_for(
    chrome: Browser, tmp_path: Path, names: str
) -> None:
    with visit(chrome, tmp_path) as (made, page, seen):
        page.goto(f"{made.url}{names}")
        expect(page.locator("#token")).to_be_focused()
        expect(page.locator("#token-reason")).to_be_empty()
        assert sorted(filter(None, seen)) == ["v1/instruments", "v1/stream"]  # the stream, and why there is none
        seen.clear()
        page.locator("#token").fill("none")
        page.keyboard.press("Enter")
        expect(page.locator("#token-reason")).to_contain_text("It says: the token is not accepted")
        assert sorted(seen) == ["v1/instruments", "v1/stream"]
        page.clock.resume()
        page.locator("#token").fill(token())
        page.keyboard.press("Enter")
        expect(cell(page, "ONE", "bid")).to_have_text("1.00")
        expect(page.locator("#token-form")).to_be_hidden()


@VISITS
def test_a_refusal_before_the_modules_have_come_is_not_asked_for_again(
    chrome: Browser, tmp_path: Path, names: str
) -> None:
    with visit(chrome, tmp_path) as (made, page, seen):
        held = held_back(page)
        page.goto(f"{made.url}index.html{names}", wait_until="commit")
        page.wait_for_function("() => globalThis.tickerStream?.socket.readyState === WebSocket.CLOSED")
        let_go(page, held)
        expect(page.locator("#token")).to_be_focused()
        assert sorted(name for name in seen if name.startswith("v1/")) == ["v1/instruments", "v1/stream"]
