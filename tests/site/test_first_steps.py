"""The first steps of the site, as they are printed: a service, a ladder in a page of one's own, prices of one's own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.test_readme import ROOT, blocks, service
from tests.web.browser import browser, page_of
from tests.web.pages import web_server

PAGE = "docs/first-steps.md"
SERVICE = "https://localhost:8443"
USERS_SERVER = "http://localhost:8000"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as started:
        yield started


def flags(command: str, origin: str) -> list[str]:
    """The flags for `ticker serve` of a command on the page, with the origin of this test's web server."""
    words = shlex.split(command.replace(USERS_SERVER, origin))
    return [word for each in words for word in shlex.split(each.removeprefix("ARGS="))]


def ladder(folder: Path, url: str, symbol: str) -> None:
    """Save the page of the first steps."""
    text = blocks(PAGE, "html")[0].replace(SERVICE, url).replace("EURUSD", symbol)
    (folder / "ladder.html").write_text(text)


def address(url: str) -> str:
    return url.replace("wss://127.0.0.1", "https://localhost").removesuffix("/v1/stream")


def test_the_page_shows_a_live_ladder_and_says_when_it_is_not(chrome: Browser, tmp_path: Path) -> None:
    serve = blocks(PAGE, "sh")[0]
    with web_server(tmp_path) as origin, page_of(chrome) as page:
        with service(tmp_path, "simulated", flags(serve, origin)[2:]) as url:
            ladder(tmp_path, address(url), "EURUSD")
            page.goto(address(url))  # once, so that the browser trusts the service
            page.goto(f"{origin}/ladder.html")
            expect(page.locator("#status")).to_have_text("live")
            expect(page.locator("tr.ask")).to_have_count(10)
            expect(page.locator("tr.bid")).to_have_count(10)
            shown = page.locator("#ladder").inner_text()
            page.wait_for_function("shown => document.querySelector('#ladder').innerText !== shown", arg=shown)
        expect(page.locator("#status")).to_have_text("reconnecting")
        expect(page.locator("#ladder")).to_have_class("stale")
        expect(page.locator("tr")).to_have_count(20)


def test_the_feed_of_ones_own_is_served_and_shown(chrome: Browser, tmp_path: Path) -> None:
    (tmp_path / "gold.py").write_text((ROOT / "examples" / "depth_feed.py").read_text())
    command = flags(blocks(PAGE, "sh")[4], "")
    feed = command[command.index("--feed") + 1]
    with web_server(tmp_path) as origin, page_of(chrome) as page, service(tmp_path, feed, ["--origin", origin]) as url:
        ladder(tmp_path, address(url), "GOLD")
        page.goto(address(url))
        page.goto(f"{origin}/ladder.html")
        expect(page.locator("#status")).to_have_text("live")
        expect(page.locator("tr")).to_have_count(20)
        expect(page.locator("tr td").first).to_have_text(re.compile(r"^23\d\d\.\d$"))
