"""A dashboard in a tab that was really hidden, and stopped by the browser: once it is shown, all is there."""

from __future__ import annotations

from pathlib import Path

from tests.tokens import key_file
from tests.web.browser import market
from tests.web.tabs import Tab, tabs

PRICES = {"ALPHA": {"bid": "1.10", "ask": "1.12", "last": "1.11", "status": "live"}}


ROW = """(symbol) => [...document.querySelectorAll("#rows .row")].find(
    (row) => row.querySelector("b")?.textContent === symbol)"""


def price(symbol: str, field: str, text: str) -> str:
    """Whether the row of a symbol shows this."""
    return f"({ROW})('{symbol}')?.querySelector('.{field}').textContent === '{text}'"


LEGEND = "document.querySelector('#chart-legend .close b')?.textContent"
SPARK = f"""(() => {{
    const canvas = ({ROW})("EURUSD")?.querySelector("canvas");
    if (!canvas?.width) return false;
    const {{ data, width, height }} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const inked = (x) => Array.from({{ length: height }}).some((_, y) => data[4 * (y * width + x) + 3] > 0);
    return Array.from({{ length: width }}).filter((_, x) => inked(x)).length > 0.8 * width;
}})()"""
"""Whether the small chart of EURUSD goes from one side to the other."""


def test_a_tab_that_was_hidden_and_frozen_shows_present_prices_and_whole_charts(tmp_path: Path) -> None:
    with market(tmp_path) as served, tabs() as browser:
        served.reset(PRICES)
        served.start("--feed", "simulated?symbols=EURUSD")
        served.until_ready()
        tab = Tab(browser, f"{served.url}#ALPHA,EURUSD")
        tab.until(price("ALPHA", "last", "1.11"))
        tab.until(f"{LEGEND} === '1.11'")
        tab.until(SPARK)

        other = Tab(browser, "about:blank")
        tab.until("document.hidden")
        tab.until("document.body.dataset.connection === 'waiting'")
        tab.evaluate("document.querySelectorAll('canvas').forEach((canvas) => (canvas.width = canvas.width))")
        tab.freeze()
        served.set("ALPHA", bid="2.10", last="2.11")
        other.until("!document.hidden")

        tab.show()
        tab.until("!document.hidden && document.body.dataset.connection === 'connected'")
        tab.until(price("ALPHA", "last", "2.11"))
        tab.until(price("ALPHA", "bid", "2.10"))
        tab.until(price("ALPHA", "ask", "1.12"))
        tab.until(f"{LEGEND} === '2.11'")
        tab.until(SPARK)
        tab.until("document.querySelector('#chart-note').hidden && document.querySelector('#notice').hidden")


def test_a_tab_that_was_opened_in_the_background_asks_for_the_token_too(tmp_path: Path) -> None:
    with market(tmp_path) as made, tabs() as browser:
        made.reset(PRICES)
        made.start("--token-key", key_file(tmp_path))
        made.until_ready()
        tab = Tab(browser, "about:blank")
        other = Tab(browser, "about:blank")
        other.show()
        tab.until("document.hidden")
        tab.evaluate(f"void (location.href = '{made.url}#ONE')")
        tab.until("document.body?.dataset.connection === 'closed'")
        tab.show()
        tab.until("document.activeElement?.id === 'token'")
