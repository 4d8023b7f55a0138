"""ticker/web: the dashboard in a real Chromium, served by the real service over TLS."""

from __future__ import annotations

import re
from pathlib import Path

import msgpack
import pytest
from playwright.sync_api import Browser, WebSocketRoute, expect

from tests.bounds import HANG_SECONDS
from tests.tokens import key_file, token
from tests.web.browser import Market, add, cell, market, page_of, row

expect.set_options(timeout=1_000 * HANG_SECONDS)

PRICES = {
    "ALPHA": {"bid": "1.10", "ask": "1.12", "last": "1.11", "status": "live"},
    "BETA": {"bid": "20.0", "ask": "20.5", "last": "20.1", "status": "live"},
}


def test_a_page_lives_through_a_failed_feed_and_a_lost_server(chrome: Browser, fresh: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{fresh.url}#ALPHA")
        expect(page.locator("#state-text")).to_contain_text("Live")
        expect(page.locator("#transport")).to_have_text("WebSocket")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        add(page, "BETA")
        expect(cell(page, "BETA", "last")).to_contain_text("20.1")
        fresh.set("BETA", last="21.7")
        expect(cell(page, "BETA", "last")).to_contain_text("21.7")
        fresh.stop_feed()
        expect(row(page, "BETA")).to_contain_text(
            re.compile(r"stale · (feed down|reconnecting) · since \d\d:\d\d:\d\d")
        )
        fresh.set("BETA", last="22.3")
        expect(cell(page, "BETA", "last")).to_contain_text("22.3")
        expect(row(page, "BETA")).not_to_contain_text("stale")
        fresh.kill()
        expect(page.locator("#state-text")).to_contain_text("No connection")
        expect(page.locator("#notice")).to_be_visible()
        fresh.set("BETA", last="23.9")
        fresh.start()
        expect(page.locator("#state-text")).to_contain_text("Live")
        expect(cell(page, "BETA", "last")).to_contain_text("23.9")
        expect(page.locator("#notice")).to_be_hidden()


def test_a_page_says_that_the_source_is_silent_and_since_when(chrome: Browser, served: Market) -> None:
    routes: list[WebSocketRoute] = []

    def forward(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    with page_of(chrome) as page:
        page.route_web_socket(re.compile(".*"), forward)
        page.goto(f"{served.url}#ALPHA")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        routes[-1].send(msgpack.packb([11, 1_399_507_208_000_000]))
        notice = page.locator("#notice")
        expect(notice).to_contain_text(
            re.compile(r"No data from the source since .*\d\d:\d\d:08; the prices below may be")
        )
        expect(page.locator("#state-text")).to_have_text("No data")
        routes[-1].send(msgpack.packb([11, None]))
        expect(notice).to_be_hidden()
        expect(page.locator("#state-text")).to_have_text("Live 1 of 1")
        routes[-1].send(msgpack.packb([11, 1_399_507_208_000_000]))
        expect(notice).to_be_visible()
        routes[-1].close()
        expect(page.locator("#state-text")).to_have_text("Live 1 of 1, resumed")
        expect(notice).to_be_hidden()


def test_a_delayed_market_is_marked_so(chrome: Browser, tmp_path: Path, served: Market) -> None:
    with market(tmp_path) as made, page_of(chrome) as page:
        made.reset(PRICES)
        made.start("--workers", "2", "--delay", "2s")
        made.until_ready()
        page.goto(f"{made.url}#ALPHA")
        expect(page.locator("#delay")).to_have_text("Delayed 2 s")
        expect(page.locator("#delay")).to_be_visible()
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        page.goto(f"{served.url}#ALPHA")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        expect(page.locator("#delay")).to_be_hidden()


def test_the_same_page_works_where_a_websocket_is_blocked(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.route_web_socket(re.compile(".*"), lambda socket: socket.close())
        page.goto(f"{served.url}#ALPHA,BETA")
        expect(page.locator("#state-text")).to_contain_text("Live")
        expect(page.locator("#transport")).to_have_text("event stream")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        served.set("ALPHA", bid="1.15")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.15")


def test_all_of_the_dashboard_is_below_the_path_of_a_proxy(chrome: Browser, tmp_path: Path) -> None:
    with market(tmp_path) as made, page_of(chrome) as page:
        made.reset(PRICES)
        made.start("--path-prefix", "/prices/eu")
        page.goto(f"{made.url}prices/eu#ALPHA")  # without the slash
        expect(page.locator("#transport")).to_have_text("WebSocket")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        expect(page.locator("#latency")).to_contain_text("ms")
        add(page, "BET*")
        expect(cell(page, "BETA", "last")).to_contain_text("20.1")
        page.route_web_socket(re.compile(".*"), lambda socket: socket.close())
        page.reload()
        expect(page.locator("#transport")).to_have_text("event stream")
        made.set("ALPHA", bid="1.15")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.15")


def test_a_service_that_wants_a_token_is_said_so_and_takes_one(chrome: Browser, tmp_path: Path) -> None:
    with market(tmp_path) as served, page_of(chrome) as page:
        served.set("ALPHA", bid="1.10")
        served.start("--token-key", key_file(tmp_path))
        page.goto(f"{served.url}#ALPHA")
        expect(page.locator("#token-form")).to_be_visible()
        page.locator("#token").fill(token())
        page.keyboard.press("Enter")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        expect(page.locator("#token-form")).to_be_hidden()


def test_a_page_without_any_stream_says_why_and_gets_one_when_it_can(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.route_web_socket(re.compile(".*"), lambda socket: socket.close())
        page.route("**/v1/**", lambda route: route.abort())
        page.goto(f"{served.url}#ALPHA")
        expect(page.locator("#notice")).to_contain_text("There is no connection. localhost")
        expect(page.locator("#notice")).to_contain_text("does not answer")
        page.unroute("**/v1/**")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        expect(page.locator("#notice")).to_be_hidden()


def test_a_refusal_is_shown_in_the_words_of_the_service(chrome: Browser, served: Market) -> None:
    answer = '{"code": 503, "message": "all places are taken"}'
    with page_of(chrome) as page:
        page.route_web_socket(re.compile(".*"), lambda socket: socket.close())
        page.route("**/v1/**", lambda route: route.fulfill(status=503, body=answer))
        page.goto(f"{served.url}#ALPHA")
        expect(page.locator("#notice")).to_contain_text("It says: all places are taken.")


def test_a_halted_instrument_says_so_and_since_when(chrome: Browser, served: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA,BETA")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        served.set("ALPHA", status="halted", reason="exchange_halt")
        halted = re.compile(r"halted · exchange halt · since \d\d:\d\d:\d\d")
        expect(row(page, "ALPHA")).to_contain_text(halted)
        expect(page.locator("#detail-badge")).to_have_text(halted)
        expect(row(page, "BETA")).not_to_contain_text("halted")


def test_a_change_is_counted_from_the_last_close_with_its_sign(chrome: Browser, served: Market) -> None:
    served.set("ALPHA", last="1.20", prev_close="1.25", volume="1234567")
    with page_of(chrome) as page:
        page.goto(f"{served.url}#ALPHA")
        expect(cell(page, "ALPHA", "change")).to_have_text("▼ \u22120.05")
        expect(cell(page, "ALPHA", "percent")).to_have_text("\u22124.00 %")
        expect(cell(page, "ALPHA", "volume")).to_have_text("1.23M")
        served.set("ALPHA", last="1.30")
        expect(cell(page, "ALPHA", "change")).to_have_text("▲ +0.05")


def test_an_unknown_symbol_says_so_and_joins_when_it_appears(chrome: Browser, fresh: Market) -> None:
    with page_of(chrome) as page:
        page.goto(f"{fresh.url}#ALPHA,DELTA")
        expect(row(page, "DELTA")).to_contain_text("no such instrument yet")
        fresh.set("DELTA", last="4.4")
        expect(cell(page, "DELTA", "last")).to_have_text("4.40")
        expect(row(page, "DELTA")).not_to_contain_text("no such instrument")


def test_the_chosen_colours_are_kept_between_visits(chrome: Browser, served: Market) -> None:
    with page_of(chrome, dark=True) as page:
        for _ in range(2):
            page.goto(served.url)
            expect(page.locator("html")).to_have_attribute("data-theme", "auto")
        page.locator("#theme").click()
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        expect(page.locator("#theme")).to_have_attribute("aria-label", "Colours: Light")
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


@pytest.mark.parametrize("width", [1440, 390], ids=["wide", "phone"])
@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
def test_nothing_hangs_out_of_the_page(chrome: Browser, served: Market, *, dark: bool, width: int) -> None:
    with page_of(chrome, dark=dark, width=width) as page:
        page.goto(f"{served.url}#ALPHA,BETA")
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        channels = [int(part) for part in re.findall(r"\d+", background)[:3]]
        assert (max(channels) < 80) is dark


def test_the_page_asks_nobody_else_and_runs_nothing_inline(chrome: Browser, served: Market) -> None:
    asked: list[str] = []
    with page_of(chrome) as page:
        page.on("request", lambda request: asked.append(request.url))
        answer = page.goto(served.url)
        expect(cell(page, "ALPHA", "bid")).to_contain_text("1.10")
        assert answer is not None
        policy = answer.headers["content-security-policy"]
    assert all(url.startswith(served.url) for url in asked)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
