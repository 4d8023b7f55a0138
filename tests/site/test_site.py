"""The documentation site, as `make docs` builds it, without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import cast

import pytest

import ticker
from tests.test_readme import PAGES, ROOT

DOCS = ROOT / "docs"
OFF_SITE = {"README.md", ".pytest_cache/README.md"}
"""The README is the repository's front page; the site has its own."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(folder)]
    offline = {**os.environ, "https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    done = subprocess.run(command, env=offline, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_the_repository_is_on_the_site_and_none_is_copied(site: Path) -> None:
    pages: dict[str, str] = run_path(str(DOCS / "conf.py"))["PAGES"]
    written = {path.relative_to(ROOT).as_posix() for path in PAGES}
    assert written - OFF_SITE == pages.keys() - OFF_SITE
    for name, page in pages.items():
        assert (site / f"{page}.html").exists()
        if name not in OFF_SITE:
            assert "```{include} ../" + name in (DOCS / f"{page}.md").read_text()


def test_the_reference_has_every_public_name(site: Path) -> None:
    text = (site / "api" / "ticker.html").read_text()
    assert [name for name in ticker.__all__ if f'id="ticker.{name}"' not in text and name != "aio"] == []


def test_names_of_trio_lead_to_its_documentation(site: Path) -> None:
    address = "https://trio.readthedocs.io/en/stable/reference-core.html#trio.abc.SendChannel"
    assert address in (site / "api" / "market.html").read_text()


def test_the_copy_of_trios_names_is_the_one_that_is_made() -> None:
    made = cast("Callable[[], bytes]", run_path(str(DOCS / "trio_names.py"))["inventory"])
    assert (DOCS / "inventories" / "trio.inv").read_bytes() == made()


def test_links_of_included_pages_stay_on_the_site_and_sources_are_only_named() -> None:
    rewritten = cast("Callable[[str, Path], str]", run_path(str(DOCS / "conf.py"))["rewritten"])
    file = ROOT / "ticker" / "client" / "README.md"
    assert rewritten("[a](../../PROTOCOL.md#subscribe)", file) == "[a](protocol.md#subscribe)"
    assert rewritten("[`a`](replica.py) and [b](https://b.example/)", file) == "`a` and [b](https://b.example/)"
    assert rewritten("![a](../web/screenshot.png)", file) == "![a](../ticker/web/screenshot.png)"
    assert rewritten("[here](#there)", file) == "[here](#there)"


def test_an_indented_block_of_a_docstring_is_code() -> None:
    with_code = cast("Callable[[list[str]], list[str]]", run_path(str(DOCS / "conf.py"))["with_code"])
    assert with_code(["A text.", "", "    code()", "", "    more()", ""]) == [
        *("A text.", "", "::", "", "    code()", "", "    more()", "")
    ]
    assert with_code(["- a list", "", "    goes on"]) == ["- a list", "", "    goes on"]


def test_no_link_of_a_page_leads_nowhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for target in re.findall(r'<a [^>]*href="(?!https?:|#|mailto:)([^"]+)"', page.read_text()):
            name, _, heading = target.partition("#")
            file = (page.parent / name).resolve()
            assert file.exists(), (page.name, target)
            if heading and file.suffix == ".html":
                assert f'id="{heading}"' in file.read_text(), (page.name, target)
