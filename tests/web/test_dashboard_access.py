"""The dashboard for everybody: axe finds nothing, and at no width anything hangs out, overlaps or is cut."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, cell, page_of, row
from tests.web.javascript import package_file

expect.set_options(timeout=1_000 * HANG_SECONDS)

AXE = "4.14.1"
LONG_NAME = "Euro area government bonds, ten years, continuous, adjusted."
PRICES = {
    "BTC-USD": {"bid": "68123.12345678", "ask": "68124.98765432", "last": "68123.98765432", "prev_close": "67001.5"},
    "BUND": {"bid": "132.15", "last": "132.16", "prev_close": "131.99", "volume": "123456", "@name": LONG_NAME},
    "SHIB": {"bid": "0.00001234", "last": "-0.00001235", "prev_close": "0.00001301", "@name": "Shiba Inu"},
    "AN-OPTION-WHOSE-SYMBOL-IS-AS-LONG-AS-THOSE-OF-SOME-VENUES-2026": {"bid": "1.5", "@name": LONG_NAME},
    "XAU": {"bid": "2345.1", "ask": "2345.6", "status": "halted", "reason": "exchange_halt", "@venue": "LBMA"},
}
LIST = "#BTC-USD,BUND,SHIB,XAU,NOT-KNOWN-YET,S*"

# Texts that are cut or hang out, and cells that overlap. What scrolls sideways by itself may be cut.
CUT = """() => {
  const wrong = [];
  const within = (rect, box, slack) =>
    rect.left >= box.left - 1 && rect.right <= box.right + 1 &&
    rect.top >= box.top - slack && rect.bottom <= box.bottom + slack;
  const cutters = (element) => {
    const found = [];
    for (let each = element; each && each !== document.body; each = each.parentElement) {
      const { overflowX, overflowY } = getComputedStyle(each);
      if (overflowX === "auto" || overflowY === "auto") break;
      if (overflowX !== "visible") found.push(each);
    }
    return found;
  };
  const left = ".unseen, #tabs, h1 span, option, noscript";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: element, data } = walker.currentNode;
    if (!data.trim() || !element.checkVisibility({ visibilityProperty: true }) || element.closest(left)) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const rect of range.getClientRects()) {
      if (rect.width === 0) continue;
      if (rect.left < -1 || rect.right > innerWidth + 1) wrong.push(`outside: ${data}`);
      for (const each of cutters(element)) {
        const name = `${each.localName}.${each.className}`;
        if (!within(rect, each.getBoundingClientRect(), 3)) wrong.push(`cut by ${name}: ${data}`);
      }
    }
  }
  for (const row of document.querySelectorAll("#rows .row, .bar")) {
    const shown = [...row.children].filter((each) => each.checkVisibility());
    const boxes = shown.map((each) => each.getBoundingClientRect());
    boxes.forEach((one, at) => boxes.slice(at + 1).forEach((other) => {
      const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (across > 1 && down > 1) wrong.push(`overlap in ${row.innerText}`);
    }));
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page scrolls sideways");
  return [...new Set(wrong)];
}"""


def violations(page: Page, part: str = "html") -> list[str]:
    """What axe finds wrong with the page, or a part of it, as it is."""
    page.evaluate(package_file("axe-core", AXE, "axe.min.js").read_text())
    found: dict[str, Any] = page.evaluate("(part) => axe.run(part)", part)
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
def test_axe_finds_nothing(node_installed: str, chrome: Browser, served: Market, *, dark: bool) -> None:
    assert node_installed
    with page_of(chrome, dark=dark, width=390 if dark else 1440) as page:
        page.goto(f"{served.url}{LIST}")
        expect(row(page, "XAU")).to_contain_text("halted")
        assert violations(page) == []
        page.keyboard.press("/")
        page.locator("#search").fill("b")
        expect(page.locator("#found [role=option]").first).to_be_visible()
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.locator("#search").fill("nothing")
        expect(page.locator("#found-note")).to_be_visible()
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        page.locator("#alerts-open").click()
        page.locator("#alert-symbol").fill("BUND")
        page.locator("#alert-value").fill("200")
        page.keyboard.press("Enter")
        expect(page.locator("#alert-list li")).to_be_visible()
        assert violations(page) == []
        page.keyboard.press("Escape")
        served.set("BUND", last="201")
        expect(page.locator("#alert-bar")).to_be_visible()
        page.locator("#list-menu-open").click()
        assert violations(page) == []
        page.get_by_role("button", name="Columns and sorting").click()
        assert violations(page) == []


def test_a_price_of_24_characters_has_its_place_beside_a_name_of_60(chrome: Browser, fresh: Market) -> None:
    longest = "-123456789012.1234567891"
    fresh.set("WIDE", bid=longest, last=longest, prev_close="-123456789010.5", **{"@name": LONG_NAME})
    for width in (390, 820, 1440):
        with page_of(chrome, width=width) as page:
            page.goto(f"{fresh.url}#WIDE,XAU")
            expect(cell(page, "WIDE", "last")).to_have_text("\N{MINUS SIGN}123,456,789,012.1234567891")
            expect(row(page, "XAU")).to_contain_text("halted")
            assert page.evaluate(CUT) == []
            if width < 1000:  # the panel is not beside the list from the start
                row(page, "WIDE").locator("b").click()
            expect(page.locator("#chart")).to_have_attribute("aria-label", re.compile("^Chart of WIDE, 1m bars, "))
            expect(page.locator("#chart-note")).to_be_hidden()
            assert page.evaluate(CUT) == []
            assert page.locator("#detail-last").evaluate("(price) => price.getClientRects().length") == 1


@pytest.mark.parametrize("width", [390, 820, 1100, 1440])
def test_nothing_hangs_out_overlaps_or_is_cut(chrome: Browser, served: Market, width: int) -> None:
    with page_of(chrome, width=width) as page:
        page.goto(f"{served.url}{LIST}")
        expect(row(page, "XAU")).to_contain_text("halted")
        expect(cell(page, "BTC-USD", "last")).to_have_text("68,123.98765432")
        expect(row(page, "BUND")).to_contain_text(LONG_NAME)
        expect(page.locator("#latency")).to_contain_text("ms")
        assert page.evaluate(CUT) == []
        page.keyboard.press("/")
        page.locator("#search").fill("u")
        expect(page.locator("#found [role=option]").first).to_be_visible()
        assert page.evaluate(CUT) == []
        page.keyboard.press("Escape")
        page.locator("#list-menu-open").click()
        assert page.evaluate(CUT) == []
        page.get_by_role("button", name="Columns and sorting").click()
        page.get_by_role("radio", name="Compact").check()
        assert page.evaluate(CUT) == []
        page.keyboard.press("Escape")
        served.kill()
        expect(page.locator("#notice")).to_be_visible()
        assert page.evaluate(CUT) == []
        served.start()
