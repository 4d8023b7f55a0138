"""The first `Change` of a subscription, and the first after a reconnect, is a whole moment, no part of a snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from tests.client.network import Script, proxied, scripted, settle
from tests.client.test_session import Conversation
from tests.conftest import serving
from tests.net.pair import Contexts
from tests.support import update
from ticker import Change, Connected, Disconnected, Event, Subscription, connect, watch
from ticker.config import Limits
from ticker.errors import ConnectionFailed
from ticker.market import Instrument, Publication
from ticker.protocol.messages import Definition, Error, Heartbeat, Instruments, Reply, Snapshot

COUNT = 1000
PARTS = Limits(snapshot_part=7)


def market(price: int, count: int = COUNT, first: int = 0) -> list[Publication]:
    names = symbols(count, first)
    return [*[Instrument(symbol) for symbol in names], *[update(symbol, bid=price) for symbol in names]]


async def test_the_first_change_holds_every_symbol_however_many_parts_bring_it() -> None:
    async with serving(*market(1), limits=PARTS) as service, connect(service.url) as client:
        every = client.subscribe("*")
        some = client.subscribe("S1*", "S77")
        assert len((await anext(every)).changes) == COUNT
        assert len((await anext(some)).changes) == 112
        assert client.cut > 0


@pytest.mark.untraced
async def test_ten_thousand_symbols_come_in_one_change_by_default() -> None:
    async with serving(*market(1, 5000)) as service:
        await service.publish(*market(1, 5000, first=5000))

        def script() -> None:
            assert len(next(watch(service.url, ["*"])).changes) == 10_000

        await trio.to_thread.run_sync(script, abandon_on_cancel=True)


def test_a_subscription_waits_for_the_answers_to_its_own_names_only() -> None:
    talk = Conversation()
    talk.welcome()
    talk.session.add_names(["A"])
    (first,) = talk.asked()
    talk.session.add_names(["B", "C"])
    (second,) = talk.asked()
    assert not talk.session.has_all_of(["A"])
    talk.accept(first)
    assert talk.session.has_all_of(["A"])
    assert not talk.session.has_all_of(["A", "B"])
    assert talk.says(Error(second["id"], 5, "no", fatal=False)).answered
    assert talk.session.has_all_of(["A", "B", "C"])
    talk.session.remove_names(["A"])
    talk.asked()
    assert not talk.session.has_all_of(["A"])
    talk.welcome(epoch="e2")
    assert not talk.session.has_all_of(["B"])


async def test_the_first_change_has_the_cut_of_the_copy_at_that_moment(contexts: Contexts) -> None:
    a, b = Definition(0, "A", 0, 0, {}), Definition(1, "B", 0, 0, {})
    script = Script(
        Instruments([a, b]),
        Snapshot(0, 1, 1, [], [0, {1: 1}]),
        Snapshot(1, 2, 2, [0, {1: 2}], [1, {1: 5}]),
        Heartbeat(7, 7),
        Reply(1, {"outcomes": [["*", 0, ""]]}),
        code=1001,
    )
    async with scripted(contexts, script) as url, connect(url, on_event=lambda _: None) as client:
        change = await anext(client.subscribe("*"))
        assert (change.cut, change.changes) == (7, {"A": {"bid": Decimal(2)}, "B": {"bid": Decimal(5)}})


async def test_a_part_is_not_given_when_the_client_ends(contexts: Contexts) -> None:
    script = Script(Instruments([Definition(0, "A", 0, 0, {})]), Snapshot(0, 1, 1, [], [0, {1: 1}]), code=1009)
    async with scripted(contexts, script) as url, connect(url, on_event=lambda _: None) as client:
        with pytest.raises(ConnectionFailed):
            await anext(client.subscribe("*"))


async def test_a_service_that_starts_anew_is_one_change_with_what_it_lacks_withdrawn(fast_clock: MockClock) -> None:
    events: list[Event] = []
    async with (
        serving(*market(1), limits=PARTS) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
        serving(*market(2, first=100), limits=PARTS) as successor,
        reading(client.subscribe("*")) as changes,
    ):
        await settle(fast_clock, events, Connected, 1)
        proxy.target = successor.port
        proxy.cut()
        await settle(fast_clock, events, Connected, 2)
        while len(changes) < 2:
            await trio.sleep(0.01)
        first, second = (each.changes for each in changes)
    assert len(first) == COUNT
    assert {symbol for symbol, fields in second.items() if fields == {"bid": None}} == set(symbols(100))
    assert {symbol for symbol, fields in second.items() if fields == {"bid": Decimal(2)}} == set(symbols(COUNT, 100))


@asynccontextmanager
async def reading(subscription: Subscription) -> AsyncIterator[list[Change]]:
    """The changes of a subscription so far, read as soon as they come."""
    changes: list[Change] = []

    async def read() -> None:
        async for change in subscription:
            changes.append(change)  # noqa: PERF401  # one by one: it never ends

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        yield changes
        nursery.cancel_scope.cancel()


def symbols(count: int, first: int = 0) -> list[str]:
    return [f"S{number}" for number in range(first, first + count)]


async def test_a_resume_brings_all_changes_in_one(fast_clock: MockClock) -> None:
    events: list[Event] = []
    async with (
        serving(*market(1), limits=PARTS) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
        reading(client.subscribe("*")) as changes,
    ):
        while not changes:
            await trio.sleep(0.01)
        proxy.open = False
        proxy.cut()
        await settle(fast_clock, events, Disconnected)
        await service.publish(*[update(symbol, bid=3) for symbol in symbols(COUNT)], *market(1, first=COUNT))
        proxy.open = True
        await settle(fast_clock, events, Connected, 2)
        while len(changes) < 2:
            await trio.sleep(0.01)
        assert len(changes[1].changes) == 2 * COUNT


async def test_a_second_subscription_to_the_same_names_begins_at_once() -> None:
    async with serving(*market(1, 3)) as service, connect(service.url) as client:
        await anext(client.subscribe("*"))
        service.stop.set()
        again = client.subscribe("*")
        assert not again.held
        assert len((await anext(again)).changes) == 3
