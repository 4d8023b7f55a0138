"""The dashboard's search: symbols and names in any case, the best hit on Enter, categories, and never a dead row."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, add, page_of

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {
    "AAPL": {"last": "190.25", "@name": "Apple Inc.", "@venue": "XNAS", "@currency": "USD"},
    "BTC-USD": {"last": "68000.5", "@name": "Bitcoin", "@venue": "Kraken", "@currency": "USD"},
    "EURUSD": {"last": "1.085", "@name": "Euro / US Dollar", "@venue": "FX", "@currency": "USD"},
    "GOLD.X": {"last": "1.1", "@name": "Barrick", "@venue": "XNYS", "@currency": "USD"},
    "MC": {"last": "700", "@name": "LVMH Moët Hennessy", "@venue": "XPAR", "@currency": "EUR"},
    "SAP": {"last": "190", "@name": "SAP SE", "@venue": "XETR", "@currency": "EUR"},
    "XAUUSD": {"last": "2345.3", "@name": "Gold spot", "@venue": "LBMA", "@currency": "USD"},
}


def shown(page: Page, *symbols: str) -> None:
    """The rows are these, in this order."""
    expect(page.locator("#rows .row .symbol b")).to_have_text(list(symbols))


def found(page: Page, text: str, *titles: str) -> None:
    """A search shows these hits, in this order."""
    page.locator("#search").fill(text)
    expect(page.locator("#found [role=option] b")).to_have_text(list(titles))


def test_a_search_forgives(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#SAP")
        shown(page, "SAP")
        page.keyboard.press("/")
        found(page, "apple", "AAPL")
        found(page, "gold", "GOLD.X", "XAUUSD")
        found(page, "btcusd", "BTC-USD")
        found(page, "eur/usd", "EURUSD")
        found(page, "moet henn", "MC")
        found(page, "usd", "EURUSD", "XAUUSD", "BTC-USD", "AAPL", "GOLD.X", "currency: USD")
        found(page, "aaple", "AAPL")
        expect(page.locator("#found [aria-selected=true] b")).to_have_text("AAPL")
        page.keyboard.press("Enter")
        shown(page, "SAP", "AAPL")
        add(page, "goldspot")
        expect(page.locator("#found-note")).to_contain_text("No instrument of this service matches")
        page.keyboard.press("Enter")
        shown(page, "SAP", "AAPL")
        add(page, "gold sp")
        shown(page, "SAP", "AAPL", "XAUUSD")


def test_what_the_service_does_not_have_is_left_out_of_a_pasted_list(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#SAP")
        shown(page, "SAP")
        page.keyboard.press("/")
        page.locator("#search").fill("eurusd, nonsense, Btc-Usd, MC*")
        page.keyboard.press("Enter")
        shown(page, "SAP", "EURUSD", "BTC-USD", "MC*", "MC")
        page.keyboard.press("/")
        page.locator("#search").fill("aapl, nonsense, xauusd")
        expect(page.locator("#found [role=option] span").first).to_have_text(
            "2 symbols; 1 that this service does not have are left out"
        )
        page.keyboard.press("Enter")
        shown(page, "SAP", "EURUSD", "BTC-USD", "MC*", "MC", "AAPL", "XAUUSD")


def test_a_pattern_is_taken_in_capitals_if_only_these_match(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#SAP")
        shown(page, "SAP")
        add(page, "*usd")
        shown(page, "SAP", "*USD", "BTC-USD", "EURUSD", "XAUUSD")


def test_categories_narrow_and_are_added_at_once(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#SAP")
        shown(page, "SAP")
        page.keyboard.press("/")
        option = page.locator("#found [role=option]").filter(has_text="currency: EUR")
        expect(option).to_contain_text("2 instruments")
        option.click()
        expect(page.locator("#search")).to_have_value("currency:EUR ")
        expect(page.locator("#found [role=option] b")).to_have_text(["All 2", "MC", "SAP"])
        page.keyboard.press("Enter")
        shown(page, "SAP", "MC")
        page.keyboard.press("/")
        found(page, "venue:kraken", "BTC-USD")
        page.keyboard.press("Escape")
        expect(page.locator("#found")).to_be_hidden()


def test_an_instrument_that_came_a_moment_ago_is_found(chrome: Browser, fresh: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{fresh.url}#SAP")
        shown(page, "SAP")
        page.keyboard.press("/")
        found(page, "apple", "AAPL")
        fresh.set("NEWCO", last="3.3")
        page.goto(f"{fresh.url}#SAP,NEW*")
        shown(page, "SAP", "NEW*", "NEWCO")
        page.keyboard.press("/")
        found(page, "newco", "NEWCO")
