"""ticker/net/fair_queue.py: the work that many clients cause at once waits in one queue, and a price does not."""

from __future__ import annotations

import gc
import itertools
import re
from collections import Counter

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import JSON, Peer, Running, serving, upgrade
from tests.support import hold_turns, update
from ticker.bounds import MAX_TURNS_PER_ROUND, TURNS_ROUND_SECONDS
from ticker.market import Instrument, Publication
from ticker.net.fair_queue import FairQueue
from ticker.protocol.messages import Delta, Goodbye, Reply
from ticker.server.connection import ServerContext

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))
MANY = 20

_prices = itertools.count(2)


# Handing out turns


class Rounds(trio.abc.Instrument):
    """Counts the rounds of Trio's loop."""

    def __init__(self) -> None:
        self.count = 0

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002
        self.count += 1


async def rounds_of(fair_queue: FairQueue, takers: int, seconds: float, clock: MockClock) -> list[list[int]]:
    """The order in which `takers` at once get their turns of `seconds` each, by rounds."""
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


async def test_few_long_turns_are_handed_out_in_a_round(mock_clock: MockClock) -> None:
    found = await rounds_of(FairQueue(), 100, 3 * TURNS_ROUND_SECONDS, mock_clock)
    assert sum(map(len, found)) == 100
    assert max(map(len, found[5:])) <= 2  # by then it has seen how long they take
    assert len(found) > 80


async def test_more_short_turns_are_handed_out_in_a_round_but_never_many(mock_clock: MockClock) -> None:
    found = await rounds_of(FairQueue(), 100, TURNS_ROUND_SECONDS / 100, mock_clock)
    assert max(map(len, found)) == MAX_TURNS_PER_ROUND
    assert len(found) < 20


async def test_long_turns_after_short_ones_make_them_fewer_again(mock_clock: MockClock) -> None:
    fair_queue = FairQueue()
    await rounds_of(fair_queue, 100, 0.0, mock_clock)
    found = await rounds_of(fair_queue, 100, 3 * TURNS_ROUND_SECONDS, mock_clock)
    assert [len(each) for each in found[10:-1]] == [1] * len(found[10:-1])


async def test_turns_are_handed_out_in_the_order_of_the_requests() -> None:
    fair_queue, got = FairQueue(), list[int]()

    async def taker(number: int) -> None:
        await fair_queue.take()
        got.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(MANY):
            nursery.start_soon(taker, number)
            await wait_all_tasks_blocked()
        assert (got, fair_queue.waiting) == ([0], MANY - 1)
        with trio.move_on_after(0):  # a task that gives up while it waits
            await fair_queue.take()
        assert fair_queue.waiting == MANY - 1
        assert repr(fair_queue) == f"<FairQueue: {MANY - 1} waiting, 1 per round>"
        nursery.start_soon(fair_queue.hand_out)
        while len(got) < MANY:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    # The tasks of one round run in any order.
    assert all(abs(place - number) < MAX_TURNS_PER_ROUND for place, number in enumerate(got))


# Work that waits for turns, and prices that do not


def the_service() -> ServerContext:
    """The state that the connections of the service in this process share."""
    (service,) = [each for each in gc.get_objects() if type(each) is ServerContext and each.connections]
    return service


async def a_price_arrives(service: Running, watcher: Peer) -> None:
    await service.publish(update("A", bid=next(_prices)))
    await watcher.until(Delta)


async def test_requests_wait_for_turns_and_a_price_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        peers = [await service.peer() for _ in range(MANY)]
        with trio.fail_after(HANG_SECONDS):
            held = hold_turns(monkeypatch)
            for peer in peers:
                await peer.ask("subscribe", symbols=["A"])
            await held.until(MANY)
            await a_price_arrives(service, watcher)
            held.release()
            for peer in peers:
                await peer.until(Reply)


async def test_each_of_many_requests_that_come_together_waits_for_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*DECLARED) as service:
        peer = await service.peer()
        taken, take = 0, FairQueue.take

        async def count(fair_queue: FairQueue) -> None:
            nonlocal taken
            taken += 1
            await take(fair_queue)

        monkeypatch.setattr(FairQueue, "take", count)
        with trio.fail_after(HANG_SECONDS):
            asked = [await peer.ask("ping") for _ in range(MANY)]
            for number in asked:
                assert (await peer.until(Reply)).id == number
        assert taken > MANY


async def test_ends_of_connections_wait_for_turns_and_a_price_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        peers = [await service.watcher("A") for _ in range(MANY)]
        context = the_service()
        with trio.fail_after(HANG_SECONDS):
            held = hold_turns(monkeypatch)
            for number, peer in enumerate(peers):
                await (peer.reset if number % 2 else peer.close)()
            await held.until(MANY)
            await a_price_arrives(service, watcher)
            await a_price_arrives(service, watcher)  # by now, closed clients answer with a reset
            assert len(context.connections) == 1 + MANY
            held.release()
            while len(context.connections) > 1:
                await trio.sleep(0.001)
            await a_price_arrives(service, watcher)


async def test_new_connections_wait_in_the_kernel_and_a_price_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        context = the_service()
        with trio.fail_after(HANG_SECONDS):
            held = hold_turns(monkeypatch)
            streams = [await trio.open_tcp_stream(service.host, service.port) for _ in range(MANY)]
            await held.until(1)
            await a_price_arrives(service, watcher)
            assert context.auth.connection_limits.open == 1
            held.release()
            while context.auth.connection_limits.open < 1 + MANY:
                await trio.sleep(0.001)
            for stream in streams:
                await trio.aclose_forcefully(stream)
            await service.proves_alive()


@pytest.mark.parametrize("drain_seconds", [0.0, 1.0])
async def test_a_goodbye_waits_for_no_turn_and_every_client_gets_it(
    monkeypatch: pytest.MonkeyPatch, drain_seconds: float
) -> None:
    async with serving(*DECLARED, drain_seconds=drain_seconds) as service:
        peers = [await service.peer() for _ in range(3 * MANY)]
        with trio.fail_after(HANG_SECONDS):
            hold_turns(monkeypatch)
            service.stop.set()
            for peer in peers:
                await peer.until(Goodbye)
        for peer in peers:
            await peer.rest()


# Memory of connections that have ended


SETTLED_SECONDS = 10
"""Time for the tasks of the last connections to end, on a loaded machine."""


def kept() -> Counter[str]:
    """Number of objects of each class that connections consist of."""
    ours = re.compile(
        r"ticker\.\w+\.(websocket|event_stream|connection|slow_consumer|session|transport|audiences|encode_cache)\."
    )
    libraries = re.compile(r"(trio_websocket|wsproto|h11)\.")
    kinds = Counter(f"{type(each).__module__}.{type(each).__name__}" for each in gc.get_objects())
    return Counter({kind: count for kind, count in kinds.items() if ours.match(kind) or libraries.match(kind)})


async def visits(service: Running, context: ServerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that connect, and disconnect in different ways."""
    for number in range(MANY):
        with monkeypatch.context() as patch:
            peer = await service.dial()
            held = hold_turns(patch)  # so that it has disconnected before it is admitted
            await peer.send(upgrade())
            await peer.reset()
            held.release()
        peer = await service.watcher("A", subprotocol=JSON)  # its encoding has no other user
        await (peer.reset if number % 2 else peer.close)()
        peer = await service.dial()
        await peer.send(b"GET /v1/events?symbols=A HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await peer.head()
        await peer.close()
    while context.auth.connection_limits.open > 1:
        await trio.sleep(0.001)


async def test_a_connection_leaves_nothing_for_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        context = the_service()
        await a_price_arrives(service, watcher)
        gc.collect()
        gc.disable()
        try:
            before = kept()
            with trio.fail_after(HANG_SECONDS):
                await visits(service, context, monkeypatch)
                await a_price_arrives(service, watcher)
            left = kept() - before
            with trio.move_on_after(SETTLED_SECONDS):
                while left:
                    await trio.sleep(0.01)
                    left = kept() - before
            assert not left
        finally:
            gc.enable()
