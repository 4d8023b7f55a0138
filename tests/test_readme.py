"""README.md and the folders' pages: every snippet runs, every link and every file of the tour exists."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.bounds import HANG_SECONDS
from tests.programs import CURL, JQ, NODE, RSCRIPT, require
from ticker.commands.settings import load_config

ROOT = Path(__file__).parent.parent
README, PYTHON, OPERATING = "README.md", "ticker/client/README.md", "ticker/server/README.md"
PAGES = [path for path in sorted(ROOT.rglob("*.md")) if not {".venv", "node_modules", "docs"} & set(path.parts)]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@contextmanager
def service(folder: Path, feed: str, flags: Sequence[str] = (), python: str = sys.executable) -> Iterator[str]:
    """Run a service in a process of its own in `folder`; yield its URL."""
    command = [python, "-m", "ticker", "serve", "--listen", "127.0.0.1:0", "--feed", feed, *flags]
    with subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready, _, url = process.stdout.readline().strip().partition(" ")
            assert ready == "ready"
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(HANG_SECONDS) == 0


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TICKER_HOME": str(folder / "home"), "PYTHONUNBUFFERED": "1"}


def first_lines(code: str, folder: Path, count: int, python: str = sys.executable) -> list[str]:
    """Return the first lines that a program prints; it is then interrupted, as with Ctrl-C."""
    command = [python, "-c", code]
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        process.send_signal(signal.SIGINT)
        process.wait(HANG_SECONDS)
    return lines


@pytest.mark.parametrize(
    ("page", "number"), [(README, 0), (PYTHON, 0), (PYTHON, 1)], ids=["the blocking client", "Trio", "asyncio"]
)
def test_the_first_clients_of_a_page_print_prices(page: str, number: int, tmp_path: Path) -> None:
    with service(tmp_path, "simulated") as url:
        code = blocks(page, "python")[number].replace("wss://localhost:8443", url)
        assert url in code
        lines = first_lines(code, tmp_path, 5)
    assert all(lines)
    assert any("EURUSD" in line or "1.0" in line for line in lines)


def test_books_bars_and_trades_are_printed(tmp_path: Path) -> None:
    with service(tmp_path, "simulated") as url:
        call, objects = (
            blocks(page, "python")[number].replace("wss://localhost:8443", url)
            for page, number in ((README, 1), (PYTHON, 2))
        )
        assert "Level(price=Decimal(" in first_lines(call, tmp_path, 1)[0]
        bars, book, spread, trade = first_lines(objects, tmp_path, 4)
    assert bars.startswith("300 bars, the last close ")
    assert book.startswith("live ")
    assert " spread " in spread
    assert " 20" in f" {trade}"


def test_the_notebook_collects_rows(tmp_path: Path) -> None:
    with service(tmp_path, "simulated") as url:
        code = blocks(PYTHON, "python")[3].replace("wss://localhost:8443", url)
        assert url in code
        (line,) = first_lines(code, tmp_path, 1)
    assert "rows, the last one: {'at': datetime" in line


def test_tables_of_pandas_and_polars_are_printed(tmp_path: Path) -> None:
    with service(tmp_path, "simulated") as url:
        pandas, polars = (code.replace("wss://localhost:8443", url) for code in blocks(PYTHON, "python")[7:9])
        assert {"bid", "ask", "status"} <= set(first_lines(pandas, tmp_path, 1)[0].split())
        assert first_lines(polars, tmp_path, 1)[0].startswith("shape: (")


def test_a_search_is_printed(tmp_path: Path) -> None:
    with service(tmp_path, "simulated") as url:
        code = blocks(PYTHON, "python")[9].replace("wss://localhost:8443", url)
        found, behind = first_lines(code, tmp_path, 2)
    assert "('EURUSD', " in found
    assert behind.endswith(" cuts behind\n")


def test_the_commands_about_tokens_let_a_client_in(tmp_path: Path) -> None:
    keys, issue, _, watch, *_ = re.findall(
        r"^    \.venv/bin/ticker (.*)$", (ROOT / OPERATING).read_text(), re.MULTILINE
    )

    def ticker(arguments: str) -> str:
        command = [sys.executable, "-m", "ticker", *shlex.split(arguments.replace("/tmp", str(tmp_path)))]  # noqa: S108
        return subprocess.run(
            command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=True
        ).stdout

    ticker(keys)
    command, _, file = issue.partition(" > ")
    Path(file.replace("/tmp", str(tmp_path))).write_text(ticker(command))  # noqa: S108
    flags = ("--token-key", str(tmp_path / "token-public.pem"))
    with service(tmp_path, "simulated?symbols=EURUSD", flags=flags) as url:
        assert '"EURUSD"' in ticker(watch.replace("wss://127.0.0.1:8445", url) + " --json --duration 1")
        snippet = blocks(PYTHON, "python")[4].replace("wss://127.0.0.1:8445", url).replace("/tmp", str(tmp_path))  # noqa: S108
        assert "EURUSD" in first_lines(snippet, tmp_path, 1)[0]


def test_changes_with_names_are_a_table_in_a_shell_and_lines_for_grafana(tmp_path: Path) -> None:
    require(CURL)
    require(JQ)
    table, grafana = blocks(OPERATING, "sh")[1:3]
    push = re.search("curl -s -H .*", grafana)
    assert push is not None  # in place of it, the line is printed
    with service(tmp_path, "simulated?symbols=EURUSD") as url:
        at, authority = f"https://{urlsplit(url).netloc}", str(tmp_path / "home" / "ca.pem")
        for snippet, line in (
            (table, r"EURUSD\t(1\.\d{5})?\t(1\.\d{5})?\t(live)?"),
            (grafana.replace(push[0], 'echo "$line"'), r"prices,symbol=EURUSD (bid|ask)=1\.\d{5}(,ask=1\.\d{5})?"),
        ):
            assert "https://localhost:8443" in snippet
            code = snippet.replace("https://localhost:8443", at).replace("~/.local/share/ticker/ca.pem", authority)
            done = subprocess.run(
                ["/bin/sh", "-c", f"{code.rstrip()} | head -n 3"],
                stdout=subprocess.PIPE,
                text=True,
                timeout=HANG_SECONDS,
                check=True,
            )
            printed = done.stdout.splitlines()
            assert len(printed) == 3
            assert all(re.fullmatch(line, each) for each in printed), printed


def first_output(command: Sequence[str], lines: int) -> list[str]:
    """Return the first lines that a program prints, which is then killed."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline().rstrip("\n") for _ in range(lines)]
        os.killpg(process.pid, signal.SIGKILL)
    return printed


def test_each_command_of_the_operators_page_has_an_answer(tmp_path: Path) -> None:
    require(CURL)
    commands = re.findall(r"^(curl --cacert \$CA .*?) +#", blocks(OPERATING, "sh")[0], re.MULTILINE)
    assert len(commands) >= 9
    with service(tmp_path, "simulated") as url:
        for command in commands:
            assert "https://localhost:8443" in command
            code = command.replace("https://localhost:8443", f"https://{urlsplit(url).netloc}").replace(
                "curl", "curl -s"
            )
            (line,) = first_output(["/bin/sh", "-c", f"CA={tmp_path}/home/ca.pem; {code}"], 1)
            assert re.match(r'\{"(epoch|instruments)":|data: [\[{]|# HELP ', line), (command, line)


def test_a_charts_bars_and_the_query_of_a_spreadsheet_are_answered(tmp_path: Path) -> None:
    node = require(NODE)
    (snippet,) = [code for code in blocks(OPERATING, "js") if "getBars" in code]
    (query,) = [code for code in blocks(OPERATING, "text") if "Web.Contents" in code]
    wanted, columns, path = (
        re.search(pattern, query)
        for pattern in (r"\[symbols = \"(.*)\", fields = \"(.*)\"\]", r"\{(\"bid\".*?)\}", r"8443(/[^\"]*)")
    )
    assert wanted is not None
    assert columns is not None
    assert path is not None
    periods, _, method = snippet.partition("\n")
    with service(tmp_path, "simulated") as url:
        at = f"https://{urlsplit(url).netloc}"
        script = f"""{periods}
            const feed = {{ {method.replace("https://localhost:8443", at)} }};
            const until = {{ to: Math.ceil(Date.now() / 1000), countBack: 20 }};
            await feed.getBars({{ name: "EURUSD" }}, "1", until, (bars) => console.log(JSON.stringify(bars)));
            await feed.getBars({{ name: "NO" }}, "1", until, null, console.log);
            const query = new URLSearchParams({{ symbols: {wanted[1]!r}, fields: {wanted[2]!r} }});
            const answer = await fetch(`{at}{path[1]}?${{query}}`);
            console.log(JSON.stringify((await answer.json()).instruments));"""
        trusting = {**os.environ, "NODE_EXTRA_CA_CERTS": str(tmp_path / "home" / "ca.pem")}
        command = [node, "--input-type=module", "--eval", script]
        done = subprocess.run(command, env=trusting, capture_output=True, text=True, timeout=HANG_SECONDS, check=True)
    bars, refused, rows = done.stdout.splitlines()
    assert 1 <= len(json.loads(bars)) <= 20
    assert json.loads(bars)[0].keys() == {"time", "open", "high", "low", "close", "volume"}
    assert "there is no such table of 'NO'" in refused
    assert set(json.loads(rows)) == {"EURUSD", "XAUUSD"}
    assert set(json.loads(f"[{columns[1]}]")) == set(json.loads(rows)["EURUSD"])


def test_r_reads_changes_with_names(tmp_path: Path) -> None:
    rscript = RSCRIPT.path()
    if (
        rscript is None
        or subprocess.run([rscript, "-e", "library(jsonlite)"], check=False, capture_output=True).returncode
    ):
        pytest.skip("there is no R with jsonlite")
    (code,) = blocks(OPERATING, "r")
    with service(tmp_path, "simulated?symbols=EURUSD") as url:
        code = code.replace("https://localhost:8443", f"https://{urlsplit(url).netloc}")
        code = code.replace("~/.local/share/ticker/ca.pem", str(tmp_path / "home" / "ca.pem"))
        assert all(re.fullmatch(r"EURUSD 1\.\d+ ", line) for line in first_output([rscript, "-e", code], 3))


def test_the_first_client_of_the_readme_has_six_lines_or_fewer() -> None:
    assert len(blocks(README, "python")[0].strip().splitlines()) <= 6


def test_the_feed_of_the_readme_is_served_and_has_about_fifteen_lines(tmp_path: Path) -> None:
    code = blocks(README, "python")[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    (tmp_path / "dice.py").write_text(code)
    with service(tmp_path, "dice:Dice?sides=1") as url:
        watch = [sys.executable, "-m", "ticker", "watch", "DICE", "--json", "--url", url, "--duration", "4"]
        shown = subprocess.run(
            watch, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=True
        )
    assert '"last": "1"' in shown.stdout


def test_the_config_file_of_the_operators_page_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "ticker.toml"
    path.write_text(blocks(OPERATING, "toml")[0])
    config = load_config(path)
    assert config.limits.max_symbols == 2000
    assert len(config.feeds) == 2


def test_the_tour_names_every_folder_and_only_files_that_exist() -> None:
    tour = (ROOT / README).read_text().partition("## Tour of the folders")[2]
    files = [ROOT / name for name in re.findall(r"`([a-z_]+/[\w/]+\.\w+)`", tour)]
    assert [file for file in files if not file.exists()] == []
    folders = {path.name for path in (ROOT / "ticker").iterdir() if path.is_dir() and any(path.glob("*.[pj][ys]"))}
    assert {file.relative_to(ROOT).parts[1] for file in files if file.parts[-3] == "ticker"} >= folders


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_or_heading_of_the_repository(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
            assert heading in slugs, target
