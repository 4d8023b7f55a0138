"""ticker/net/fair_queue.py: what many clients bring about at once waits in one line, and a price does not."""

from __future__ import annotations

import gc
import itertools
import re
from collections import Counter

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.conftest import JSON, Peer, Running, serving, upgrade
from tests.support import hold_turns, update
from ticker.config import MAX_TURNS_PER_ROUND, TURNS_ROUND_SECONDS
from ticker.market import Instrument, Publication
from ticker.net.fair_queue import FairQueue
from ticker.protocol.messages import Delta, Goodbye, Reply
from ticker.server.connection import ServerContext

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))
MANY = 20

_prices = itertools.count(2)


# How turns are handed out


class Rounds(trio.abc.Instrument):
    """Counts the rounds of Trio's loop."""

    def __init__(self) -> None:
        self.count = 0

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002
        self.count += 1


async def rounds_of(fair_queue: FairQueue, takers: int, seconds: float, clock: MockClock) -> list[list[int]]:
    """In which order so many who want a turn at once get theirs, by rounds, if each takes so long."""
    rounds, got = Rounds(), list[tuple[int, int]]()
    trio.lowlevel.add_instrument(rounds)

    async def taker(number: int) -> None:
        await fair_queue.take()
        got.append((rounds.count, number))
        clock.jump(seconds)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fair_queue.hand_out)
        async with trio.open_nursery() as takers_nursery:
            for number in range(takers):
                takers_nursery.start_soon(taker, number)
        nursery.cancel_scope.cancel()
    trio.lowlevel.remove_instrument(rounds)
    return [[number for _, number in each] for _, each in itertools.groupby(got, key=lambda entry: entry[0])]


async def test_where_each_takes_long_few_are_handed_out_in_a_round(mock_clock: MockClock) -> None:
    found = await rounds_of(FairQueue(), 100, 3 * TURNS_ROUND_SECONDS, mock_clock)
    assert sum(map(len, found)) == 100
    assert max(map(len, found[5:])) <= 2  # by then it has seen how long they take
    assert len(found) > 80


async def test_where_they_are_small_more_are_handed_out_but_never_many(mock_clock: MockClock) -> None:
    found = await rounds_of(FairQueue(), 100, TURNS_ROUND_SECONDS / 100, mock_clock)
    assert max(map(len, found)) == MAX_TURNS_PER_ROUND
    assert len(found) < 20


async def test_after_small_ones_a_long_one_makes_them_fewer_again(mock_clock: MockClock) -> None:
    fair_queue = FairQueue()
    await rounds_of(fair_queue, 100, 0.0, mock_clock)
    found = await rounds_of(fair_queue, 100, 3 * TURNS_ROUND_SECONDS, mock_clock)
    assert [len(each) for each in found[10:-1]] == [1] * len(found[10:-1])


async def test_turns_are_handed_out_in_the_order_in_which_they_were_asked_for() -> None:
    fair_queue, got = FairQueue(), list[int]()

    async def taker(number: int) -> None:
        await fair_queue.take()
        got.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(MANY):
            nursery.start_soon(taker, number)
            await wait_all_tasks_blocked()
        assert (got, fair_queue.waiting) == ([0], MANY - 1)
        with trio.move_on_after(0):  # somebody who gives up while in line
            await fair_queue.take()
        assert fair_queue.waiting == MANY - 1
        nursery.start_soon(fair_queue.hand_out)
        while len(got) < MANY:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    # Those of one round run in any order.
    assert all(abs(place - number) < MAX_TURNS_PER_ROUND for place, number in enumerate(got))


# What waits for them, and what does not


def the_service() -> ServerContext:
    """What the connections of the service that runs in this process share."""
    (service,) = [each for each in gc.get_objects() if type(each) is ServerContext and each.connections]
    return service


async def a_price_arrives(service: Running, watcher: Peer) -> None:
    await service.publish(update("A", bid=next(_prices)))
    await watcher.until(Delta)


async def test_requests_wait_in_line_and_a_price_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        peers = [await service.peer() for _ in range(MANY)]
        with trio.fail_after(10):
            held = hold_turns(monkeypatch)
            for peer in peers:
                await peer.ask("subscribe", symbols=["A"])
            await held.until(MANY)
            await a_price_arrives(service, watcher)
            held.release()
            for peer in peers:
                await peer.until(Reply)


async def test_each_of_many_requests_that_come_together_waits_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*DECLARED) as service:
        peer = await service.peer()
        taken, take = 0, FairQueue.take

        async def count(fair_queue: FairQueue) -> None:
            nonlocal taken
            taken += 1
            await take(fair_queue)

        monkeypatch.setattr(FairQueue, "take", count)
        with trio.fail_after(10):
            asked = [await peer.ask("ping") for _ in range(MANY)]
            for number in asked:
                assert (await peer.until(Reply)).id == number
        assert taken > MANY


async def test_connections_that_end_wait_in_line_and_a_price_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        peers = [await service.watcher("A") for _ in range(MANY)]
        inside = the_service()
        with trio.fail_after(10):
            held = hold_turns(monkeypatch)
            for number, peer in enumerate(peers):
                await (peer.reset if number % 2 else peer.close)()
            await held.until(MANY)
            await a_price_arrives(service, watcher)
            await a_price_arrives(service, watcher)  # by now, who has gone answers with a reset
            assert len(inside.connections) == 1 + MANY
            held.release()
            while len(inside.connections) > 1:
                await trio.sleep(0.001)
            await a_price_arrives(service, watcher)


async def test_new_connections_wait_in_the_kernel_and_a_price_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        inside = the_service()
        with trio.fail_after(10):
            held = hold_turns(monkeypatch)
            streams = [await trio.open_tcp_stream(service.host, service.port) for _ in range(MANY)]
            await held.until(1)
            await a_price_arrives(service, watcher)
            assert inside.auth.connection_limits.open == 1
            held.release()
            while inside.auth.connection_limits.open < 1 + MANY:
                await trio.sleep(0.001)
            for stream in streams:
                await trio.aclose_forcefully(stream)
            await service.proves_alive()


@pytest.mark.parametrize("drain_seconds", [0.0, 1.0])
async def test_a_goodbye_waits_in_no_line_and_all_hear_it(
    monkeypatch: pytest.MonkeyPatch, drain_seconds: float
) -> None:
    async with serving(*DECLARED, drain_seconds=drain_seconds) as service:
        peers = [await service.peer() for _ in range(3 * MANY)]
        with trio.fail_after(10):
            hold_turns(monkeypatch)
            service.stop.set()
            for peer in peers:
                await peer.until(Goodbye)
        for peer in peers:
            await peer.rest()


# What is left of those who have gone


def kept() -> Counter[str]:
    """How many objects there are of what connections are made of."""
    ours = re.compile(
        r"ticker\.\w+\.(websocket|event_stream|connection|slow_consumer|session|transport|audiences|encode_cache)\."
    )
    libraries = re.compile(r"(trio_websocket|wsproto|h11)\.")
    kinds = Counter(f"{type(each).__module__}.{type(each).__name__}" for each in gc.get_objects())
    return Counter({kind: count for kind, count in kinds.items() if ours.match(kind) or libraries.match(kind)})


async def visits(service: Running, inside: ServerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that come, and go in different ways."""
    for number in range(MANY):
        with monkeypatch.context() as patch:
            peer = await service.dial()
            held = hold_turns(patch)  # so that it has gone again when it is let in
            await peer.send(upgrade())
            await peer.reset()
            held.release()
        peer = await service.watcher("A", subprotocol=JSON)  # its encoding has no other user
        await (peer.reset if number % 2 else peer.close)()
        peer = await service.dial()
        await peer.send(b"GET /v1/events?symbols=A HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await peer.head()
        await peer.close()
    while inside.auth.connection_limits.open > 1:
        await trio.sleep(0.001)


async def test_a_connection_leaves_nothing_for_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        inside = the_service()
        await a_price_arrives(service, watcher)
        gc.collect()
        gc.disable()
        try:
            before = kept()
            with trio.fail_after(10):
                await visits(service, inside, monkeypatch)
                await a_price_arrives(service, watcher)
            left = kept() - before
            assert not left
        finally:
            gc.enable()
