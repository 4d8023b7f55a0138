"""The example for Grafana, up to Grafana: what is pushed to it, and whether the dashboard reads that."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from runpy import run_path
from threading import Thread

from tests.bounds import HANG_SECONDS
from tests.test_readme import ROOT, environment, service

FOLDER = ROOT / "examples" / "grafana"
LINE = re.compile(r"prices,symbol=(\S+) ((?:bid|ask|last)=[\d.]+(?:,(?:bid|ask|last)=[\d.]+)*) (\d{19})")
"""InfluxDB's line protocol, of this measurement."""


@contextmanager
def receiver(status: int, requests: Queue[tuple[str, str | None, str]]) -> Iterator[str]:
    """A server at Grafana's address, which answers with this status and keeps path, authorization and body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # its name in the standard library
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            requests.put((self.path, self.headers["Authorization"], body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def pushing(folder: Path, url: str, grafana: str) -> Iterator[subprocess.Popen[str]]:
    """The example, in a process of its own, from a service to a Grafana."""
    command = [sys.executable, str(FOLDER / "push.py"), "EURUSD", "XAU*", "--url", url, "--grafana", grafana]
    token = {**environment(folder), "GRAFANA_TOKEN": "glsa_x"}
    with subprocess.Popen(command, env=token, stderr=subprocess.PIPE, text=True) as push:
        try:
            yield push
        finally:
            push.kill()


def test_prices_are_pushed_as_lines_with_the_token_and_a_refusal_ends_it(tmp_path: Path) -> None:
    requests: Queue[tuple[str, str | None, str]] = Queue()
    with service(tmp_path, "simulated") as url:
        with receiver(200, requests) as grafana, pushing(tmp_path, url, grafana) as push:
            requests.get(timeout=HANG_SECONDS)
            path, authorization, body = requests.get(timeout=HANG_SECONDS)  # it goes on
            push.kill()
        assert (path, authorization) == ("/api/live/push/ticker", "Bearer glsa_x")
        assert all(LINE.fullmatch(line) for line in body.splitlines()), body

        with receiver(401, requests) as grafana, pushing(tmp_path, url, grafana) as push:
            _, said = push.communicate(timeout=HANG_SECONDS)
        assert push.returncode == 1
        assert said == f"{grafana}/api/live/push/ticker: HTTP Error 401: Unauthorized\n"


def test_symbols_are_escaped() -> None:
    assert run_path(str(FOLDER / "push.py"))["escaped"]("A,B=C D") == "A\\,B\\=C\\ D"


def test_the_dashboard_reads_the_channel_that_is_pushed_and_its_fields() -> None:
    push = run_path(str(FOLDER / "push.py"))
    dashboard = json.loads((FOLDER / "prices.json").read_text())
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    assert {target["channel"] for target in targets} == {f"stream/{push['STREAM']}/prices"}
    named = {name for target in targets for name in target.get("filter", {}).get("fields", [])}
    assert named <= {"Time", *push["FIELDS"]}
