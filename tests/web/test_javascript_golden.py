"""ticker/web/ticker.js on the golden frames of PROTOCOL.md, in Node and in Chromium; and as it is installed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.programs import CHROMIUM, require
from tests.test_readme import service
from tests.web.javascript import SCRIPTS, environment, node

ROOT = Path(__file__).parents[2]
WEB = ROOT / "ticker" / "web"
GOLDEN = (ROOT / "tests" / "golden_frames.json").read_text()

PAGE = """<!doctype html><meta charset="utf-8"><body><script type="module">
const page = (text) => URL.createObjectURL(new Blob([text], {{ type: "text/javascript" }}));
const [client, {{ checks }}] = await Promise.all([import(page({client})), import(page({checks}))]);
const [passed, failed] = [[], []];
for (const [name, check] of checks(client, {golden})) {{
  try {{
    check();
    passed.push(name);
  }} catch (error) {{
    failed.push(`${{name}}: ${{error}}`);
  }}
}}
document.body.textContent = JSON.stringify({{ passed: passed.length, failed }});
</script>"""


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


def test_chromium_agrees_with_the_golden_frames(tmp_path: Path) -> None:
    scripts = {"client": WEB / "ticker.js", "checks": SCRIPTS / "golden.mjs"}
    # "</" would end the script that these texts stand in.
    texts = {name: json.dumps(path.read_text()).replace("</", "<\\/") for name, path in scripts.items()}
    page = tmp_path / "golden.html"
    page.write_text(PAGE.format(**texts, golden=GOLDEN))
    command = [
        require(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90)
    found = re.search(r"<body>(\{.*\})</body>", done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-2000:] + done.stderr[-2000:]
    result = json.loads(found[1])
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
