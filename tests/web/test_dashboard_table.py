"""The rows of the dashboard: only those that are visible are in the page; columns, their order, and sorting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, cell, market, page_of, row

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {
    "ALPHA": {"last": "9.50", "prev_close": "10.00", "volume": "300", "@venue": "XNAS"},
    "BETA": {"last": "1200.5", "prev_close": "1000.5", "volume": "20", "@venue": "LSE"},
    "GAMMA": {"bid": "-3.5", "@venue": "XETR"},
}
MANY = 5_000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """A service with thousands of instruments, some of which always move."""
    with market(tmp_path_factory.mktemp("many")) as made:
        made.reset({})
        made.start("--feed", f"simulated?symbols={MANY}&rate=500&depth=0&past=0")
        yield made


def shown(page: Page, *symbols: str) -> None:
    """The rows are these, in this order."""
    expect(page.locator("#rows .row .symbol b")).to_have_text(list(symbols))


def heads(page: Page, *titles: str) -> None:
    expect(page.locator("#heads [data-column]")).to_have_text(list(titles))


def sort(page: Page, title: str) -> str | None:
    """Click the head of a column; return how it is sorted then."""
    button = page.locator("#heads").get_by_role("button", name=title, exact=True)
    button.click()
    return button.locator("..").get_attribute("aria-sort")


def test_of_thousands_of_rows_only_those_that_are_visible_are_in_the_page(chrome: Browser, many: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{many.url}#*")
        expect(page.locator("#grid")).to_have_attribute("aria-rowcount", str(MANY + 2))
        expect(page.locator("#rows .row").nth(5)).to_be_visible()
        assert page.locator("#rows .row").count() < 60
        page.locator("#rows .row").nth(1).focus()
        page.keyboard.press("End")
        last = page.locator("#rows .row:focus")
        expect(last).to_have_attribute("aria-rowindex", str(MANY + 2))
        expect(last).to_be_in_viewport(ratio=0.9)
        expect(last.locator(".last")).not_to_have_text("\u2013")
        assert page.locator("#rows .row").count() < 60
        page.keyboard.press("PageUp")
        page.keyboard.press("Home")
        expect(page.locator("#rows .row:focus")).to_have_attribute("aria-rowindex", "2")
        expect(page.locator("#rows .row:focus small")).to_have_text(f"pattern · {MANY:,} symbols")


def test_the_row_of_the_keyboard_stays_in_the_page_when_it_is_scrolled_away(chrome: Browser, many: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{many.url}#*")
        expect(page.locator("#grid")).to_have_attribute("aria-rowcount", str(MANY + 2))
        page.locator("#rows .row").nth(2).focus()
        page.mouse.move(300, 400)
        page.mouse.wheel(0, 60_000)
        expect(page.locator("#rows .row[aria-rowindex='4']")).not_to_be_in_viewport()
        expect(page.locator("#rows .row[aria-rowindex='1258']")).to_be_attached()
        page.keyboard.press("ArrowDown")
        expect(page.locator("#rows .row:focus")).to_have_attribute("aria-rowindex", "5")
        expect(page.locator("#rows .row:focus")).to_be_in_viewport()


def test_a_click_on_a_head_sorts_and_the_third_one_brings_the_own_order(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#BETA,GAMMA,ALPHA")
        expect(cell(page, "ALPHA", "last")).to_have_text("9.50")
        shown(page, "BETA", "GAMMA", "ALPHA")
        assert sort(page, "Last") == "descending"
        shown(page, "BETA", "ALPHA", "GAMMA")
        assert sort(page, "Last") == "ascending"
        shown(page, "ALPHA", "BETA", "GAMMA")  # what has no value is last either way
        served.set("ALPHA", last="1300.5")
        shown(page, "BETA", "ALPHA", "GAMMA")
        page.reload()
        shown(page, "BETA", "ALPHA", "GAMMA")
        assert sort(page, "Last") == "none"
        shown(page, "BETA", "GAMMA", "ALPHA")
        page.locator("#heads [data-column=symbol]").focus()
        page.keyboard.press("Enter")
        shown(page, "ALPHA", "BETA", "GAMMA")
        row(page, "BETA").focus()
        page.keyboard.press("Alt+ArrowUp")
        expect(page.locator("#toast")).to_contain_text("sorted by a column")
        shown(page, "ALPHA", "BETA", "GAMMA")


def test_columns_are_chosen_ordered_and_kept(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA,BETA")
        heads(page, "Symbol", "Last", "Change", "%", "Bid", "Ask", "Volume")
        page.locator("#heads .tail button").click()
        for title in ("Bid", "Ask", "Change"):
            page.get_by_role("checkbox", name=title, exact=True).uncheck()
        page.get_by_role("checkbox", name="Venue").check()
        for _ in range(2):
            page.get_by_role("button", name="Volume earlier").click()
        page.get_by_role("radio", name="Compact").check()
        page.keyboard.press("Escape")
        heads(page, "Symbol", "Last", "Volume", "%", "Venue")
        expect(cell(page, "BETA", "venue")).to_have_text("LSE")
        page.locator("#heads [data-column=volume]").focus()
        page.keyboard.press("Alt+ArrowRight")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#heads [data-column=venue]")).to_be_focused()
        page.reload()
        heads(page, "Symbol", "Last", "%", "Volume", "Venue")
        expect(page.locator("#grid")).to_have_attribute("data-density", "compact")


def test_columns_without_room_say_so(chrome: Browser, served: Market) -> None:
    with page_of(chrome, width=700) as page:
        page.goto(f"{served.url}#ALPHA,BETA")
        expect(cell(page, "BETA", "last")).to_have_text("1,200.50")
        more = page.locator("#heads .tail button")
        expect(more).to_have_attribute("title", "Columns; there is no room for: Ask, Volume")
        expect(more).to_contain_text("+2")
        page.set_viewport_size({"width": 1200, "height": 800})
        expect(more).to_have_attribute("title", "Columns")


def test_numbers_are_exact_group_alike_and_have_one_minus_sign(chrome: Browser, tmp_path: Path) -> None:
    prices = {
        "ONE": {"last": "68123.12345678", "prev_close": "67000.5"},
        "TWO": {"last": "-1234.5", "prev_close": "1000"},
        "SIX": {"last": "999.5", "volume": "-1234567"},
    }
    with market(tmp_path, prices) as made, page_of(chrome) as page:
        page.goto(f"{made.url}#ONE,TWO,SIX")
        expect(cell(page, "ONE", "last")).to_have_text("68,123.12345678")
        expect(cell(page, "ONE", "change")).to_have_text("▲ +1,122.62345678")
        expect(cell(page, "TWO", "last")).to_have_text("\u22121,234.50")
        expect(cell(page, "TWO", "change")).to_have_text("▼ \u22122,234.50")
        expect(cell(page, "TWO", "percent")).to_have_text("\u2212223.45 %")
        expect(cell(page, "SIX", "last")).to_have_text("999.50")
        expect(cell(page, "SIX", "volume")).to_have_text("\u22121.23M")
        assert "-" not in page.locator("#rows").inner_text()
