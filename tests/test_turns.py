"""ticker/transport.py, turns: what many clients bring about at once waits in one line, and a price does not."""

from __future__ import annotations

import gc
import itertools
import re
from collections import Counter

import trio
from trio.testing import wait_all_tasks_blocked

from tests.conftest import JSON, Peer, Running, serving, upgrade
from tests.support import update
from ticker.link import Service
from ticker.market import Instrument, Publication
from ticker.messages import Delta, Goodbye, Reply

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))
MANY = 20

LIBRARIES = re.compile(r"(trio_websocket|wsproto|h11)\.")
_prices = itertools.count(2)


def the_service() -> Service:
    """What the connections of the service that runs in this process share."""
    (service,) = [each for each in gc.get_objects() if type(each) is Service and each.links]
    return service


async def a_price_arrives(service: Running, watcher: Peer) -> None:
    await service.publish(update("A", bid=next(_prices)))
    await watcher.until(Delta)


async def are_in_line(turn: trio.Lock, count: int) -> None:
    while turn.statistics().tasks_waiting < count:
        await trio.sleep(0.001)


async def test_requests_wait_in_line_and_a_price_does_not() -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        peers = [await service.peer() for _ in range(MANY)]
        turn = the_service().turn
        with trio.fail_after(10):
            async with turn:
                for peer in peers:
                    await peer.ask("subscribe", symbols=["A"])
                await are_in_line(turn, MANY)
                await a_price_arrives(service, watcher)
            for peer in peers:
                await peer.until(Reply)


async def test_connections_that_end_wait_in_line_and_a_price_does_not() -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        peers = [await service.watcher("A") for _ in range(MANY)]
        inside = the_service()
        with trio.fail_after(10):
            async with inside.turn:
                for number, peer in enumerate(peers):
                    await (peer.reset if number % 2 else peer.close)()
                await are_in_line(inside.turn, MANY)
                await a_price_arrives(service, watcher)
                await a_price_arrives(service, watcher)  # by now, who has gone answers with a reset
                assert len(inside.links) == 1 + MANY
            while len(inside.links) > 1:
                await trio.sleep(0.001)
            await a_price_arrives(service, watcher)


async def test_new_connections_wait_in_the_kernel_and_a_price_does_not() -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        inside = the_service()
        with trio.fail_after(10):
            async with inside.turn:
                streams = [await trio.open_tcp_stream(service.host, service.port) for _ in range(MANY)]
                await a_price_arrives(service, watcher)
                assert inside.gate.admission.arrived <= 1 + 1, "the listener has had its turn for one of them"
            while inside.gate.admission.arrived < 1 + MANY:
                await trio.sleep(0.001)
            for stream in streams:
                await trio.aclose_forcefully(stream)
            await service.proves_alive()


async def test_a_service_that_stops_says_goodbye_in_turn() -> None:
    async with serving(*DECLARED) as service:
        peers = [await service.peer() for _ in range(MANY)]
        inside = the_service()
        with trio.fail_after(10):
            async with inside.turn:
                service.stop.set()
                await wait_all_tasks_blocked()
                assert not any(link.closing for link in inside.links)
            for peer in peers:
                await peer.until(Goodbye)
                assert (await peer.closed())[0] == 1001


def kept() -> Counter[str]:
    """How many objects there are of what connections are made of."""
    modules = {
        "ticker.websocket",
        "ticker.link",
        "ticker.session",
        "ticker.transport",
        "ticker.audiences",
        "ticker.entries",
    }
    kinds = Counter(f"{type(each).__module__}.{type(each).__name__}" for each in gc.get_objects())
    return Counter(
        {kind: count for kind, count in kinds.items() if kind.rpartition(".")[0] in modules or LIBRARIES.match(kind)}
    )


async def test_a_connection_leaves_nothing_for_the_garbage_collector() -> None:
    async with serving(*DECLARED) as service:
        watcher = await service.watcher()
        inside = the_service()
        gc.collect()
        gc.disable()
        try:
            before = kept()
            with trio.fail_after(10):
                for number in range(MANY):
                    peer = await service.dial()
                    async with inside.turn:  # so that it has gone again when it is let in
                        await peer.send(upgrade())
                        await peer.reset()
                    peer = await service.watcher("A", subprotocol=JSON)  # its encoding has no other user
                    await (peer.reset if number % 2 else peer.close)()
                while inside.gate.admission.arrived > 1:
                    await trio.sleep(0.001)
                await a_price_arrives(service, watcher)
            left = kept() - before
            assert not left
        finally:
            gc.enable()
