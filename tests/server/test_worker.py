"""ticker/server/worker.py: a worker's end of what the supervisor gives it and asks of it."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from ticker.bus_bounds import LEAVE_SECONDS
from ticker.config import Config
from ticker.errors import RefusalCause
from ticker.server import worker as module
from ticker.server.worker import HandedListener, HandedPlace, Worker
from ticker.supervisor.channel import Channel, LostConnection, hand_over, socket_pair
from ticker.supervisor.messages import (
    FROM_CHILD,
    TO_CHILD,
    Admit,
    Admitted,
    Beat,
    FromChild,
    Gone,
    Kind,
    Leave,
    Leaving,
    Page,
    PageWanted,
    Reload,
    Reloaded,
    Serving,
    Settings,
    Text,
    TextWanted,
)


class Both:
    """A worker, and its supervisor as this test."""

    def __init__(self, stack: ExitStack) -> None:
        ours, theirs = socket_pair()
        self.channel = Channel(stack.enter_context(ours), FROM_CHILD)
        self.sock = ours
        self.worker_channel = Channel(stack.enter_context(theirs), TO_CHILD)
        self.giving: dict[Kind, socket.socket] = {}
        given: dict[Kind, int] = {}
        kinds: list[Kind] = ["tls", "plain", "metrics"]
        for kind in kinds:
            giving, taking = socket_pair()
            self.giving[kind] = stack.enter_context(giving)
            given[kind] = taking.detach()
        settings = Settings(Config(), "1", "worker", None, given, metrics_open=True)
        self.worker = Worker(self.worker_channel, settings)
        for listener in (*self.worker.listeners, *self.worker.metrics_listeners):
            stack.callback(listener.socket.close)

    def give(self, kind: Kind, number: int) -> None:
        with socket.socket() as sock:
            assert hand_over(self.giving[kind], number, sock.fileno())

    async def said(self) -> FromChild:
        message = await self.channel.receive()
        assert message is not None
        return message


@contextmanager
def _both() -> Iterator[Both]:
    with ExitStack() as stack:
        yield Both(stack)


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    """Both ends, which talk."""
    with _both() as made:
        async with trio.open_nursery() as nursery:
            for task in (made.channel.run_sender, made.worker_channel.run_sender, made.worker.obey):
                nursery.start_soon(task)
            yield made
            nursery.cancel_scope.cancel()


async def accepted(listener: HandedListener) -> HandedPlace | None:
    """The place of the next connection, which is closed."""
    sock, place = await listener.take()
    sock.close()
    return place


async def test_connections_of_clients_have_a_place_until_they_end_and_those_for_metrics_have_none(both: Both) -> None:
    tls, plain = both.worker.listeners
    assert (tls.plain, plain.plain) == (False, True)
    both.give("tls", 7)
    both.give("plain", 8)
    both.give("metrics", 0)
    one, two = await accepted(tls), await accepted(plain)
    assert one is not None
    assert two is not None
    assert await accepted(both.worker.metrics_listeners[0]) is None
    assert both.worker.pending == 2
    one.leave()
    assert both.worker.pending == 1
    assert await both.said() == Gone(7)


async def test_a_place_is_asked_for_in_one_round_trip_and_who_gives_up_leaves_nothing_behind(both: Both) -> None:
    place = both.worker.place(7)
    answers: list[RefusalCause | None] = []

    async def ask() -> None:
        answers.append(await place.admit("::1", "alice"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        assert await both.said() == Admit(7, "::1", "alice")
        both.channel.post(Admitted(7, RefusalCause.SUBJECT))
    assert both.worker.pending == 1, "it may ask again"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await both.said()
        nursery.cancel_scope.cancel()
    both.channel.post(Admitted(7, None))  # too late
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await both.said()
        both.channel.post(Admitted(7, None))
    assert answers in ([RefusalCause.SUBJECT, None], [RefusalCause.SUBJECT])
    assert both.worker.pending == 0


async def test_all_who_want_the_metrics_of_all_processes_at_once_get_the_same_page(both: Both) -> None:
    pages: list[bytes] = []

    async def read() -> None:
        pages.append(await both.worker.whole_metrics())

    for text in (b"one", b"two"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            nursery.start_soon(read)
            assert await both.said() == PageWanted()
            both.channel.post(Page(text))
    assert pages == [b"one", b"one", b"two", b"two"]


async def test_before_the_service_is_there_its_own_metrics_are_empty(both: Both) -> None:
    both.channel.post(TextWanted(3))
    assert await both.said() == Text(3, b"")


async def test_it_stops_once_all_that_it_was_given_is_taken_and_settled(both: Both) -> None:
    tls, plain = both.worker.listeners
    both.give("tls", 7)
    both.channel.post(Leave())
    both.channel.post(Leave())
    for giving in both.giving.values():
        giving.shutdown(socket.SHUT_WR)
    async with trio.open_nursery() as nursery:
        for listener in (plain, *both.worker.metrics_listeners):
            nursery.start_soon(listener.take)
        place = await accepted(tls)
        nursery.start_soon(tls.take)
        await trio.sleep(0.1)
        assert not both.worker.stop.is_set()
        assert place is not None
        place.leave()
        await both.worker.stop.wait()
        nursery.cancel_scope.cancel()


async def test_it_waits_for_that_no_longer_than_so_long(autojump_clock: MockClock) -> None:
    del autojump_clock
    with _both() as both:
        both.worker.place(7)
        began = trio.current_time()
        await both.worker.leave()
        assert both.worker.stop.is_set()
        assert trio.current_time() - began == LEAVE_SECONDS
        with trio.move_on_after(1):
            await both.worker_channel.run_sender()
        assert await both.said() == Leaving()


async def test_it_stops_when_its_supervisor_has_gone(both: Both) -> None:
    for giving in both.giving.values():
        giving.close()
    async with trio.open_nursery() as nursery:
        for listener in (*both.worker.listeners, *both.worker.metrics_listeners):
            nursery.start_soon(listener.take)
        both.sock.close()
        await both.worker.stop.wait()
        nursery.cancel_scope.cancel()


async def test_requests_to_reload_that_come_while_one_waits_are_one(both: Both) -> None:
    for _ in range(3):
        both.channel.post(Reload())
    both.channel.post(TextWanted(1))
    await both.said()
    await anext(both.worker.reloads)
    with trio.move_on_after(0.05) as waiting:
        await anext(both.worker.reloads)
    assert waiting.cancelled_caught
    await both.worker.manager.reloading()
    await both.worker.manager.ready()
    assert await both.said() == Reloaded()


async def test_the_supervisor_hears_of_it_as_a_service_manager_would(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORKER_BEAT_SECONDS", 0.01)
    turns = 0

    async def take_turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(both.worker.say_alive)
        assert await both.said() == Beat(ready=False, status="starting")
        nursery.start_soon(both.worker.manager.keep_reporting, take_turn, lambda: "4 clients")
        heard = [message async for message in _until_beats(both, 2)]
        assert Serving() in heard
        assert heard[-1] == Beat(ready=True, status="4 clients")
        await wait_all_tasks_blocked(0.05)
        await both.worker.manager.stopping(3)
        both.channel.post(TextWanted(1))
        assert await both.said() == Text(1, b""), "where the publisher is blocked, there is no sign of life"
        nursery.cancel_scope.cancel()


async def _until_beats(both: Both, count: int) -> AsyncIterator[FromChild]:
    while count:
        message = await both.said()
        count -= message == Beat(ready=True, status="4 clients")
        yield message


async def test_a_connection_for_which_there_is_no_descriptor_is_over(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(_: object) -> None:
        raise LostConnection(9)

    monkeypatch.setattr(module, "take_over", lose)
    with pytest.raises(OSError, match=os.strerror(24)):
        await both.worker.listeners[0].take()
    assert await both.said() == Gone(9)
    assert repr(both.worker) == "<Worker 1, 0 pending>"
    assert repr(both.worker.listeners[1]) == "<HandedListener, plain>"
