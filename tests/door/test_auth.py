"""ticker/door/auth.py: admission over real TLS, and tokens during a connection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import JSON, KEY, MSGPACK, Logs, Running, serving, upgrade
from tests.server.test_operator_pages import measures
from tests.support import update
from tests.tokens import KEYS, bearer, key_file, token
from ticker.bounds import CHECK_SECONDS
from ticker.config import Limits, Tokens
from ticker.door.auth import Auth
from ticker.errors import Code
from ticker.market import Instrument, Publication
from ticker.protocol.messages import Delta, Error, Expiring, Instruments, Reply, Snapshot

MARKET: tuple[Publication, ...] = (
    Instrument("EURUSD"),
    Instrument("EURGBP"),
    Instrument("XAUUSD"),
    update("EURUSD", bid="1.00"),
    update("EURGBP", bid="2.00"),
    update("XAUUSD", bid="3.00"),
)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(key=key_file(tmp_path))


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def body(answer: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return content


# Tokens in the handshake


@pytest.mark.parametrize(
    "carry",
    [
        lambda text: upgrade(more=bearer(text)),
        lambda text: upgrade(f"{MSGPACK}, bearer.{text}"),
        lambda text: upgrade(f"bearer.{text}, {MSGPACK}"),
        lambda text: upgrade(more=f"Cookie: a=b; ticker_token={text}\r\nOrigin: https://localhost\r\n"),
    ],
    ids=["header", "subprotocol behind", "subprotocol in front", "cookie"],
)
async def test_a_token_lets_a_client_in(carry: Callable[[str], bytes], tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        peer = await service.dial()
        await peer.send(carry(token()))
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        assert MSGPACK.encode() in head
        assert b"bearer" not in head.lower()


@pytest.mark.parametrize(
    ("request_bytes", "expected", "why"),
    [
        (upgrade(), 401, "a token is needed"),
        (upgrade(more=bearer(token(exp=time.time() - 60))), 401, "it has expired"),
        (upgrade(more=bearer(token(aud="other"))), 401, "Audience"),
        (upgrade(more=bearer(token(KEYS["ES256"], "ES256"))), 401, "its algorithm is not EdDSA"),
        (upgrade(more=bearer("a.b.c")), 401, "not accepted"),
        (upgrade(more="Authorization: Basic YTpi\r\n"), 401, "a token is needed"),
        (upgrade(more=f"Cookie: ticker_token={token()}\r\n"), 403, "needs an Origin"),
        (upgrade(more=f"Cookie: ticker_token={token()}\r\nOrigin: https://evil.example\r\n"), 403, "origin"),
        (upgrade(more=f"{bearer(token())}Origin: https://evil.example\r\n"), 403, "origin"),
        (upgrade(f"bearer.{token()}"), 400, "subprotocols"),
    ],
    ids=[
        "none", "expired", "other audience", "other algorithm", "nonsense", "basic", "cookie without origin",
        "cookie from elsewhere", "token from elsewhere", "token as the only subprotocol",
    ],
)  # fmt: skip
async def test_others_get_an_answer_that_says_why(
    request_bytes: bytes, expected: int, why: str, tokens: Tokens
) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        answer = await service.refusal(request_bytes)
        assert status(answer) == expected
        assert body(answer)["code"] == expected
        assert why in body(answer)["message"]
        assert (b"WWW-Authenticate: Bearer" in answer) is (expected == 401)
        await service.proves_alive(bearer(token()))


async def test_pages_come_in_from_the_service_itself_and_from_allowed_origins() -> None:
    async with serving(*MARKET, origins=["https://dash.example.com"]) as service:
        for origin in ("https://localhost", "https://dash.example.com"):
            await service.peer(more=f"Origin: {origin}\r\n")
        for origin in ("https://evil.example", "http://localhost", "null", "https://dash.example.com.evil.example"):
            assert status(await service.refusal(upgrade(more=f"Origin: {origin}\r\n"))) == 403


# Entitlements


async def test_a_symbol_outside_the_entitlement_behaves_like_one_that_does_not_exist(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        peer = await service.peer(more=bearer(token(symbols=["EUR*"])))
        answer = await peer.answer("subscribe", symbols=["XAUUSD", "NOSUCH", "EURUSD", "*"])
        assert isinstance(answer, Reply)
        gone, unknown, known, pattern = answer.result["outcomes"]
        assert gone[1:] == unknown[1:]
        assert (gone[1], known[1], pattern[1]) == (Code.UNKNOWN_SYMBOL, Code.OK, Code.OK)
        found = await peer.answer("instruments")
        assert isinstance(found, Reply)
        assert [entry[1] for entry in found.result["instruments"]] == ["EURGBP", "EURUSD"]
        # Later instruments are checked as well.
        await service.publish(Instrument("XAGUSD"), Instrument("EURJPY"), update("XAUUSD", bid="9.00"))
        snapshot = await peer.until(Snapshot)
        assert [entry for entry in snapshot.records if isinstance(entry, int)] == [4]
        await service.publish(update("XAUUSD", bid="10.00"), update("XAGUSD", bid="1"), update("EURUSD", bid="1.10"))
        assert (await peer.until(Delta)).changes == [0, {1: 110}]


async def test_definitions_of_instruments_outside_the_entitlement_are_never_sent(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        peer = await service.peer(more=bearer(token(symbols=["EURUSD"])))
        await peer.ask("subscribe", symbols=["*", "XAUUSD"])
        message = await peer.until(Instruments)
        assert [definition.symbol for definition in message.definitions] == ["EURUSD"]


async def test_a_copy_made_under_another_entitlement_cannot_be_resumed(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        epochs = []
        for symbols in (["EUR*"], ["*"], None):
            peer = await service.peer(more=bearer(token(symbols=symbols)))
            assert peer.welcome is not None
            epochs.append(peer.welcome.epoch)
        assert len(set(epochs)) == 3
        peer = await service.peer(more=bearer(token(symbols=["EUR*"])))
        answer = await peer.answer("resume", epoch=epochs[2], cursor=0, symbols=["EURUSD"])
        assert isinstance(answer, Error)
        assert answer.code == Code.WRONG_EPOCH
        answer = await peer.answer("resume", epoch=epochs[0], cursor=0, symbols=["EURUSD"])
        assert isinstance(answer, Reply)


async def test_a_token_can_narrow_the_limits_and_never_widen_them(tokens: Tokens) -> None:
    limits = Limits(max_symbols=3)
    async with serving(*MARKET, tokens=tokens, limits=limits, interval_ms=20) as service:
        narrow = await service.peer(more=bearer(token(max_symbols=1, min_interval_ms=500)))
        wide = await service.peer(more=bearer(token(max_symbols=100, min_interval_ms=0)))
        assert narrow.welcome is not None
        assert wide.welcome is not None
        assert (narrow.welcome.limits["max_symbols"], narrow.welcome.limits["min_interval_ms"]) == (1, 500)
        assert (wide.welcome.limits["max_symbols"], wide.welcome.limits["min_interval_ms"]) == (3, 20)
        answer = await narrow.answer("subscribe", symbols=["EURUSD", "EURGBP"], interval_ms=0)
        assert isinstance(answer, Reply)
        assert [outcome[1] for outcome in answer.result["outcomes"]] == [Code.OK, Code.TOO_MANY_SYMBOLS]
        assert answer.result["interval_ms"] == 500


# During a connection


async def until_expiring(service: Running, clock: MockClock, **claims: Any) -> tuple[Any, Expiring]:  # noqa: ANN401
    """A client whose token expires soon, and the warning that it gets."""
    peer = await service.watcher("*", more=bearer(token(**claims)))
    clock.jump(CHECK_SECONDS)
    return peer, await peer.until(Expiring)


@pytest.fixture
def clock(fast_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> MockClock:
    """Trio's clock, with which the service's wall clock jumps."""
    began = time.time()

    def wall_clock() -> int:
        return int((began + fast_clock.current_time()) * 1e6)

    monkeypatch.setattr("ticker.server.service.Auth", partial(Auth, clock=wall_clock))
    return fast_clock


async def test_a_client_is_warned_and_then_closed_when_its_token_expires(tokens: Tokens, clock: MockClock) -> None:
    # With the ten seconds that clocks may differ it is valid for forty, of which connecting takes some.
    async with serving(*MARKET, tokens=tokens) as service:
        expires = time.time() + 30
        peer, warning = await until_expiring(service, clock, exp=expires)
        assert abs(warning.time - expires * 1e6) < 2
        clock.jump(15)
        assert isinstance(await peer.answer("ping"), Reply)
        clock.jump(25)
        error = await peer.until(Error)
        assert (error.id, error.code, error.fatal) == (None, Code.BAD_TOKEN, True)
        assert await peer.closed() == (4001, "see the ERROR before this")
        await service.proves_alive(bearer(token()))


async def test_a_fresh_token_keeps_the_connection(tokens: Tokens, clock: MockClock) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        peer, _ = await until_expiring(service, clock, exp=time.time() + 30, sub="alice")
        later = time.time() + 3600
        answer = await peer.answer("auth", token=token(sub="alice", exp=later))
        assert isinstance(answer, Reply)
        assert abs(answer.result["expires"] - later * 1e6) < 2
        clock.jump(41)
        await wait_all_tasks_blocked(0.01)
        await service.publish(update("EURUSD", bid="7.00"))
        assert (await peer.until(Delta)).changes == [0, {1: 700}]


@pytest.mark.parametrize(
    "text",
    [
        token(sub="mallory", exp=2e9),
        token(sub="alice", exp=1),
        token(KEYS["RS256"], "RS256", sub="alice"),
        "",
    ],
    ids=["other subject", "expired", "other key", "empty"],
)
async def test_a_token_that_is_not_accepted_leaves_the_present_one(text: str, tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        peer = await service.watcher("*", more=bearer(token(sub="alice")))
        answer = await peer.answer("auth", token=text)
        assert isinstance(answer, Error)
        assert (answer.code, answer.fatal) == (Code.BAD_TOKEN, False)
        assert isinstance(await peer.answer("ping"), Reply)


async def test_a_fresh_token_for_other_symbols_changes_what_the_connection_has(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        peer = await service.watcher("*", more=bearer(token(sub="alice")))
        await service.publish(Instrument("B"), update("B", bid="5.00"))
        await peer.until(Snapshot)
        answer = await peer.answer("auth", token=token(sub="alice", symbols=["B"]))
        assert isinstance(answer, Reply)
        assert peer.welcome is not None
        assert answer.result["epoch"] != peer.welcome.epoch
        await service.publish(update("EURUSD", bid="9.00"), update("B", bid="9.00"))
        changes = (await peer.until(Delta)).changes
        assert changes[1::2] == [{1: 900}]


async def test_a_fresh_token_can_raise_the_interval(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        peer = await service.watcher("*", more=bearer(token()))
        await peer.answer("auth", token=token(min_interval_ms=60_000))
        answer = await peer.answer("subscriptions")
        assert isinstance(answer, Reply)
        assert answer.result["interval_ms"] == 60_000


async def test_a_service_without_tokens_takes_none(logs: Logs) -> None:
    async with serving(*MARKET) as service:
        peer = await service.watcher("*", more=bearer("a.b.c"))
        answer = await peer.answer("auth", token="a.b.c")  # noqa: S106
        assert isinstance(answer, Error)
        assert "no tokens are asked for here" in answer.text
    assert any("no tokens are asked for: every program on this machine" in entry["event"] for entry in logs)


# Limits of connections


async def until_let_in(service: Running, more: str) -> None:
    """Try to connect until admitted: a place becomes free a moment after its client has left."""
    answer = b""
    with trio.fail_after(HANG_SECONDS):
        while not answer.startswith(b"HTTP/1.1 101"):
            peer = await service.dial()
            await peer.send(upgrade(more=more))
            answer = await peer.head()


async def test_when_all_places_are_taken_the_answer_says_when_to_try_again(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens, limits=Limits(max_connections=2)) as service:
        first = await service.peer(more=bearer(token()))
        await service.peer(more=bearer(token()))
        answer = await service.refusal(upgrade(more=bearer(token())))
        assert status(answer) == 503
        assert b"Retry-After: 5\r\n" in answer
        await first.close()
        await until_let_in(service, bearer(token()))


async def test_one_address_cannot_take_all_places() -> None:
    async with serving(*MARKET, limits=Limits(max_per_address=2)) as service:
        for _ in range(2):
            await service.peer()
        answer = await service.refusal(upgrade())
        assert status(answer) == 429
        assert b"Retry-After: 5\r\n" in answer
        assert "all places of this address are taken" in body(answer)["message"]


async def test_one_subject_cannot_take_all_places(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens, limits=Limits(max_per_subject=1)) as service:
        alice = await service.peer(more=bearer(token(sub="alice")))
        assert status(await service.refusal(upgrade(more=bearer(token(sub="alice"))))) == 429
        await service.peer(more=bearer(token(sub="bob")))
        await alice.close()
        await until_let_in(service, bearer(token(sub="alice")))


# Silence, and the rate of requests


async def test_a_client_that_does_not_answer_is_pinged_and_dropped(fast_clock: MockClock, logs: Logs) -> None:
    async with serving(*MARKET) as service:
        peer = await service.watcher("*", subprotocol=JSON)
        fast_clock.jump(61)
        while True:
            first_byte, payload = await peer.frame()
            if first_byte == 0x89:
                break
        assert payload == b""
        fast_clock.jump(31)
        while first_byte != 0x88:
            first_byte, payload = await peer.frame()
        assert int.from_bytes(payload[:2], "big") == 4008
        assert (await measures(service))["ticker_clients_dropped_total{cause=silent}"] == 1
    assert any(entry["event"] == "client dropped: it does not answer" for entry in logs)


async def test_a_client_that_answers_pings_stays(fast_clock: MockClock) -> None:
    async with serving(*MARKET) as service:
        peer = await service.watcher("*")
        for _ in range(5):
            fast_clock.jump(61)
            while (await peer.frame())[0] != 0x89:
                pass
            await peer.send(b"\x8a\x80\x00\x00\x00\x00")
            await wait_all_tasks_blocked(0.01)
        assert isinstance(await peer.answer("ping"), Reply)


async def test_a_client_that_asks_for_too_much_is_answered_later(fast_clock: MockClock) -> None:
    async with serving(*MARKET, limits=Limits(requests_per_second=1, request_burst=10)) as service:
        peer = await service.watcher("*")
        for _ in range(9):
            assert isinstance(await peer.answer("ping"), Reply)
        await peer.ask("ping")
        answered = trio.Event()

        async def wait_for_the_answer() -> None:
            await peer.until(Reply)
            await peer.answer("stats")
            answered.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_the_answer)
            other = await service.peer()
            assert isinstance(await other.answer("ping"), Reply)
            await wait_all_tasks_blocked(0.05)
            assert not answered.is_set()
            while not answered.is_set():
                fast_clock.jump(1)
                await trio.sleep(0.01)


async def test_stats_tell_a_client_how_it_fares() -> None:
    async with serving(*MARKET) as service:
        peer = await service.watcher("EURUSD", "XAU*")
        await service.publish(*[update("EURUSD", bid=number) for number in range(2, 12)])
        await peer.until(Delta)
        answer = await peer.answer("stats")
        assert isinstance(answer, Reply)
        stats = answer.result
        # The snapshot brought two instruments and the delta one; the feed made ten updates after the two of before.
        assert (stats["updates"], stats["frames"]) == (3, 2)
        assert stats["offered"] == 10
        assert stats["bytes"] > 30
        assert stats["cut"] >= 2
        for name in ("cuts_behind", "behind_us", "longest_behind_us", "slow_consumer_events", "unsent_bytes", "slowed"):
            assert stats[name] == 0, name


async def test_a_key_of_a_websocket_is_still_asked_for_with_a_token(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        assert status(await service.refusal(upgrade(key=KEY[:-4], more=bearer(token())))) == 400
