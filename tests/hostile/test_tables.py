"""Attacks by way of tables: names of them without end, and their pages over HTTP (see tests/hostile/test_list.py)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from tests.bounds import HANG_SECONDS
from tests.conftest import Peer, Running
from tests.hostile.support import attacked
from tests.hostile.test_cost import STRICT, SYMBOLS, answered_late, attacked_with_many_instruments
from ticker.config import Limits, Tables
from ticker.errors import Code
from ticker.market import Candle, Instrument, Levels, Trade
from ticker.protocol.messages import Error, Reply

BOOK = Levels("A", [("1.00", 5)], [("1.01", 6)], complete=True)
LAVISH = Limits(requests_per_second=1_000_000, request_burst=1_000_000)
MINUTE = 1_695_877_740
"""The start of a minute, in seconds."""


@asynccontextmanager
async def attacked_with_tables(limits: Limits = LAVISH, tables: Tables | None = None) -> AsyncIterator[Running]:
    async with attacked(limits=limits, tables=tables or Tables()) as service:
        await service.publish(BOOK, Trade("A", "1.00", 1, time=MINUTE * 1_000_000))
        await service.publish(*(Candle("A", "1m", MINUTE - 60 * number, 1, 2, 1, 2) for number in range(1, 900)))
        yield service


async def codes(peer: Peer, op: str, **keys: object) -> Counter[int]:
    """The number of names by outcome."""
    with trio.fail_after(HANG_SECONDS):
        reply = await peer.answer(op, **keys)
    assert isinstance(reply, Reply)
    return Counter(code for _, code, _ in reply.result["outcomes"])


def copy_of(peer: Peer) -> dict[str, object]:
    """What a resume says of a copy that is up to date."""
    assert peer.welcome is not None
    return {"epoch": peer.welcome.epoch, "cursor": peer.welcome.cut}


async def figure(service: Running, name: str) -> float:
    """A figure of the metrics."""
    answer = await service.refusal(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return sum(float(line.rpartition(" ")[2]) for line in answer.decode().splitlines() if line.startswith(name))


# Names


async def test_a_sender_has_its_share_of_the_tables_and_leaves_others_theirs() -> None:
    limits = Limits(max_tables=3)
    async with attacked_with_tables(limits) as service:
        await service.publish(*(Instrument(f"S{number}") for number in range(40)))
        outcomes: Counter[int] = Counter()
        for start in range(0, 40, 2):
            peer = await service.peer(source="127.0.0.2")
            outcomes += await codes(peer, "subscribe", symbols=[f"S{number} book:10" for number in (start, start + 1)])
            await peer.close()
        assert outcomes == {Code.OK: 30, Code.TOO_MANY_TABLES: 10}
        other = await service.peer()
        assert await codes(other, "subscribe", symbols=["S38 book:10", "S0 book:10"]) == {Code.OK: 2}
        assert await figure(service, "ticker_tables_open") == 31
        assert await figure(service, 'ticker_tables_not_opened_total{limit="sender"}') == 10


@pytest.mark.parametrize("kind", ["book", "trades", "candles:1m", "candles:9999d", "bok", "book:1", "*"])
async def test_thousands_of_tables_that_there_are_not_open_nothing(kind: str) -> None:
    names = [f"A {kind}:{number}" for number in range(1001, 4001)]
    async with attacked_with_tables() as service:
        peer = await service.peer()
        assert await codes(peer, "subscribe", symbols=names) == {Code.UNKNOWN_TABLE: len(names)}
        assert await codes(peer, "unsubscribe", symbols=names) == {Code.NOT_SUBSCRIBED: len(names)}
        assert await figure(service, "ticker_tables_open") == 0


async def test_tables_of_thousands_of_unknown_symbols_are_taken_to_the_limit() -> None:
    async with attacked_with_tables() as service:
        for _ in range(3):
            peer = await service.peer()
            found = await codes(peer, "subscribe", symbols=[f"N{number} book:10" for number in range(3_000)])
            assert found == {Code.UNKNOWN_SYMBOL: 500, Code.TOO_MANY_TABLES: 2_500}
            await peer.close()
        assert await figure(service, "ticker_tables_open") == 0


async def test_a_resume_may_name_and_forget_thousands_of_tables_that_there_are_not() -> None:
    async with attacked_with_tables() as service:
        names = [f"A book:{number}" for number in range(1001, 3_001)]
        forget = [f"N{number} trades:10" for number in range(1_500)] + ["A book:10", "A", "", " ", "A  book:10"]
        peer = await service.peer()
        found = await codes(peer, "resume", symbols=names, forget=forget, **copy_of(peer))
        assert found == {Code.UNKNOWN_TABLE: len(names)}
        assert await figure(service, "ticker_tables_open") == 0


async def test_a_resume_that_forgets_patterns_without_end_is_refused_whole() -> None:
    async with attacked_with_tables() as service:
        peer = await service.peer()
        forget = [f"*{number} book:10" for number in range(3_000)]
        with trio.fail_after(HANG_SECONDS):
            error = await peer.answer("resume", symbols=[], forget=forget, **copy_of(peer))
        assert isinstance(error, Error)
        assert (error.code, error.fatal) == (Code.BAD_REQUEST, False)


async def test_checksums_over_and_over_are_paid_for(fast_clock: MockClock) -> None:
    async with attacked_with_many_instruments(STRICT) as service:
        peer = await service.peer()
        assert isinstance(await peer.answer("subscribe", symbols=["*"]), Reply)
        async with answered_late(peer, fast_clock, 600):
            assert isinstance(await peer.answer("digest"), Reply)


PRINTS = [Trade("A", "1.00", 1, None, MINUTE * 1_000_000, f"{number:060}") for number in range(1_000)]


async def test_large_tables_over_and_over_are_paid_for(fast_clock: MockClock) -> None:
    async with attacked_with_tables(STRICT) as service:
        await service.publish(*PRINTS)
        peer = await service.peer()
        async with answered_late(peer, fast_clock, 600):
            for number in range(20):
                await peer.ask("unsubscribe" if number % 2 else "subscribe", symbols=["A trades:1000"])


async def test_large_tables_in_texts_are_paid_for(fast_clock: MockClock) -> None:
    del fast_clock
    request = b"GET /v1/events?symbols=A+trades:1000&format=named HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with attacked_with_tables(STRICT) as service:
        await service.publish(*PRINTS)
        statuses = []
        for _ in range(10):
            peer = await service.dial()
            with trio.fail_after(HANG_SECONDS):
                await peer.send(request)
                statuses.append((await peer.head())[9:12])
                while statuses[-1] == b"200" and b'"event":"reply"' not in peer._received:
                    await peer._more()
            await peer.close()
        assert statuses[0] == b"200"
        assert statuses[-1] == b"429"


# Pages

ODD = {
    "a depth beyond all numbers": "book?symbol=A&depth=" + "9" * 400,
    "a depth below 0": "book?symbol=A&depth=-10",
    "a depth with a sign": "book?symbol=A&depth=%2B10",
    "a depth in other digits": "book?symbol=A&depth=%D9%A1%D9%A0",
    "a depth that is a fraction": "book?symbol=A&depth=10.0",
    "an empty depth": "book?symbol=A&depth=",
    "a depth that there is not": "book?symbol=A&depth=11",
    "a key twice": "book?symbol=A&symbol=A",
    "a key that is not known": "book?symbol=A&Depth=10",
    "a thousand keys": "book?symbol=A" + "&depth=10" * 1000,
    "a pattern": "book?symbol=*",
    "a name with a table": "book?symbol=A%20book:10",
    "a symbol of 5,000 characters": "book?symbol=" + "A" * 5000,
    "a zero character": "trades?symbol=A%00",
    "bytes that are no UTF-8": "trades?symbol=%FF%FE",
    "no symbol": "trades?count=10",
    "a count of 0": "trades?symbol=A&count=0",
    "a count beyond what is kept": "trades?symbol=A&count=1001",
    "a count with an exponent": "trades?symbol=A&count=1e1",
    "no period": "candles?symbol=A",
    "a period that there is not": "candles?symbol=A&period=2m",
    "a long period": "candles?symbol=A&period=" + "1m" * 2000,
    "a time before all times": "candles?symbol=A&period=1m&before=-" + "9" * 30,
    "a time beyond all times": "candles?symbol=A&period=1m&before=" + "9" * 30,
    "a time that is none": "candles?symbol=A&period=1m&before=now",
    "too many candles": "candles?symbol=A&period=1m&count=2001",
    "an unknown symbol": "candles?symbol=NOPE&period=1m",
}


@pytest.mark.parametrize("target", ODD.values(), ids=ODD)
async def test_an_odd_request_for_a_page_of_a_table_is_refused_in_brief(target: str) -> None:
    async with attacked_with_tables() as service:
        answer = await service.refusal(f"GET /v1/{target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        content = json.loads(body)
        assert head.startswith(b"HTTP/1.1 404 " if "NOPE" in target else b"HTTP/1.1 400 ")
        assert content["message"]
        assert len(body) < 500


@pytest.mark.parametrize("page", ["candles?symbol=A&period=1m&count=800", "snapshot?symbols=A%20candles:1m:1000"])
async def test_a_flood_of_pages_of_many_rows_is_paid_for(page: str, fast_clock: MockClock) -> None:
    del fast_clock
    async with attacked_with_tables(STRICT) as service:
        request = f"GET /v1/{page} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        answers = [(await service.refusal(request))[:12] for _ in range(10)]
        assert answers[0] == b"HTTP/1.1 200"
        assert set(answers[5:]) == {b"HTTP/1.1 429"}


async def test_pages_of_tables_of_many_symbols_leave_nothing_open() -> None:
    async with attacked_with_many_instruments(LAVISH) as service:
        for symbol in SYMBOLS[:50]:
            for page in ("book?", "trades?", "candles?period=1m&"):
                request = f"GET /v1/{page}symbol={symbol} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                assert (await service.refusal(request.encode())).startswith(b"HTTP/1.1 200")
        assert await figure(service, "ticker_tables_open") == 0
