"""Each state of the page in both themes: axe finds nothing, and nothing hangs out, overlaps or is cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.tokens import key_file, token
from tests.web.browser import Market, cell, market, page_of, painted, row
from tests.web.test_dashboard_access import CUT, LONG_NAME, violations
from tests.web.test_dashboard_detail import DEEP, Lines, book, past, trades

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {
    "HALTED": {"bid": "10.00", "last": "10.01", "prev_close": "9.90", "status": "halted", "reason": "exchange_halt"},
    "GONE": {"bid": "10.00", "ask": "10.02", "last": "10.01"},
}
BIG = {"price_scale": 8, "size_scale": 8, "metadata": {"name": LONG_NAME, "venue": "X", "currency": "USD"}}


def served(made: Market, folder: Path) -> Lines:
    lines = Lines(made, folder)
    lines.say({"instrument": "DEEP", **DEEP}, *past("DEEP", first=60), trades("DEEP", ("1.01", "3", "buy")))
    lines.say(book("DEEP", [("1.00", "5"), ("0.98", "2")], [("1.03", "4")]), {"instrument": "BIG", **BIG})
    lines.say({"symbol": "BIG", "last": "-5812345.12345678", "prev_close": "5912345.12345678"})
    return lines


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    folder = tmp_path_factory.mktemp("panel")
    with market(folder) as made:
        made.reset(PRICES)
        made.start(*served(made, folder).feed, "--history-file", str(folder / "history"))
        yield made


def check(page: Page, part: str = "html") -> None:
    painted(page)
    assert violations(page, part) == []
    assert page.evaluate(CUT) == []


def chosen(page: Page, symbol: str) -> None:
    if page.locator("#detail").is_visible():
        page.locator("#detail-close").click()
    row(page, symbol).locator("b").click()
    expect(page.locator("#detail-symbol")).to_have_text(symbol)


@pytest.mark.parametrize(("width", "dark"), [(1440, True), (390, False), (390, True), (1440, False)])
def test_the_panel_of_what_is_live_halted_withdrawn_and_large(
    chrome: Browser, panel: Market, width: int, *, dark: bool
) -> None:
    panel.reset(PRICES)
    with page_of(chrome, dark=dark, width=width) as page:
        page.goto(f"{panel.url}#DEEP,HALTED,GONE,BIG")
        expect(cell(page, "GONE", "last")).to_have_text("10.01")
        panel.reset({**PRICES, "GONE": {"ask": "10.02", "last": "10.01"}})
        expect(row(page, "GONE")).to_contain_text("bid withdrawn")
        chosen(page, "DEEP")
        expect(page.locator("#book-bids")).to_contain_text("1.00")
        expect(page.locator("#tape-rows")).to_contain_text("1.01")
        check(page, "#detail")
        if not dark:  # their words and places are the same, so that one theme has their contrast
            for symbol in ("GONE", "BIG"):
                chosen(page, symbol)
                expect(page.locator("#detail-last")).not_to_be_empty()
                assert page.evaluate(CUT) == []
        chosen(page, "HALTED")
        expect(page.locator("#detail-badge")).to_contain_text("halted · exchange halt")
        check(page, "#detail")


IN_SIGHT = """(id) => {
  const { left, top, width, height } = document.getElementById(id).getBoundingClientRect();
  return document.elementFromPoint(left + width / 2, top + height / 2)?.closest(`#${id}`) !== null;
}"""


@pytest.mark.parametrize("width", [390, 820])
def test_a_lost_connection_is_told_above_the_panel(chrome: Browser, tmp_path: Path, width: int) -> None:
    with market(tmp_path, PRICES) as made, page_of(chrome, width=width) as page:
        page.goto(f"{made.url}#HALTED")
        chosen(page, "HALTED")
        made.kill()
        expect(page.locator("#notice")).to_contain_text("does not answer")
        assert page.evaluate(IN_SIGHT, "notice")
        assert page.evaluate(IN_SIGHT, "detail-symbol")
        assert page.evaluate(IN_SIGHT, "detail-close")
        check(page)


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_dialogs_an_empty_list_a_lost_connection_and_no_permission(
    chrome: Browser, tmp_path: Path, width: int, *, dark: bool
) -> None:
    with market(tmp_path) as made, page_of(chrome, dark=dark, width=width) as page:
        made.reset(PRICES)
        feed = [*served(made, tmp_path).feed, "--history-file", str(tmp_path / "history")]
        made.start(*feed)
        page.goto(f"{made.url}#DEEP,HALTED")
        expect(row(page, "HALTED")).to_contain_text("halted · exchange halt")
        page.locator("#help").click()
        check(page, "#keys")
        page.keyboard.press("Escape")
        page.locator("#list-new").click()
        check(page, "#naming")
        page.locator("#naming-title").fill("Nothing yet")
        page.keyboard.press("Enter")
        expect(page.locator("#empty")).to_be_visible()
        check(page)
        made.kill()
        expect(page.locator("#notice")).to_contain_text("does not answer")
        page.get_by_role("tab", name="Shared list").click()
        expect(row(page, "DEEP")).to_be_visible()
        check(page)
        made.start(*feed, "--token-key", key_file(tmp_path))
        page.goto("about:blank")
        page.goto(f"{made.url}#DEEP,HALTED")
        expect(page.locator("#token")).to_be_focused()
        expect(page.locator("#state-text")).to_have_text("Token needed")
        expect(page.locator("#token-reason")).to_be_empty()
        check(page)
        page.locator("#token").fill("none")
        page.keyboard.press("Enter")
        expect(page.locator("#token-reason")).to_contain_text("It says: the token is not accepted")
        assert page.evaluate(CUT) == []
        expect(page.locator("#token")).to_be_focused()
        page.locator("#token").fill(token(symbols=["DEEP"]))
        page.keyboard.press("Enter")
        expect(row(page, "HALTED")).to_contain_text("no such instrument yet, or this token does not open it")
        check(page)
