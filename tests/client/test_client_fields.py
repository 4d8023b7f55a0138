"""ticker/client: subscriptions to some fields against the real service, over a sound network."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import ticker
from tests.client.network import proxied, settle
from tests.conftest import serving
from tests.support import update
from ticker import Connected, Disconnected, Event, connect
from ticker.errors import ConfigError
from ticker.market import Instrument, Publication

BID, ASK, LAST = (Decimal(value) for value in ("1.00", "2.00", "3.00"))

DECLARED: tuple[Publication, ...] = (
    Instrument("A"),
    Instrument("AB"),
    update("A", bid="1.00", ask="2.00", last="3.00", status="live"),
    update("AB", bid="1.00", ask="2.00", last="3.00"),
)


async def test_a_subscription_has_its_fields_and_the_status() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        bids = client.subscribe("A*", fields=["bid"])
        assert (await anext(bids)).changes == {"A": {"bid": BID, "status": "live"}, "AB": {"bid": BID}}
        assert client.values("AB") == {"bid": BID}
        await service.publish(update("A", ask="9"))
        await service.publish(update("A", bid="9", ask="9.5"))
        assert (await anext(bids)).changes == {"A": {"bid": Decimal(9)}}
        assert client.cut == 3
        assert await client.verify()


async def test_each_subscription_of_a_client_has_its_own_fields_of_one_instrument() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        bids = client.subscribe("A", fields=["bid"])
        await anext(bids)
        async with client.subscribe("A", fields=("last", "ask")) as prices:
            assert (await anext(prices)).changes == {"A": {"ask": ASK, "last": LAST, "status": "live"}}
            assert client.values("A") == {"bid": BID, "ask": ASK, "last": LAST, "status": "live"}
            await service.publish(update("A", bid="5", last="6"))
            assert (await anext(prices)).changes == {"A": {"last": Decimal(6)}}
            while "bid" not in (change := (await anext(bids)).changes["A"]) or change["bid"] != 5:
                assert change.keys() <= {"bid", "status"}
        async with client.subscribe("A") as everything:
            (change,) = (await anext(everything)).changes.values()
            assert change.keys() == {"bid", "ask", "last", "status"}
        while client.values("A").keys() != {"bid", "status"}:
            await trio.sleep(0.01)
        assert await client.verify()


async def test_fields_outlive_a_connection(fast_clock: MockClock) -> None:
    events: list[Event] = []
    async with (
        serving(*DECLARED) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
    ):
        bids = client.subscribe("A*", "A trades:10", fields=["bid"])
        await anext(bids)
        proxy.cut()
        await settle(fast_clock, events, Disconnected)
        await service.publish(update("AB", bid="4", ask="5"), update("A", ask="5"))
        await settle(fast_clock, events, Connected, 2)
        assert (await anext(bids)).changes == {"AB": {"bid": Decimal(4)}}
        assert client.values("A") == {"bid": BID, "status": "live"}
        assert await client.verify()


async def test_scripts_take_fields_too() -> None:
    async with serving(*DECLARED) as service:
        values = await trio.to_thread.run_sync(lambda: ticker.snapshot(service.url, ["A*"], fields=["ask"]))
        assert values == {"A": {"ask": ASK, "status": "live"}, "AB": {"ask": ASK}}
        watched = ticker.watch(service.url, ["AB"], fields=["last", "bid"])
        change = await trio.to_thread.run_sync(next, watched)
        assert change.changes == {"AB": {"bid": BID, "last": LAST}}
        await trio.to_thread.run_sync(watched.close)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ("bid", "give a list"),
        (b"bid", "give a list"),
        (7, "give a list"),
        ({"bid": 1}, "give a list"),
        ([7], "is a int"),
        (["Bid"], "lower case"),
        ([], "leave fields out"),
        ([f"f{number}" for number in range(65)], "64"),
    ],
)
async def test_fields_that_cannot_be_are_refused(fields: Any, remedy: str) -> None:  # noqa: ANN401  # anything at all
    async with serving(*DECLARED) as service, connect(service.url) as client:
        with pytest.raises(ConfigError, match=f"fields: .*{remedy}"):
            client.subscribe("A", fields=fields)
