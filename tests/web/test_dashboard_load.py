"""How the dashboard comes to its first prices: all in one page, and a stream that is open before the modules have come.

Where the modules are held back, it is the page for work on it, which has them as files.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page, WebSocket, expect

from tests.bounds import HANG_SECONDS
from tests.tokens import key_file, token
from tests.web.browser import Market, cell, held_back, let_go, market, page_of

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {"ALPHA": {"bid": "1.10", "ask": "1.12", "last": "1.11", "status": "live"}}
WELCOMED = "() => globalThis.tickerStream?.events.length > 0"


def counted(page: Page) -> list[WebSocket]:
    """The WebSockets of a page, from now on."""
    found: list[WebSocket] = []

    def count(socket: WebSocket) -> None:
        found.append(socket)

    page.on("websocket", count)
    return found


def test_the_page_asks_for_no_other_file_and_opens_one_stream(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        sockets, files = counted(page), list[str]()
        page.on("request", lambda request: files.append(request.url) if request.resource_type != "fetch" else None)
        page.goto(f"{served.url}#ALPHA")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        expect(page.locator("#transport")).to_have_text("WebSocket")
        assert len(sockets) == 1
        assert [file for file in files if not file.startswith("data:")] == [served.url]
        assert page.locator("h1 img").evaluate("(image) => image.naturalWidth") > 0


def test_the_stream_is_open_before_the_modules_have_come_and_is_the_only_one(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        sockets, held = counted(page), held_back(page)
        page.goto(f"{served.url}index.html#ALPHA", wait_until="commit")
        page.wait_for_function(WELCOMED)
        let_go(page, held)
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        expect(page.locator("#transport")).to_have_text("WebSocket")
        assert len(sockets) == 1


def test_a_stream_that_was_lost_before_the_modules_came_is_opened_anew(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        sockets, held = counted(page), held_back(page)
        page.goto(f"{served.url}index.html#ALPHA", wait_until="commit")
        page.wait_for_function(WELCOMED)
        page.evaluate("globalThis.tickerStream.socket.close()")
        page.wait_for_function("() => globalThis.tickerStream.socket.readyState === WebSocket.CLOSED")
        let_go(page, held)
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        assert len(sockets) == 2


def test_a_token_that_is_known_is_given_at_once(chrome: Browser, tmp_path: Path) -> None:
    with market(tmp_path) as served, page_of(chrome) as page:
        served.reset(PRICES)
        served.start("--token-key", key_file(tmp_path))
        page.goto(f"{served.url}#ALPHA")
        page.locator("#token").fill(token())
        page.keyboard.press("Enter")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        sockets = counted(page)
        page.reload()
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        assert len(sockets) == 1


def test_for_work_on_it_the_page_has_its_modules_one_by_one(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        scripts = list[str]()
        page.on("request", lambda request: scripts.append(request.url))
        page.goto(f"{served.url}index.html#ALPHA")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        assert f"{served.url}dashboard/quotes.js" in scripts
