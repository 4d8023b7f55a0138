"""`--delay`: clients see the market as it was, cut by cut, and nothing early; tokens choose; the usage log says it."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import ticker
from tests.bounds import HANG_SECONDS
from tests.bus.servers import free_port
from tests.conftest import Logs, Running, serving
from tests.server.delayed import DELAY, delayed_from, digest, page, ready, said_delay, usage_lines, welcome
from tests.server.test_operator_pages import measures
from tests.server.test_pages import ask
from tests.support import update
from tests.tokens import bearer, key_file, token
from ticker.bus import delayed
from ticker.client.events import Connected
from ticker.config import Config, History, Tables, Tokens, Usage
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.door.auth import Auth
from ticker.errors import ConfigError
from ticker.market import Instrument, Levels, Publication, Trade
from ticker.protocol.messages import Delta, Error, Goodbye, Reply
from ticker.server import bar_history
from ticker.server.connection import Beside, ServerContext
from ticker.server.service import serve

NAMES = ["*", "A book:10", "A trades:50", "A candles:1m:300"]
MARKET: tuple[Publication, ...] = (Instrument("A", 2, 0), Instrument("B", 2, 0), update("A", bid="1.00"))


@pytest.fixture(autouse=True)
def _own_home(home: Path) -> None:
    """Each test has a spool of its own."""


def step(number: int) -> list[Publication]:
    """A moment of the market, with everything that there is."""
    at = 1_700_000_000_000_000 + number * 40_000_000
    return [
        update("A", bid=f"1.{number:02}", last=f"2.{number:02}"),
        Levels("A", [("1.00", number + 1)], [("2.00", 5)], complete=number == 0),
        Trade("A", f"2.{number:02}", 10 + number, "buy", at, f"t{number}"),
        *([Instrument(f"NEW{number}", 2, 0)] if number % 2 else []),
    ]


async def test_each_cut_is_that_of_the_market_and_none_is_early() -> None:
    async with serving(*MARKET) as source, delayed_from(source) as service:
        real = await source.watcher(*NAMES)
        await ready(service)
        late = await service.watcher(*NAMES)
        wanted, published = {}, {}
        for number in range(6):
            at = time.monotonic()
            await source.publish(*step(number))
            cut, wanted_digest = await digest(real)
            while cut in wanted:
                cut, wanted_digest = await digest(real)
            wanted[cut], published[cut] = wanted_digest, at
            await trio.sleep(0.1)
        cut = 0
        while cut < max(wanted):  # a slow machine may pass over others
            cut, found = await digest(late)
            assert all(time.monotonic() >= at + DELAY for before, at in published.items() if before <= cut)
            assert found == wanted.get(cut, found)
            await trio.sleep(0.01)
        assert cut in wanted
        assert welcome(late).epoch == welcome(real).epoch
        assert (said_delay(late), said_delay(real)) == (DELAY, 0)


async def test_nothing_of_the_present_is_on_any_page_or_in_any_answer() -> None:
    async with serving(*MARKET) as source, delayed_from(source) as service:
        await ready(service)
        late = await service.watcher(*NAMES)
        at = time.monotonic()
        await source.publish(update("A", bid="7.77"), Instrument("SECRET", 2, 0), Trade("A", "7.77", 7, "buy", 1, "x"))
        await source.publish(Levels("A", [("7.77", 7)], [], complete=True), update("SECRET", last="7.77"))
        found = [(target, await ask(service, target), time.monotonic()) for target in (*PAGES, "/readyz", "/metrics")]
        answers = [
            (op, str(await late.answer(op, **arguments)), time.monotonic())
            for op, arguments in (("instruments", {"match": "*"}), ("stats", {}), ("ping", {}), ("digest", {}))
        ]
        # What came later than that, on a slow machine, says nothing.
        early = [(name, str(got)) for name, got, then in (*found, *answers) if then < at + DELAY]
        assert not [name for name, text in early if "7.77" in text or "SECRET" in text]
        of_market = [got.json for target, got, _ in found if target in PAGES and target != "/v1/instruments"]
        assert [content["delay"] for content in of_market] == [DELAY] * 4
        while b"SECRET" not in (await ask(service, "/v1/instruments")).body:
            await trio.sleep(0.05)
        assert time.monotonic() >= at + DELAY


PAGES = (
    "/v1/snapshot?symbols=*",
    "/v1/instruments",
    "/v1/book?symbol=A",
    "/v1/trades?symbol=A",
    "/v1/candles?symbol=A&period=1m",
)


async def test_it_says_until_when_there_is_nothing_and_a_restart_goes_on_at_once(logs: Logs) -> None:
    async with serving(*MARKET) as source:
        async with delayed_from(source) as service:
            got = await ask(service, "/readyz")
            assert got.status == 503
            assert "the market is shown 2 s late: there is none before " in got.json["message"]
            assert (await ask(service, "/healthz")).status == 200
            refused = await ask(service, "/v1/snapshot?symbols=*")
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")
            await ready(service)
            epoch = (await ask(service, "/v1/snapshot?symbols=*")).json["epoch"]
        async with delayed_from(source) as service:
            while (got := await ask(service, "/v1/snapshot?symbols=*")).status != 200:
                await trio.sleep(0.02)
            assert got.json["epoch"] == epoch
            assert got.json["instruments"]["A"]["bid"] == "1.00"
    assert not [entry for entry in logs if "not used" in entry["event"]]


async def test_a_client_resumes_after_a_restart_without_a_snapshot() -> None:
    async with serving(*MARKET) as source:
        async with delayed_from(source) as service:
            await ready(service)
            before = welcome(await service.watcher("*"))
        async with delayed_from(source) as service:
            await ready(service)
            peer = await service.peer()
            answer = await peer.answer("resume", epoch=before.epoch, cursor=before.cut, symbols=["*"])
            assert isinstance(answer, Reply)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(key=key_file(tmp_path))


REAL = bearer(token(sub="trader", realtime=True))
LATE = bearer(token(sub="reader", realtime=False))
UNSAID = bearer(token(sub="other"))


async def bid(service: Running, line: str) -> str:
    got = await page(service, "/v1/snapshot?symbols=A", line.strip())
    return str(got.json["instruments"]["A"]["bid"])


async def test_tokens_choose_the_market_at_one_address(tokens: Tokens, tmp_path: Path) -> None:
    usage = Usage(str(tmp_path / "usage"))
    async with serving(*MARKET) as source, delayed_from(source, tokens=tokens, usage=usage) as service:
        assert await bid(service, LATE) == "1.00"
        real, late = await service.watcher("*", more=REAL), await service.watcher("*", more=LATE)
        unsaid = await service.watcher("*", more=UNSAID)
        assert [said_delay(each) for each in (real, late, unsaid)] == [0, DELAY, DELAY]
        at = time.monotonic()
        await source.publish(update("A", bid="3.33"))
        while await bid(service, REAL) != "3.33":
            await trio.sleep(0.01)
        for line in (LATE, UNSAID):
            assert await bid(service, line) == "1.00" or time.monotonic() >= at + DELAY
        cut = (await page(service, "/v1/snapshot?symbols=A", REAL.strip())).json["cut"]
        assert [frame for frame in await real.until_cut(cut) if isinstance(frame, Delta)]
        await late.until_cut(cut)
        assert time.monotonic() >= at + DELAY
        assert await bid(service, LATE) == "3.33"
        await service.watcher("A", more=REAL)
    seen: dict[object, set[bool]] = {}
    lines = usage_lines(tmp_path / "usage")
    subjects = {each["session"]: each["subject"] for each in lines if "subject" in each}
    for each in lines:
        if "delayed" in each:
            seen.setdefault(subjects[each["session"]], set()).add(each["delayed"])
    assert seen == {"trader": {False}, "reader": {True}, "other": {True}}


async def test_a_client_that_moves_to_the_delayed_market_begins_anew_at_once_and_back_it_goes_on(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delayed, "BEHIND_SECONDS", 0.1)  # else it would wait for what is there in two seconds
    async with serving(*MARKET) as source, delayed_from(source, tokens=tokens) as service:
        assert await bid(service, LATE) == "1.00"
        late = await service.watcher("*", more=LATE)
        real = await service.watcher("*", more=REAL)
        await source.publish(update("A", bid="3.33"))
        delta = await real.until(Delta)
        moved = await service.peer(more=LATE)
        # Had it waited for as long as where nothing is delayed, the cut would be there.
        refused = await moved.answer("resume", epoch=welcome(real).epoch, cursor=delta.cut, symbols=["*"])
        assert isinstance(refused, Error)
        assert refused.code == 10
        assert isinstance(await moved.answer("subscribe", symbols=["*"]), Reply)
        back = await service.peer(more=REAL)
        before = welcome(late)
        answer = await back.answer("resume", epoch=before.epoch, cursor=before.cut, symbols=["*"])
        assert isinstance(answer, Reply)


async def test_a_fresh_token_does_not_change_the_market_of_a_connection(tokens: Tokens) -> None:
    async with serving(*MARKET) as source, delayed_from(source, tokens=tokens) as service:
        assert await bid(service, LATE) == "1.00"
        real = await service.watcher("*", more=REAL)
        refused = await real.answer("auth", token=token(sub="trader", realtime=False))
        assert isinstance(refused, Error)
        assert "differs in `realtime`" in refused.text
        assert isinstance(await real.answer("auth", token=token(sub="trader", realtime=True)), Reply)


async def test_a_token_for_delayed_data_is_refused_where_they_are_in_real_time(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as source:
        got = await ask(source, "/v1/snapshot?symbols=*", LATE.strip())
        assert got.status == 403
        assert '"realtime": false' in got.json["message"]
        assert "connect to one with --delay" in got.json["message"]
        for line in (REAL, UNSAID):
            assert (await ask(source, "/v1/snapshot?symbols=*", line.strip())).status == 200
        peer = await source.watcher("*", more=UNSAID)
        refused = await peer.answer("auth", token=token(sub="other", realtime=False))
        assert isinstance(refused, Error)


async def test_the_metrics_of_two_markets_are_told_apart(tokens: Tokens) -> None:
    async with serving(*MARKET) as source, delayed_from(source, tokens=tokens) as service:
        assert await bid(service, LATE) == "1.00"
        await service.watcher("*", more=LATE)
        claim = bearer(token(sub="trader", metrics=True, realtime=True)).strip()
        found = await measures(service, claim)
        assert found["ticker_clients{state=in_step}"] == 0
        assert found["ticker_clients{market=delayed}{state=in_step}"] == 1
        assert found["ticker_instruments{market=delayed}"] == found["ticker_instruments"] == 2
        assert found["ticker_delay_seconds"] == DELAY
        assert found["ticker_delay_reader_up"] == 1
        assert found["ticker_delay_spool_bytes"] > 0


async def test_clients_of_the_delayed_market_are_told_when_all_connections_end_as_the_other_one_is_there(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.bus.relayed.FOLLOW_RETRY_SECONDS", 0.1)
    chain: dict[str, Any] = {"listen": f"127.0.0.1:{free_port()}", "name": "delayed", "keep_state": True}
    async with serving(*MARKET, **chain) as source, delayed_from(source, tokens=tokens) as service:
        assert await bid(service, LATE) == "1.00"
    async with delayed_from(source, tokens=tokens) as service:
        assert await bid(service, LATE) == "1.00", "from the spool"
        late = await service.watcher("*", more=LATE)
        async with serving(**chain):
            assert (await late.until(Goodbye)).come_back


async def test_no_client_is_left_in_a_delayed_market_that_has_ended(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.bus.relayed.FOLLOW_RETRY_SECONDS", 0.1)
    listen = f"127.0.0.1:{free_port()}"
    async with serving(*MARKET, listen=listen) as source, delayed_from(source, tokens=tokens) as service:
        assert await bid(service, LATE) == "1.00"
    # No time for goodbyes: what they do not end has to end nevertheless.
    async with delayed_from(source, tokens=tokens, drain_seconds=0.0) as service:
        assert await bid(service, LATE) == "1.00", "from the spool"
        async with serving(*MARKET, listen=listen) as other:
            real = await bid_of_all(service, REAL)
            assert real == await bid_of_all(other, "")
            await service.watcher("*", more=LATE)  # most likely of the market that ends when the new log is due
            while (await bid_of_all(service, LATE))[0] != real[0]:
                await trio.sleep(0.05)
            claim = bearer(token(sub="trader", metrics=True, realtime=True)).strip()
            while (await measures(service, claim))["ticker_connections_admitted"]:
                await trio.sleep(0.05)


async def bid_of_all(service: Running, line: str) -> tuple[str, str]:
    got = (await page(service, "/v1/snapshot?symbols=A", line.strip())).json
    return got["epoch"], got["instruments"]["A"]["bid"]


async def test_a_stream_that_is_let_in_as_the_market_beside_ends_is_not_served() -> None:
    config = Config()
    beside, context = Beside(), ServerContext(Hub(LastValueCache("e")), config.limits, 0, Auth(config))
    served = []

    async def stream() -> None:
        with beside.serving(context):
            served.append(1)
            await trio.sleep_forever()

    with trio.fail_after(HANG_SECONDS):
        async with trio.open_nursery() as nursery:
            beside.begin(context, {})
            nursery.start_soon(stream)
            await wait_all_tasks_blocked()
            beside.end()
            nursery.start_soon(stream)
            await wait_all_tasks_blocked()
            assert (len(served), len(nursery.child_tasks)) == (2, 1)
            beside.cut_off()


async def test_a_follower_of_a_delayed_service_is_delayed_too() -> None:
    async with serving(*MARKET) as source, delayed_from(source) as late:
        await ready(late)
        async with delayed_from(late, delay=None) as service:
            await ready(service)
            at = time.monotonic()
            await source.publish(update("A", bid="3.33"))
            peer = await service.watcher("*")
            assert said_delay(peer) == DELAY
            while (await page(service, "/v1/snapshot?symbols=A")).json["instruments"]["A"]["bid"] != "3.33":
                await trio.sleep(0.05)
            assert time.monotonic() >= at + DELAY


async def test_the_delay_of_the_one_that_is_followed_is_known_after_a_restart_while_that_one_is_away() -> None:
    address = f"127.0.0.1:{free_port()}"
    async with serving(*MARKET) as source:
        follow = f"wss://{address}"
        async with delayed_from(source, listen=address), delayed_from(source, follow=follow) as service:
            await ready(service)
            assert said_delay(await service.peer()) == 2 * DELAY
        async with delayed_from(source, follow=follow) as service:
            await page(service, "/v1/snapshot?symbols=A")
            assert said_delay(await service.peer()) == 2 * DELAY


async def test_a_client_that_is_a_few_cuts_ahead_of_a_follower_of_a_delayed_one_waits_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ticker.server.source_state.BEHIND_SECONDS", HANG_SECONDS)
    async with serving(*MARKET) as source, delayed_from(source) as late, delayed_from(late, delay=None) as service:
        await ready(service)
        present = welcome(await service.watcher("*"))
        await source.publish(update("A", bid="3.33"))
        near = await (await service.peer()).answer("resume", epoch=present.epoch, cursor=present.cut + 1, symbols=["*"])
        assert isinstance(near, Reply)
        far = await (await service.peer()).answer(
            "resume", epoch=present.epoch, cursor=present.cut + 100_000, symbols=["*"]
        )
        assert isinstance(far, Error)
        assert far.code == 10


async def test_a_token_for_delayed_data_is_good_where_those_that_are_followed_are_delayed(tokens: Tokens) -> None:
    async with serving(*MARKET) as source, delayed_from(source) as late:
        await ready(late)
        async with delayed_from(late, delay=None, tokens=tokens) as service:
            await ready(service)
            peers = [await service.watcher("*", more=line) for line in (LATE, UNSAID, REAL)]
            assert [said_delay(peer) for peer in peers] == [DELAY] * 3
            renewed = await peers[0].answer("auth", token=token(sub="reader", realtime=False))
            assert isinstance(renewed, Reply)


async def test_a_follower_begins_anew_when_the_delay_of_the_one_that_it_follows_is_another(logs: Logs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    async with serving(*MARKET) as source, delayed_from(source, follow=f"wss://{address}", delay=None) as service:
        async with delayed_from(source, listen=address):
            await ready(service)
            assert said_delay(await service.peer()) == DELAY
        async with delayed_from(source, listen=address, delay=None):
            while "delay" in (await page(service, "/v1/snapshot?symbols=*")).json:
                await trio.sleep(0.1)
    assert any("it is 0 s late now, and was 2 s" in str(entry.get("cause")) for entry in logs)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"delay": "15m"}, "delay 15m: one process does not delay what its feeds bring; give --workers 2, or give"),
        ({"delay": "15m", "bus": "redis://127.0.0.1:1", "feeds": ["simulated"]}, "a process with feeds and a bus has"),
    ],
)
async def test_a_process_with_feeds_is_not_delayed(settings: dict[str, object], text: str) -> None:
    config = Config("127.0.0.1:0", **settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=text):
        await serve(config, trio.Event())


@pytest.mark.parametrize("text", ["", "15", "m", "15 m", "-1s", "1.5m", "0s", "25h", "99999999999s", "15x"])
def test_a_delay_that_is_none_is_named_with_the_remedy(text: str) -> None:
    with pytest.raises(ConfigError, match=r"delay .*: give a number and s, m or h, such as 15m; at most 24 h"):
        Config(delay=text)


def test_delays_of_all_units() -> None:
    assert [Config(delay=text).delay_seconds for text in ("900s", "15m", "1h")] == [900, 900, 3_600]


async def test_the_client_knows_the_delay() -> None:
    events: list[object] = []
    async with serving(*MARKET) as source, delayed_from(source) as service:
        await ready(service)
        async with ticker.connect(service.url, on_event=events.append) as client:
            async for snapshot in client.subscribe("A"):
                del snapshot
                break
            assert client.delay_seconds == DELAY
            assert await client.verify()
    assert [event.delay_seconds for event in events if isinstance(event, Connected)] == [DELAY]


BEGINNING = int(time.time()) // 60 * 60 - 3_600
"""Of bars that a history keeps."""


def bar(minute: int) -> Trade:
    return Trade("B", f"{minute}.50", 1, "buy", (BEGINNING + 60 * minute) * 1_000_000, f"t{minute}")


async def test_the_history_that_another_process_writes_in_real_time_is_not_shown_before_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bar_history, "HISTORY_WRITE_SECONDS", 0.05)
    history, tables = History(file=str(tmp_path / "history.sqlite")), Tables(bars=(2,), periods=("1m",))
    early: dict[str, list[list[str]]] = {"no bar in memory": [], "some": []}

    async def written(source: Running, count: int) -> None:
        while (await measures(source))["ticker_history_bars_written_total"] < count:
            await trio.sleep(0.01)

    async def closes(service: Running, more: str = "") -> list[str]:
        got = await page(service, f"/v1/candles?symbol=B&period=1m{more}")
        return [each["close"] for each in got.json["candles"]]

    async with (
        serving(*MARKET, history=history, tables=tables) as source,
        delayed_from(source, history=history, tables=tables) as service,
    ):
        await ready(service)
        for name, bars in (("no bar in memory", (0, 1, 2)), ("some", (3, 4, 5, 6))):
            at = time.monotonic()
            for minute in bars:
                await source.publish(bar(minute))
                await written(source, minute + 1)
            for more in ("", "&before=1900000000", f"&before={BEGINNING + 60 * bars[-1] + 1}"):
                found = await closes(service, more)
                if time.monotonic() < at + DELAY:
                    early[name].append(found)
            last = f"{bars[-1]}.50"
            while last not in await closes(service):
                await trio.sleep(0.05)
        assert await closes(service) == [f"{minute}.50" for minute in range(7)], "the older ones are from the file"
    assert not any(early["no bar in memory"])
    assert all(found[-1] == "2.50" for found in early["some"])
