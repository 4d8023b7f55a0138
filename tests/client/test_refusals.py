"""ticker/client/connection.py: messages that this client refuses, and servers that greet and then fail."""

from __future__ import annotations

from trio.testing import MockClock

from tests.client.network import Script, scripted, settle
from tests.conftest import CLOSE
from tests.net.pair import Contexts
from ticker import Connected, Disconnected, Event, connect
from ticker.protocol.messages import Definition, Delta, Heartbeat, Instruments, Reply, Snapshot

A = Definition(0, "A", 2, 0, {})
GAP = Delta(99, 99, 99, [])
CONFIRMED = Instruments([A]), Snapshot(0, 0, 0, [], [0, {1: 5}]), Reply(1, {"outcomes": [["A", 0, ""]]})


def close_codes(data: bytes) -> list[int]:
    """The codes of the close frames in what a client sent: short frames, with a mask."""
    codes = []
    while data:
        length, mask = data[1] & 0x7F, data[2:6]
        if data[0] == CLOSE:
            codes.append(int.from_bytes(bytes(each ^ key for each, key in zip(data[6:8], mask, strict=False))))
        data = data[6 + length :]
    return codes


def waits(events: list[Event]) -> list[float]:
    return [event.retry_seconds for event in events if isinstance(event, Disconnected)]


async def test_a_message_that_is_refused_ends_the_connection_with_its_close_code(
    contexts: Contexts, fast_clock: MockClock
) -> None:
    events: list[Event] = []
    script = Script(*CONFIRMED, GAP, listens=True)
    async with scripted(contexts, script) as url, connect(url, on_event=events.append) as client:
        client.subscribe("A")
        await settle(fast_clock, events, Disconnected, 2)
    lost = next(event for event in events if isinstance(event, Disconnected))
    assert lost.reason == "the server broke the protocol: a delta since cut 99 cannot follow cut 0"
    assert close_codes(script.heard)[:2] == [1002, 1002]


async def test_a_copy_is_resumed_once_after_a_refusal_and_then_starts_afresh(
    contexts: Contexts, fast_clock: MockClock
) -> None:
    events: list[Event] = []
    script = Script(*CONFIRMED, GAP, listens=True)
    async with scripted(contexts, script) as url, connect(url, on_event=events.append) as client:
        client.subscribe("A")
        await settle(fast_clock, events, Disconnected)
        script.messages = (script.messages[0], GAP)
        await settle(fast_clock, events, Connected, 4)
    assert [event.resumed for event in events if isinstance(event, Connected)][:4] == [False, True, False, False]


async def test_a_server_that_greets_and_then_fails_is_asked_more_and_more_rarely(
    contexts: Contexts, fast_clock: MockClock
) -> None:
    events: list[Event] = []
    script = Script(Heartbeat(0, 0))
    async with scripted(contexts, script) as url, connect(url, on_event=events.append):
        await settle(fast_clock, events, Disconnected, 6)
    tops = [0.25, 0.5, 1, 2, 4, 8]
    assert all(top / 2 <= wait <= top for wait, top in zip(waits(events)[:6], tops, strict=True))


async def test_a_reply_ends_the_row_of_failures(contexts: Contexts, fast_clock: MockClock) -> None:
    events: list[Event] = []
    script = Script(Reply(1, {}))
    async with scripted(contexts, script) as url, connect(url, on_event=events.append):
        await settle(fast_clock, events, Disconnected, 5)
    assert all(wait <= 0.25 for wait in waits(events))
