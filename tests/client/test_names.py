"""Names that bring nothing: too many, refused, without an instrument. The user hears of each, by default on stderr."""

from __future__ import annotations

import subprocess
import sys

import pytest
import trio
from trio.testing import MockClock

from tests.bounds import HANG_SECONDS
from tests.client.network import Script, proxied, scripted, settle
from tests.client.test_client import DECLARED
from tests.conftest import serving
from tests.net.pair import Contexts
from tests.support import update
from ticker import Connected, Event, Refused, Unmatched, connect, watch
from ticker.client.event_log import EventLog
from ticker.client.events import Disconnected
from ticker.config import Limits
from ticker.errors import Code, ConfigError
from ticker.market import Instrument
from ticker.protocol.messages import Reply

FEW = Limits(max_symbols=3, max_patterns=1)


# Too many


async def test_more_names_than_the_limit_raise_and_the_other_subscriptions_go_on() -> None:
    limits = Limits(max_symbols=4, max_patterns=1)
    async with serving(*DECLARED, limits=limits) as service, connect(service.url) as client:
        first = client.subscribe("A", "B")
        await anext(first)
        with pytest.raises(ConfigError, match=r"^names: 5 symbols and patterns; this connection may have 4"):
            client.subscribe("C", "D", "E")
        client.subscribe("A", "B*")
        with pytest.raises(ConfigError, match="2 patterns; this connection may have 1"):
            client.subscribe("A*")
        await service.publish(update("A", bid="2.00"))
        assert "A" in (await anext(first)).changes


async def test_a_script_with_more_names_than_the_limit_raises() -> None:
    async with serving(*DECLARED) as service:

        def script() -> None:
            with pytest.raises(ConfigError, match="10000 symbols and patterns; this connection may have 2000"):
                next(watch(service.url, [f"S{number}" for number in range(10_000)]))

        await trio.to_thread.run_sync(script, abandon_on_cancel=True)


async def test_names_given_up_make_room() -> None:
    async with serving(*DECLARED, limits=FEW) as service, connect(service.url) as client:
        async with client.subscribe("A", "X", "Y") as subscription:
            await anext(subscription)
        assert (await anext(client.subscribe("B", "V", "W"))).changes.keys() == {"B"}


async def test_limits_that_are_lower_after_a_reconnect_end_the_subscriptions_without_room(
    fast_clock: MockClock,
) -> None:
    events: list[Event] = []
    async with (
        serving(*DECLARED) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
    ):
        subscriptions = [client.subscribe("A", "B"), client.subscribe("X", "Y")]
        await anext(subscriptions[0])
        async with serving(*DECLARED, limits=FEW) as successor:
            proxy.target = successor.port
            proxy.cut()
            await settle(fast_clock, events, Connected, 2)
            with pytest.raises(ConfigError, match="a connection may have 3 symbols and patterns"):
                async for _ in subscriptions[1]:
                    pass
            await successor.publish(update("A", bid="7.00"))
            async for change in subscriptions[0]:
                if "7.00" in str(change.changes):
                    break
    assert [each.code for each in events if isinstance(each, Refused)].count(Code.TOO_MANY_SYMBOLS) == 1


# Refused and unknown


async def test_a_name_or_pattern_without_an_instrument_is_reported_once_after_some_seconds(
    fast_clock: MockClock,
) -> None:
    events: list[Event] = []
    async with (
        serving(*DECLARED, Instrument("LATE")) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
    ):
        client.subscribe("A", "ZZZ", "Q*", "SOON", "S?ON", "A*")
        while not any(isinstance(event, Refused) for event in events):
            await trio.sleep(0.01)
        await service.publish(Instrument("SOON"), update("SOON", bid="1.00"))
        await settle(fast_clock, events, Unmatched, 2)
        assert {each.name for each in events if isinstance(each, Unmatched)} == {"ZZZ", "Q*"}
        proxy.cut()
        await settle(fast_clock, events, Connected, 2)
        client.subscribe("YYY")
        await settle(fast_clock, events, Unmatched, 3)
    assert [each.name for each in events if isinstance(each, Unmatched)] == ["Q*", "ZZZ", "YYY"]


SCRIPT = """
import sys, ticker
for change in ticker.watch(sys.argv[1], ["A", "a,b", "ZZZ", "Q*"], ca=sys.argv[2] if len(sys.argv) > 2 else None):
    if change.changes["A"].get("bid") == 3:
        break
"""


async def test_a_script_without_on_event_says_refused_and_unknown_names_on_stderr() -> None:
    async with serving(*DECLARED) as service:
        process = await trio.lowlevel.open_process([sys.executable, "-c", SCRIPT, service.url], stderr=subprocess.PIPE)
        assert process.stderr is not None
        text = ""
        async with process.stderr:
            with trio.fail_after(HANG_SECONDS):
                while "ZZZ" not in text or "Q*" not in text or "a,b" not in text:
                    text += (await process.stderr.receive_some()).decode()
            await service.publish(update("A", bid="3"))
            await process.wait()
    assert process.returncode == 0
    lines = sorted(text.splitlines())
    assert lines == [
        "ticker: Q*: no instrument for 5 s; is it the right name? Should one appear, it will join",
        "ticker: ZZZ: no instrument for 5 s; is it the right name? Should one appear, it will join",
        lines[2],
    ]
    assert lines[2].startswith("ticker: a,b: neither a symbol (1 to ")


def test_the_log_says_each_reason_of_an_outage_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog("host")
    log(Connected("wss://host", "s", resumed=False))
    for reason in ["lost", "no\x1b[2J", "lost", "no\x1b[2J", *map(str, range(1000))]:
        log(Disconnected(reason, 1.0))
    log(Connected("wss://host", "s", resumed=True))
    log(Connected("wss://host", "s", resumed=True))
    log(Refused("Z", Code.UNKNOWN_SYMBOL, "no such instrument yet"))
    log(Refused("Z\u202e", Code.BAD_SYMBOL, "no\x07"))
    said = [record.getMessage() for record in caplog.records]
    assert said[:2] == [
        "ticker: host: lost; trying again until it works",
        "ticker: host: no\\x1b[2J; trying again until it works",
    ]
    assert said[20:] == ["ticker: host is connected again", "ticker: Z\\u202e: no\\x07"]


async def test_names_that_were_never_asked_for_are_neither_reported_nor_kept(contexts: Contexts) -> None:
    events: list[Event] = []
    outcomes = [[f"N{number}", int(Code.BAD_SYMBOL), "no"] for number in range(1000)]
    script = Script(*[Reply(number, {"outcomes": outcomes}) for number in range(50)], code=1001)
    async with scripted(contexts, script) as url, connect(url, on_event=events.append) as client:
        client.subscribe("A")
        while not any(isinstance(event, Disconnected) for event in events):
            await trio.sleep(0.01)
    assert not [event for event in events if isinstance(event, Refused)]


async def test_what_a_server_says_reaches_events_as_printable_text_of_bounded_length(contexts: Contexts) -> None:
    events: list[Event] = []
    hostile = "\x1b[2J\u202e" + "x" * 10_000
    script = Script(Reply(1, {"outcomes": [["A", int(Code.BAD_SYMBOL), hostile]]}), code=1001)
    async with scripted(contexts, script) as url, connect(url, on_event=events.append) as client:
        client.subscribe("A")
        while not any(isinstance(event, Refused) for event in events):
            await trio.sleep(0.01)
    (refused,) = [event for event in events if isinstance(event, Refused)]
    assert refused.text.startswith("\\x1b[2J\\u202exxx")
    assert refused.text.isprintable()
    assert len(refused.text) < 400
