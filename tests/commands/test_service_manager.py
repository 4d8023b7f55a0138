"""`ticker serve` as a service manager starts it: a process with NOTIFY_SOCKET and a watchdog."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bounds import HANG_SECONDS

pytestmark = pytest.mark.untraced


def test_a_process_reloads_on_sighup_and_says_where_it_was_when_the_watchdog_aborts_it(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "600000",
            "TICKER_HOME": str(tmp_path / "home"),
        }
        command = [sys.executable, "-m", "ticker", "serve", "--listen", "127.0.0.1:0", "--no-history"]
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:

            def until(start: str) -> str:
                while not (text := manager.recv(4096).decode()).startswith(start):
                    pass
                return text

            assert manager.recv(4096) == b"READY=1"
            until("WATCHDOG=1")
            process.send_signal(signal.SIGHUP)
            assert "\nMONOTONIC_USEC=" in until("RELOADING=1")
            until("READY=1")
            process.send_signal(signal.SIGABRT)
            _, log = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in log
    assert "Current thread" in log
    assert "trio" in log
