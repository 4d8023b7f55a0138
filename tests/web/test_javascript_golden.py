"""ticker/web/ticker.js on the golden frames of PROTOCOL.md, in Node and in Chromium; and as it is installed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.test_readme import service
from tests.web.browser import browser, market
from tests.web.javascript import ROOT, SCRIPTS, WEB, environment, node

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


def checks_in_node() -> int:
    """How many checks passed in Node; all of them have to."""
    command = [node(), "--test", "--test-reporter=tap", str(SCRIPTS / "golden.test.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None, done.stdout
    return int(passed[1])


def test_node_agrees_with_the_golden_frames() -> None:
    golden = json.loads(GOLDEN)
    forms = sum(form in frame for frame in golden["refused"] for form in ("msgpack", "json"))
    assert checks_in_node() == 2 + forms + len(golden["conversation"])


def test_chromium_agrees_with_the_golden_frames_with_the_modules_that_the_service_serves(tmp_path: Path) -> None:
    with browser() as chrome, market(tmp_path) as served:
        served.set("ALPHA", bid="1.10")
        served.start()
        # The checks are not among the service's own scripts, which are the only ones that its pages run.
        page = chrome.new_page(ignore_https_errors=True, bypass_csp=True)
        page.goto(served.url)
        result = page.evaluate(RUN, [(SCRIPTS / "golden.mjs").read_text(), json.loads(GOLDEN)])
    assert result["failed"] == []
    assert result["passed"] == checks_in_node()


def test_it_installs_from_its_folder_and_the_example_for_node_prints_prices(tmp_path: Path) -> None:
    (example,) = re.findall(r"```js\n(.*?)```", (WEB / "README.md").read_text(), re.DOTALL)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "ticker-push-client").symlink_to(WEB, target_is_directory=True)
    with service(tmp_path, "simulated") as url:
        assert "https://localhost:8443" in example
        program = tmp_path / "example.mjs"
        program.write_text(example.replace("https://localhost:8443", url))
        trusting = {**environment(), "NODE_EXTRA_CA_CERTS": str(tmp_path / "home" / "ca.pem")}
        with subprocess.Popen(
            [node(), str(program)], cwd=tmp_path, env=trusting, stdout=subprocess.PIPE, text=True
        ) as run:
            assert run.stdout is not None
            lines = [run.stdout.readline() for _ in range(3)]
            run.kill()
    assert all(re.match(r"\d{16} (EURUSD|XAUUSD) \{", line) or line.startswith(" ") for line in lines), lines
    assert any("EURUSD" in line for line in lines), lines
