"""The list of the dashboard: found, added, moved, removed, undone, shared; by keyboard and by pointer."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, add, cell, page_of, row

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {
    symbol: {"bid": f"{number}.0", "ask": f"{number}.2", "last": f"{number}.1"}
    for number, symbol in enumerate(["ALPHA", "BETA", "GAMMA"], 1)
}


def shown(page: Page, *symbols: str) -> None:
    """The rows are these, in this order."""
    expect(page.locator("#rows .row .symbol b")).to_have_text(list(symbols))


def focused(page: Page, symbol: str) -> None:
    """The row of this symbol has the keyboard's focus."""
    expect(page.locator("#rows .row:focus .symbol b")).to_have_text(symbol)


def test_a_list_is_kept_between_visits_and_stands_in_the_url(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(served.url)
        shown(page, "ALPHA", "BETA", "GAMMA")
        row(page, "ALPHA").click()
        page.keyboard.press("Delete")
        expect(page).to_have_url(re.compile("#BETA,GAMMA$"))
        page.goto("about:blank")
        page.goto(served.url)
        expect(cell(page, "BETA", "bid")).to_contain_text("2.0")
        shown(page, "BETA", "GAMMA")


def test_a_pattern_brings_all_that_match_it_and_what_appears_later(chrome: Browser, fresh: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{fresh.url}#*A")
        shown(page, "*A", "ALPHA", "BETA", "GAMMA")
        fresh.set("DELTA", last="3.3")
        expect(cell(page, "DELTA", "last")).to_contain_text("3.3")
        shown(page, "*A", "ALPHA", "BETA", "DELTA", "GAMMA")


def test_symbols_are_moved_and_chosen_with_the_keyboard_alone(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA,BETA")
        expect(cell(page, "BETA", "bid")).to_contain_text("2.0")
        row(page, "BETA").focus()
        page.keyboard.press("Alt+ArrowUp")
        expect(page).to_have_url(re.compile("#BETA,ALPHA$"))
        page.keyboard.press("Enter")
        expect(page.locator("#detail-symbol")).to_have_text("BETA")
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_be_visible()


def test_arrows_go_through_the_rows_and_the_focus_stays_with_what_is_moved(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA,BETA,GAMMA")
        shown(page, "ALPHA", "BETA", "GAMMA")
        page.keyboard.press("ArrowDown")
        focused(page, "ALPHA")
        page.keyboard.press("ArrowDown")
        focused(page, "BETA")
        page.keyboard.press("Alt+ArrowDown")
        shown(page, "ALPHA", "GAMMA", "BETA")
        focused(page, "BETA")
        page.keyboard.press("Home")
        focused(page, "ALPHA")
        page.keyboard.press("Delete")
        shown(page, "GAMMA", "BETA")
        focused(page, "GAMMA")


def test_what_was_removed_comes_back_with_undo(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA,BETA")
        shown(page, "ALPHA", "BETA")
        row(page, "ALPHA").hover()
        row(page, "ALPHA").locator(".remove").click()
        shown(page, "BETA")
        page.keyboard.press("Control+z")
        shown(page, "ALPHA", "BETA")
        served.set("ALPHA", bid="7.7")
        expect(cell(page, "ALPHA", "bid")).to_have_text("7.70")


def test_a_row_is_dragged_to_its_place(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA,BETA,GAMMA")
        shown(page, "ALPHA", "BETA", "GAMMA")
        grip, end = row(page, "ALPHA").locator(".grip"), row(page, "GAMMA").bounding_box()
        assert end is not None
        row(page, "ALPHA").hover()
        grip.hover()
        page.mouse.down()
        page.mouse.move(end["x"] + 60, end["y"] + end["height"] / 2, steps=8)
        page.mouse.up()
        shown(page, "BETA", "GAMMA", "ALPHA")
        expect(page).to_have_url(re.compile("#BETA,GAMMA,ALPHA$"))


def test_a_search_finds_in_any_case_and_arrows_choose(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA")
        shown(page, "ALPHA")
        page.keyboard.press("/")
        page.keyboard.type("et")
        expect(page.locator("#found [role=option] b")).to_have_text(["BETA"])
        page.keyboard.press("ArrowDown")
        expect(page.locator("#search")).to_have_attribute("aria-activedescendant", "found-0")
        page.keyboard.press("Enter")
        shown(page, "ALPHA", "BETA")
        focused(page, "BETA")
        expect(page.locator("#found")).to_be_hidden()


def test_several_names_are_added_at_once_and_each_only_once(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#BETA")
        shown(page, "BETA")
        add(page, "GAMMA, BETA ALPHA")
        shown(page, "BETA", "GAMMA", "ALPHA")
        expect(cell(page, "ALPHA", "bid")).to_have_text("1.00")


def test_removing_one_match_takes_its_pattern_apart(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#GAMMA,*A")
        shown(page, "GAMMA", "*A", "ALPHA", "BETA")
        row(page, "BETA").focus()
        page.keyboard.press("Delete")
        shown(page, "GAMMA", "ALPHA")
        served.set("ALPHA", bid="7.7")
        expect(cell(page, "ALPHA", "bid")).to_have_text("7.70")


def test_a_chart_that_was_closed_stays_closed(chrome: Browser, fresh: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{fresh.url}#*A")
        expect(page.locator("#detail-symbol")).to_have_text("ALPHA")
        page.keyboard.press("Escape")
        fresh.set("DELTA", last="3.3")
        shown(page, "*A", "ALPHA", "BETA", "DELTA", "GAMMA")
        expect(page.locator("#detail")).to_be_hidden()
        row(page, "DELTA").click()
        expect(page.locator("#detail-last")).to_have_text("3.30")


def test_another_list_in_the_address_is_taken_at_once(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA")
        shown(page, "ALPHA")
        page.evaluate("location.hash = '#GAMMA,%42ETA'")
        shown(page, "GAMMA", "BETA")
        expect(cell(page, "BETA", "bid")).to_have_text("2.00")


def test_a_link_to_the_list_is_put_into_the_clipboard(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto(served.url)
        shown(page, "ALPHA", "BETA", "GAMMA")
        page.locator("#share").click()
        expect(page.locator("#toast")).to_contain_text("in the clipboard")
        assert page.evaluate("navigator.clipboard.readText()") == f"{served.url}#ALPHA,BETA,GAMMA"
