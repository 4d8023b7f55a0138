"""The panel of the chosen symbol: chart, order book and trades, as a real Chromium shows what the real service has."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bounds import HANG_SECONDS
from tests.tokens import key_file, token
from tests.web.browser import Market, cell, market, page_of, painted

expect.set_options(timeout=1_000 * HANG_SECONDS)

BARS = 700
"""More than the table that the page follows has, so that the others are read when somebody looks there."""
LONG = "A" * 30 + " name of sixty characters, all of it"
MIN = "\u2212"


class Lines:
    """A market whose feed is lines of JSON, which a test adds."""

    def __init__(self, made: Market, folder: Path) -> None:
        self.market = made
        self._file = folder / "lines.jsonl"
        self._file.touch()

    @property
    def feed(self) -> list[str]:
        return ["--feed", f"jsonl?path={self._file}&follow=yes"]

    def say(self, *lines: object) -> None:
        with self._file.open("a") as file:
            file.write("".join(f"{json.dumps(line)}\n" for line in lines))


def trades(symbol: str, *prints: tuple[str, str, str], ago: float = 0) -> list[dict[str, Any]]:
    """Trades of this price, size and side, so many minutes ago, as one moment."""
    now = int((time.time() - ago * 60) * 1_000_000)
    return [
        {"symbol": symbol, "trade": {"price": price, "size": size, "side": side, "time": now + number}}
        for number, (price, size, side) in enumerate(prints)
    ]


def past(symbol: str, first: int = BARS, last: int = 1, now: float | None = None) -> Iterator[dict[str, Any]]:
    """Bars from so many minutes before `now` to so many; the first of all has an opening price of its own."""
    minute = int(now or time.time()) // 60 * 60
    for ago in range(first, last - 1, -1):
        price = f"1.0{ago % 7}"
        prices = {"open": "0.77" if ago == BARS else price, "high": "1.20", "low": "0.70", "close": price}
        bar = {**prices, "volume": BARS - ago}
        yield {"symbol": symbol, "candle": {"period": "1m", "start": minute - ago * 60, **bar}}


def book(symbol: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> dict[str, Any]:
    return {"symbol": symbol, "bids": bids, "asks": asks, "complete": True}


DEEP = {"price_scale": 2, "size_scale": 1}
FINE = {"price_scale": 8, "size_scale": 8, "metadata": {"name": LONG, "venue": "X", "currency": "USD"}}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    folder = tmp_path_factory.mktemp("lines")
    with market(folder) as made:
        made.reset({"QUOTED": {"bid": "-37.64", "ask": "-37.60"}})
        served = Lines(made, folder)
        served.say({"instrument": "DEEP", **DEEP}, {"instrument": "FINE", **FINE}, *past("DEEP"))
        served.say(
            book("DEEP", [("1.00", "5"), ("0.98", "2.5"), ("0.94", "1")], [("1.03", "4"), ("1.04", "8")]),
            [*trades("DEEP", ("1.01", "3", "buy"), ("1.03", "2", "buy")), {"symbol": "DEEP", "prev_close": "0.90"}],
            book("FINE", [("0.00001234", "123456789.12345678")], [("0.00001240", "0.00000001")]),
            trades("FINE", ("0.00001234", "123456789.12345678", "sell")),
        )
        made.start(*served.feed, "--history-file", str(folder / "history"))
        yield served


def opened(page: Page, lines: Lines, symbol: str) -> None:
    page.goto(f"{lines.market.url}#{symbol}")
    expect(page.locator("#detail-symbol")).to_have_text(symbol)


SHAPES = """(selector) => {
  const canvas = document.querySelector(selector);
  if (!canvas?.width) return { height: 0, coloured: false };
  const wide = Math.floor(canvas.width / 3);
  const { data } = canvas.getContext("2d").getImageData(0, 0, wide, canvas.height);
  const rows = new Set();
  let coloured = false;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] < 100) continue;
    rows.add(Math.floor(at / 4 / wide));
    coloured ||= Math.abs(data[at] - data[at + 1]) > 60;
  }
  return { height: rows.size, coloured };
}"""


def until_painted(page: Page, canvas: str) -> None:
    """Wait until the left third of a canvas has what is old: bars with their colours, or a line that is not level."""
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        shapes = page.evaluate(SHAPES, canvas)
        if shapes["coloured"] if canvas == "#chart" else shapes["height"] > 5:
            return
        assert time.monotonic() < deadline, f"nothing of the past is drawn at the left of {canvas}"
        page.wait_for_timeout(50)


def test_the_chart_and_the_small_ones_are_full_on_load_and_after_a_reload(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        opened(page, lines, "DEEP")
        for _ in range(2):
            expect(page.locator("#chart-legend .open b")).not_to_have_text("")
            expect(page.locator("#chart")).to_have_attribute("aria-label", re.compile("^Chart of DEEP, 1m bars, "))
            expect(page.locator("#chart-note")).to_be_hidden()
            until_painted(page, "#chart")
            until_painted(page, "#rows canvas")
            page.reload()


def test_chart_book_and_trades_are_there_where_a_websocket_is_blocked(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        page.route_web_socket(re.compile(".*"), lambda socket: socket.close())
        opened(page, lines, "DEEP")
        expect(page.locator("#transport")).to_have_text("event stream")
        expect(page.locator("#book-bids tr").nth(0)).to_have_text(re.compile(r"1\.00\s*5\.0"))
        expect(page.locator("#tape-rows tr").nth(0)).to_contain_text("1.03")
        until_painted(page, "#chart")
        until_painted(page, "#rows canvas")


def test_bars_are_read_by_the_keyboard_back_to_the_first_one_of_the_history(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        opened(page, lines, "DEEP")
        expect(page.locator("#chart-legend .open b")).not_to_have_text("")
        said = page.locator("#announcer")
        page.locator("#chart-box").focus()
        page.keyboard.press("ArrowLeft")
        expect(said).to_contain_text(re.compile(r"\d\d:\d\d: open .* close "))
        latest = said.inner_text()
        page.keyboard.press("Shift+ArrowLeft")
        expect(said).not_to_have_text(latest)
        # Each look at the first bar brings those before it, until there are none.
        for _ in range(100):
            page.keyboard.press("Home")
            if "open 0.77, high 1.20, low 0.70" in said.inner_text():
                break
            page.wait_for_timeout(100)
        expect(said).to_contain_text("open 0.77, high 1.20, low 0.70, close 1.00, volume 0.0")
        expect(page.locator("#chart-legend .open b")).to_have_text("0.77")
        page.locator("#chart-latest").click()
        expect(page.locator("#chart-legend .open b")).not_to_have_text("0.77")
        expect(page.locator("#chart-latest")).to_be_hidden()


def test_period_and_style_are_kept_and_the_pointer_shows_a_bar(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        opened(page, lines, "DEEP")
        page.get_by_label("5m", exact=True).check()
        page.get_by_label("Line", exact=True).check()
        expect(page.locator("#chart-legend .close b")).to_have_text("1.03")
        page.reload()
        expect(page.get_by_label("5m", exact=True)).to_be_checked()
        expect(page.get_by_label("Line", exact=True)).to_be_checked()
        expect(page.locator("#chart-legend .close b")).to_have_text("1.03")
        page.get_by_label("1m", exact=True).check()
        expect(page.locator("#chart")).to_have_attribute("aria-label", re.compile("1m bars"))
        painted(page)
        shown = page.locator("#chart-legend time").inner_text()
        page.locator("#chart-box").hover(position={"x": 60, "y": 60})
        expect(page.locator("#chart-legend time")).not_to_have_text(shown)
        page.mouse.wheel(0, -400)  # nearer
        page.locator("#detail-symbol").hover()
        expect(page.locator("#chart-legend time")).to_have_text(shown)


def test_the_chart_is_dragged_by_its_bars_and_zoomed_where_the_pointer_is(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        opened(page, lines, "DEEP")
        expect(page.locator("#chart-legend .open b")).not_to_have_text("")
        box = page.locator("#chart-box").bounding_box()
        assert box is not None
        left, top = box["x"], box["y"] + 80

        def shown_at(x: int) -> str:
            page.mouse.move(left + x, top)
            painted(page)
            return page.locator("#chart-legend time").inner_text()

        bar = shown_at(100)
        page.mouse.down()
        page.mouse.move(left + 200, top, steps=4)
        page.mouse.move(left + 300, top, steps=4)
        page.mouse.up()
        expect(page.locator("#chart-legend time")).to_have_text(bar)
        expect(page.locator("#chart-latest")).to_be_visible()
        beside = shown_at(200)
        assert shown_at(300) == bar
        page.mouse.wheel(0, -500)
        assert shown_at(300) == bar
        assert shown_at(200) != beside
        page.mouse.wheel(300, 0)  # sideways
        assert shown_at(300) != bar


def test_two_fingers_zoom_the_chart_and_one_taps_a_bar(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        opened(page, lines, "DEEP")
        expect(page.locator("#chart-legend .open b")).not_to_have_text("")
        box = page.locator("#chart-box").bounding_box()
        assert box is not None
        devtools = page.context.new_cdp_session(page)

        def touch(kind: str, *places: int) -> None:
            points = [{"x": box["x"] + x, "y": box["y"] + 80, "id": number} for number, x in enumerate(places)]
            devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        def tapped(x: int) -> str:
            touch("touchStart", x)
            touch("touchEnd")
            painted(page)
            return page.locator("#chart-legend time").inner_text()

        bar, middle = tapped(100), tapped(150)
        assert bar != middle
        touch("touchStart", 100, 200)
        touch("touchMove", 75, 225)
        touch("touchMove", 50, 250)
        touch("touchEnd")
        assert tapped(150) == middle
        assert tapped(50) == bar


def test_the_ladder_has_exact_levels_in_steps_of_ones_own_with_the_last_trade_marked(
    chrome: Browser, lines: Lines
) -> None:
    with page_of(chrome) as page:
        opened(page, lines, "DEEP")
        rows = page.locator("#book-bids tr")
        expect(rows.nth(0)).to_have_text(re.compile(r"1\.00\s*5\.0"))
        expect(page.locator("#book-asks tr[data-last=buy]")).to_contain_text("1.03")
        expect(page.locator("#book-spread")).to_contain_text("Spread 0.03")
        expect(page.locator("#book-last")).to_have_text("▲ 1.03")
        expect(page.get_by_role("table", name="Order book of DEEP")).to_be_visible()
        lines.say({"symbol": "DEEP", "bids": [["0.98", "3.5"]]})
        expect(rows.nth(1)).to_have_text(re.compile(r"0\.98\s*3\.5"))
        expect(page.locator("#book-step option")).to_have_text(["0.01"])
        lines.say({"symbol": "DEEP", "bids": [["0.98", "2.5"]]})


def test_coarser_steps_are_kept_between_visits(chrome: Browser, lines: Lines) -> None:
    lines.say({"instrument": "STEPS", **DEEP})
    lines.say(book("STEPS", [("100.07", "0.1"), ("100.05", "0.2"), ("99.99", "5")], [("100.08", "1")]))
    with page_of(chrome) as page:
        opened(page, lines, "STEPS")
        page.locator("#book-step").select_option("0.05")
        rows = page.locator("#book-bids tr")
        for _ in range(2):
            expect(rows.nth(0)).to_have_text(re.compile(r"100\.05\s*0\.3"))
            expect(rows.nth(1)).to_have_text(re.compile(r"99\.95\s*5\.0"))
            page.reload()


def test_the_tape_has_each_trade_and_says_how_many_it_skipped(chrome: Browser, lines: Lines) -> None:
    lines.say({"instrument": "BUSY", **DEEP}, trades("BUSY", ("1.00", "1", "sell")))
    with page_of(chrome) as page:
        opened(page, lines, "BUSY")
        rows = page.locator("#tape-rows tr")
        expect(rows.nth(0)).to_contain_text("▼ 1.00")
        lines.say(trades("BUSY", ("1.01", "2.5", "buy")))
        expect(rows.nth(0)).to_have_text(re.compile(r"\d\d:\d\d:\d\d\s*▲ 1\.01\s*2\.5"))
        lines.say(trades("BUSY", *[("1.02", "1", "buy")] * 739))
        expect(page.locator("#tape-rows .missed")).to_have_text("+689 more")
        expect(rows).to_have_count(51)
        expect(page.get_by_role("table", name="Trades of BUSY")).to_be_visible()


def test_what_is_halted_looks_so_wherever_its_price_stands(chrome: Browser, lines: Lines) -> None:
    lines.say({"instrument": "HALTED", **DEEP}, trades("HALTED", ("1.00", "1", "sell")))
    lines.say(book("HALTED", [("1.00", "1")], [("1.01", "1")]), {"symbol": "HALTED", "status": "live"})
    with page_of(chrome) as page:
        opened(page, lines, "HALTED")
        expect(page.locator("#book-last")).to_have_text("▼ 1.00")
        expect(page.locator("#chart-note")).to_be_hidden()
        lines.say({"symbol": "HALTED", "status": "halted", "reason": "exchange_halt"})
        words = re.compile(r"halted · exchange halt · since \d\d:\d\d:\d\d")
        for place in ("#detail-badge", "#book .market-state", "#tape .market-state"):
            expect(page.locator(place)).to_have_text(words)
        expect(page.locator("#chart-note")).to_have_text("halted · exchange halt")
        for place in ("#detail", "#book", "#tape"):
            expect(page.locator(place)).to_have_attribute("data-status", "halted")


def test_a_withdrawn_price_is_not_shown_as_the_last_one(chrome: Browser, lines: Lines) -> None:
    lines.say(
        {"instrument": "GONE", **DEEP}, {"symbol": "GONE", "bid": "1.00", "ask": "1.03", "last": "1.02", "open": "1.00"}
    )
    with page_of(chrome) as page:
        opened(page, lines, "GONE")
        expect(page.locator("#detail-kind")).to_have_text("last")
        expect(page.locator("#detail-change")).to_have_text(re.compile(r"▲ \+0\.02\s+\+2\.00 %"))
        expect(page.locator("#detail-reference")).to_have_text("against the opening price, 1.00")
        lines.say({"symbol": "GONE", "last": None, "open": None})
        expect(page.locator("#detail-badge")).to_have_text(re.compile(r"last withdrawn · since \d\d:\d\d:\d\d"))
        expect(page.locator("#detail-last")).to_have_text("1.015")
        expect(page.locator("#detail-kind")).to_have_text("middle of bid and ask")
        expect(page.locator("#detail-change")).to_be_empty()
        expect(page.locator("#detail-reference")).to_be_empty()
        expect(page.locator("#chart-note")).to_have_text("last withdrawn")
        expect(page.locator("#detail")).to_have_attribute("data-status", "withdrawn")


def test_a_symbol_with_quotes_alone_says_what_it_lacks_and_has_a_line(chrome: Browser, lines: Lines) -> None:
    with page_of(chrome) as page:
        opened(page, lines, "QUOTED")
        expect(page.locator("#book .market-state")).to_have_text("QUOTED has no order book.")
        expect(page.locator("#tape .market-state")).to_have_text("No trade of QUOTED since the service began.")
        expect(page.locator("#detail-kind")).to_have_text("middle of bid and ask")
        expect(page.locator("#chart-legend .close b")).to_have_text(f"{MIN}37.64")
        expect(page.get_by_label("Line", exact=True)).to_be_checked()
        expect(page.locator("#chart-legend .volume")).to_be_hidden()


OUTSIDE = """() => {
  const detail = document.querySelector("#detail");
  const { left, right } = detail.getBoundingClientRect();
  const isOutside = (element) => {
    const box = element.getBoundingClientRect();
    if (box.width === 0 || getComputedStyle(element).display === "inline") return false;
    return box.left < left - 0.5 || box.right > right + 0.5 || element.scrollWidth > element.clientWidth + 1;
  };
  const elements = [...detail.querySelectorAll("*:not(.unseen, .unseen *, i)")].filter(isOutside);
  return elements.map((element) => `${element.tagName} ${element.id} ${element.className}`);
}"""


@pytest.mark.parametrize("width", [390, 820, 1100, 1440])
def test_eight_decimals_and_long_names_hang_out_of_nothing(chrome: Browser, lines: Lines, width: int) -> None:
    with page_of(chrome, width=width, dark=width == 820) as page:
        opened_at(page, lines, "FINE", width)
        expect(page.locator("#tape-rows")).to_contain_text("123,456,789.12345678")
        expect(page.locator("#book-bids")).to_contain_text("123,456,789.12345678")
        expect(page.locator("#chart-legend .open b")).to_have_text("0.00001234")
        outside = page.evaluate(OUTSIDE)
        assert outside == []


def opened_at(page: Page, lines: Lines, symbol: str, width: int) -> None:
    """Where the panel lies over the list, a row opens it."""
    page.goto(f"{lines.market.url}#{symbol}")
    if width < 1000:
        cell(page, symbol, "last").click()
    expect(page.locator("#detail-symbol")).to_have_text(symbol)


def test_a_service_without_tables_says_so_once_in_each_place(chrome: Browser, tmp_path: Path) -> None:
    settings = tmp_path / "ticker.toml"
    settings.write_text("[tables]\ndepths = []\ntrades = []\nbars = []\nperiods = []\n")
    with market(tmp_path) as made, page_of(chrome) as page:
        made.reset({"ALPHA": {"last": "1.10"}})
        made.start("--config", str(settings))
        page.goto(f"{made.url}#ALPHA")
        expect(page.locator("#detail-last")).to_have_text("1.10")
        expect(page.locator("#chart-note")).to_have_text("This service has no candles, so there is no chart of ALPHA.")
        expect(page.locator("#book .market-state")).to_have_text("This service has no order books.")
        expect(page.locator("#tape .market-state")).to_have_text("This service has no trades.")
        made.kill()
        expect(page.locator("#state-text")).to_contain_text("No connection")


def test_with_a_token_the_past_is_read_and_a_book_that_it_does_not_open_is_said_so(
    chrome: Browser, tmp_path: Path
) -> None:
    with market(tmp_path) as made, page_of(chrome) as page:
        made.reset({"OTHER": {"last": "1"}})
        served = Lines(made, tmp_path)
        served.say({"instrument": "DEEP", **DEEP}, *past("DEEP"), book("DEEP", [("1.00", "5")], [("1.03", "4")]))
        key = key_file(tmp_path)
        made.start(*served.feed, "--token-key", key, "--history-file", str(tmp_path / "history"))
        page.goto(f"{made.url}#DEEP")
        page.locator("#token").fill(token(symbols=["DEEP", "DEEP candles:*", "DEEP trades:*"]))
        page.keyboard.press("Enter")
        until_painted(page, "#chart")
        until_painted(page, "#rows canvas")
        none = "DEEP has no order book, or this token does not open it."
        expect(page.locator("#book .market-state")).to_have_text(none)
        expect(page.locator("#book-table")).to_be_hidden()
        expect(page.locator("#rows .row")).to_have_count(1)


def until_kept(history: Path, count: int) -> None:
    """Wait until so many bars are in the service's file."""
    deadline = time.monotonic() + HANG_SECONDS
    while _kept(history) < count:
        assert time.monotonic() < deadline, f"the service has not kept {count} bars"
        time.sleep(0.1)


def _kept(history: Path) -> int:
    rows = "SELECT count(*) FROM bars JOIN series ON series = number WHERE symbol = 'DEEP' AND period = '1m'"
    try:
        with closing(sqlite3.connect(f"{history.as_uri()}?mode=ro", uri=True)) as database:
            return int(database.execute(rows).fetchone()[0])
    except sqlite3.OperationalError:  # it has not been made yet
        return 0


def test_while_bars_cannot_be_written_the_chart_says_that_there_may_be_more(chrome: Browser, tmp_path: Path) -> None:
    settings = tmp_path / "ticker.toml"
    settings.write_text("[tables]\nbars = [10]\n")
    history, now = tmp_path / "history", time.time()
    with market(tmp_path) as made, page_of(chrome) as page:
        made.reset({"OTHER": {"last": "1"}})
        served = Lines(made, tmp_path)
        served.say({"instrument": "DEEP", **DEEP}, *past("DEEP", 100, 99, now))
        made.start(*served.feed, "--config", str(settings), "--history-file", str(history))
        until_kept(history, 1)
        with closing(sqlite3.connect(history, isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")  # as a disk that does not write
            served.say(*past("DEEP", 98, 1, now))
            opened(page, served, "DEEP")
            expect(page.locator("#chart-note")).to_contain_text("There may be more: older bars: the ")
            another.execute("ROLLBACK")
        until_kept(history, 99)
        page.locator("#chart-box").focus()
        said = page.locator("#announcer")
        for _ in range(1_000):
            page.keyboard.press("Home")
            if "volume 600.0" in said.inner_text():  # the first of all
                break
            page.wait_for_timeout(100)
        expect(said).to_contain_text("volume 600.0")
        expect(page.locator("#chart-note")).to_be_hidden()


def test_after_a_lost_connection_the_past_has_no_hole(chrome: Browser, tmp_path: Path) -> None:
    settings = tmp_path / "ticker.toml"
    settings.write_text("[tables]\nbars = [50]\n")  # so that an absence of 99 is longer than what the page follows
    now = time.time()
    with market(tmp_path) as made, page_of(chrome) as page:
        made.reset({"OTHER": {"last": "1"}})
        served = Lines(made, tmp_path)
        served.say({"instrument": "DEEP", **DEEP}, *past("DEEP", last=100, now=now))
        served.say(book("DEEP", [("1.00", "5")], [("1.03", "4")]), trades("DEEP", ("1.02", "3", "buy"), ago=100))
        history = tmp_path / "history"
        flags = [*served.feed, "--config", str(settings), "--history-file", str(history)]
        made.start(*flags)
        opened(page, served, "DEEP")
        expect(page.locator("#book-last")).to_have_text("▲ 1.02")
        until_kept(history, 50)
        made.kill()
        expect(page.locator("#chart-note")).to_have_text("No connection: this is the past.")
        for part in ("book", "tape"):
            expect(page.locator(f"#{part} .market-state")).to_contain_text("stale · reconnecting")
        page.context.set_offline(True)
        made.start(*flags)
        served.say(*past("DEEP", 99, 1, now))
        until_kept(history, 140)
        served.say(trades("DEEP", ("1.05", "3", "sell"), ago=(time.time() - now) / 60 + 1))
        page.route("**/v1/candles?*", lambda route: route.abort())
        page.context.set_offline(False)
        expect(page.locator("#book-last")).to_have_text("▼ 1.05")
        expect(page.locator("#chart-note")).to_contain_text("There may be more: older bars: ")
        page.unroute("**/v1/candles?*")
        expect(page.locator("#chart-note")).to_be_hidden()  # it asks again by itself: no price changes
        until_painted(page, "#chart")
        page.locator("#chart-box").focus()
        times: list[str] = []
        for _ in range(500):
            if len(times) == 130:
                break
            page.keyboard.press("ArrowLeft")
            if page.locator("#announcer").inner_text().partition(": ")[0][-5:] == (times or [""])[-1]:
                page.wait_for_timeout(100)  # those before it are being read
                continue
            times.append(page.locator("#announcer").inner_text().partition(": ")[0][-5:])
        minutes = [int(each[:2]) * 60 + int(each[3:]) for each in times]
        assert {(one - other) % (24 * 60) for one, other in pairwise(minutes)} == {1}, times
