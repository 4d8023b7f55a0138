"""The dashboard below a path behind nginx: list, chart, book, search and a reload, in a real Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.bounds import HANG_SECONDS
from tests.server.test_listeners import free_port
from tests.server.test_nginx_haproxy import nginx
from tests.web.browser import add, cell, market, page_of
from tests.web.test_dashboard_detail import DEEP, Lines, book, past, until_painted

expect.set_options(timeout=1_000 * HANG_SECONDS)

pytestmark = pytest.mark.untraced


def test_list_chart_book_and_search_work_below_a_path_behind_nginx(chrome: Browser, tmp_path: Path) -> None:
    settings = tmp_path / "ticker.toml"
    settings.write_text('[proxies]\nx_forwarded_for = ["unix"]\n')
    port = free_port()
    with market(tmp_path) as made, nginx(tmp_path, port, "/prices/"), page_of(chrome) as page:
        made.reset({"OTHER": {"last": "7", "@name": "Another instrument"}})
        lines = Lines(made, tmp_path)
        lines.say({"instrument": "DEEP", **DEEP}, *past("DEEP", first=60), book("DEEP", [("1.00", "5")], []))
        behind = [f"--listen=http://unix:{tmp_path}/ticker.sock", "--path-prefix=/prices", "--insecure-allow-anyone"]
        made.start(*lines.feed, "--config", str(settings), *behind, "--history-file", str(tmp_path / "history"))
        page.goto(f"https://127.0.0.1:{port}/prices/#DEEP")
        for _ in range(2):
            expect(page.locator("#transport")).to_have_text("WebSocket")
            expect(page.locator("#book-bids tr").nth(0)).to_have_text(re.compile(r"1\.00\s*5\.0"))
            until_painted(page, "#chart")
            until_painted(page, "#rows canvas")
            page.reload()
        add(page, "another")
        expect(cell(page, "OTHER", "last")).to_have_text("7.00")
        expect(page).to_have_url(re.compile(rf"^https://127\.0\.0\.1:{port}/prices/#"))
