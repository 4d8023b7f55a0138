"""The package for npm, packed, installed into empty folders and used there: in Node, strict TypeScript and React."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.packages.npm import REACT, bundled, installed, packed, watchlist
from tests.test_readme import blocks, environment, service
from tests.web.browser import browser, page_of
from tests.web.javascript import ROOT, WEB, node, packages, typescript
from tests.web.pages import web_server
from ticker.net.devcert import AUTHORITY_FILE

SERVICE = "https://localhost:8443"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Path:
    """A folder of a user who installed the package."""
    return installed(tmp_path_factory.mktemp("user") / "empty", archive)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the service."""
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a web server of the user's."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def origin(pages: Path) -> Iterator[str]:
    with web_server(pages) as address:
        yield address


@pytest.fixture(scope="module")
def url(home: Path, origin: str) -> Iterator[str]:
    """A service that admits pages of the user's server."""
    with service(home, "simulated", ("--origin", origin)) as address:
        yield address.replace("wss:", "https:").replace("127.0.0.1", "localhost").removesuffix("/v1/stream")


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as started:
        yield started


def test_the_archive_has_what_its_entries_name_and_licence_and_readme(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        names = {each.name.removeprefix("package/") for each in tar.getmembers()}
    manifest = json.loads((WEB / "package.json").read_text())
    for entry in manifest["exports"].values():
        for each in [entry] if isinstance(entry, str) else entry.values():
            assert each.removeprefix("./") in names
    assert {"README.md", "LICENSE", "package.json"} <= names
    assert not [name for name in names if name.startswith("dashboard/")]
    assert (WEB / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_both_packages_have_one_version() -> None:
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert json.loads((WEB / "package.json").read_text())["version"] == version


def test_the_first_program_for_node_prints_prices(user: Path, home: Path, url: str) -> None:
    program = user / "prices.mjs"
    program.write_text(blocks("ticker/web/README.md", "js")[0].replace(SERVICE, url))
    trust = {**environment(home), "NODE_EXTRA_CA_CERTS": str(home / "home" / AUTHORITY_FILE)}
    with subprocess.Popen([node(), str(program)], cwd=user, env=trust, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        run.kill()
    assert re.match(r"\d{16} (EURUSD|XAU\w+) \{", line), line


def check_types(program: Path) -> None:
    """Check the types of a user's program as strictly as TypeScript can."""
    flags = ["--strict", "--noEmit", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--ignoreConfig"]
    flags += ["--module", "nodenext", "--target", "es2022", "--lib", "es2023,dom,dom.iterable", "--jsx", "react-jsx"]
    command = [*typescript(), *flags, str(program)]
    done = subprocess.run(command, cwd=program.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_strict_program_compiles_without_react(user: Path) -> None:
    program = user / "user.mts"
    program.write_text((ROOT / "tests" / "web" / "user.mts").read_text())
    check_types(program)


@contextmanager
def page_at(chrome: Browser, address: str, url: str) -> Iterator[Page]:
    """A page of the user's, in a browser that has been told to trust the service."""
    with page_of(chrome) as page:
        page.goto(f"{url}/healthz")
        page.goto(f"{address}?ticker={url}")
        yield page


def test_the_watchlist_for_react_shows_prices_and_the_ladder_of_the_chosen_row(
    chrome: Browser, archive: Path, pages: Path, origin: str, url: str
) -> None:
    watchlist(pages / "watchlist", archive)
    with page_at(chrome, f"{origin}/watchlist/public/", url) as page:
        expect(page.get_by_role("status")).to_have_text("connected")
        expect(page.locator("#EURUSD .bid")).to_have_text(re.compile(r"^1\.\d+$"))
        expect(page.locator("#ladder caption")).to_have_text(re.compile("^EURUSD"))
        expect(page.locator("#ladder tr")).to_have_count(20)
        expect(page.locator("#ladder")).not_to_have_class("stale")

        page.locator("#XAUUSD button").click()
        expect(page.locator("#ladder caption")).to_have_text(re.compile("^XAUUSD"))
        expect(page.locator("#ladder tr")).to_have_count(20)
        expect(page.locator("#ladder td").first).to_have_text(re.compile(r"^\d{4}\.\d+$"))
        shown = page.locator("#ladder").inner_text()
        page.wait_for_function("shown => document.querySelector('#ladder').innerText !== shown", arg=shown)


def test_hooks_show_all_tables_follow_their_arguments_and_throw_what_ends_a_reader(
    chrome: Browser, user: Path, pages: Path, origin: str, url: str
) -> None:
    bundled(pages / "hooks", Path(__file__).parent / "hooks.jsx", user)
    with page_at(chrome, f"{origin}/hooks/", url) as page:
        expect(page.locator("#connection")).to_have_text("connected")
        expect(page.locator("#values")).to_have_text(re.compile(r'"bid":"1\.\d+"'))
        expect(page.locator("#trades")).to_have_text(re.compile(r"^5 1\.\d+$"))
        expect(page.locator("#candles")).to_have_text(re.compile(r"^20 1\.\d+$"))
        expect(page.locator("#error")).to_have_text(re.compile("the service has book of 10, 25, 100"))

        page.get_by_role("button").click()
        expect(page.locator("#values")).to_have_text(re.compile(r'"bid":"\d{4}\.\d+"'))
        expect(page.locator("#trades")).to_have_text(re.compile(r"^5 \d{4}\.\d+$"))

        page.get_by_role("button").click()
        expect(page.locator("#values")).to_have_count(0)
        page.wait_for_function("() => Object.keys(client.values('XAUUSD')).length === 0")


def test_the_example_for_react_shows_a_book(chrome: Browser, user: Path, pages: Path, origin: str, url: str) -> None:
    (snippet,) = blocks("ticker/web/README.md", "tsx")
    (pages / "ladder.tsx").write_text(snippet.replace(SERVICE, url))
    bundled(pages / "ladder", pages / "ladder.tsx", user)
    check_types(pages / "ladder" / "ladder.tsx")
    with page_at(chrome, f"{origin}/ladder/", url) as page:
        expect(page.locator("li")).to_have_count(20)
        expect(page.locator("h1")).to_have_text(re.compile(r"^EURUSD 1\.\d+$"))


def test_on_a_server_hooks_render_what_there_is_before_the_first_message(user: Path, tmp_path: Path) -> None:
    program = """
        import { createElement } from "react";
        import { renderToString } from "react-dom/server";
        import { connect } from "ticker-push-client";
        import { useBook, useConnection, useTrades, useValues } from "ticker-push-client/react";

        const client = connect("https://127.0.0.1:9");
        const Page = () => JSON.stringify([
          useValues(client, "EURUSD"), useBook(client, "EURUSD"), useTrades(client, "EURUSD"), useConnection(client)]);
        console.log(renderToString(createElement(Page)).replaceAll("&quot;", '"'));
        client.close();
    """
    modules = tmp_path / "node_modules"
    modules.mkdir()
    for each in [*packages(*REACT).iterdir(), user / "node_modules" / "ticker-push-client"]:
        (modules / each.name).symlink_to(each)
    (tmp_path / "page.mjs").write_text(program)
    command = [node(), "--preserve-symlinks", "--experimental-websocket", "--no-warnings", str(tmp_path / "page.mjs")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    book = {"bids": [], "asks": [], "status": "stale", "reason": "no_data"}
    assert json.loads(done.stdout or "null") == [{}, book, [], "connecting"], done.stderr
