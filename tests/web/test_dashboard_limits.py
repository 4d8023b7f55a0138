"""The dashboard where a connection has no room for all of a list, where the service says nothing, and without TLS."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, cell, market, page_of, row
from tests.web.test_dashboard_access import CUT

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


@pytest.mark.parametrize("width", [390, 1440])
def test_of_a_list_that_is_too_long_the_first_names_are_shown_and_the_others_counted(
    chrome: Browser, tmp_path: Path, width: int
) -> None:
    with market(tmp_path) as made, page_of(chrome, width=width) as page:
        started(made, tmp_path, "max_symbols = 12")
        left_out = page.locator("#left-out")
        page.goto(f"{made.url}#{many('ONE', 30)},TWO")  # before the limit is known
        expect(cell(page, "ONE", "bid")).to_have_text("1.00")
        expect(left_out).to_contain_text("19 of the 31 names of this list are left out")
        expect(left_out).to_contain_text("a connection to this service may have 12 names")
        assert page.evaluate(CUT) == []
        go(page, f"TWO,{many('ONE', 12)}")
        expect(cell(page, "TWO", "bid")).to_have_text("2.00")
        expect(left_out).to_contain_text("1 of the 13 names of this list is left out")
        expect(row(page, "ONE10")).to_contain_text("left out: this connection has no room for it")
        expect(row(page, "ONE9")).to_contain_text("no such instrument yet")


def test_a_name_beyond_the_limit_comes_as_soon_as_there_is_room(chrome: Browser, tmp_path: Path) -> None:
    with market(tmp_path) as made, page_of(chrome) as page:
        started(made, tmp_path, "max_symbols = 12")
        page.goto(f"{made.url}#{many('ONE', 12)},TWO")
        expect(row(page, "TWO")).to_contain_text("left out")
        row(page, "ONE3").hover()
        row(page, "ONE3").locator(".remove").click()
        expect(page.locator("#left-out")).to_be_hidden()
        expect(cell(page, "TWO", "bid")).to_have_text("2.00")
        page.keyboard.press("Control+z")
        expect(row(page, "TWO")).to_contain_text("left out")
        made.kill()  # the list is as it is on the next connection, whose limit is another
        made.start()
        expect(page.locator("#left-out")).to_be_hidden()
        expect(cell(page, "TWO", "bid")).to_have_text("2.00")
        expect(row(page, "TWO")).not_to_contain_text("left out")


def test_patterns_beyond_the_limit_are_left_out_and_what_others_bring_is_not(chrome: Browser, tmp_path: Path) -> None:
    with market(tmp_path) as made, page_of(chrome) as page:
        started(made, tmp_path, "max_symbols = 3\nmax_patterns = 1")
        page.goto(f"{made.url}#TW*,ON*,NEW,NEWER,TWO")
        expect(cell(page, "TWO", "bid")).to_have_text("2.00")
        expect(page.locator("#left-out")).to_contain_text("may have 3 names, at most 1 pattern")
        expect(page.locator("#left-out")).to_contain_text("2 of the 5 names")
        expect(row(page, "ONE")).to_have_count(0)
        made.set("NEWER", bid="3.00")
        expect(cell(page, "NEWER", "bid")).to_have_text("3.00")


def test_a_list_that_just_fits_has_precedence_over_book_trades_and_bars(chrome: Browser, tmp_path: Path) -> None:
    with market(tmp_path) as made, page_of(chrome) as page:
        started(made, tmp_path, "max_symbols = 12")
        page.goto(f"{made.url}#{many('TWO', 12)}")
        expect(cell(page, "TWO", "bid")).to_have_text("2.00")
        expect(page.locator("#left-out")).to_be_hidden()
        parts = [page.locator(part) for part in ("#book", "#tape", "#chart-note")]
        for part in parts:
            expect(part).to_contain_text("the connection has no room for it beside this list")
        go(page, many("TWO", 9))
        for part in parts:
            expect(part).not_to_contain_text("no room")


def test_an_alert_for_which_a_connection_has_no_room_says_so_and_is_watched_once_there_is(
    chrome: Browser, tmp_path: Path
) -> None:
    with market(tmp_path) as made, page_of(chrome) as page:
        started(made, tmp_path, "max_symbols = 2")
        made.set("THREE", bid="3.00")
        page.goto(f"{made.url}#ONE")
        page.locator("#alerts-open").click()
        states = page.locator("#alert-list li > span > small")
        for symbol in ("ONE", "TWO", "THREE"):
            page.locator("#alert-symbol").fill(symbol)
            page.locator("#alert-kind").select_option(label="is no longer live")
            page.locator("#alert-save").click()
            expect(states.last).to_have_text(re.compile("armed" if symbol != "THREE" else "not watched: .* no room"))
        made.set("THREE", status="halted")
        page.reload()  # nothing is known of the limit when the alerts are read
        page.locator("#alerts-open").click()
        expect(states.last).to_have_text(re.compile("not watched: .* no room"))
        page.locator("#alert-list").get_by_role("button", name=re.compile("Delete: ONE")).click()
        expect(page.locator("#alert-bar")).to_contain_text("THREE: halted")


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
