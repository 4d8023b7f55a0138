"""ticker/web/ticker.js on the golden frames of PROTOCOL.md, in Node and in Chromium."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache

import pytest
from playwright.sync_api import Browser

from tests.bounds import HANG_SECONDS
from tests.web.browser import Market, browser, market
from tests.web.javascript import ROOT, SCRIPTS, node

FORMS = ("msgpack", "json")
GOLDEN = (ROOT / "tests" / "golden_frames.json").read_text()

RUN = """async ([checks, golden]) => {
  const client = await import("/ticker.js");
  const module = await import(URL.createObjectURL(new Blob([checks], { type: "text/javascript" })));
  const [passed, failed] = [[], []];
  for (const [name, check] of module.checks(client, golden)) {
    try {
      check();
      passed.push(name);
    } catch (error) {
      failed.push(`${name}: ${error}`);
    }
  }
  return { passed: passed.length, failed };
}"""


@cache
def checks_in_node() -> int:
    """How many checks passed in Node; all of them have to."""
    command = [node(), "--test", "--test-reporter=tap", str(SCRIPTS / "golden.test.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_SECONDS)
    assert done.returncode == 0, done.stdout
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None, done.stdout
    return int(passed[1])


def test_node_agrees_with_the_golden_frames() -> None:
    conversations = json.loads(GOLDEN)["conversations"]
    malformed = sum(any(form in frame for frame in each["refused"]) for each in conversations for form in FORMS)
    assert checks_in_node() == len(conversations) * (len(FORMS) + 1) + malformed


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    prices = {"EURUSD": {"bid": "1.08514"}, "XAUUSD": {"bid": "4152.30"}}
    with market(tmp_path_factory.mktemp("market"), prices) as made:
        yield made


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as started:
        yield started


def test_chromium_agrees_with_the_golden_frames_on_the_modules_of_the_service(chrome: Browser, served: Market) -> None:
    # The checks are not among the service's own scripts, which are the only ones that its pages run.
    page = chrome.new_page(ignore_https_errors=True, bypass_csp=True)
    page.goto(served.url)
    result = page.evaluate(RUN, [(SCRIPTS / "golden.mjs").read_text(), json.loads(GOLDEN)])
    page.context.close()
    assert result["failed"] == []
    assert result["passed"] == checks_in_node()
