"""ticker/web: the dashboard in a real Chromium, served by the real service over TLS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import Market, browser, market, page_of
from tests.tokens import key_file, token

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Market]:
    with market(tmp_path) as made:
        made.set("ALPHA", bid="1.10", ask="1.12", last="1.11", status="live")
        made.set("BETA", bid="20.0", ask="20.5", last="20.1", status="live")
        made.start()
        yield made


def row(page: Page, symbol: str) -> Locator:
    return page.locator("#rows .row").filter(has=page.get_by_text(symbol, exact=True))


def cell(page: Page, symbol: str, part: str) -> Locator:
    return row(page, symbol).locator(f".{part}")


def add(page: Page, text: str) -> None:
    page.keyboard.press("/")
    page.locator("#search").fill(text)
    page.keyboard.press("Enter")


def test_a_page_lives_through_a_failed_feed_and_a_lost_server(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA")
        expect(page.locator("#state-text")).to_contain_text("Live")
        expect(page.locator("#transport")).to_have_text("WebSocket")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        add(page, "BETA")
        expect(cell(page, "BETA", "last")).to_contain_text("20.1")
        served.set("BETA", last="21.7")
        expect(cell(page, "BETA", "last")).to_contain_text("21.7")
        served.stop_feed()
        expect(row(page, "BETA")).to_contain_text(re.compile("stale.*(feed_down|reconnecting)", re.DOTALL))
        served.set("BETA", last="22.3")
        expect(cell(page, "BETA", "last")).to_contain_text("22.3")
        expect(row(page, "BETA")).not_to_contain_text("stale")
        served.kill()
        expect(page.locator("#state-text")).to_contain_text("No connection")
        expect(page.locator("#notice")).to_be_visible()
        served.set("BETA", last="23.9")
        served.start()
        expect(page.locator("#state-text")).to_contain_text("Live")
        expect(cell(page, "BETA", "last")).to_contain_text("23.9")
        expect(page.locator("#notice")).to_be_hidden()


def test_the_same_page_works_where_a_websocket_is_blocked(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.route_web_socket(re.compile(".*"), lambda socket: socket.close())
        page.goto(f"{served.url}#ALPHA,BETA")
        expect(page.locator("#state-text")).to_contain_text("Live")
        expect(page.locator("#transport")).to_have_text("event stream")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        served.set("ALPHA", bid="1.15")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.15")


def test_a_list_is_kept_between_visits_and_stands_in_the_url(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(served.url)
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        row(page, "ALPHA").click()
        page.keyboard.press("Delete")
        expect(row(page, "ALPHA")).to_have_count(0)
        expect(page).to_have_url(re.compile("#BETA$"))
        page.goto("about:blank")
        page.goto(served.url)
        expect(cell(page, "BETA", "bid")).to_contain_text("20.0")
        expect(row(page, "ALPHA")).to_have_count(0)


def test_a_pattern_brings_all_that_match_it_and_what_appears_later(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#*A")
        expect(row(page, "ALPHA")).to_have_count(1)
        expect(row(page, "BETA")).to_have_count(1)
        served.set("GAMMA", last="3.3")
        expect(cell(page, "GAMMA", "last")).to_contain_text("3.3")


def test_symbols_are_moved_and_chosen_with_the_keyboard_alone(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA,BETA")
        expect(cell(page, "BETA", "bid")).to_contain_text("20.0")
        row(page, "BETA").focus()
        page.keyboard.press("Alt+ArrowUp")
        expect(page).to_have_url(re.compile("#BETA,ALPHA$"))
        page.keyboard.press("Enter")
        expect(page.locator("#detail-symbol")).to_have_text("BETA")
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_be_visible()


def test_a_service_that_wants_a_token_is_said_so_and_takes_one(chrome: Browser, tmp_path: Path) -> None:
    with market(tmp_path) as served, page_of(chrome) as page:
        served.set("ALPHA", bid="1.10")
        served.start("--token-key", key_file(tmp_path))
        page.goto(f"{served.url}#ALPHA")
        expect(page.locator("#door")).to_be_visible()
        page.locator("#token").fill(token())
        page.keyboard.press("Enter")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        expect(page.locator("#door")).to_be_hidden()


@pytest.mark.parametrize("width", [1440, 390], ids=["wide", "phone"])
@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
def test_nothing_hangs_out_of_the_page(chrome: Browser, served: Market, *, dark: bool, width: int) -> None:
    with page_of(chrome, dark=dark, width=width) as page:
        page.goto(f"{served.url}#ALPHA,BETA")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        channels = [int(part) for part in re.findall(r"\d+", background)[:3]]
        assert (max(channels) < 80) is dark


def test_the_page_asks_nobody_else_and_runs_nothing_inline(chrome: Browser, served: Market) -> None:
    asked: list[str] = []
    with page_of(chrome) as page:
        page.on("request", lambda request: asked.append(request.url))
        answer = page.goto(served.url)
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        assert answer is not None
        policy = answer.headers["content-security-policy"]
    assert all(url.startswith(served.url) for url in asked)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
