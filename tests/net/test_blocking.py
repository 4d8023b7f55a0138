"""ticker/net/blocking.py: calls that hang in the system hang in few threads, and their callers can stop at once."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from ticker.bounds import MAX_FILE_THREADS, MAX_NAME_LOOKUPS
from ticker.net.blocking import NameLookups, read_files

ADDRESSES = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]


@pytest.fixture
def hanging_file(tmp_path: Path) -> Iterator[Path]:
    """A file that cannot be opened yet, as one on a network drive that does not answer: a FIFO without a writer."""
    path = tmp_path / "hanging"
    os.mkfifo(path)
    yield path
    writing = os.open(path, os.O_RDWR)  # lets hanging readers go on
    os.close(writing)


class SilentNameServer:
    """In the place of the system's look-up, which needs minutes without a name server."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.answer = threading.Event()
        self.error: Exception | None = None

    def getaddrinfo(self, *question: object) -> list[object]:
        self.asked.append(question[0])
        self.answer.wait(HANG_SECONDS)
        if self.error is not None:
            raise self.error
        return list(ADDRESSES)


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentNameServer]:
    made = SilentNameServer()
    monkeypatch.setattr("ticker.net.blocking.socket.getaddrinfo", made.getaddrinfo)
    yield made
    made.answer.set()


async def test_a_file_is_read_and_its_errors_are_raised(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert await read_files(path.read_bytes) == b"content"
    with pytest.raises(FileNotFoundError):
        await read_files((tmp_path / "none").read_bytes)


async def test_a_file_that_hangs_is_given_up(hanging_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.net.blocking.FILE_SECONDS", 0.05)
    for _ in range(2 * MAX_FILE_THREADS):  # also when all threads hang
        with pytest.raises(TimeoutError, match=r"the file system did not answer within 0\.05 s"):
            await read_files(hanging_file.read_bytes)
    assert threading.active_count() <= MAX_FILE_THREADS + 2


async def test_whoever_waits_for_a_file_that_hangs_can_be_cancelled(hanging_file: Path) -> None:
    with trio.fail_after(HANG_SECONDS), trio.move_on_after(0.05) as scope:
        await read_files(hanging_file.read_bytes)
    assert scope.cancelled_caught


async def test_a_name_is_looked_up_once_for_all_who_ask(name_server: SilentNameServer) -> None:
    lookups, found = NameLookups(), list[object]()

    async def ask() -> None:
        found.append(await lookups.getaddrinfo(b"venue.example", 443))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert repr(lookups) == "<NameLookups: 1 under way>"
        name_server.answer.set()
    assert found == [ADDRESSES] * 50
    assert name_server.asked == [b"venue.example"]
    assert await lookups.getaddrinfo(b"venue.example", 443) == ADDRESSES
    assert len(name_server.asked) == 2


async def test_tries_again_and_again_of_a_name_that_hangs_take_one_thread(name_server: SilentNameServer) -> None:
    lookups = NameLookups()
    for _ in range(20):
        with trio.move_on_after(0.01) as scope:
            await lookups.getaddrinfo(b"venue.example", 443)
        assert scope.cancelled_caught
    assert name_server.asked == [b"venue.example"]


async def test_names_beyond_the_limit_are_refused_until_others_are_found(name_server: SilentNameServer) -> None:
    lookups = NameLookups()
    async with trio.open_nursery() as nursery:
        for number in range(MAX_NAME_LOOKUPS):
            nursery.start_soon(lookups.getaddrinfo, b"venue%d.example" % number, 443)
        await wait_all_tasks_blocked()
        with pytest.raises(socket.gaierror, match="32 names are being looked up already") as refused:
            await lookups.getaddrinfo(b"another.example", 443)
        assert refused.value.errno == socket.EAI_AGAIN
        name_server.answer.set()
    assert await lookups.getaddrinfo(b"another.example", 443) == ADDRESSES


async def test_a_name_that_is_not_found_is_an_error_for_all_who_ask(name_server: SilentNameServer) -> None:
    name_server.error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    lookups, errors = NameLookups(), list[BaseException]()

    async def ask() -> None:
        with pytest.raises(socket.gaierror, match="not known") as failed:
            await lookups.getaddrinfo(b"venue.example", 443)
        errors.append(failed.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        name_server.answer.set()
    assert len(set(map(id, errors))) == 2


async def test_it_serves_trios_sockets() -> None:
    trio.socket.set_custom_hostname_resolver(NameLookups())
    assert any(each[4][0] in {"127.0.0.1", "::1"} for each in await trio.socket.getaddrinfo("localhost", 443))
    assert await trio.socket.getnameinfo(("127.0.0.1", 443), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == (
        "127.0.0.1",
        "443",
    )
