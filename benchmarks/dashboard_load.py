"""`python -m benchmarks.dashboard_load` measures how soon the dashboard shows live prices over a long way.

Chromium opens the page of a service of its own through a proxy that delays each direction by half the round trip. Like
TCP, it takes one round trip before the first byte of a connection, and sends 10 segments to the browser in the first
one that follows, twice as many in the next, and so on (RFC 6928). Each visit is a new browser, which has come to rest
since its start and has nothing in its cache; the second load of a visit has what the first one left there. Exit code 1
if a target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from shutil import which

import trio
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate
from playwright.sync_api import Page, sync_playwright

from ticker.net.devcert import data_folder

TARGET_SECONDS = 1.2
FIRST_WINDOW = 10 * 1_460
"""Bytes in flight of a new connection."""
PIECE = 65_536
LOAD_SECONDS = 120
"""Patience with a machine that has other things to do."""

SETTLE_SECONDS = 3
"""A browser is busy with itself after its start, which no visit to a page has to wait for."""

_LIVE = "prices are shown after"
_WATCH = f"""
requestAnimationFrame(function look() {{
    const prices = [...document.querySelectorAll("#rows .bid")].filter((cell) => /[0-9]/.test(cell.textContent));
    if (prices.length > 1) console.log("{_LIVE}", performance.now());
    else requestAnimationFrame(look);
}});
"""
"""Says the time since the navigation began, in the frame after the one that shows prices.

It is in the page from the beginning: Playwright's own waiting has the page compile 300 KB of scripts meanwhile.
"""


class DelayingProxy:
    """Forwards connections to a port of this machine over a long way; runs in a thread of its own."""

    def __init__(self, port: int, round_trip: float) -> None:
        self._port = port
        self._one_way = round_trip / 2
        self.connections = 0
        self.port = 0
        self._stop = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._started = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """It runs until the block is left."""
        thread = threading.Thread(target=trio.run, args=(self._run,))
        thread.start()
        self._started.wait()
        try:
            yield
        finally:
            assert self._token is not None
            self._token.run_sync_soon(self._stop.set)
            thread.join()

    async def _run(self) -> None:
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.port = listener.socket.getsockname()[1]
            self._token = trio.lowlevel.current_trio_token()
            nursery.start_soon(trio.serve_listeners, self._forward, [listener])
            self._started.set()
            await self._stop.wait()
            nursery.cancel_scope.cancel()

    async def _forward(self, browser: trio.SocketStream) -> None:
        self.connections += 1
        await trio.sleep(2 * self._one_way)  # SYN, SYN and ACK
        try:
            async with await trio.open_tcp_stream("127.0.0.1", self._port) as server, trio.open_nursery() as nursery:
                nursery.start_soon(self._copy, browser, server, None)
                nursery.start_soon(self._copy, server, browser, FIRST_WINDOW)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _copy(self, source: trio.SocketStream, target: trio.SocketStream, window: int | None) -> None:
        """Copy what comes, later; with a window, at most so much in a round trip, and twice as much in the next."""
        send, due = trio.open_memory_channel[tuple[float, bytes]](10_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, due, target)
            async with send:
                left, round_ends = window or 0, -1.0
                while data := await source.receive_some(min(PIECE, left) if window else PIECE):
                    now = trio.current_time()
                    if window:
                        if now > round_ends:
                            left, round_ends = window, now + 2 * self._one_way
                        left -= min(left, len(data))
                    await send.send((now + self._one_way, data))
                    if window and not left:
                        await trio.sleep_until(round_ends)
                        window *= 2
                        left, round_ends = window, trio.current_time() + 2 * self._one_way

    async def _deliver(self, due: trio.MemoryReceiveChannel[tuple[float, bytes]], target: trio.SocketStream) -> None:
        async for at, data in due:
            await trio.sleep_until(at)
            await target.send_all(data)
        await target.send_eof()


def trust() -> str:
    """Return the flag with which Chromium trusts the development certificate.

    Told to ignore errors instead, it makes each of its first connections twice.
    """
    certificate = load_pem_x509_certificate((data_folder() / "server.pem").read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"--ignore-certificate-errors-spki-list={b64encode(sha256(key).digest()).decode()}"


_ENTRIES = """() => ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type)).map((each) => [
    each.requestStart, each.responseStart, each.responseEnd, each.connectEnd > each.connectStart ? 1 : 0,
    each.encodedBodySize, each.name,
])"""


def print_log(page: Page, round_trip: float, live: float) -> None:
    """Print when each request was sent and answered, in round trips since the navigation began."""
    trip = round_trip * 1_000
    for begun, first, last, fresh, size, name in sorted(page.evaluate(_ENTRIES)):
        times = "  ".join(f"{time / trip:5.1f}" for time in (begun, first, last))
        print(f"  {times}  {'new ' if fresh else 'kept'}  {size:>6}  {name.partition('://')[2].partition('/')[2]}")
    print(f"  {live * 1_000 / trip:5.1f}  prices are shown")


def load(page: Page, url: str | None) -> float:
    """Load the page, anew without an address; return the seconds until prices are shown."""
    with page.expect_console_message(lambda message: message.text.startswith(_LIVE)) as shown:
        if url is None:
            page.reload(wait_until="commit")
        else:
            page.goto(url, wait_until="commit")
    return float(shown.value.text.removeprefix(_LIVE)) / 1_000


def measure(port: int, chromium: str, visits: int, round_trip: float, *, log: bool) -> bool:
    """Measure and print the results; return whether the target is met."""
    first, second, connections = list[float](), list[float](), list[int]()
    proxy = DelayingProxy(port, round_trip)
    with proxy.running(), sync_playwright() as playwright:
        for _ in range(visits):
            # A browser of its own: what one knows of a server would shorten the next visit.
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", trust()])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(LOAD_SECONDS * 1_000)
            page.add_init_script(_WATCH)
            page.wait_for_timeout(SETTLE_SECONDS * 1_000)
            before = proxy.connections
            first.append(load(page, f"https://localhost:{proxy.port}/"))
            connections.append(proxy.connections - before)
            if log:
                print(f"first load, {connections[-1]} connections: sent, first and last byte, in round trips")
                print_log(page, round_trip, first[-1])
            second.append(load(page, None))
            if log:
                print("second load")
                print_log(page, round_trip, second[-1])
            browser.close()
    for name, seconds in (("first", first), ("second", second)):
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"{name} load: prices after {statistics.median(seconds):.2f} s ({spread}; target {TARGET_SECONDS} s)")
    print(f"connections of the first load: {statistics.median(connections):.0f}")
    return statistics.median(first) <= TARGET_SECONDS and statistics.median(second) <= TARGET_SECONDS


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard_load", description=__doc__)
    parser.add_argument("--visits", type=int, default=5, help="visits, of which the median counts (default: 5)")
    parser.add_argument("--round-trip-ms", type=int, default=100, help="length of the way (default: 100)")
    parser.add_argument("--log", action="store_true", help="say when each request was sent")
    given = parser.parse_args()
    chromium = which("chromium")
    if chromium is None:
        print("there is no `chromium` in PATH", file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "ticker", "serve", "--listen", "127.0.0.1:0", "--feed", "simulated"]
    command += ["--no-history", "--no-state"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().partition(":")[2].partition("/v1")[0].rpartition(":")[2])
            met = measure(port, chromium, given.visits, given.round_trip_ms / 1_000, log=given.log)
        finally:
            process.terminate()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
