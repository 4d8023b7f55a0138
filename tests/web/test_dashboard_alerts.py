"""Alerts of the dashboard: prices that cross, moves by per cent, what goes stale; told once, kept, armed again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, cell, page_of, row

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {
    "ALPHA": {"bid": "1.10", "last": "1.11", "status": "live"},
    "BETA": {"last": "200.0", "status": "live"},
}
NOTED = """
  window.told = [];
  window.Notification = class extends EventTarget {
    static permission = "default";
    static async requestPermission() { return (this.permission = "granted"); }
    constructor(title, { body }) { super(); told.push(body); }
  };
  const { createOscillator } = AudioContext.prototype;
  AudioContext.prototype.createOscillator = function () {
    told.push("tone");
    return createOscillator.call(this);
  };
"""
HELD = """
  const [held, { send }] = [[], WebSocket.prototype];
  let holding = false;
  WebSocket.prototype.send = function (data) {
    if (holding) held.push(() => send.call(this, data));
    else send.call(this, data);
  };
  window.hold = () => (holding = true);
  window.heldCount = () => held.length;
  window.release = () => {
    holding = false;
    for (const each of held.splice(0)) each();
  };
"""
"""Requests of the page wait from `hold()` to `release()`, as on a slow network."""


@contextmanager
def held_page(chrome: Browser, served: Market) -> Iterator[Page]:
    """The page with prices and the dialog of alerts; its requests can be held."""
    with page_of(chrome) as page:
        page.add_init_script(HELD)
        page.goto(f"{served.url}#ALPHA")
        expect(cell(page, "ALPHA", "last")).to_have_text("1.11")
        page.locator("#alerts-open").click()
        yield page


def ask(page: Page, symbol: str, kind: str, value: str | None = None) -> None:
    page.locator("#alert-symbol").fill(symbol)
    page.locator("#alert-kind").select_option(label=kind)
    if value is not None:
        page.locator("#alert-value").fill(value)
    page.locator("#alert-save").click()


def listed(page: Page, *texts: str | re.Pattern[str]) -> None:
    expect(page.locator("#alert-list li > span")).to_have_text(list(texts))


def test_a_price_that_crosses_is_told_once_until_it_is_armed_again(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.add_init_script(NOTED)
        page.goto(f"{served.url}#ALPHA")
        expect(cell(page, "ALPHA", "last")).to_have_text("1.11")
        page.keyboard.press("a")
        expect(page.locator("#alert-symbol")).to_have_value("ALPHA")
        expect(page.locator("#alert-value")).to_have_value("1.11")
        page.locator("#alert-value").fill("1.20")
        page.keyboard.press("Enter")
        listed(page, "ALPHA crosses 1.20armed, the price is below")
        page.locator("#alert-sound").check()
        page.locator("#alert-notify").check()
        page.keyboard.press("Escape")
        expect(page.locator("#alerts-open")).to_contain_text("1")
        page.evaluate("told.length = 0")
        served.set("ALPHA", last="1.25")
        bar = page.locator("#alert-bar")
        expect(bar).to_contain_text(re.compile(r"ALPHA rose to 1\.25, across 1\.20 \(\d\d:\d\d:\d\d\)"))
        page.wait_for_function(
            "() => told.filter((each) => each.startsWith('ALPHA rose')).length === 1 && told.includes('tone')"
        )
        served.set("ALPHA", last="1.15")
        expect(cell(page, "ALPHA", "last")).to_have_text("1.15")
        expect(bar.locator(".fired")).to_have_count(1)
        bar.get_by_role("button", name="Arm again").click()
        expect(bar).to_be_hidden()
        page.keyboard.press("a")
        listed(page, "ALPHA crosses 1.20armed, the price is below")
        page.keyboard.press("Escape")
        served.set("ALPHA", last="1.21")
        expect(bar).to_contain_text("ALPHA rose to 1.21, across 1.20")
        bar.get_by_role("button", name="Dismiss").click()
        expect(bar).to_be_hidden()


def test_alerts_on_what_is_not_on_the_list_outlive_the_page(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA")
        page.locator("#alerts-open").click()
        ask(page, "nonsense", "is no longer live")
        expect(page.locator("#alert-error")).to_have_text("Symbol: this service has no nonsense")
        ask(page, "beta", "price moves by %", "zero")
        expect(page.locator("#alert-error")).to_have_text("Per cent: give a number, such as 2.5")
        ask(page, "beta", "price moves by %", "10")
        ask(page, "Alpha", "is no longer live")
        listed(page, re.compile("BETA moves by 10 %"), "ALPHA is no longer livearmed")
        page.locator("#alert-list").get_by_role("button", name=re.compile("Edit: BETA")).click()
        page.locator("#alert-value").fill("5,5")
        page.keyboard.press("Enter")
        listed(page, "BETA moves by 5.5 % from 200armed", "ALPHA is no longer livearmed")
        page.reload()
        expect(page.locator("#alerts-open")).to_contain_text("2")
        served.set("BETA", last="189.0")
        bar = page.locator("#alert-bar")
        expect(bar).to_contain_text("BETA moved \u22125.50 %, to 189.00")
        served.set("ALPHA", status="halted")
        expect(bar).to_contain_text("ALPHA: halted")
        bar.locator(".fired").filter(has_text="BETA").get_by_role("button", name="Show").click()
        expect(row(page, "BETA")).to_be_visible()
        expect(page.locator("#detail-symbol")).to_have_text("BETA")
        page.locator("#alerts-open").click()
        page.locator("#alert-list").get_by_role("button", name=re.compile("Delete: ALPHA")).click()
        listed(page, re.compile(r"BETA moves by 5\.5 % from 200.*BETA moved"))


def test_what_is_typed_while_the_symbol_before_is_looked_up_stays(chrome: Browser, served: Market) -> None:
    with held_page(chrome, served) as page:
        page.evaluate("hold()")
        ask(page, "beta", "price moves by %", "10")
        page.locator("#alert-save").click()  # once more, as nothing has happened: there is one alert all the same
        page.wait_for_function("() => heldCount() > 0")
        page.locator("#alert-symbol").fill("Alpha")
        page.evaluate("release()")
        listed(page, "BETA moves by 10 % from 200armed")
        expect(page.locator("#alert-symbol")).to_have_value("Alpha")
        page.locator("#alert-save").click()
        listed(page, "BETA moves by 10 % from 200armed", "ALPHA moves by 10 % from 1.11armed")
        expect(page.locator("#alert-symbol")).to_have_value("")


def test_of_an_alert_that_is_edited_while_another_is_looked_up_nothing_is_lost(chrome: Browser, served: Market) -> None:
    with held_page(chrome, served) as page:
        ask(page, "ALPHA", "is no longer live")
        listed(page, "ALPHA is no longer livearmed")
        page.evaluate("hold()")
        ask(page, "beta", "price moves by %", "10")
        page.wait_for_function("() => heldCount() > 0")
        page.locator("#alert-list").get_by_role("button", name=re.compile("Edit: ALPHA")).click()
        page.evaluate("release()")
        listed(page, "ALPHA is no longer livearmed", "BETA moves by 10 % from 200armed")
        expect(page.locator("#alert-symbol")).to_have_value("ALPHA")
        expect(page.locator("#alert-save")).to_have_text("Save")
