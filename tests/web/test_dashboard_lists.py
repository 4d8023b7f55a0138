"""Several lists on the dashboard: made, named, kept, undone; those of links beside them; copied and downloaded."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, add, cell, page_of, row

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {
    "ALPHA": {"bid": "1.0", "last": "-1234.50", "prev_close": "-1000", "volume": "7", "status": "live"},
    "BETA": {"bid": "2.0", "last": "2.1", "@venue": '=1+"1",2'},
    "GAMMA": {"bid": "3.0", "last": "3.1"},
}


def shown(page: Page, *symbols: str) -> None:
    """The rows are these, in this order."""
    expect(page.locator("#rows .row .symbol b")).to_have_text(list(symbols))


def tabs(page: Page, *titles: str) -> None:
    """The lists are these, in this order."""
    expect(page.locator("#tabs [role=tab]")).to_have_text(list(titles))


def selected(page: Page, title: str) -> None:
    expect(page.locator("#tabs [aria-selected=true]")).to_have_text(title)


def command(page: Page, name: str) -> None:
    page.locator("#list-menu-open").click()
    page.locator("#list-menu").get_by_role("button", name=name).click()


def make(page: Page, title: str) -> None:
    page.locator("#list-new").click()
    page.locator("#naming-title").fill(title)
    page.keyboard.press("Enter")


def test_lists_are_made_renamed_duplicated_deleted_and_kept(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(served.url)
        shown(page, "ALPHA", "BETA", "GAMMA")
        make(page, "  My   majors ")
        tabs(page, "Watchlist", "My majors")
        shown(page)
        expect(page.locator("#empty")).to_be_visible()
        add(page, "GAMMA")
        shown(page, "GAMMA")
        expect(page).to_have_url(re.compile("#GAMMA&list=My%20majors$"))
        command(page, "Duplicate")
        tabs(page, "Watchlist", "My majors", "My majors 2")
        command(page, "Rename")
        page.locator("#naming-title").fill("Third")
        page.keyboard.press("Enter")
        add(page, "ALPHA")
        page.locator("#tabs").get_by_text("Third").focus()
        page.keyboard.press("ArrowLeft")
        selected(page, "My majors")
        shown(page, "GAMMA")
        page.goto("about:blank")
        page.goto(served.url)
        tabs(page, "Watchlist", "My majors", "Third")
        selected(page, "My majors")
        command(page, "Delete")
        tabs(page, "Watchlist", "Third")
        selected(page, "Third")
        shown(page, "GAMMA", "ALPHA")
        expect(cell(page, "ALPHA", "bid")).to_have_text("1.00")


def test_undo_survives_a_reload(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(served.url)
        shown(page, "ALPHA", "BETA", "GAMMA")
        row(page, "BETA").focus()
        page.keyboard.press("Delete")
        shown(page, "ALPHA", "GAMMA")
        make(page, "Other")
        shown(page)
        command(page, "Delete")
        page.reload()
        shown(page, "ALPHA", "GAMMA")
        tabs(page, "Watchlist")
        page.keyboard.press("Control+z")
        tabs(page, "Watchlist", "Other")
        selected(page, "Other")
        page.keyboard.press("Control+z")
        tabs(page, "Watchlist")
        page.keyboard.press("Control+z")
        shown(page, "ALPHA", "BETA", "GAMMA")
        expect(cell(page, "BETA", "bid")).to_have_text("2.00")


def test_a_link_opens_beside_the_own_lists_and_is_kept_on_request(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(served.url)
        row(page, "ALPHA").focus()
        page.keyboard.press("Delete")
        shown(page, "BETA", "GAMMA")
        page.goto("about:blank")
        page.goto(f"{served.url}#GAMMA,A*&list=From%20Ann")
        tabs(page, "Watchlist", "From Ann")
        selected(page, "From Ann")
        shown(page, "GAMMA", "A*", "ALPHA")
        page.reload()
        selected(page, "From Ann")
        page.locator("#tabs").get_by_text("Watchlist").click()
        shown(page, "BETA", "GAMMA")
        page.goto("about:blank")
        page.goto(served.url)
        tabs(page, "Watchlist")  # it was not kept
        shown(page, "BETA", "GAMMA")
        page.evaluate("location.hash = '#GAMMA,ALPHA'")
        selected(page, "Shared list")
        page.locator("#shared-bar button").click()
        expect(page.locator("#shared-bar")).to_be_hidden()
        page.goto("about:blank")
        page.goto(served.url)
        tabs(page, "Watchlist", "Shared list")
        selected(page, "Shared list")
        shown(page, "GAMMA", "ALPHA")


def test_a_list_of_another_tab_and_broken_storage_are_taken_in_stride(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(served.url)
        shown(page, "ALPHA", "BETA", "GAMMA")
        other = page.context.new_page()
        other.goto(served.url)
        make(other, "Elsewhere")
        tabs(page, "Watchlist", "Elsewhere")
        selected(page, "Watchlist")
        other.close()
        page.evaluate("localStorage.setItem('ticker.lists', JSON.stringify({version: 1, value: {own: [{id: 7}]}}))")
        page.evaluate("localStorage.setItem('ticker.columns', '{')")
        page.goto("about:blank")
        page.goto(served.url)
        tabs(page, "Watchlist")
        shown(page, "ALPHA", "BETA", "GAMMA")


def test_the_list_of_the_version_before_is_taken_over(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}dashboard/icon.svg")
        page.evaluate("localStorage.setItem('ticker.list', '[\"GAMMA\"]')")
        page.goto(served.url)
        tabs(page, "Watchlist")
        shown(page, "GAMMA")


def test_a_list_is_copied_as_text_and_downloaded_with_exact_values(
    chrome: Browser, served: Market, tmp_path: Path
) -> None:
    served.set("BETA", status="halted")
    with page_of(chrome) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto(f"{served.url}#ALPHA,BET*")
        expect(cell(page, "ALPHA", "last")).to_have_text("\u22121,234.50")
        command(page, "Copy the symbols")
        expect(page.locator("#toast")).to_contain_text("2 names are in the clipboard")
        assert page.evaluate("navigator.clipboard.readText()") == "ALPHA BET*"
        page.locator("#heads .tail button").click()
        for title in ("Change", "%", "Ask"):
            page.get_by_role("checkbox", name=title, exact=True).uncheck()
        page.get_by_role("checkbox", name="Venue").check()
        page.keyboard.press("Escape")
        command(page, "Copy as a table")
        expect(page.locator("#toast")).to_contain_text("The table is in the clipboard")
        assert page.evaluate("navigator.clipboard.readText()").splitlines()[:2] == [
            "Symbol\tLast\tBid\tVolume\tVenue\tStatus",
            "ALPHA\t-1234.50\t1.00\t7\t\u2013\tlive",
        ]
        with page.expect_download() as downloaded:
            command(page, "Download as CSV")
        file = tmp_path / "list.csv"
        downloaded.value.save_as(file)
        assert re.fullmatch(r"Shared list \d{4}-\d\d-\d\d \d{6}\.csv", downloaded.value.suggested_filename)
        assert file.read_bytes().decode().split("\r\n") == [
            "Symbol,Last,Bid,Volume,Venue,Status",
            "ALPHA,-1234.50,1.00,7,,live",
            'BETA,2.10,2.00,,"\'=1+""1"",2",halted',
            "",
        ]
