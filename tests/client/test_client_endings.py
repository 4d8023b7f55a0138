"""ticker/client/connection.py: how a connection ends with a server that follows a script, and the retry after it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.bounds import HANG_SECONDS
from tests.client.network import Script, scripted, settle
from tests.conftest import BINARY, serving
from tests.net.pair import Contexts
from ticker import Connected, Disconnected, Event, connect
from ticker.errors import ConnectionFailed
from ticker.protocol.messages import Expiring, Goodbye


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009])
async def test_a_close_that_says_it_is_of_no_use_ends_the_subscriptions(contexts: Contexts, code: int) -> None:
    script = Script(code=code)
    async with scripted(contexts, script) as url, connect(url) as client:
        subscription = client.subscribe("A")
        with trio.fail_after(HANG_SECONDS), pytest.raises(ConnectionFailed) as caught:
            await anext(subscription)
    assert script.clients == 1
    assert (caught.value.status, caught.value.close_code, caught.value.retryable) == (None, code, False)


@pytest.mark.parametrize(
    ("code", "reported", "retryable"),
    [(1002, None, True), (1003, 1003, False), (1008, 1008, True), (1011, 1011, True)],
    ids=["perhaps found by the client itself", "of no use", "policy", "fault of the server"],
)
async def test_a_close_before_the_welcome_carries_its_code(
    contexts: Contexts, code: int, reported: int | None, *, retryable: bool
) -> None:
    async with scripted(contexts, Script(code=code, welcomes=False)) as url:
        with (
            trio.fail_after(HANG_SECONDS),
            pytest.raises(ConnectionFailed, match="the connection was not completed") as caught,
        ):
            async with connect(url):
                pytest.fail("it connected")
    assert (caught.value.status, caught.value.close_code, caught.value.retryable) == (None, reported, retryable)


async def test_a_first_message_that_is_no_welcome_fails_the_connection(contexts: Contexts) -> None:
    async with scripted(contexts, Script(Goodbye("no", 0, come_back=True), welcomes=False)) as url:
        with (
            trio.fail_after(HANG_SECONDS),
            pytest.raises(ConnectionFailed, match="broke the protocol: the first message"),
        ):
            async with connect(url):
                pytest.fail("it connected")


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4008, 4999])
async def test_after_other_closes_the_client_comes_back(contexts: Contexts, fast_clock: MockClock, code: int) -> None:
    script, events = Script(code=code), list[Event]()
    async with scripted(contexts, script) as url, connect(url, on_event=events.append):
        await settle(fast_clock, events, Connected, 3)
    lost = [event for event in events if isinstance(event, Disconnected)]
    assert [(event.status, event.close_code) for event in lost[:2]] == [(None, code)] * 2


async def test_a_goodbye_for_good_ends_the_subscriptions_with_its_reason(contexts: Contexts) -> None:
    script = Script(Goodbye("moved to another place", 0, come_back=False), code=1001)
    async with scripted(contexts, script) as url, connect(url) as client:
        with trio.fail_after(HANG_SECONDS), pytest.raises(ConnectionFailed, match="moved to another place"):
            await anext(client.subscribe("A"))


async def test_a_token_is_asked_for_on_each_connection_and_before_it_expires(
    contexts: Contexts, fast_clock: MockClock
) -> None:
    given: list[str] = []
    events: list[Event] = []

    async def fetch() -> str:
        await trio.lowlevel.checkpoint()
        given.append("token")
        return given[-1]

    script = Script(Expiring(1000), code=4001)
    async with scripted(contexts, script) as url, connect(url, token=fetch, on_event=events.append):
        await settle(fast_clock, events, Connected, 2)
    assert len(given) >= 3


async def test_an_exception_of_the_token_function_is_a_failed_connection() -> None:
    def fetch() -> str:
        raise OSError("the login service is away")

    async with serving() as service:
        with pytest.raises(ConnectionFailed, match="no token could be had: the login service is away") as caught:
            async with connect(service.url, token=fetch):
                pytest.fail("it connected")
    assert caught.value.retryable


@pytest.mark.parametrize("frame", [bytes((BINARY, 1, 0xC1)), bytes((BINARY, 0)), b"\x81\x02[]"])
async def test_a_server_that_breaks_the_protocol_is_left_and_tried_again(
    contexts: Contexts, fast_clock: MockClock, frame: bytes
) -> None:
    script, events = Script(frame), list[Event]()
    async with scripted(contexts, script) as url, connect(url, on_event=events.append):
        await settle(fast_clock, events, Connected, 2)
    lost = events[1]
    assert isinstance(lost, Disconnected)
    assert lost.reason.startswith("the server broke the protocol: ")
