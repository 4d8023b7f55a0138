"""The examples of ticker/web/README.md, in Node and in Chromium, with the charting library that one of them names."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, expect

from tests.web.browser import Market, page_of
from tests.web.javascript import WEB, environment, node, package_file

CHARTS = "5.2.1"
"""The version of lightweight-charts."""

PRICES = {"EURUSD": {"bid": "1.08514", "last": "1.08"}, "XAUUSD": {"bid": "4152.30"}}
SERVICE = "https://localhost:8443"


def examples(language: str) -> list[str]:
    """The examples in this language."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", (WEB / "README.md").read_text(), re.DOTALL)
    return found


def test_the_examples_of_the_readme_are_all_run() -> None:
    languages = re.findall(r"```(\w+)\n", (WEB / "README.md").read_text())
    assert sorted(languages) == ["html", "html", "js", "js", "tsx"]  # with React: tests/packages


def test_the_example_for_a_page_shows_prices(chrome: Browser, shared: Market) -> None:
    with page_of(chrome) as page:
        body = examples("html")[0]
        page.route("**/example.html", lambda route: route.fulfill(body=body, content_type="text/html"))
        page.goto(f"{shared.url}example.html")
        expect(page.locator("#prices")).to_have_text(re.compile(r"^1\.08514 at 20\d\d-\d\d-\d\dT.*Z$"))


@contextmanager
def chart_page(chrome: Browser, market: Market) -> Iterator[Page]:
    """The page with the chart, whose series is `window.series`."""
    library = package_file("lightweight-charts", CHARTS, "dist/lightweight-charts.standalone.production.js")
    body = examples("html")[1].replace(f"{SERVICE}/", market.url).replace(SERVICE, market.url)
    body = body.replace("const series =", "const series = window.series =")

    def serve_library(route: Route) -> None:
        route.fulfill(body=library.read_text(), content_type="text/javascript")

    with page_of(chrome) as page:
        page.route("**/chart.html", lambda route: route.fulfill(body=body, content_type="text/html"))
        page.route("https://unpkg.com/lightweight-charts@5/**", serve_library)
        page.goto(f"{market.url}chart.html")
        yield page


def test_the_example_with_a_chart_draws_bars_and_follows_the_market(chrome: Browser, shared: Market) -> None:
    with chart_page(chrome, shared) as page:
        page.wait_for_function("() => window.series.data().length > 0")
        for last in ("1.09", "1.07", "1.085"):
            shared.set("EURUSD", last=last)
            page.wait_for_function("last => window.series.data().at(-1).close === last", arg=float(last))
        bar = page.evaluate("window.series.data().at(-1)")
        assert bar["low"] == 1.07 or bar["open"] == 1.07, bar  # a minute may have begun meanwhile
        assert bar["time"] % 60 == 0
        assert page.locator("#chart canvas").count() > 0


@contextmanager
def program(folder: Path, text: str, market: Market) -> Iterator[subprocess.Popen[str]]:
    """A program of a user who installed the client's folder."""
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "ticker-push-client").symlink_to(WEB, target_is_directory=True)
    assert SERVICE in text
    file = folder / "example.mjs"
    file.write_text(text.replace(SERVICE, market.url))
    with subprocess.Popen([node(), str(file)], cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as run:
        yield run
        run.kill()


def test_it_installs_from_its_folder_and_the_example_for_node_prints_prices(tmp_path: Path, shared: Market) -> None:
    shared.reset(PRICES)
    with program(tmp_path, examples("js")[0], shared) as run:
        assert run.stdout is not None
        lines = sorted(run.stdout.readline() for _ in range(2))
    assert re.fullmatch(r"\d{16} EURUSD \{ bid: '1.08514', last: '1.08000' \}\n", lines[0]), lines
    assert re.fullmatch(r"\d{16} XAUUSD \{ bid: '4152.30' \}\n", lines[1]), lines


def test_the_example_with_a_book_says_that_nobody_has_given_one(tmp_path: Path, shared: Market) -> None:
    with program(tmp_path, examples("js")[1], shared) as run:
        assert run.stdout is not None
        assert re.fullmatch(r"stale undefined undefined \d+\n", run.stdout.readline())
