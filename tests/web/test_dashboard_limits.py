"""The dashboard where a connection has no room for all of a list, where the service says nothing, and without TLS."""

from __future__ import annotations

import socket
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, cell, market, page_of, row

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {"ONE": {"bid": "1.00"}, "TWO": {"bid": "2.00"}}


def started(made: Market, folder: Path, limits: str, *flags: str) -> None:
    config = folder / "ticker.toml"
    config.write_text(f"[limits]\n{limits}\n")
    made.reset(PRICES)
    made.start("--config", str(config), *flags)
    made.until_ready()


def many(first: str, count: int) -> str:
    """A list of so many names, the others of which nobody has heard."""
    return ",".join([first, *(f"{first}{number}" for number in range(count - 1))])


def go(page: Page, names: str) -> None:
    page.evaluate("(names) => { location.hash = `#${names}`; }", names)


def test_a_list_takes_the_place_of_another_where_a_connection_has_no_room_for_both(
    chrome: Browser, tmp_path: Path
) -> None:
    with market(tmp_path) as made, page_of(chrome) as page:
        started(made, tmp_path, "max_symbols = 12")
        page.goto(f"{made.url}#{many('ONE', 9)}")
        expect(cell(page, "ONE", "bid")).to_have_text("1.00")
        go(page, many("TWO", 9))
        expect(cell(page, "TWO", "bid")).to_have_text("2.00")
        expect(row(page, "ONE")).to_have_count(0)
        made.set("TWO", bid="2.50")
        expect(cell(page, "TWO", "bid")).to_have_text("2.50")


def test_a_list_that_is_too_long_is_told_and_a_shorter_one_is_shown(chrome: Browser, tmp_path: Path) -> None:
    with market(tmp_path) as made, page_of(chrome) as page:
        started(made, tmp_path, "max_symbols = 12")
        page.goto(f"{made.url}#{many('ONE', 30)}")  # before the limit is known
        expect(page.locator("#toast")).to_contain_text("ONE11 was refused: a connection may have 12 symbols")
        go(page, many("TWO", 31))
        expect(page.locator("#toast")).to_contain_text("this connection may have 12; subscribe fewer")
        go(page, many("TWO", 12))
        expect(cell(page, "TWO", "bid")).to_have_text("2.00")
        # There is no room for book, trades and bars, each of which says so in its place.
        for part in ("#book", "#tape", "#chart-note"):
            expect(page.locator(part)).to_contain_text("13 symbols and patterns; this connection may have 12")


def test_prices_are_muted_as_soon_as_nothing_is_heard_and_the_loss_is_told(chrome: Browser, tmp_path: Path) -> None:
    with market(tmp_path) as made, page_of(chrome) as page:
        started(made, tmp_path, "heartbeat_seconds = 0.5")
        page.goto(f"{made.url}#ONE")
        bid = cell(page, "ONE", "bid")
        expect(bid).to_have_css("font-style", "normal")
        expect(page.locator("#state-text")).to_contain_text("Live 1 of 1")
        with made.paused():
            expect(page.locator("body")).to_have_attribute("data-connection", "connecting")
            expect(bid).to_have_css("font-style", "italic")
            expect(page.locator("#behind")).to_have_text("\N{EN DASH}")
            expect(page.locator("#notice")).to_contain_text("The connection was lost at")
        expect(page.locator("#notice")).to_be_hidden()
        expect(bid).to_have_css("font-style", "normal")


def test_a_page_that_came_without_tls_says_that_prices_need_it(chrome: Browser, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        plain = f"http://127.0.0.1:{free.getsockname()[1]}"
    with market(tmp_path) as made, page_of(chrome) as page:
        started(made, tmp_path, "", "--listen", plain, "--insecure-allow-anyone")
        page.goto(f"{plain}/#ONE")
        expect(page.locator("#notice")).to_contain_text(
            "came without TLS, and prices travel over TLS only: open it over https"
        )
