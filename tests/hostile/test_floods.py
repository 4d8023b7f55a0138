"""Clients that send or request too much, beside a client that has to be served (see tests/hostile/test_list.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import BINARY, CLOSE, JSON, MSGPACK, PING, PONG, TEXT, EndOfStream, Peer, client_frame, serving
from tests.hostile.support import attacked, growth
from tests.support import update
from ticker.config import Limits
from ticker.errors import Code
from ticker.protocol.messages import Close, Error, Heartbeat, Reply, parse_server_message

MEGABYTE = 1_000_000
FLOOD = 20 * MEGABYTE
PIECE = 16_384
SLOW = Limits(requests_per_second=1, request_burst=50, heartbeat_seconds=1000)
"""Limits that slow everything beyond a burst, on a slow machine as well."""
QUIET = 0.05
"""Real seconds without any running task, after which nothing more is to come."""


async def send_in_pieces(peer: Peer, flood: bytes) -> None:
    """Send with at most one piece encrypted, and kept in memory, on this side."""
    for start in range(0, len(flood), PIECE):
        await peer.send(flood[start : start + PIECE])


@asynccontextmanager
async def flooding(peer: Peer, flood: bytes) -> AsyncIterator[trio.Event]:
    """Send a flood beside the block, from the moment on at which the server reads no more of it.

    The event is set when all of it has been sent.
    """
    sent = trio.Event()

    async def send() -> None:
        await send_in_pieces(peer, flood)
        sent.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked(QUIET)
        yield sent
        nursery.cancel_scope.cancel()


async def answers(next_is_answer: Callable[[], Awaitable[bool]], connected_at: float, count: int = 0) -> int:
    """Count answers until no more come, on from `count`. Fails once there are more than `SLOW` allows."""

    async def read() -> None:
        nonlocal count
        while True:
            assert await next_is_answer()
            count += 1
            elapsed = trio.current_time() - connected_at
            assert count <= SLOW.request_burst + elapsed * SLOW.requests_per_second

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked(QUIET)
        nursery.cancel_scope.cancel()
    return count


async def next_is_pong(peer: Peer, payload: bytes) -> bool:
    return await peer.frame() == (PONG, payload)


async def next_is_reply(peer: Peer) -> bool:
    return isinstance(await peer.message(), Reply)


# Control frames


async def test_a_flood_of_pings_is_answered_at_the_rate_that_is_allowed(fast_clock: MockClock) -> None:
    async with attacked(limits=SLOW) as service:
        connected_at = trio.current_time()
        peer = await service.peer()
        await peer.send(client_frame(PING, b"x") * 200)
        pongs = await answers(partial(next_is_pong, peer, b"x"), connected_at)
        assert pongs >= 40
        fast_clock.jump(30)
        assert await answers(partial(next_is_pong, peer, b"x"), connected_at, pongs) >= pongs + 25


@pytest.mark.parametrize("payload", [b"", b"x" * 125], ids=["empty", "full"])
async def test_a_flood_of_pings_whose_pongs_are_never_read_waits_at_its_sender(
    payload: bytes, fast_clock: MockClock
) -> None:
    """The pongs are read, and counted, only when the server has stopped reading pings."""
    ping = client_frame(PING, payload)
    flood = ping * (FLOOD // len(ping))
    async with attacked(limits=SLOW) as service:
        connected_at = trio.current_time()
        peer = await service.peer(buffer=4096)
        with growth() as grown:
            async with flooding(peer, flood) as sent:
                fast_clock.jump(30)
                await wait_all_tasks_blocked(QUIET)
                assert not sent.is_set()
                assert grown.bytes < MEGABYTE
                assert await answers(partial(next_is_pong, peer, payload), connected_at) > 0
        await peer.reset()


async def closed_for_nothing(peer: Peer, flood: bytes) -> None:
    """An endless message ends with error 2 and close 1009."""

    async def send() -> None:
        with suppress(trio.BrokenResourceError):
            await send_in_pieces(peer, flood)

    with trio.fail_after(HANG_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            error = await peer.until(Error)  # on a slow machine heartbeats come before it
            assert (error.id, error.code, error.fatal) == (None, Code.TOO_LARGE, True)
            assert (await peer.closed())[0] == Close.TOO_LARGE
            nursery.cancel_scope.cancel()


LAVISH = Limits(requests_per_second=1_000_000, request_burst=1_000_000)
"""Limits under which only the bound on unfinished messages stops a flood."""


@pytest.mark.parametrize(
    "flood",
    [
        client_frame(PONG, b"") * 1_000_000,
        client_frame(PONG, b"x" * 125) * 20_000,
        client_frame(0x01, b"") + client_frame(0x00, b"") * 1_000_000,
        client_frame(0x02, b"x") + client_frame(0x00, b"") * 1_000_000,
        (client_frame(PONG, b"x")) * 500_000,
    ],
    ids=["empty pongs", "full pongs", "fragments of nothing", "a byte and fragments of nothing", "small pongs"],
)
async def test_a_flood_that_never_makes_a_message_ends_with_close_1009(flood: bytes) -> None:
    """trio-websocket keeps each empty fragment in an unbounded list, and reads unsolicited pongs for ever."""
    async with attacked(limits=LAVISH) as service:
        peer = await service.peer()
        with growth() as grown:
            await closed_for_nothing(peer, flood)
            assert grown.bytes < MEGABYTE


async def until_error(peer: Peer) -> None:
    """Read pongs, and on a slow machine heartbeats, up to the error."""
    message: object = None
    while not isinstance(message, Error):
        first_byte, payload = await peer.frame()
        assert first_byte == BINARY or (first_byte, payload) == (PONG, b"")
        if first_byte == BINARY:
            message = parse_server_message(peer.encoding.decode_message(payload))
            assert isinstance(message, Error | Heartbeat)


async def test_pings_between_endless_fragments_do_not_keep_them_going() -> None:
    """A ping is answered, but does not complete the message around it."""
    piece = client_frame(0x00, b"") * 1000 + client_frame(PING, b"")
    flood = client_frame(0x01, b"") + piece * 500
    async with attacked(limits=LAVISH) as service:
        peer = await service.peer()

        async def send() -> None:
            with suppress(trio.BrokenResourceError):
                await send_in_pieces(peer, flood)

        with trio.fail_after(HANG_SECONDS), growth() as grown:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                await until_error(peer)
                assert (await peer.closed())[0] == Close.TOO_LARGE
                nursery.cancel_scope.cancel()
            assert grown.bytes < MEGABYTE


async def test_pings_alone_never_make_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.websocket.MAX_UNFINISHED_BYTES", 300)
    async with attacked(limits=Limits(max_message_bytes=300)) as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            for number in range(200):
                await peer.send(client_frame(PING, b"%d" % number))
                assert await peer.frame() == (PONG, b"%d" % number)


async def test_a_client_that_only_listens_and_answers_pings_stays(
    monkeypatch: pytest.MonkeyPatch, fast_clock: MockClock
) -> None:
    """For weeks: here, for more pongs than may come unsolicited."""
    monkeypatch.setattr("ticker.server.websocket.MAX_UNFINISHED_BYTES", 300)
    async with serving(limits=Limits(max_message_bytes=300, ping_seconds=5, heartbeat_seconds=9000)) as service:
        peer = await service.peer()
        for _ in range(150):
            await wait_all_tasks_blocked()
            fast_clock.jump(6)
            assert await peer.frame() == (PING, b"")
            await peer.send(client_frame(PONG, b""))
        assert isinstance(await peer.answer("ping"), Reply)


REQUEST = client_frame(TEXT, b'{"op":"ping","id":1}')


async def test_a_flood_of_messages_waits_at_its_sender(fast_clock: MockClock) -> None:
    flood = REQUEST * (FLOOD // len(REQUEST))
    async with attacked(limits=SLOW) as service:
        connected_at = trio.current_time()
        peer = await service.peer(JSON)
        with growth() as grown:
            async with flooding(peer, flood) as sent:
                fast_clock.jump(30)
                await wait_all_tasks_blocked(QUIET)
                assert not sent.is_set()
                assert grown.bytes < MEGABYTE
                assert await answers(partial(next_is_reply, peer), connected_at) > 0
        await peer.reset()


async def test_a_flood_of_requests_is_answered_at_the_rate_that_is_allowed(fast_clock: MockClock) -> None:
    async with attacked(limits=SLOW) as service:
        connected_at = trio.current_time()
        peer = await service.peer(JSON)
        await peer.send(REQUEST * 200)
        replies = await answers(partial(next_is_reply, peer), connected_at)
        assert replies >= 20
        fast_clock.jump(30)
        assert await answers(partial(next_is_reply, peer), connected_at, replies) >= replies + 20


# Many names


def names(count: int) -> list[str]:
    return [f"N{number:05}" for number in range(count)]


@pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
async def test_a_hundred_thousand_names_over_many_requests_are_taken_to_the_limit(subprotocol: str) -> None:
    async with attacked(limits=LAVISH) as service:
        peer = await service.peer(subprotocol)
        asked, taken, refused = names(100_000), 0, 0
        with trio.fail_after(HANG_SECONDS), growth() as grown:
            for start in range(0, len(asked), 2_500):
                answer = await peer.answer("subscribe", symbols=asked[start : start + 2_500])
                assert isinstance(answer, Reply)
                codes = [code for _, code, _ in answer.result["outcomes"]]
                taken += codes.count(Code.UNKNOWN_SYMBOL)
                refused += codes.count(Code.TOO_MANY_SYMBOLS)
            assert grown.bytes < 3 * MEGABYTE
            held = await peer.answer("subscriptions")
        assert isinstance(held, Reply)
        assert held.result["symbols"] == sorted(asked[:2_000])
        assert (taken, refused) == (2_000, 98_000)


@pytest.mark.parametrize("room", [65_536, MEGABYTE * 2])
@pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
async def test_a_hundred_thousand_names_in_one_request_are_refused_whole(subprotocol: str, room: int) -> None:
    """Too many bytes; or, where the operator allows that size, too many names."""
    limits = Limits(max_message_bytes=room, requests_per_second=1_000_000, request_burst=1_000_000)
    async with attacked(limits=limits) as service:
        peer = await service.peer(subprotocol)
        with trio.fail_after(HANG_SECONDS):
            with suppress(trio.BrokenResourceError):
                await peer.ask("subscribe", symbols=names(100_000))
            if room == 65_536:
                # The server closes in the middle of the message. The bytes still to come turn that into a reset,
                # which may overtake the error.
                assert await last_error_code(peer) in {Code.TOO_LARGE, None}
                return
            error = await peer.until(Error)  # on a slow machine heartbeats come before it
            if subprotocol == MSGPACK:  # refused before it is decoded into a list
                assert (error.code, error.fatal) == (Code.MALFORMED, True)
            else:
                assert (error.code, error.fatal) == (Code.BAD_REQUEST, False)
                held = await peer.answer("subscriptions")
                assert isinstance(held, Reply)
                assert held.result["symbols"] == []


async def last_error_code(peer: Peer) -> int | None:
    """Return the code of the last error before the end of the connection, if one arrived."""
    code = None
    with suppress(EndOfStream):
        while (frame := await peer.frame())[0] != CLOSE:
            message = parse_server_message(peer.encoding.decode_message(payload_of(frame)))
            code = message.code if isinstance(message, Error) else code
    return code


def payload_of(frame: tuple[int, bytes]) -> bytes | str:
    return frame[1].decode() if frame[0] == TEXT else frame[1]


async def test_one_name_over_and_over_is_one_name() -> None:
    async with attacked(limits=LAVISH) as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            for _ in range(10):
                answer = await peer.answer("subscribe", symbols=["B"] * 10_000)
                assert isinstance(answer, Reply)
            held = await peer.answer("subscriptions")
        assert isinstance(held, Reply)
        assert held.result["symbols"] == ["B"]


async def test_patterns_that_are_hard_to_match_hold_nobody_up() -> None:
    """A matcher that backtracks would never finish these."""
    hard = ["*A" * 31, "*" * 64, "*?" * 32, "[A-Z]" * 12 + "*", "*A*A*A*A*A*A*A*A*A*A*A*A*A*B", "[" * 63 + "*"]
    async with attacked() as service:
        await service.publish(update("B", bid="3.00"))
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            for pattern in hard:
                assert isinstance(await peer.answer("instruments", match=pattern), Reply)
            answer = await peer.answer("subscribe", symbols=hard)
        assert isinstance(answer, Reply)
        assert [code for _, code, _ in answer.result["outcomes"]] == [Code.OK] * len(hard)


# Clients that do not read


def bulky(number: int) -> list[str]:
    return [f"{number} {column} {'x' * 240}" for column in range(50)]


async def ask_much(peer: Peer) -> None:
    """Send requests with large answers, and read none of them."""
    for _ in range(400):
        await peer.ask("subscribe", symbols=names(5_000))


async def say_nothing(_peer: Peer) -> None:
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("then", [say_nothing, ask_much])
async def test_a_client_that_never_reads_costs_a_frame_and_holds_nobody_up(
    then: Callable[[Peer], Awaitable[None]],
) -> None:
    async with attacked(limits=LAVISH) as service:
        deaf = await service.watcher("B", *names(1_999), buffer=4096)
        brisk = await service.watcher("B")
        with growth() as grown:
            with trio.move_on_after(2):
                await then(deaf)
            for number in range(100):
                notes = {f"note{column}": text for column, text in enumerate(bulky(number))}
                await service.publish(update("B", bid=number + 3, **notes))
                assert (await brisk.until_cut(0))[-1].changes[1][1] == 100 * (number + 3)
            assert grown.bytes < 5 * MEGABYTE
        await deaf.reset()
