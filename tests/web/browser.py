"""A real Chromium, and a service in a process of its own, for tests of the dashboard."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from playwright.sync_api import Browser, Locator, Page, Route, sync_playwright

from tests.programs import CHROMIUM, require
from ticker.net.devcert import AUTHORITY_FILE, data_folder

ROOT = Path(__file__).parents[2]


def chromium() -> str:
    """The path of Chromium."""
    return require(CHROMIUM)


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def page_of(started: Browser, *, dark: bool = False, width: int = 1440, height: int = 900) -> Iterator[Page]:
    """A page of its own; an error of its scripts fails the test.

    A condition to wait for has to be a function (`() => ...`): a mere expression is evaluated anew each time, and
    the page's Content-Security-Policy allows that only the first time.
    """
    context = started.new_context(
        ignore_https_errors=True,  # nobody has told Chromium of the development authority
        color_scheme="dark" if dark else "light",
        viewport={"width": width, "height": height},
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert errors == []


def row(page: Page, symbol: str) -> Locator:
    return page.locator("#rows .row").filter(has=page.get_by_text(symbol, exact=True))


def cell(page: Page, symbol: str, part: str) -> Locator:
    return row(page, symbol).locator(f".{part}")


def add(page: Page, text: str) -> None:
    page.keyboard.press("/")
    page.locator("#search").fill(text)
    page.keyboard.press("Enter")


def held_back(page: Page) -> list[Route]:
    """Requests for the modules of the page for work on it (index.html), which are held back from now on."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/dashboard/dashboard.js", hold)
    return held


def let_go(page: Page, held: list[Route]) -> None:
    while not held:  # the stream may be faster
        page.wait_for_timeout(10)
    held[0].continue_()


def painted(page: Page) -> None:
    """Wait until the page has painted what it knows."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


class Market:
    """A service whose prices a test sets, and which it can kill and start again at the same address."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "prices.json"
        self._folder = folder
        self._prices: dict[str, dict[str, str]] = {}
        self._process: subprocess.Popen[str] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/"

    def set(self, symbol: str, **fields: str) -> None:
        """The feed publishes these."""
        self._prices.setdefault(symbol, {}).update(fields)
        self._publish()

    def reset(self, prices: dict[str, dict[str, str]]) -> None:
        """The feed publishes these alone, and withdraws the rest. Instruments stay declared."""
        self._prices = {symbol: dict(fields) for symbol, fields in prices.items()}
        self._publish()

    def _publish(self) -> None:
        whole = self._folder / "prices.new"
        whole.write_text(json.dumps(self._prices))
        whole.replace(self._file)

    def stop_feed(self) -> None:
        """The feed fails, and again whenever it is started, until a price is set."""
        self._file.unlink()

    def start(self, *flags: str) -> None:
        command = [sys.executable, "-m", "ticker", "serve", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--feed", f"tests.feeds_for_tests:FromFile?path={self._file}", *flags]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith("ready ")

    def until_ready(self) -> None:
        """Wait until the service has data."""
        trust = ssl.create_default_context(cafile=data_folder() / AUTHORITY_FILE)
        while True:
            with suppress(HTTPError), urlopen(f"{self.url}readyz", context=trust):  # noqa: S310  # its own service
                return
            time.sleep(0.1)

    def kill(self) -> None:
        """The server is gone without a word."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        self._process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The server does nothing at all meanwhile; the kernel goes on to accept connections for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate()


@contextmanager
def market(folder: Path, prices: dict[str, dict[str, str]] | None = None) -> Iterator[Market]:
    """A market with these prices and its service; without prices, the service is not started yet."""
    made = Market(folder)
    try:
        if prices is not None:
            made.reset(prices)
            made.start()
        yield made
    finally:
        made.stop()
