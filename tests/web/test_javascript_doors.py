"""ticker/web/ticker.js where it is not simply let in: tokens, refusals, WebSockets that cannot be had, hidden pages."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio

from tests.client.network import proxied
from tests.conftest import serving
from tests.support import update
from tests.tokens import key_file, token
from tests.web.javascript import Program, host, program
from ticker.config import Limits, Tokens
from ticker.market import Instrument, Publication

pytestmark = pytest.mark.usefixtures("node_installed")

MARKET: tuple[Publication, ...] = (
    Instrument("A"),
    Instrument("B"),
    update("A", bid="1.00"),
    update("B", bid="5.00"),
)
SOON_HIDDEN = {"hiddenMs": 500}
BOTH = pytest.mark.parametrize("transport", ["websocket", "events"])


@pytest.fixture(autouse=True, scope="module")
def node_is_running() -> None:
    """Tokens of a few seconds leave no time to start Node."""
    host()


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(key=key_file(tmp_path))


def soon(seconds: float = 2.0) -> float:
    """When a token has to expire that is to be valid for so long, of the ten seconds more that clocks may differ."""
    return time.time() - 10 + seconds


async def subscribed(client: Program, *names: str) -> None:
    await client.tell("subscribe", **{"as": "s", "names": names})
    await client.until(lambda told: "subscription" in told)


# Tokens


async def test_a_fresh_token_is_brought_on_the_same_connection(tokens: Tokens) -> None:
    given = [token(sub="alice", exp=soon(8.0)), token(sub="alice")]
    async with serving(*MARKET, tokens=tokens) as service, program(service.url, tokens=given) as client:
        await subscribed(client, "A")
        await trio.sleep(9.5)  # the first token has expired
        await service.publish(update("A", bid="2.00"))
        assert await client.change("s") == {"A": {"bid": "2.00"}}
        assert client.states() == [("connecting", None), ("connected", False)]


async def test_a_fresh_token_for_events_goes_on_from_the_cursor(tokens: Tokens) -> None:
    given = [token(sub="alice", exp=soon(8.0)), token(sub="alice")]
    async with (
        serving(*MARKET, tokens=tokens) as service,
        program(service.url, tokens=given, transport="events") as client,
    ):
        await subscribed(client, "A")
        assert await client.until(lambda told: told.get("resumed") is True)
        await trio.sleep(8.5)
        await service.publish(update("A", bid="2.00"))
        assert await client.change("s") == {"A": {"bid": "2.00"}}
        assert client.states()[-2:] == [("connecting", None), ("connected", True)]
        assert "waiting" not in [state for state, _ in client.states()[2:]]


async def test_a_fresh_token_for_other_symbols_takes_away_what_it_does_not_name(tokens: Tokens) -> None:
    given = [token(exp=soon(30.0)), token(symbols=["B", "B book:*"])]
    async with (
        serving(*MARKET, tokens=tokens) as service,
        proxied(service) as proxy,
        program(proxy.url, tokens=given) as client,
    ):
        await subscribed(client, "*", "A book:10", "B book:10")
        await client.until(lambda told: told.get("changes", {}).get("A") == {"bid": None})
        assert await client.tell("values", symbol="A") == {}
        assert await client.tell("values", symbol="A book:10") == {}
        assert await client.tell("values", symbol="B") == {"bid": "5.00"}
        assert (await client.tell("values", symbol="B book:10"))["status"] == "stale"
        assert await client.tell("verify") is True
        assert client.states() == [("connecting", None), ("connected", False)]
        proxy.cut()  # the epoch is now that of the other symbols
        await client.until_state("waiting")
        assert (await client.until_state("connected"))["resumed"] is True
        assert await client.tell("verify") is True


@BOTH
async def test_a_token_that_cannot_be_renewed_ends_the_loops(tokens: Tokens, transport: str) -> None:
    text = token(exp=soon(6.0))
    async with (
        serving(*MARKET, tokens=tokens) as service,
        program(service.url, token=text, transport=transport) as client,
    ):
        await subscribed(client, "A")
        waiting = await client.until_state("waiting")
        assert waiting["reason"] == "the token has expired"
        ended = await client.until(lambda told: "ended" in told)
        assert ended["kind"] == "TickerError"
        assert (ended["code"], ended["status"]) == (401, 401)
        assert ended["because"] == "the server answered with HTTP status 401: the token is not accepted: it has expired"
        assert (await client.tell("figures"))["state"] == "closed"


@BOTH
async def test_without_a_token_the_reason_is_said(tokens: Tokens, transport: str) -> None:
    async with serving(*MARKET, tokens=tokens) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "s", "names": ["A"]})
        closed = await client.until_state("closed")
    assert closed["reason"].startswith("the server answered with HTTP status 401: a token is needed")
    assert (closed["code"], closed["status"]) == (401, 401)


# Places


@BOTH
async def test_a_server_that_is_full_is_asked_again_when_it_says(transport: str) -> None:
    limits = Limits(max_connections=1)
    async with serving(*MARKET, limits=limits) as service:
        peer = await service.peer()
        async with program(service.url, transport=transport) as client:
            await client.tell("subscribe", **{"as": "s", "names": ["A"]})
            told = await client.until(lambda told: told.get("state") == "waiting" and "retryMs" in told)
            assert told.get("status") == (503 if transport == "events" else None)  # a WebSocket tells no status
            await peer.close()
            await client.until_value("A", "bid", "1.00")


# No WebSocket


async def test_where_no_websocket_can_be_had_events_are_used(tokens: Tokens) -> None:
    async with (
        serving(*MARKET, tokens=tokens) as service,
        program(service.url, blocked=True, token=token(symbols=["A"])) as client,
    ):
        await subscribed(client, "*")
        await service.publish(update("A", bid="2.00"))
        assert await client.change("s") == {"A": {"bid": "2.00"}}
        figures = await client.tell("figures")
    tried = [told["transport"] for told in client.told if told.get("state") == "connecting"]
    assert tried == ["websocket", "websocket", "events"]
    assert figures["transport"] == "events"


async def test_a_service_that_is_away_does_not_make_it_take_events() -> None:
    async with serving(*MARKET) as service, proxied(service) as proxy:
        proxy.open = False
        async with program(proxy.url) as client:
            for _ in range(4):
                await client.until_state("waiting")
            proxy.open = True
            await subscribed(client, "A")
            assert (await client.tell("figures"))["transport"] == "websocket"


async def test_where_there_is_no_websocket_at_all_events_are_used() -> None:
    async with serving(*MARKET) as service, program(service.url, without=True) as client:
        await subscribed(client, "A")
        assert (await client.tell("figures"))["transport"] == "events"


async def test_what_needs_a_websocket_says_so() -> None:
    async with serving(*MARKET) as service, program(service.url, transport="events") as client:
        await subscribed(client, "A")
        with pytest.raises(AssertionError, match="ping: there is no WebSocket at the moment"):
            await client.tell("ping")


# Hidden pages


@BOTH
async def test_a_hidden_page_stops_its_traffic_and_catches_up_with_one_change(transport: str) -> None:
    async with (
        serving(*MARKET) as service,
        program(service.url, page=True, transport=transport, timing=SOON_HIDDEN) as client,
    ):
        await subscribed(client, "A", "B")
        await service.publish(update("B", note="settled"))
        await client.until_value("B", "note", "settled")
        await client.tell("show", hidden=True)
        waiting = await client.until_state("waiting")
        assert waiting["reason"] == "the page is hidden"
        assert "retryMs" not in waiting
        for number in range(10):
            await service.publish(update("A", bid=f"2.{number:02}"))
        await client.tell("show", hidden=False)
        assert (await client.until_state("connected"))["resumed"] is True
        while await client.change("s") != {"A": {"bid": "2.09"}}:
            pass
        seen = [told["changes"]["A"]["bid"] for told in client.told if "event" in told and "A" in told["changes"]]
        assert seen == ["1.00", "2.09"]
        assert [state for state, _ in client.states()][-3:] == ["waiting", "connecting", "connected"]


async def test_a_page_that_is_hidden_for_a_moment_only_keeps_its_connection() -> None:
    async with serving(*MARKET) as service, program(service.url, page=True, timing=SOON_HIDDEN) as client:
        await subscribed(client, "A")
        await client.tell("show", hidden=True)
        await client.tell("show", hidden=False)
        await trio.sleep(1)
        await service.publish(update("A", bid="2.00"))
        assert await client.change("s") == {"A": {"bid": "2.00"}}
        assert client.states() == [("connecting", None), ("connected", False)]


async def test_a_hidden_page_goes_on_where_that_is_wanted() -> None:
    options = {"page": True, "whenHidden": "stream", "timing": SOON_HIDDEN}
    async with serving(*MARKET) as service, program(service.url, **options) as client:
        await subscribed(client, "A")
        await client.tell("show", hidden=True)
        await trio.sleep(1)
        await service.publish(update("A", bid="2.00"))
        assert await client.change("s") == {"A": {"bid": "2.00"}}
        assert client.states() == [("connecting", None), ("connected", False)]
