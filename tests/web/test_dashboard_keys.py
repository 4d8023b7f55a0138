"""Everything by keyboard: Tab reaches every control and leaves it, Escape closes, and the focus is seen where it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.web.browser import market, page_of, row
from tests.web.test_dashboard_detail import DEEP, Lines, book, past, trades

expect.set_options(timeout=1_000 * HANG_SECONDS)

CONTROLS = "button, input, select, a[href], [tabindex='0']"
MOST = 80

# What has the focus, once: nothing at the end of the page. It has to be drawn, and nothing may lie over it.
FOCUSED = """() => {
  const element = document.activeElement;
  if (element === document.body || element.dataset.reached) return null;
  element.dataset.reached = "yes";
  const name = element.id || element.textContent.trim() || element.className;
  const drawn = element.closest("label") ?? element;
  if ([element, drawn].every((each) => getComputedStyle(each).outlineStyle === "none")) return `${name}: not drawn`;
  const { left, top, width, height } = drawn.getBoundingClientRect();
  const at = document.elementFromPoint(left + width / 2, Math.min(top + height / 2, innerHeight - 2));
  return drawn.contains(at) || at?.contains(drawn) ? "" : `${name}: below ${at?.id || at?.className}`;
}"""

# The controls that Tab has not reached, but those of a group of which one has the focus in its turn.
MISSED = """(controls) => [...document.querySelectorAll(controls)].filter((element) =>
  element.checkVisibility({ visibilityProperty: true }) && element.tabIndex >= 0 && !element.disabled &&
  !element.dataset.reached && !(element.type === "radio" && !element.checked) && !element.closest("dialog:not([open])")
).map((element) => element.outerHTML)"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    folder = tmp_path_factory.mktemp("lines")
    with market(folder) as made:
        made.reset({"ALPHA": {"last": "1.10", "prev_close": "1.00"}, "BETA": {"last": "2.20"}})
        served = Lines(made, folder)
        served.say({"instrument": "DEEP", **DEEP}, *past("DEEP", first=60))
        served.say(book("DEEP", [("1.00", "5"), ("0.98", "2")], [("1.03", "4")]), trades("DEEP", ("1.01", "3", "buy")))
        made.start(*served.feed, "--history-file", str(folder / "history"))
        yield served


def walk(page: Page, key: str = "Tab") -> None:
    """Tab through the page until it ends; all its controls have to be reached, and the focus seen on each."""
    wrong = []
    for _ in range(MOST):
        page.keyboard.press(key)
        found = page.evaluate(FOCUSED)
        if found is None:
            break
        wrong += [found] if found else []
    else:
        pytest.fail(f"{key} does not leave the page")
    assert wrong == []
    assert page.evaluate(MISSED, CONTROLS) == []


@pytest.mark.parametrize("key", ["Tab", "Shift+Tab"])
def test_tab_reaches_every_control_of_list_and_panel_and_leaves_them(chrome: Browser, lines: Lines, key: str) -> None:
    with page_of(chrome) as page:
        page.goto(f"{lines.market.url}#DEEP,ALPHA,BETA")
        expect(page.locator("#book-bids")).to_contain_text("1.00")
        expect(page.locator("#tape-rows")).to_contain_text("1.01")
        walk(page, key)


def test_where_the_panel_lies_over_the_list_the_focus_goes_into_it_and_back(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome, width=390, height=700) as page:
        page.goto(f"{lines.market.url}#ALPHA,BETA,DEEP")
        expect(row(page, "DEEP")).to_be_visible()
        row(page, "ALPHA").focus()
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        expect(page.locator("#detail-symbol")).to_have_text("DEEP")
        expect(page.locator("#detail-close")).to_be_focused()
        expect(page.locator("#book-bids")).to_contain_text("1.00")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("() => document.activeElement.id") == "alert-here":
                break
            assert page.evaluate("() => document.querySelector('#detail').contains(document.activeElement)")
        expect(page.locator("#detail-symbol")).to_be_in_viewport()
        page.keyboard.press("Escape")
        expect(page.locator("#detail")).to_be_hidden()
        expect(row(page, "DEEP")).to_be_focused()


def test_dialogs_open_and_close_by_keys_and_give_the_focus_back(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        page.goto(f"{lines.market.url}#ALPHA,BETA")
        expect(page.locator("#detail-symbol")).to_have_text("ALPHA")
        for opener, dialog in (("help", "keys"), ("alerts-open", "alerts"), ("list-new", "naming")):
            page.locator(f"#{opener}").focus()
            page.keyboard.press("Enter")
            expect(page.locator(f"#{dialog}")).to_be_visible()
            assert page.evaluate("(id) => document.getElementById(id).contains(document.activeElement)", dialog)
            page.keyboard.press("Escape")
            expect(page.locator(f"#{dialog}")).to_be_hidden()
            expect(page.locator(f"#{opener}")).to_be_focused()
        page.locator("#list-menu-open").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#list-menu")).to_be_visible()
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.querySelector('#list-menu').contains(document.activeElement)")
        page.keyboard.press("Escape")
        expect(page.locator("#list-menu")).to_be_hidden()
        expect(page.locator("#list-menu-open")).to_be_focused()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Columns and sorting").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#columns")).to_be_visible()
        page.get_by_role("checkbox", name="Day range").focus()
        page.keyboard.press("Space")
        expect(page.get_by_role("checkbox", name="Day range")).to_be_checked()
        expect(page.get_by_role("checkbox", name="Day range")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("#columns")).to_be_hidden()
        expect(page.locator("#list-menu-open")).to_be_focused()


def test_space_goes_through_the_charts_of_the_list(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        page.goto(f"{lines.market.url}#ALPHA,BETA,DEEP")
        expect(page.locator("#detail-symbol")).to_have_text("ALPHA")
        row(page, "ALPHA").focus()
        for key, symbol in (("Space", "BETA"), ("Space", "DEEP"), ("Space", "DEEP"), ("Shift+Space", "BETA")):
            page.keyboard.press(key)
            expect(page.locator("#detail-symbol")).to_have_text(symbol)
            expect(row(page, symbol)).to_be_focused()


def test_a_screen_reader_hears_that_the_shown_symbol_is_halted_and_live_again(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        page.goto(f"{lines.market.url}#ALPHA")
        expect(page.locator("#detail-last")).to_have_text("1.10")
        lines.market.set("ALPHA", status="halted", reason="exchange_halt")
        expect(page.locator("#announcer")).to_have_text("ALPHA: halted, exchange halt")
        lines.market.reset(
            {"ALPHA": {"last": "1.10", "prev_close": "1.00", "status": "live"}, "BETA": {"last": "2.20"}}
        )
        expect(page.locator("#announcer")).to_have_text("ALPHA: live")


def test_a_removed_row_gives_the_focus_to_its_neighbour(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        page.goto(f"{lines.market.url}#ALPHA,BETA,DEEP")
        row(page, "BETA").focus()
        page.keyboard.press("Delete")
        expect(row(page, "BETA")).to_have_count(0)
        expect(page.locator("#rows .row:focus")).to_have_count(1)
        page.keyboard.press("Control+z")
        expect(row(page, "BETA")).to_be_visible()
