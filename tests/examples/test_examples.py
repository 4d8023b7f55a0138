"""The examples against a real service: each as a user runs it. The one for React: tests/packages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path

import pytest
from playwright.sync_api import expect

from tests.bounds import HANG_SECONDS
from tests.test_readme import ROOT, environment, service
from tests.web.browser import browser, page_of
from tests.web.javascript import package_file
from tests.web.pages import web_server
from tests.web.test_javascript_examples import CHARTS
from ticker_feeds.kit import check_feed

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    with web_server(EXAMPLES) as origin:
        yield origin


@pytest.fixture(scope="module")
def url(home: Path, pages: str) -> Iterator[str]:
    with service(home, "simulated", ("--origin", pages)) as address:
        yield address


def run(home: Path, name: str, *arguments: str) -> str:
    """What an example prints until it ends."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(
        command, env=environment(home), capture_output=True, text=True, check=False, timeout=HANG_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_names_every_example() -> None:
    text = (EXAMPLES / "README.md").read_text()
    names = {path.name for path in EXAMPLES.iterdir()} - {"README.md", "__pycache__"}
    assert [name for name in sorted(names) if f"[{name}](" not in text] == []


def test_the_alert_has_ten_lines_and_ends_when_the_price_is_reached(home: Path, url: str) -> None:
    code = (EXAMPLES / "alert.py").read_text().partition('"""\n\n')[2]
    assert len([line for line in code.splitlines() if line]) <= 10
    printed = run(home, "alert.py", "EURUSD", "bid", "0.5", url)
    assert re.fullmatch(r"\aEURUSD: bid is 1\.\d+, which is 0\.5 or more\n", printed)


def test_the_research_prints_a_matrix(home: Path, url: str) -> None:
    printed = run(home, "research.py", "EURUSD", "XAUUSD", "--url", url)
    assert re.search(r"^EURUSD +1\.0+ +-?\d\.\d+$", printed, re.MULTILINE), printed
    assert re.match(r"\d\d returns, the last one at 20\d\d-", printed)


async def test_the_feed_with_depth_passes_the_kit() -> None:
    await check_feed(run_path(str(EXAMPLES / "depth_feed.py"))["Gold"](rate=1_000))


def test_the_notebook_runs(home: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat  # noqa: PLC0415  # it takes a second
    from nbclient import NotebookClient  # noqa: PLC0415

    for name, value in {**environment(home), "TICKER_URL": url, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(EXAMPLES / "prices.ipynb", as_version=4)
    assert [cell for cell in notebook.cells if cell.get("outputs")] == [], "no outputs are committed"
    NotebookClient(notebook, timeout=HANG_SECONDS).execute()
    shown = [output["data"]["text/plain"] for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len(shown) == 3
    assert "XAUUSD" in shown[0]
    assert "close" in shown[1]
    assert "bid" in shown[2]


def test_the_streamlit_page_shows_prices_a_ladder_and_a_chart(home: Path, url: str) -> None:
    program = Path(__file__).parent / "streamlit_user.py"
    command = [sys.executable, str(program), str(EXAMPLES / "streamlit_page.py"), url]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["symbols"] == ["EURUSD", "GBPUSD", "USDJPY", "XAUUSD"]
    assert re.fullmatch(r"1\.\d+", first["best ask"])
    assert (first["levels"], first["charts"]) == (20, 1)
    assert re.fullmatch(r"\d{4}\.\d+", second["best ask"])


def test_the_chart_draws_candles_and_volume(url: str, pages: str) -> None:
    library = package_file("lightweight-charts", CHARTS, "dist/lightweight-charts.standalone.production.js")
    address = url.replace("wss://127.0.0.1", "https://localhost").removesuffix("/v1/stream")
    body = (EXAMPLES / "chart.html").read_text().replace("https://localhost:8443", address)
    body = body.replace("const prices =", "const prices = window.prices =")
    body = body.replace("const volumes =", "const volumes = window.volumes =")
    with browser() as chrome, page_of(chrome) as page:
        page.goto(f"{address}/healthz")
        page.goto(f"{pages}/README.md")
        page.route("https://unpkg.com/lightweight-charts@5/**", lambda route: route.fulfill(path=library))
        page.set_content(body)
        page.wait_for_function("() => window.prices?.data().length > 200 && window.volumes.data().length > 200")
        assert page.evaluate("prices.options().priceFormat.precision") == 5
        expect(page.locator("#chart canvas").first).to_be_visible()
