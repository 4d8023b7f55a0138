"""Chained tickers, over real TLS: one follows another, which follows a third; what befalls them and their clients."""

from __future__ import annotations

import json
import re
import sys
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from tests.bounds import HANG_SECONDS
from tests.bus.servers import free_port
from tests.conftest import Logs, Peer, Running, running, serving
from tests.net.certificates import save
from tests.server.delayed import DELAY, delayed_from, said_delay
from tests.server.test_kept_state import copy_of, resumed
from tests.server.test_on_a_bus import becomes_ready, is_not_ready, lines
from tests.server.test_operator_pages import measures
from tests.server.test_pages import ask
from tests.support import update
from tests.tokens import bearer, key_file, token
from ticker.bus.frames import Hello
from ticker.config import Config, History, TlsFiles, Tokens, Usage
from ticker.market import Candle, Instrument, Levels, Publication, Trade
from ticker.protocol.messages import Delta, Goodbye, Snapshot, Source
from ticker.server import relay
from ticker.usage.lines import EVERYTHING

NAMES = ["*", "A book:10", "A trades:10", "A candles:1m:10", "B candles:1h:10"]
MARKET: tuple[Publication, ...] = (
    Instrument("A", 2, 0, {"venue": "X"}),
    Instrument("B", 4),
    update("A", bid="1.00", ask="1.01"),
    update("B", last="5.5"),
    Levels("A", [("1.00", 5), ("0.99", 7)], [("1.01", 3)], complete=True),
    Trade("A", "1.01", 2),
    Candle("B", "1h", 1_699_999_200, "5", "6", "4", "5.5", "10"),
)


def following(*urls: str, listen: str = "127.0.0.1:0", **settings: Any) -> AbstractAsyncContextManager[Running]:  # noqa: ANN401
    """A service that follows the ticker at the first of these that can be followed."""
    whole: dict[str, Any] = {"history": History(enabled=False), "keep_state": False, "drain_seconds": 3.0, **settings}
    config = Config(listen, follow=list(urls), **whole)
    return running(config)


def address() -> str:
    return f"127.0.0.1:{free_port()}"


async def market_of(service: Running) -> dict[str, Any]:
    """All of the market as a new client gets it, with its epoch and cut."""
    found: dict[str, Any] = {}
    for path in (
        "/v1/snapshot?symbols=*",
        "/v1/book?symbol=A&depth=10",
        "/v1/trades?symbol=A&count=10",
        "/v1/candles?symbol=A&period=1m&count=10",
    ):
        got = await ask(service, path)
        assert got.status == 200, (path, got)
        found[path] = got.json
    return found


async def same_market(*services: Running) -> None:
    """Wait until all have the same market at the same cut of the same epoch."""
    with trio.fail_after(HANG_SECONDS):
        while True:
            first, *others = [await market_of(service) for service in services]
            if all(each == first for each in others):
                return
            await trio.sleep(0.05)


async def welcomed(service: Running, more: str = "") -> tuple[Peer, str]:
    peer = await service.peer(more=more)
    assert peer.welcome is not None
    return peer, peer.welcome.epoch


async def goes_on(peer: Peer, epoch: str, cursor: int) -> bool:
    """Resume, and return whether what comes begins at the client's copy."""
    seen = await resumed(peer, epoch, cursor, *NAMES)
    return any(isinstance(each, Snapshot | Delta) and each.since == cursor for each in seen[:3])


@pytest.fixture
def many_keyframes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keyframes come one after another, in small parts: so copies are compared at almost every cut."""
    monkeypatch.setattr("ticker.server.cut_writer.KEYFRAME_SECONDS", 0.0)
    monkeypatch.setattr("ticker.server.cut_writer.KEYFRAME_PIECE_BYTES", 100)


async def test_of_three_in_a_chain_each_has_the_same_market_and_clients_resume_at_any_of_them(
    many_keyframes: None,
) -> None:
    del many_keyframes
    async with serving(*MARKET) as first, following(first.url) as second, following(second.url) as third:
        services = [first, second, third]
        await becomes_ready(third)
        await same_market(*services)
        peers = [await service.peer() for service in services]
        cursors = [(await copy_of(peer, *NAMES))[0] for peer in peers]  # opens tables at each of them
        epochs = {peer.welcome.epoch for peer in peers if peer.welcome is not None}
        assert len(epochs) == 1
        for number in range(20):
            new: list[Publication] = [Instrument(f"NEW{number}"), update(f"NEW{number}", last=1)]
            await first.publish(
                update("A", bid=f"1.{number:02}"),
                Levels("A", [(f"0.{number + 10}", number)], []),
                Trade("A", f"1.{number:02}", 1),
                *(new if number % 5 == 0 else []),
            )
        await same_market(*services)
        for cursor in {*cursors, min(cursors) + 3}:
            for service in services:
                peer, epoch = await welcomed(service)
                assert await goes_on(peer, epoch, cursor)
        for service in (second, third):
            counts = await measures(service)
            assert counts["ticker_bus_begun_anew_total{cause=lost}"] == 0, "its copy never differed"
            assert counts["ticker_bus_cuts_followed_total"] >= 5
            assert counts["ticker_bus_up"] == counts["ticker_bus_role{role=edge}"] == 1
        counts = await measures(first)
        assert counts["ticker_follow_connections"] == 1, "the third one is given what the second has"
        assert counts["ticker_follow_bytes_sent_total"] > 0
        assert counts["ticker_follow_log_entries"] > 0
        assert (await measures(third))["ticker_follow_connections"] == 0


async def test_three_follow_a_follower_and_the_first_one_has_one_connection() -> None:
    async with (
        serving(*MARKET) as first,
        following(first.url) as second,
        following(second.url) as third,
        following(second.url) as fourth,
        following(second.url) as fifth,
    ):
        services = [first, second, third, fourth, fifth]
        for service in services[2:]:
            await becomes_ready(service)
        peers = [await welcomed(service) for service in services]
        assert len({epoch for _, epoch in peers}) == 1
        before = await measures(second)
        for number in range(10):
            await first.publish(update("A", bid=f"1.{number:02}"), Trade("A", f"1.{number:02}", 1))
            await same_market(*services)
        top, middle = await measures(first), await measures(second)
        assert [top["ticker_follow_connections"], middle["ticker_follow_connections"]] == [1, 3]
        assert middle["ticker_follow_log_entries"] > 0
        assert middle["ticker_follow_passed_on_total"] == before["ticker_follow_passed_on_total"], "all is in its log"
        assert before["ticker_follow_passed_on_total"] > 0, "keyframes are the first one's"


async def test_the_middle_one_goes_and_comes_back_and_clients_of_the_third_are_told(logs: Logs) -> None:
    middle = address()
    async with (
        serving(*MARKET) as first,
        following(first.url, listen=middle) as second,
        following(second.url) as third,
    ):
        await becomes_ready(third)
        peer, epoch = await welcomed(third)
        cut, _ = await copy_of(peer, *NAMES)
        second.stop.set()
        await second.done.wait()
        with trio.fail_after(HANG_SECONDS):
            assert (await peer.until(Source)).since
        await is_not_ready(third, f"the ticker that is followed cannot be used: the ticker at wss://{middle}")
        await first.publish(update("A", bid="7.77"))
        async with following(first.url, listen=middle) as again:
            await becomes_ready(third)
            await same_market(first, again, third)
            with trio.fail_after(HANG_SECONDS):
                assert (await peer.until(Source)).since is None
            assert (await welcomed(third))[1] == epoch
            assert await goes_on(await again.peer(), epoch, cut)
            assert (await measures(third))["ticker_bus_begun_anew_total{cause=lost}"] == 0
    assert lines(logs, "nobody listens there (connection refused)") <= 2, "one line of each, however often it tries"


@pytest.mark.parametrize("kept", [True, False])
async def test_the_first_one_is_started_again_with_its_state_or_without(
    home: Path,
    many_keyframes: None,
    kept: bool,  # noqa: FBT001
) -> None:
    del home, many_keyframes
    listen = address()
    async with following(f"wss://{listen}") as second, following(second.url) as third:
        async with serving(*MARKET, listen=listen, name="chain", keep_state=kept) as first:
            await becomes_ready(third)
            peer, epoch = await welcomed(third)
            cut, _ = await copy_of(peer, *NAMES)
            await first.publish(update("A", bid="2.00"))
        async with serving(listen=listen, name="chain", keep_state=kept) as first:
            if not kept:
                with trio.fail_after(HANG_SECONDS):
                    assert isinstance(await peer.until(Goodbye), Goodbye)
            await becomes_ready(third)
            await first.publish(*MARKET, update("A", bid="3.00"))
            await same_market(first, second, third)
            assert ((await welcomed(third))[1] == epoch) is kept
            if kept:
                for service in (first, second, third):
                    assert await goes_on(await service.peer(), epoch, cut)
            for service in (second, third):
                lost = (await measures(service))["ticker_bus_begun_anew_total{cause=lost}"]
                assert (lost == 0) is kept, "with its state, nobody had to begin anew"


async def test_of_two_addresses_the_other_one_takes_over_and_nothing_is_lost() -> None:
    async with serving(*MARKET) as first, following(first.url) as left, following(first.url) as right:
        await becomes_ready(left)
        await becomes_ready(right)
        async with following(left.url, right.url) as last:
            await becomes_ready(last)
            peer, epoch = await welcomed(last)
            cut, _ = await copy_of(peer, "*")
            left.stop.set()
            await left.done.wait()
            await first.publish(update("A", bid="2.22"))
            with trio.fail_after(HANG_SECONDS):
                assert (await peer.until(Delta)).since >= cut
            assert (await welcomed(last))[1] == epoch


async def test_whatever_keeps_it_from_following_is_said_and_over_when_it_is_mended(
    tmp_path: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.bus.relayed.FOLLOW_RETRY_SECONDS", 0.1)
    tokens, file = Tokens(key=key_file(tmp_path)), tmp_path / "token"
    authority, other = trustme.CA(), trustme.CA()
    cert, key = save(tmp_path / "server", authority.issue_cert("127.0.0.1"))
    other.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    listen = address()
    steps: list[tuple[str, str | None]] = [
        ("empty; give a file that holds only the token", ""),
        ("no token: give one text without spaces", "two words"),
        (r"HTTP status 401: the token is not accepted: .*; give a token that it accepts: --follow-token-file", "none"),
        ("HTTP status 403: the token lets nobody follow: it has no claim follow; give a token that", token(sub="b")),
        ("but the token has the claim symbols: leave", token(follow=True, symbols=["A*"])),
        ("but the token has the claim max_symbols: leave", token(follow=True, max_symbols=3)),
        ("but the token has the claim min_interval_ms: leave", token(follow=True, min_interval_ms=3)),
    ]
    settings = {"follow_ca": str(tmp_path / "ca.pem"), "follow_token_file": str(file)}
    async with following(f"wss://{listen}", **settings) as second:
        await is_not_ready(second, r"token: No such file or directory; give a readable file")
        file.write_text(token(sub="b"))
        await is_not_ready(second, "nobody listens there (connection refused)")
        async with serving(*MARKET, listen=listen, tls=TlsFiles(str(cert), str(key)), tokens=tokens):
            await is_not_ready(second, r"its certificate is not trusted .*; name its authority \(--follow-ca FILE\)")
            (tmp_path / "ca.pem").write_bytes(b"")
            await is_not_ready(second, r"cannot take authorities from .*ca\.pem")
            authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
            for cause, text in steps:
                file.write_text(text or "")
                await is_not_ready(second, cause)
                assert lines(logs, re.sub(r"\\|\.\*.*", "", cause)[:40]) == 1, "one line, however often it tries"
            file.write_text(token(sub="b", follow=True))
            await becomes_ready(second)
            assert (await ask(second, "/v1/snapshot?symbols=*")).status == 200


async def test_its_token_expires_and_the_next_one_in_the_file_goes_on(tmp_path: Path, logs: Logs) -> None:
    file = tmp_path / "token"
    file.write_text(token(sub="b", follow=True, exp=time.time() - 4))
    async with (
        serving(*MARKET, tokens=Tokens(key=key_file(tmp_path))) as first,
        following(first.url, follow_token_file=str(file)) as second,
    ):
        await becomes_ready(second)
        file.write_text(token(sub="b", follow=True))
        while not any(entry["event"] == "a follower's token has expired" for entry in logs):
            await trio.sleep(0.1)
        await first.publish(update("A", bid="4.44"))
        while "4.44" not in json.dumps((await ask(second, "/v1/snapshot?symbols=*")).json):
            await trio.sleep(0.1)
        assert (await measures(second))["ticker_bus_begun_anew_total{cause=lost}"] == 0


async def test_a_token_in_the_environment_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKER_FOLLOW_TOKEN", token(sub="b", follow=True))
    tokens = Tokens(key=key_file(tmp_path))
    async with serving(*MARKET, tokens=tokens) as first, following(first.url) as second:
        await becomes_ready(second)
        assert (await first.refusal(b"GET /v1/snapshot?symbols=* HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(
            b"HTTP/1.1 401 "
        )


async def test_what_is_no_ticker_or_another_version_is_named(monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    async with serving(*MARKET) as first:
        monkeypatch.setattr(relay, "Hello", lambda _, run, *more: Hello("ticker-bus-9", run, *more))
        async with following(f"wss://127.0.0.1:{first.port}") as second:
            await is_not_ready(
                second, "speaks 'ticker-bus-9', this process 'ticker-bus-1': run the same release on both"
            )
            monkeypatch.setattr(relay, "Hello", Hello)
            await becomes_ready(second)
        monkeypatch.setattr("ticker.bus.relayed.FOLLOWING", "ticker-bus.9")
        async with following(f"wss://127.0.0.1:{first.port}") as second:
            await is_not_ready(second, "none of the subprotocols is known")
    assert not [entry for entry in logs if entry["log_level"] == "error"]


async def test_delays_of_a_chain_add_up(home: Path) -> None:
    del home
    async with (
        serving(*MARKET) as first,
        delayed_from(first) as second,
        following(second.url) as third,
        following(third.url, listen=address(), delay="1s") as fourth,
    ):
        for service, delay in ((third, DELAY), (fourth, DELAY + 1)):
            await becomes_ready(service)
            assert said_delay(await service.peer()) == delay
        assert len({(await welcomed(each))[1] for each in (first, second, third, fourth)}) == 1


async def test_the_usage_log_says_that_a_follower_sees_everything(tmp_path: Path) -> None:
    tokens = Tokens(key=key_file(tmp_path))
    (tmp_path / "token").write_text(token(sub="branch", follow=True))
    usage = Usage(str(tmp_path / "usage"))
    async with (
        serving(*MARKET, tokens=tokens, usage=usage) as first,
        following(first.url, follow_token_file=str(tmp_path / "token")) as second,
    ):
        await becomes_ready(second)
        await first.peer(more=bearer(token(sub="client")))
    (file,) = (tmp_path / "usage").iterdir()
    said = [json.loads(line) for line in file.read_text().splitlines()]
    (opened,) = [each for each in said if each["type"] == "open" and each["transport"] == "follow"]
    assert (opened["subject"], opened["agent"][:7]) == ("branch", "ticker/")
    (sees,) = [each for each in said if each["type"] == "sees" and each["session"] == opened["session"]]
    (view,) = [each for each in said if each["type"] == "view" and each["view"] == sees["view"]]
    assert view["names"] == [*EVERYTHING]
    assert [each for each in said if each["type"] == "close" and each["session"] == opened["session"]]
    command = [sys.executable, "-m", "ticker", "usage", str(tmp_path / "usage"), "--json"]
    (subject, *_) = json.loads((await trio.run_process(command, capture_stdout=True)).stdout)["subjects"]
    assert subject["subject"] == "branch"
    assert [subject[kind] for kind in ("instruments", "quotes", "book", "trades", "candles")] == [1] * 5
