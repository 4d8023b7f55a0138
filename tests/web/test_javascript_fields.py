"""ticker/web/ticker.js: subscriptions to some fields against the real service, in Node, by both transports."""

from __future__ import annotations

import pytest

from tests.client.network import proxied
from tests.conftest import serving
from tests.support import update
from tests.web.javascript import program
from ticker.market import Instrument, Publication

pytestmark = pytest.mark.usefixtures("node_installed")

DECLARED: tuple[Publication, ...] = (
    Instrument("A"),
    Instrument("AB"),
    update("A", bid="1.00", ask="2.00", last="3.00", status="live"),
    update("AB", bid="1.00", ask="2.00", last="3.00"),
)


@pytest.mark.parametrize("transport", ["websocket", "events"])
async def test_some_fields_come_alone_also_after_the_connection_was_lost(transport: str) -> None:
    async with (
        serving(*DECLARED) as service,
        proxied(service) as proxy,
        program(proxy.url, transport=transport) as client,
    ):
        await client.tell("subscribe", **{"as": "a", "names": ["A*", "A trades:10"], "fields": ["bid", "own"]})
        changes = await client.change("a")
        assert changes["A"] == {"bid": "1.00", "status": "live"}
        assert changes["AB"] == {"bid": "1.00"}
        await service.publish(update("A", ask="9"))
        await service.publish(update("A", ask="8", own="x"))
        assert await client.change("a") == {"A": {"own": "x"}}
        proxy.open = False
        proxy.cut()
        await client.until_state("waiting")
        await service.publish(update("AB", bid="4", ask="5"), update("A", ask="5"))
        proxy.open = True
        assert (await client.until_state("connected"))["resumed"] is True
        assert await client.change("a") == {"AB": {"bid": "4.00"}}
        assert await client.tell("values", symbol="A") == {"bid": "1.00", "own": "x", "status": "live"}
        assert transport == "events" or await client.tell("verify")


async def test_each_subscription_has_its_own_fields_of_one_instrument() -> None:
    async with serving(*DECLARED) as service, program(service.url) as client:
        await client.tell("subscribe", **{"as": "bids", "names": ["A"], "fields": ["bid"]})
        assert await client.change("bids") == {"A": {"bid": "1.00", "status": "live"}}
        await client.tell("subscribe", **{"as": "all", "names": ["A"]})
        assert await client.change("all") == {"A": {"bid": "1.00", "ask": "2.00", "last": "3.00", "status": "live"}}
        await service.publish(update("A", last="4"))
        assert await client.change("all") == {"A": {"last": "4.00"}}
        await client.tell("unsubscribe", **{"as": "all"})
        await service.publish(update("A", last="5"))
        await service.publish(update("A", bid="5"))
        while (change := await client.change("bids"))["A"].get("bid") != "5.00":
            assert change["A"].keys() <= {"bid", "status"}
        assert await client.tell("values", symbol="A") == {"bid": "5.00", "status": "live"}
        assert await client.tell("verify")
