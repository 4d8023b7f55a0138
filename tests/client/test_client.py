"""ticker/client/client.py and subscription.py: the Python client against the real service, over a sound network."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import ticker
from tests.bounds import HANG_SECONDS
from tests.conftest import serving
from tests.support import update
from ticker import Change, Client, Connected, Event, Refused, Subscription, connect
from ticker.config import Limits
from ticker.errors import ConnectionFailed
from ticker.market import Instrument, Publication, Withdrawal
from ticker.protocol.messages import Close

DECLARED: tuple[Publication, ...] = (
    Instrument("A", price_scale=2),
    Instrument("B", price_scale=4, size_scale=1),
    update("A", bid="1.00", status="live"),
    update("B", bid="2.5", bid_size="10.5", trade_count=7, note="hello"),
)


async def until(client: Client, subscription: Subscription, symbol: str, **values: object) -> Change:
    """The change after which the client has these values."""
    async for change in subscription:
        if values.items() <= client.values(symbol).items():
            return change
    raise AssertionError("the subscription ended")


# Values


async def test_the_first_change_is_all_that_is_there_with_exact_values() -> None:
    before = datetime.now(UTC)
    async with serving(*DECLARED) as service, connect(service.url) as client:
        change = await anext(client.subscribe("A", "B"))
        assert change.changes == {
            "A": {"bid": Decimal("1.00"), "status": "live"},
            "B": {"bid": Decimal("2.5000"), "bid_size": Decimal("10.5"), "trade_count": 7, "note": "hello"},
        }
        assert str(change.changes["A"]["bid"]) == "1.00"
        assert isinstance(change.changes["B"]["bid_size"], Decimal)
        assert before <= change.time <= datetime.now(UTC)
        assert change.cut == client.cut == 1


async def test_changes_come_as_they_happen_and_values_keep_up() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        subscription = client.subscribe("A")
        await anext(subscription)
        await service.publish(update("A", bid="1.01"), update("B", bid="9.99"))
        assert (await anext(subscription)).changes == {"A": {"bid": Decimal("1.01")}}
        assert client.values("A") == {"bid": Decimal("1.01"), "status": "live"}
        assert client.values("B") == {}
        await service.publish(Withdrawal("A"))
        assert (await anext(subscription)).changes == {"A": {"bid": None, "status": None}}
        assert client.values("A") == {}


async def test_a_pattern_brings_instruments_that_appear_later() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        subscription = client.subscribe("X*")
        await wait_all_tasks_blocked()
        await service.publish(Instrument("XAU", price_scale=3), update("XAU", last="1900.5"), Instrument("YAU"))
        assert (await anext(subscription)).changes == {"XAU": {"last": Decimal("1900.500")}}


async def test_a_finer_price_raises_the_scale_of_all() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        subscription = client.subscribe("A")
        await anext(subscription)
        await service.publish(update("A", ask="1.0001"))
        await until(client, subscription, "A", ask=Decimal("1.0001"))
        assert str(client.values("A")["bid"]) == "1.0000"


async def test_subscriptions_of_one_client_are_told_apart() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        a, b, both = client.subscribe("A"), client.subscribe("B"), client.subscribe("?")
        assert (await anext(a)).changes.keys() == {"A"}
        assert (await anext(b)).changes.keys() == {"B"}
        await until(client, both, "B", trade_count=7)
        late = client.subscribe("A")
        assert (await anext(late)).changes == {"A": {"bid": Decimal("1.00"), "status": "live"}}
        await service.publish(update("A", bid="1.01"))
        for subscription in (a, late):
            assert (await anext(subscription)).changes == {"A": {"bid": Decimal("1.01")}}


async def test_a_closed_subscription_ends_and_the_others_go_on() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        kept = client.subscribe("B")
        async with client.subscribe("A") as subscription:
            await until(client, subscription, "A", status="live")
        assert [change async for change in subscription] == []
        subscription.close()
        await until(client, kept, "B", trade_count=7)
        await service.publish(update("A", bid="5.00"), update("B", bid="6.0"))
        assert (await anext(kept)).changes == {"B": {"bid": Decimal("6.0000")}}
        with trio.fail_after(HANG_SECONDS):
            while client.values("A"):  # until the service has said that it leaves the copy
                await trio.sleep(0.01)


async def test_closing_a_subscription_ends_a_waiting_loop() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        subscription = client.subscribe("NONE")
        seen: list[Change] = []

        async def iterate() -> None:
            async for change in subscription:
                seen.append(change)  # noqa: PERF401

        async with trio.open_nursery() as nursery:
            nursery.start_soon(iterate)
            await wait_all_tasks_blocked()
            subscription.close()
        assert seen == []


async def test_a_subscription_closed_while_a_change_is_taken_brings_nothing_empty() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        await anext(client.subscribe("A"))
        seen: list[Change] = []

        async def iterate(subscription: Subscription) -> None:
            async for change in subscription:
                seen.append(change)  # noqa: PERF401

        for _ in range(30):  # Trio runs the two tasks in either order
            async with trio.open_nursery() as nursery:
                subscription = client.subscribe("A")
                nursery.start_soon(iterate, subscription)
                await trio.lowlevel.checkpoint()
                subscription.close()
        assert all(change.changes for change in seen)


async def test_a_slow_consumer_gets_merged_changes() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        slow, brisk = client.subscribe("A"), client.subscribe("A")
        await anext(slow)
        await anext(brisk)
        for number in range(1, 51):
            await service.publish(update("A", bid=number, ask=100 - number))
            await until(client, brisk, "A", bid=Decimal(number))
        change = await anext(slow)
        assert change.changes == {"A": {"bid": Decimal(50), "ask": Decimal(50)}}
        assert change.cut == client.cut


async def test_many_names_are_subscribed_on_one_connection() -> None:
    names = [f"S{number}" for number in range(1200)]
    declared = [publication for name in names for publication in (Instrument(name), update(name, bid=1))]
    async with serving(*declared) as service, connect(service.url) as client:
        subscription = client.subscribe(*names)
        held: set[str] = set()
        while len(held) < len(names):
            held |= (await anext(subscription)).changes.keys()
        assert held == set(names)


async def test_an_interval_is_asked_for() -> None:
    async with serving(*DECLARED) as service, connect(service.url, interval_ms=60_000) as client:
        subscription, brisk = client.subscribe("A"), await service.watcher("A")
        await anext(subscription)
        await service.publish(update("A", bid="2.00"))
        await service.publish(update("A", bid="3.00"))
        await brisk.until_cut(3)
        await wait_all_tasks_blocked()
        assert client.values("A")["bid"] != Decimal("3.00")


# Refusals and ends


async def test_refused_names_are_reported_and_disturb_no_others() -> None:
    events: list[Event] = []
    async with serving(*DECLARED) as service, connect(service.url, on_event=events.append) as client:
        subscription = client.subscribe("A", "a,b", "UNKNOWN")
        assert (await anext(subscription)).changes.keys() == {"A"}
        await wait_all_tasks_blocked()
        connected, bad, unknown = events
        assert isinstance(connected, Connected)
        assert (connected.url, connected.resumed) == (service.url, False)
        assert len(connected.session) == 16
        assert isinstance(bad, Refused)
        assert (bad.name, bad.code, bad.pending) == ("a,b", 7, False)
        assert isinstance(unknown, Refused)
        assert (unknown.name, unknown.code, unknown.pending) == ("UNKNOWN", 6, True)
        await service.publish(Instrument("UNKNOWN"), update("UNKNOWN", bid=1))
        assert (await anext(subscription)).changes == {"UNKNOWN": {"bid": Decimal("1.00")}}


async def test_leaving_the_block_closes_the_connection_and_ends_the_subscriptions() -> None:
    async with serving(*DECLARED) as service:
        async with connect(service.url) as client:
            subscription = client.subscribe("NONE")
        assert [change async for change in subscription] == []
        assert [change async for change in client.subscribe("A")] == []
        await service.proves_alive()


async def fail_inside(url: str, error: Exception) -> None:
    async with connect(url) as client:
        client.subscribe("A")
        raise error


@pytest.mark.parametrize("error", [LookupError("mine"), ExceptionGroup("mine", [ValueError()]), StopAsyncIteration()])
async def test_a_users_exception_comes_out_as_itself(error: Exception) -> None:
    async with serving(*DECLARED) as service:
        with pytest.raises(type(error)) as caught:
            await fail_inside(service.url, error)
        assert caught.value is error


async def test_an_exception_of_on_event_comes_out_as_itself() -> None:
    def complain(event: Event) -> None:
        raise LookupError(type(event).__name__)

    async def iterate(url: str) -> None:
        async with connect(url, on_event=complain) as client:
            await anext(client.subscribe("a,b"))

    async with serving(*DECLARED) as service:
        with pytest.raises(LookupError, match="Connected"):
            await iterate(service.url)


async def test_a_block_that_is_cancelled_ends() -> None:
    async with serving(*DECLARED) as service:
        with trio.CancelScope() as scope:
            async with connect(service.url) as client:
                async for _ in client.subscribe("A"):
                    scope.cancel()
        assert scope.cancelled_caught
        await service.proves_alive()


async def test_a_message_that_the_server_finds_fatal_ends_the_subscriptions() -> None:
    async with serving(*DECLARED, limits=Limits(max_message_bytes=100)) as service, connect(service.url) as client:
        subscription = client.subscribe("A" * 120)
        with pytest.raises(ConnectionFailed, match="100 bytes"):
            await anext(subscription)
        with pytest.raises(ConnectionFailed):
            await anext(subscription)
        with pytest.raises(ConnectionFailed):
            await anext(client.subscribe("A"))


def test_the_close_codes_say_whether_to_come_back() -> None:
    assert {code for code in Close if code.come_back} == {1001, 1011, 4001, 4008}


def test_everything_public_can_be_imported() -> None:
    assert all(hasattr(ticker, name) for name in ticker.__all__)
