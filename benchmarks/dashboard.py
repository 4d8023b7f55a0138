"""`python -m benchmarks.dashboard` opens the dashboard in Chromium and measures its frame times and memory.

The list has all rows, and a chart, an order book and trades are open beside it. Frame times are the distances between
the browser's animation frames; memory is the page's heap after a full collection. Exit code 1 if a target is missed.
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

from ticker.market import FeedItem, Instrument, Levels, Publication, Trade, Update

MEDIAN_MS, P99_MS = 17.0, 50.0
GROWTH = 0.1
"""Largest growth of memory between the first and the last reading, as a share of the first."""


LOAD_SECONDS = 300
"""Patience with a machine that has other things to do."""
WARM_UP_SECONDS = 10
"""Rows are made, and code is compiled."""
BATCHES = 20
"""Batches of a second: so often the feed publishes."""
DECLARED = 500
"""Instruments in a batch, of which the service takes so many without holding others up."""
LEVELS, PRINTS = 25, 5
"""Levels of each side of every row's order book, and trades in each batch, of the row that is open."""


class Board:
    """A feed that changes bid, ask, last and volume of `updates` rows a second, all in turn.

    The first row also has an order book, some levels of which change in each batch, and trades.
    """

    def __init__(self, *, rows: int, updates: int) -> None:
        self._symbols = [f"ROW{number:04}" for number in range(rows)]
        self._prices = [random.randrange(10_000, 100_000) for _ in self._symbols]  # noqa: S311  # prices, not secrets
        self._batch = max(1, updates // BATCHES)

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Publish until cancelled."""
        for start in range(0, len(self._symbols), DECLARED):
            some = self._symbols[start : start + DECLARED]
            await updates.send([Instrument(symbol, price_scale=2) for symbol in some])
        at, volume, due = 0, 0, trio.current_time()
        while True:
            volume += 100
            rows = [(at + number) % len(self._symbols) for number in range(self._batch)]
            at = (at + self._batch) % len(self._symbols)
            await updates.send([self._update(row, volume) for row in rows])
            await updates.send(self._market())
            due += 1 / BATCHES
            await trio.sleep_until(due)

    def _update(self, row: int, volume: int) -> Update:
        price = self._prices[row] = max(100, self._prices[row] + random.choice((-2, -1, 1, 2)))  # noqa: S311
        bid, ask, last = map(_text, (price, price + 3, price + 3 * (price % 2)))
        return Update(self._symbols[row], {"bid": bid, "ask": ask, "last": last, "volume": volume})

    def _market(self) -> list[Publication]:
        """Change the order book of the first row, and trade."""
        symbol, price = self._symbols[0], self._prices[0]
        bids, asks = ([(_text(price + sign * number), _size()) for number in range(1, LEVELS + 1)] for sign in (-1, 1))
        trades = [
            Trade(symbol, _text(price + number % 2), _size(), "buy" if number % 2 else "sell")
            for number in range(PRINTS)
        ]
        return [Levels(symbol, bids, asks, complete=True), *trades]


def _text(price: int) -> str:
    return f"{price // 100}.{price % 100:02}"


def _size() -> int:
    return random.randrange(1, 1_000)  # noqa: S311  # a size, not a secret


_RECORD = """() => {
    window.frames_ = [];
    let before = performance.now();
    const next = (now) => { window.frames_.push(now - before); before = now; requestAnimationFrame(next); };
    requestAnimationFrame(next);
}"""


def measure(page: Page, seconds: int) -> bool:
    """Measure for `seconds` and print the results; return whether the targets are met."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.wait_for_timeout(WARM_UP_SECONDS * 1_000)
    page.evaluate(_RECORD)
    heaps, busy = [heap(devtools)], _busy(devtools)
    for second in range(0, seconds, 10):
        page.wait_for_timeout(10_000)
        heaps.append(heap(devtools))
        print(f"after {second + 10} s: {heaps[-1]:.1f} MB", flush=True)
    # A collection stops the page: the frames around the readings are not the dashboard's.
    frames = sorted(page.evaluate("window.frames_"))[: -len(heaps)]
    median, p99 = statistics.median(frames), frames[int(len(frames) * 0.99)]
    growth = heaps[-1] / heaps[1] - 1
    rows = int(page.locator("#grid").get_attribute("aria-rowcount") or 0) - 2  # its heads, and that of the pattern
    rate = page.locator("#rate").inner_text()
    used = (_busy(devtools) - busy) / len(frames) * 1_000
    print(f"{rows} rows, {rate} updates/s, {len(frames)} frames in {seconds} s, {used:.1f} ms of CPU per frame")
    print(f"frame time: median {median:.1f} ms (target {MEDIAN_MS:.0f}), p99 {p99:.1f} ms (target {P99_MS:.0f})")
    print(f"memory: {heaps[1]:.1f} MB after 10 s, {heaps[-1]:.1f} MB at the end ({growth:+.0%}, target {GROWTH:+.0%})")
    return median <= MEDIAN_MS and p99 <= P99_MS and growth <= GROWTH


def _busy(devtools: CDPSession) -> float:
    """Return the CPU time of the page's main thread, in seconds, which other programs on the machine do not change."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def heap(devtools: CDPSession) -> float:
    """Return the page's memory after a full collection, in MB."""
    devtools.send("HeapProfiler.collectGarbage")
    usage = devtools.send("Runtime.getHeapUsage")
    return float(usage["usedSize"] + usage["backingStorageSize"] + usage["embedderHeapUsedSize"]) / 1e6


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000, help="instruments on the list (default: 5000)")
    parser.add_argument("--updates", type=int, default=20_000, help="updates per second (default: 20000)")
    parser.add_argument("--seconds", type=int, default=600, help="length of the measurement (default: 600)")
    given = parser.parse_args()
    chromium = which("chromium")
    if chromium is None:
        print("there is no `chromium` in PATH", file=sys.stderr)
        return 2
    feed = f"benchmarks.dashboard:Board?rows={given.rows}&updates={given.updates}"
    command = [sys.executable, "-m", "ticker", "serve", "--listen", "127.0.0.1:0", "--feed", feed]
    command += ["--no-history", "--no-state"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().partition(":")[2].partition("/v1")[0].rpartition(":")[2]
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page(ignore_https_errors=True, viewport={"width": 1440, "height": 900})
                page.set_default_timeout(LOAD_SECONDS * 1_000)
                page.goto(f"https://localhost:{port}/#*")
                page.locator("#book-table").wait_for()  # those of the first row
                page.locator("#tape-table").wait_for()
                met = measure(page, given.seconds)
                browser.close()
        finally:
            process.terminate()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
