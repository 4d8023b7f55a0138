"""`python -m benchmarks.dashboard` opens the dashboard in Chromium and measures its frame times and memory.

Every row changes in every frame. Frame times are the distances between the browser's animation frames; memory is
the page's heap after a full collection. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
from pathlib import Path
from shutil import which

import trio
from playwright.sync_api import CDPSession, Page, sync_playwright

from ticker.market import FeedItem, Instrument, Update

MEDIAN_MS, P99_MS = 17.0, 50.0
GROWTH = 0.1
"""Largest growth of memory between the first and the last reading, as a share of the first."""


class Board:
    """A feed that changes every row in every frame: bid, ask, last and volume, `rate` times per second."""

    def __init__(self, *, rows: int, rate: float) -> None:
        self._symbols = [f"ROW{number:03}" for number in range(rows)]
        self._pause = 1 / rate

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Publish until cancelled."""
        await updates.send([Instrument(symbol, price_scale=2) for symbol in self._symbols])
        prices = [random.randrange(1_000, 100_000) for _ in self._symbols]  # noqa: S311  # prices, not secrets
        volume, due = 0, trio.current_time()
        while True:
            prices = [max(100, price + random.choice((-2, -1, 1, 2))) for price in prices]  # noqa: S311
            volume += 100
            moment = [self._update(*each, volume) for each in zip(self._symbols, prices, strict=True)]
            await updates.send(moment)
            due += self._pause
            await trio.sleep_until(due)

    @staticmethod
    def _update(symbol: str, price: int, volume: int) -> Update:
        bid, ask, last = (f"{each // 100}.{each % 100:02}" for each in (price, price + 3, price + 3 * (price % 2)))
        return Update(symbol, {"bid": bid, "ask": ask, "last": last, "volume": volume})


_RECORD = """() => {
    window.frames_ = [];
    let before = performance.now();
    const next = (now) => { window.frames_.push(now - before); before = now; requestAnimationFrame(next); };
    requestAnimationFrame(next);
}"""


def measure(page: Page, seconds: int) -> bool:
    """Measure for `seconds` and print the results; return whether the targets are met."""
    devtools = page.context.new_cdp_session(page)
    page.wait_for_timeout(10_000)  # rows are made, and code is compiled
    page.evaluate(_RECORD)
    heaps = [heap(devtools)]
    for second in range(0, seconds, 10):
        page.wait_for_timeout(10_000)
        heaps.append(heap(devtools))
        print(f"after {second + 10} s: {heaps[-1]:.1f} MB", flush=True)
    # A collection stops the page: the frames around the readings are not the dashboard's.
    frames = sorted(page.evaluate("window.frames_"))[: -len(heaps)]
    median, p99 = statistics.median(frames), frames[int(len(frames) * 0.99)]
    growth = heaps[-1] / heaps[1] - 1
    rows = page.locator("#rows .row").count()
    rate = page.locator("#rate").inner_text()
    print(f"{rows} rows, {rate} updates/s, {len(frames)} frames in {seconds} s")
    print(f"frame time: median {median:.1f} ms (target {MEDIAN_MS:.0f}), p99 {p99:.1f} ms (target {P99_MS:.0f})")
    print(f"memory: {heaps[1]:.1f} MB after 10 s, {heaps[-1]:.1f} MB at the end ({growth:+.0%}, target {GROWTH:+.0%})")
    return median <= MEDIAN_MS and p99 <= P99_MS and growth <= GROWTH


def heap(devtools: CDPSession) -> float:
    """Return the page's memory after a full collection, in MB."""
    devtools.send("HeapProfiler.collectGarbage")
    usage = devtools.send("Runtime.getHeapUsage")
    return float(usage["usedSize"] + usage["backingStorageSize"] + usage["embedderHeapUsedSize"]) / 1e6


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--rows", type=int, default=500, help="instruments on the dashboard (default: 500)")
    parser.add_argument("--rate", type=int, default=20, help="changes of each row per second (default: 20)")
    parser.add_argument("--seconds", type=int, default=60, help="length of the measurement (default: 60)")
    given = parser.parse_args()
    chromium = which("chromium")
    if chromium is None:
        print("there is no `chromium` in PATH", file=sys.stderr)
        return 2
    feed = f"benchmarks.dashboard:Board?rows={given.rows}&rate={given.rate}"
    command = [sys.executable, "-m", "ticker", "serve", "--listen", "127.0.0.1:0", "--feed", feed]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().partition(":")[2].partition("/v1")[0].rpartition(":")[2]
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page(ignore_https_errors=True, viewport={"width": 1440, "height": 900})
                page.goto(f"https://localhost:{port}/#*")
                met = measure(page, given.seconds)
                browser.close()
        finally:
            process.terminate()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
