"""ticker/supervisor/channel.py: messages of any size, and connections, between two processes."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from ticker.bus_bounds import CHANNEL_PIECE_BYTES
from ticker.config import Config
from ticker.supervisor import channel as module
from ticker.supervisor.channel import Channel, LostConnection, hand_over, socket_pair, take_over
from ticker.supervisor.messages import (
    FROM_CHILD,
    TO_CHILD,
    Admit,
    FromChild,
    Gone,
    Page,
    Reload,
    Settings,
    Text,
    ToChild,
)

PIECE = CHANNEL_PIECE_BYTES


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, two = socket_pair()
    with one, two:
        yield one, two


async def test_messages_of_any_size_arrive_in_order_both_ways(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = Channel(pair[0], FROM_CHILD), Channel(pair[1], TO_CHILD)
    config = Config(feeds=["simulated?key=secret"], workers=3)
    settings = Settings(config, "1", "worker", None, {"tls": 7}, metrics_open=True)
    down: list[ToChild] = [settings, Page(os.urandom(1_000_000)), Page(b""), Reload()]
    up: list[FromChild] = [Text(number, bytes(size)) for number, size in enumerate((0, PIECE - 1, PIECE, PIECE + 1))]
    up += [Admit(2**40, "::1", None), Gone(3)]
    with trio.fail_after(HANG_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.run_sender)
            nursery.start_soon(theirs.run_sender)
            for to_child in down:
                ours.post(to_child)
            for from_child in up:
                theirs.post(from_child)
            assert [await theirs.receive() for _ in down] == down
            assert [await ours.receive() for _ in up] == up
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("said", [b"", b"\1\x91", b"\1\x91\xa4nope", b"\0"])
async def test_an_end_that_has_gone_or_speaks_another_language_has_no_more_messages(
    said: bytes, pair: tuple[socket.socket, socket.socket]
) -> None:
    if said:
        pair[1].send(said)
    pair[1].close()
    with trio.fail_after(HANG_SECONDS):
        assert await Channel(pair[0], FROM_CHILD).receive() is None
        await trio.testing.wait_all_tasks_blocked()


async def test_sending_ends_when_the_other_end_has_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    ours = Channel(pair[0], FROM_CHILD)
    ours.post(Page(bytes(1_000_000)))  # more than the socket takes
    with trio.fail_after(HANG_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.run_sender)
            await trio.testing.wait_all_tasks_blocked()
            pair[1].close()
    assert not ours.broken


async def test_more_than_may_wait_breaks_the_channel(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHANNEL_QUEUE_BYTES", 500_000)
    ours = Channel(pair[0], FROM_CHILD)
    with trio.fail_after(HANG_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.run_sender)
            ours.post(Page(bytes(400_000)))
            await trio.testing.wait_all_tasks_blocked()
            assert not ours.broken
            ours.post(Page(bytes(400_000)))
            assert ours.broken
            ours.post(Reload())
            nursery.cancel_scope.cancel()


def test_a_connection_goes_over_with_its_number_until_no_more_will_come(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, accepted = socket.socketpair()
    with client, accepted:
        assert hand_over(pair[0], 2**50, accepted.fileno())
    pair[0].shutdown(socket.SHUT_WR)
    handed = take_over(pair[1])
    assert handed is not None
    assert handed.number == 2**50
    with handed.sock as taken:
        assert not taken.get_inheritable()
        assert taken.recv(10) == b"", "it is the same connection, whose other end has closed"
    assert take_over(pair[1]) is None


def test_there_is_room_for_so_many_and_none_is_lost(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(BlockingIOError):
        take_over(pair[1])
    with socket.socket() as sock:
        given = 0
        while hand_over(pair[0], given, sock.fileno()):
            given += 1
    assert given > 10
    for number in range(given):
        handed = take_over(pair[1])
        assert handed is not None
        handed.sock.close()
        assert handed.number == number
    with pytest.raises(BlockingIOError):
        take_over(pair[1])


def test_a_process_without_a_free_descriptor_says_which_connection_it_lost(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with socket.socket() as sock:
        assert hand_over(pair[0], 5, sock.fileno())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = list[int]()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used := len(list(Path("/proc/self/fd").iterdir())), hard))
        with suppress(OSError):  # those below that number may not all be taken
            while len(descriptors) < used:
                descriptors.append(os.dup(0))
        with pytest.raises(LostConnection) as caught:
            take_over(pair[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in descriptors:
            os.close(descriptor)
    assert caught.value.number == 5


def test_handing_over_to_a_process_that_has_ended_is_an_error(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].close()
    with socket.socket() as sock, pytest.raises(ConnectionError):
        hand_over(pair[0], 1, sock.fileno())
