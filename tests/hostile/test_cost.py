"""Clients whose requests cost much, or make the service keep much, beside a client that has to be served.

See tests/hostile/test_list.py. How much work one step does is tested in tests/core/test_steps.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import CLOSE, EndOfStream, Peer, Running, client_frame
from tests.hostile.support import attacked
from tests.support import update
from ticker.config import Limits
from ticker.market import Instrument
from ticker.protocol.messages import Reply

MANY = 3_000
SYMBOLS = [f"S{number}" for number in range(MANY)]
PATTERNS = [f"*{number}*" for number in range(32)]
STRICT = Limits(requests_per_second=1, request_burst=50, heartbeat_seconds=100_000, ping_seconds=100_000)
"""Limits that a costly request exceeds by far."""
QUIET = 0.05
"""Real seconds without any running task, after which nothing more is to come."""


@asynccontextmanager
async def attacked_with_many_instruments(limits: Limits | None = None) -> AsyncIterator[Running]:
    async with attacked(limits=limits or Limits()) as service:
        await service.publish(*(Instrument(symbol) for symbol in SYMBOLS))
        await service.publish(*(update(symbol, bid="1.00", ask="1.01") for symbol in SYMBOLS))
        yield service


@asynccontextmanager
async def answered_late(peer: Peer, clock: MockClock, seconds: float) -> AsyncIterator[None]:
    """A ping behind the requests of the block is answered only after so many seconds."""
    yield
    await peer.ask("ping")
    late = trio.Event()

    async def answer() -> None:
        while not (isinstance(message := await peer.message(), Reply) and "cut" in message.result):
            pass
        late.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        await wait_all_tasks_blocked(QUIET)
        assert not late.is_set()
        clock.jump(seconds)
        with trio.fail_after(1000):
            await late.wait()


async def test_patterns_over_many_instruments_hold_nobody_up_and_are_paid_for(fast_clock: MockClock) -> None:
    async with attacked_with_many_instruments(STRICT) as service:
        peer = await service.peer()
        async with answered_late(peer, fast_clock, 600):
            assert isinstance(await peer.answer("subscribe", symbols=PATTERNS), Reply)


async def test_another_interval_of_everything_moves_nobody_else_and_costs_little() -> None:
    async with attacked_with_many_instruments(Limits(request_burst=200)) as service:
        peer = await service.peer()
        assert isinstance(await peer.answer("subscribe", symbols=["*"]), Reply)
        for number in range(100):
            answer = await peer.answer("subscribe", symbols=[], interval_ms=1000 + number)
            assert isinstance(answer, Reply)
            assert answer.result["interval_ms"] == 1000 + number
        stats = await peer.answer("stats")
        assert isinstance(stats, Reply)
        assert stats.result["slowed"] == 0


async def test_other_fields_of_everything_over_and_over_are_paid_for(fast_clock: MockClock) -> None:
    async with attacked_with_many_instruments(STRICT) as service:
        peer = await service.peer()
        async with answered_late(peer, fast_clock, 600):
            for number in range(3):
                await peer.ask("subscribe", symbols=["*"], fields=["bid", f"f{number % 2}"])


async def test_overlapping_patterns_with_other_fields_each_hold_nobody_up() -> None:
    async with attacked_with_many_instruments() as service:
        peer = await service.peer()
        for number in range(8):
            names = [f"*{number}*", f"*{number + 1}?"]
            assert isinstance(await peer.answer("subscribe", symbols=names, fields=["bid", f"f{number}"]), Reply)
        error = await peer.answer("subscribe", symbols=["*"], fields=["ask"])
        assert not isinstance(error, Reply)
        assert isinstance(await peer.answer("digest"), Reply)


async def test_a_client_that_comes_again_has_no_fresh_allowance(
    fast_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.door.auth.SHARED_ALLOWANCE", 4)
    async with attacked_with_many_instruments(STRICT) as service:
        first = await service.peer()
        assert isinstance(await first.answer("subscribe", symbols=PATTERNS[:10]), Reply)
        await first.close()
        for turn in range(1, 3):
            peer = await service.peer()
            assert isinstance(await peer.answer("subscribe", symbols=PATTERNS[turn * 10 : turn * 10 + 9]), Reply)
            await peer.close()
        again = await service.peer()
        async with answered_late(again, fast_clock, 600):
            # Alone, this would be in the burst of a connection.
            assert isinstance(await again.answer("subscribe", symbols=["*3?7*"]), Reply)


async def test_pages_of_many_patterns_are_paid_for() -> None:
    limits = Limits(requests_per_second=1, request_burst=50)
    async with attacked_with_many_instruments(limits) as service:
        request = f"GET /v1/snapshot?symbols={','.join(PATTERNS)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        answers = [await service.refusal(request) for _ in range(2)]
        assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200", b"HTTP/1.1 429"]


async def test_a_client_that_makes_the_service_keep_too_much_is_dropped() -> None:
    async with attacked_with_many_instruments(Limits(max_client_bytes=100_000)) as service:
        peer = await service.peer()
        for start in range(0, 1_000, 100):
            await peer.ask("subscribe", symbols=[f"NO{number}" for number in range(start, start + 100)])
        await until_dropped(peer)


async def test_many_clients_of_one_address_cannot_make_the_service_keep_more_than_its_limit() -> None:
    names = [f"NO{number}" for number in range(100)]
    async with attacked(limits=Limits(max_address_bytes=300_000)) as service:
        kept = 0
        for _ in range(8):
            peer = await service.peer()
            with trio.fail_after(HANG_SECONDS), suppress(EndOfStream):
                kept += isinstance(await peer.answer("subscribe", symbols=names), Reply)
        assert 2 <= kept <= 5


async def until_dropped(peer: Peer) -> None:
    """Read until the end, without a close frame."""
    with trio.fail_after(HANG_SECONDS), suppress(EndOfStream):
        while (await peer.frame())[0] != CLOSE:
            pass
        pytest.fail("the connection was closed, not dropped")


async def test_a_client_that_does_not_read_is_dropped_where_its_rest_is_too_much() -> None:
    limits = Limits(max_client_bytes=100_000, stall_seconds=1000)
    async with attacked_with_many_instruments(limits) as service:
        notes = {f"note{number}": "x" * 240 for number in range(40)}
        await service.publish(*(update(symbol, **notes) for symbol in SYMBOLS[:100]))
        peer = await service.peer(buffer=4096)
        await peer.ask("subscribe", symbols=SYMBOLS[:100])
        await wait_all_tasks_blocked(QUIET)
        await until_dropped(peer)


async def test_instruments_that_appear_against_many_patterns_hold_nobody_up() -> None:
    async with attacked_with_many_instruments() as service:
        peers = [await service.peer() for _ in range(10)]
        for number, peer in enumerate(peers):
            names = [f"*{number}*{each}*X" for each in range(32)]
            assert isinstance(await peer.answer("subscribe", symbols=names), Reply)
        await service.publish(*(Instrument(f"{number}X") for number in range(1000)))
        watcher = await service.watcher("999X")
        await service.publish(update("999X", bid="1.00"))
        await watcher.until_cut(0)


async def figures(service: Running) -> dict[str, float]:
    """The gauges of clients and of the bytes kept for them."""
    peer = await service.dial()
    await peer.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    lines = (await peer.rest()).decode().splitlines()
    await peer.close()  # the service waits a second for this end, and counts the connection until then
    wanted = ("ticker_kept_bytes", "ticker_clients", "ticker_connections", "ticker_turns_waiting")
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines)
        if name.startswith(wanted) and "total" not in name
    }


@pytest.mark.parametrize("leave", ["reset", "close", "close frame", "half"])
async def test_of_clients_that_leave_in_the_middle_of_a_step_nothing_is_kept(leave: str) -> None:
    async with attacked_with_many_instruments() as service:
        with trio.fail_after(HANG_SECONDS):
            before = await figures(service)
            for attempt in range(30):
                peer = await (service.dial() if attempt % 5 > 2 else service.peer())
                if attempt % 5 > 2:
                    page = "snapshot" if attempt % 5 == 3 else "events"
                    wanted = ",".join(f"*{number}*" for number in range(attempt * 30, attempt * 30 + 30))
                    await peer.send(f"GET /v1/{page}?symbols={wanted} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                else:
                    number = attempt * 32
                    await peer.ask("subscribe", symbols=[f"*{each}*" for each in range(number, number + 32)])
                    await peer.ask("subscribe", symbols=SYMBOLS[:1000], interval_ms=attempt)
                for _ in range(attempt):
                    await trio.lowlevel.checkpoint()
                if leave == "close frame":
                    with suppress(trio.BrokenResourceError):
                        await peer.send(client_frame(CLOSE, (1000).to_bytes(2, "big")))
                    with suppress(EndOfStream):
                        while attempt % 5 <= 2:
                            await peer.frame()
                elif leave == "half":
                    peer.socket.shutdown(1)
                await (peer.reset() if leave == "reset" else peer.close())
            while (after := await figures(service)) != before:
                await trio.sleep(1.5)
            assert after
