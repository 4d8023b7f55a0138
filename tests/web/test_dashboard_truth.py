"""What is not live looks so wherever it stands: rows, header, title; changes say what they are counted from."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, cell, page_of, row

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {
    "ALPHA": {"bid": "1.10", "ask": "1.12", "last": "1.11", "prev_close": "1.00", "status": "live"},
    "BETA": {"last": "20.1", "open": "20.0", "status": "live"},
    "GAMMA": {"last": "5.0", "status": "live"},
}
NONE = "\u2013"


def test_the_header_counts_the_live_ones_and_the_title_has_the_price(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA,BETA,GAMMA,DELTA")
        state = page.locator("#state-text")
        expect(state).to_have_text("Live 3 of 4")
        expect(page.locator("#state")).to_have_attribute("data-live", "some")
        expect(page.locator("#behind")).to_contain_text(re.compile(r"\d m?s"))
        expect(page).to_have_title("1.11 +11.00 % ALPHA · Ticker")
        served.set("ALPHA", status="halted", reason="exchange_halt")
        expect(state).to_have_text("Live 2 of 4")
        expect(page).to_have_title("(halted) 1.11 ALPHA")
        expect(row(page, "ALPHA")).to_have_attribute("data-status", "halted")
        served.stop_feed()
        expect(state).to_have_text("Live 0 of 4")
        expect(page.locator("#state")).to_have_attribute("data-live", "none")
        served.set("ALPHA", status="live", reason="")
        expect(state).to_have_text("Live 3 of 4")
        page.keyboard.press("Escape")
        expect(page).to_have_title("Ticker")


def test_a_withdrawn_value_is_marked_until_it_comes_again(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA,BETA")
        expect(cell(page, "ALPHA", "bid")).to_have_text("1.10")
        served.reset({**PRICES, "ALPHA": {"ask": "1.12", "last": "1.11", "status": "live"}})
        bid = cell(page, "ALPHA", "bid")
        expect(bid).to_have_text(NONE)
        expect(bid).to_have_class(re.compile(r"\bgone\b"))
        expect(bid).to_have_attribute("title", re.compile("Withdrawn by the service at"))
        expect(row(page, "ALPHA")).to_contain_text("bid withdrawn")
        expect(page.locator("#state-text")).to_have_text("Live 1 of 2")
        served.reset(PRICES)
        expect(bid).to_have_text("1.10")
        expect(bid).not_to_have_class(re.compile(r"\bgone\b"))
        expect(row(page, "ALPHA")).not_to_contain_text("withdrawn")
        row(page, "ALPHA").focus()
        page.keyboard.press("s")
        expect(page.locator("#announcer")).to_have_text("ALPHA, last 1.11, bid 1.10, ask 1.12, change ▲ +0.11 +11.00 %")


def test_a_change_is_counted_from_what_the_feed_gave_or_not_at_all(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA,BETA,GAMMA")
        for symbol, text, since in (
            ("ALPHA", "▲ +0.11", "Since the previous close, 1.00"),
            ("BETA", "▲ +0.10", "Since the opening price, 20.00"),
            ("GAMMA", NONE, "The feed gives no previous close and no opening price to count a change from"),
        ):
            expect(cell(page, symbol, "change")).to_have_text(text)
            expect(cell(page, symbol, "change")).to_have_attribute("title", since)
        served.set("GAMMA", last="6.0")
        expect(cell(page, "GAMMA", "last")).to_have_text("6.00")
        expect(cell(page, "GAMMA", "percent")).to_have_text(NONE)
        served.kill()
        expect(page.locator("#state-text")).to_have_text("No connection")
        expect(page).to_have_title(re.compile(r"\(no connection\) 1\.11 ALPHA"))
        served.start()
