"""How smooth the dashboard is: `python -m benchmarks.dashboard` opens it in Chromium and measures its frames.

Frame times are the distances between the browser's animation frames; memory is the page's JavaScript heap after a full
collection. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from shutil import which

from playwright.sync_api import CDPSession, Page, sync_playwright

MEDIAN_MS, P99_MS = 17.0, 50.0
GROWTH = 0.1
"""By so much of itself may the heap have grown between the first and the last reading."""

_RECORD = """() => {
    window.frames_ = [];
    let before = performance.now();
    const next = (now) => { window.frames_.push(now - before); before = now; requestAnimationFrame(next); };
    requestAnimationFrame(next);
}"""


def measure(page: Page, seconds: int) -> bool:
    """Print what is seen in so many seconds; whether the targets are met."""
    session = page.context.new_cdp_session(page)
    page.wait_for_timeout(10_000)  # rows are made, and code is compiled
    page.evaluate(_RECORD)
    heaps = [heap(session)]
    for second in range(0, seconds, 10):
        page.wait_for_timeout(10_000)
        heaps.append(heap(session))
        print(f"after {second + 10} s: {heaps[-1]:.1f} MB", flush=True)
    # A collection stops the page: the frames around the readings are not the dashboard's.
    frames = sorted(page.evaluate("window.frames_"))[: -len(heaps)]
    median, p99 = statistics.median(frames), frames[int(len(frames) * 0.99)]
    growth = heaps[-1] / heaps[1] - 1
    rows = page.locator("#rows .row").count()
    rate = page.locator("#rate").inner_text()
    print(f"{rows} rows, {rate} updates/s, {len(frames)} frames in {seconds} s")
    print(f"frame time: median {median:.1f} ms (target {MEDIAN_MS:.0f}), p99 {p99:.1f} ms (target {P99_MS:.0f})")
    print(f"heap: {heaps[1]:.1f} MB after 10 s, {heaps[-1]:.1f} MB at the end ({growth:+.0%}, target {GROWTH:+.0%})")
    return median <= MEDIAN_MS and p99 <= P99_MS and growth <= GROWTH


def heap(session: CDPSession) -> float:
    """The page's JavaScript heap after a full collection, in MB."""
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--rate", type=int, default=5000, help="updates per second (default: 5000)")
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    chromium = which("chromium")
    if chromium is None:
        print("there is no `chromium` in PATH", file=sys.stderr)
        return 2
    feed = f"simulated?symbols={given.rows}&rate={given.rate}"
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
