"""ticker/commands/descriptors.py, and the listener without descriptors, in processes with limits of their own."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ticker
from tests.bounds import HANG_SECONDS

ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, "-m", "ticker", "serve", "--log-format", "json", "--listen", "127.0.0.1:0"]
COUNTING = ["--feed", "tests.feeds_for_tests:Counting"]
LIMITS = "[limits]\nmax_connections = 100\n"


class Service:
    """A running service, and its log once it has ended."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.log: list[dict[str, object]] = []

    def limit(self) -> int:
        return resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)[0]


@contextmanager
def limited(soft: int, hard: int, folder: Path) -> Iterator[Service]:
    config = folder / "ticker.toml"
    config.write_text(LIMITS)
    shell = f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"'
    command = ["sh", "-c", shell, "sh", *SERVE, *COUNTING, "--config", str(config)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            service = Service(process, process.stdout.readline().split()[1])
            yield service
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=HANG_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0
    service.log += map(json.loads, log.splitlines())


def test_the_soft_limit_is_raised_as_far_as_the_connections_need(tmp_path: Path) -> None:
    with limited(80, 4000, tmp_path) as service:
        assert 1_300 <= service.limit() <= 4000
    assert not any("descriptors" in str(entry["event"]) for entry in service.log)


def test_a_limit_below_max_connections_is_said(tmp_path: Path) -> None:
    with limited(80, 120, tmp_path) as service:
        assert service.limit() == 120
    (told,) = [entry for entry in service.log if "too few file descriptors" in str(entry["event"])]
    assert (told["descriptors"], told["max_connections"]) == (120, 100)
    assert "ulimit -Hn" in str(told["remedy"])


def test_running_out_of_descriptors_is_one_line_and_clients_wait(tmp_path: Path) -> None:
    with limited(40, 40, tmp_path) as service:
        host, _, port = service.url.removeprefix("wss://").removesuffix("/v1/stream").partition(":")
        hoard = [socket.create_connection((host, int(port))) for _ in range(60)]
        time.sleep(2)
        for each in hoard:
            each.close()
        for change in ticker.watch(service.url, ["COUNT"]):
            assert change.changes["COUNT"]
            break
    (told,) = [entry for entry in service.log if "no connection can be accepted" in str(entry["event"])]
    assert told["cause"] == "Too many open files"
    assert not any("exception" in entry for entry in service.log)


def test_a_limit_that_is_high_enough_stays(tmp_path: Path) -> None:
    with limited(2_000, 3_000, tmp_path) as service:
        assert service.limit() == 2_000
