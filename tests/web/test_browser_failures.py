"""ticker/web/client/unreachable.js in Chromium, which tells no page why it cannot connect: the known facts are said."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, market, page_of

PRICES = {"ALPHA": {"bid": "1.10", "status": "live"}}

WAIT = """
async (url) => {
  const { connect } = await import("/ticker.js");
  const client = connect(url);
  client.subscribe("ALPHA");
  const reason = await new Promise((resolve) =>
    client.addEventListener("state", ({ state, reason }) => ["waiting", "closed"].includes(state) && resolve(reason)),
  );
  client.close();
  return reason;
}
"""


def reason(page: Page, url: str) -> str:
    told: str = page.evaluate(WAIT, url)
    return told


def test_a_host_that_does_not_answer_is_told_from_one_that_does_not_serve_this_page(
    chrome: Browser, served: Market, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = f"127.0.0.1:{free.getsockname()[1]}"
    # The page of one service stands for one from anywhere; its own policy would let it connect to its service only.
    context = chrome.new_context(ignore_https_errors=True, bypass_csp=True)
    with market(tmp_path, PRICES) as other:
        page = context.new_page()
        page.goto(served.url)
        assert reason(page, f"https://{closed}") == (
            f"{closed} does not answer, or this browser does not trust its certificate; "
            f"open https://{closed}/ in a tab to see which"
        )
        host = other.url.removeprefix("https://").rstrip("/")
        origin = served.url.rstrip("/")
        assert reason(page, other.url) == (
            f"{host} answers, but not to a page of {origin}; name this origin to it (--origin)"
        )
    context.close()


def test_what_goes_wrong_is_on_the_console_of_a_page_without_listeners(chrome: Browser, served: Market) -> None:
    said: list[str] = []
    with page_of(chrome) as page:
        page.on("console", lambda message: said.append(message.text) if message.type == "warning" else None)
        page.goto(f"{served.url}index.html")  # whose policy allows the service's own modules
        page.evaluate("""
            async () => {
              const { connect } = await import("/ticker.js");
              const client = connect();
              for await (const change of client.subscribe("ALPHA", "ZZZ*", "a b")) break;
            }
        """)
        deadline = time.monotonic() + HANG_SECONDS
        while len(said) < 2:
            assert time.monotonic() < deadline, said
            page.wait_for_timeout(100)
    assert any(text.startswith("ticker: a b: ") for text in said)
    assert "ticker: ZZZ*: no instrument for 5 s; is it the right name? Should one appear, it will join" in said
