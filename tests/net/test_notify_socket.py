"""ticker/net/notify_socket.py: datagrams to a service manager, over real sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import trio

from tests.conftest import Logs
from ticker.net.notify_socket import NotifySocket


def address_of(kind: str, folder: Path) -> tuple[str, str]:
    """An address for `bind`, and as it stands in NOTIFY_SOCKET."""
    if kind == "a path":
        return (path := str(folder / "notify")), path
    name = f"ticker-test-{os.getpid()}-{folder.name}"
    return f"\0{name}", f"@{name}"


@pytest.mark.parametrize("kind", ["a path", "an abstract name"])
async def test_assignments_arrive_as_the_lines_of_one_datagram(kind: str, tmp_path: Path) -> None:
    bound, address = address_of(kind, tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(bound)
        notify = NotifySocket(address)
        await notify.send("READY=1", "STATUS=fünf\nREADY=0")
        await notify.send("STOPPING=1")
        assert manager.recv(4096).decode() == "READY=1\nSTATUS=fünf\\nREADY=0"
        assert manager.recv(4096) == b"STOPPING=1"


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("/nowhere/at/all", "No such file or directory"),
        ("vsock:2:1", "no Unix socket"),
        ("relative", "no Unix socket"),
        ("/" + "x" * 200, "AF_UNIX path too long"),
        ("@nobody-listens-here", "Connection refused"),
    ],
)
async def test_a_bad_address_is_one_line_that_names_the_remedy(address: str, cause: str, logs: Logs) -> None:
    notify = NotifySocket(address)
    for _ in range(3):
        await notify.send("READY=1")
    (line,) = logs
    assert cause in line["cause"]
    assert (line["notify_socket"], line["log_level"]) == (address, "warning")
    assert "NOTIFY_SOCKET has to be the path of a datagram socket" in line["remedy"]


async def test_a_manager_that_comes_back_is_told_again_and_its_next_absence_is_said(tmp_path: Path, logs: Logs) -> None:
    path = tmp_path / "notify"
    notify = NotifySocket(str(path))
    for _ in range(2):
        await notify.send("READY=1")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            await notify.send("WATCHDOG=1")
            assert manager.recv(100) == b"WATCHDOG=1"
        path.unlink()
    assert len(logs) == 2


async def test_a_manager_that_reads_nothing_is_waited_for_and_given_up(
    tmp_path: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notify = NotifySocket(str(tmp_path / "notify"))
        monkeypatch.setattr("ticker.net.notify_socket.NOTIFY_SECONDS", 0.05)
        sent = 0
        while not logs:  # until the queue of the socket is full
            await notify.send(f"STATUS={sent}")
            sent += 1
        assert logs[0]["cause"] == "it takes nothing"
        monkeypatch.setattr("ticker.net.notify_socket.NOTIFY_SECONDS", 60)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notify.send, "READY=1")
            await trio.testing.wait_all_tasks_blocked()
            received = [manager.recv(100) for _ in range(sent - 1)]
        assert received[0] == b"STATUS=0"
        assert manager.recv(100) == b"READY=1"
