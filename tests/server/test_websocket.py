"""ticker/server/websocket.py: one client's WebSocket on the real service, however badly the client behaves."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import (
    BINARY,
    CLOSE,
    JSON,
    MSGPACK,
    PING,
    PONG,
    TEXT,
    Logs,
    Running,
    alarms,
    client_frame,
    serving,
    upgrade,
)
from tests.support import update
from ticker.config import Limits
from ticker.core.session import ServerSession
from ticker.errors import Code
from ticker.market import Instrument, Publication
from ticker.protocol.messages import Delta, Error, Reply

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))
CONTINUATION = 0x80


# Hostile clients


async def hostile_head(service: Running, head: bytes) -> None:
    peer = await service.dial()
    await peer.send(head)
    await peer.head()
    await peer.close()


async def malformed_then_reset(service: Running) -> None:
    peer = await service.dial()
    await peer.send(b"GET \x00\xff\r\n\r\n")
    await peer.reset()


async def reset_before_tls(service: Running) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as sock:  # and so it is gone before it is accepted
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def reset_after_upgrade(service: Running) -> None:
    peer = await service.dial()
    await peer.send(upgrade())
    await peer.reset()


async def two_oversize_messages(service: Running) -> None:
    peer = await service.peer()
    await peer.send(client_frame(BINARY, bytes(2000)) * 2)
    await peer.rest()


async def ping_after_close(service: Running) -> None:
    peer = await service.peer()
    await peer.send(client_frame(CLOSE, b"\x03\xe8") + client_frame(PING, b"still here?"))
    await peer.rest()


async def ping_after_the_server_closed(service: Running) -> None:
    peer = await service.peer()
    await peer.send(client_frame(BINARY, b"\xc1"))
    assert isinstance(await peer.message(), Error)
    await peer.closed()
    await peer.send(client_frame(PING, b"?") * 3)
    await peer.send(client_frame(CLOSE, b"\x03\xe8"))
    await peer.rest()


async def leave_without_close(service: Running) -> None:
    await (await service.watcher()).close()


async def reset_while_subscribed(service: Running) -> None:
    await (await service.watcher()).reset()


async def many_pings(service: Running) -> None:
    peer = await service.peer()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.send, b"".join(client_frame(PING, b"%d" % number) for number in range(400)))
        for number in range(400):
            assert await peer.frame() == (PONG, b"%d" % number)


async def pings_that_are_never_read(service: Running) -> None:
    peer = await service.peer(buffer=4096)
    with trio.move_on_after(0.3):
        await peer.send(client_frame(PING, b"x" * 125) * 20_000)
    await peer.close()


async def half_a_frame(service: Running) -> None:
    peer = await service.peer()
    await peer.send(client_frame(BINARY, bytes(500))[:100])
    await peer.close()


@pytest.mark.parametrize(
    "attack",
    [
        lambda service: hostile_head(service, upgrade().replace(b"Host: localhost", b"Host: \xff\xfe")),
        lambda service: hostile_head(service, upgrade().replace(b"Host: localhost", b"Host: xn--\xc3\xa9-.xn--")),
        lambda service: hostile_head(service, upgrade().replace(b"Connection: Upgrade", b"Connection: Upgrade, \xff")),
        lambda service: hostile_head(service, b"GET /v1/stream HTTP/1.1\r\n\x00\r\n\r\n"),
        malformed_then_reset,
        reset_before_tls,
        reset_after_upgrade,
        two_oversize_messages,
        ping_after_close,
        ping_after_the_server_closed,
        leave_without_close,
        reset_while_subscribed,
        many_pings,
        pings_that_are_never_read,
        half_a_frame,
    ],
)
async def test_whatever_one_client_does_the_others_are_served_and_the_log_stays_calm(
    attack: Callable[[Running], Awaitable[None]], logs: Logs
) -> None:
    async with serving(*DECLARED, limits=Limits(max_message_bytes=1000, request_burst=500)) as service:
        bystander = await service.watcher("A")
        with trio.fail_after(HANG_SECONDS):  # if the server never ended the connection
            await attack(service)
        await service.publish(update("A", bid="2.00"))
        with trio.fail_after(HANG_SECONDS):
            assert (await bystander.until(Delta)).changes == [0, {1: 200}]
        await service.proves_alive()
    assert alarms(logs) == []


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (bytes((BINARY, 5)) + b"hello", 1002),  # not masked
        (client_frame(0xC2, b"reserved bit"), 1002),
        (client_frame(0x83, b"reserved opcode"), 1002),
        (client_frame(0x8B, b"reserved control opcode"), 1002),
        (client_frame(0x09, b"half a ping"), 1002),
        (client_frame(0x08, b"\x03\xe8"), 1002),
        (client_frame(PING, b"x" * 126), 1002),
        (client_frame(CONTINUATION, b"of nothing"), 1002),
        (client_frame(0x02, b"one") + client_frame(BINARY, b"another"), 1002),
        (client_frame(CLOSE, b"\x03"), 1002),
        (client_frame(CLOSE, b"\x03\xed"), 1002),  # 1005 never stands in a frame
        (client_frame(TEXT, b"\xff\xfe"), 1007),
        (client_frame(0x01, b"\xc3") + client_frame(CONTINUATION, b"("), 1007),
    ],
)
async def test_a_client_that_breaks_rfc_6455_is_told_so_and_closed(frames: bytes, code: int, logs: Logs) -> None:
    async with serving(*DECLARED) as service:
        peer = await service.watcher()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(frames)
            assert (await peer.closed())[0] == code
            await peer.rest()
        await service.proves_alive()
    assert alarms(logs) == []


# Messages that are too large, or of the wrong kind


@pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
async def test_a_message_beyond_the_limit_gets_error_2_and_close_1009(subprotocol: str) -> None:
    async with serving(*DECLARED, limits=Limits(max_message_bytes=1000)) as service:
        peer = await service.watcher(subprotocol=subprotocol)
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(BINARY, bytes(1001)))
            error = await peer.message()
            assert isinstance(error, Error)
            assert (error.id, error.code, error.fatal) == (None, Code.TOO_LARGE, True)
            assert "1000 bytes" in error.text
            assert (await peer.closed())[0] == 1009
            await peer.send(client_frame(CLOSE, b"\x03\xf1"))
            assert await peer.rest() == b""
        await service.proves_alive()


async def test_a_message_at_the_limit_in_many_fragments_is_taken() -> None:
    async with serving(*DECLARED, limits=Limits(max_message_bytes=1000)) as service:
        peer = await service.peer(JSON)
        content = b'{"op": "ping", "id": 5}'.ljust(1000)
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(0x01, content[:1]))
            for start in range(1, 999):
                await peer.send(client_frame(0x00, content[start : start + 1]))
            await peer.send(client_frame(CONTINUATION, content[999:]))
            assert (await peer.until(Reply)).id == 5


@pytest.mark.parametrize(
    ("subprotocol", "first_byte", "payload", "error", "close"),
    [
        (MSGPACK, BINARY, b"\xc1", Code.MALFORMED, 1007),
        (MSGPACK, BINARY, b"", Code.MALFORMED, 1007),
        (MSGPACK, TEXT, b"{}", Code.WRONG_ENCODING, 1003),
        (JSON, TEXT, b"{", Code.MALFORMED, 1007),
        (JSON, BINARY, b"\x80", Code.WRONG_ENCODING, 1003),
    ],
)
async def test_a_message_that_cannot_be_understood_gets_its_error_and_the_close_code_that_goes_with_it(
    subprotocol: str, first_byte: int, payload: bytes, error: Code, close: int
) -> None:
    async with serving(*DECLARED) as service:
        peer = await service.watcher(subprotocol=subprotocol)
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(first_byte, payload))
            answer = await peer.message()
            assert isinstance(answer, Error)
            assert (answer.code, answer.fatal) == (error, True)
            assert (await peer.closed())[0] == close
            await peer.send(client_frame(CLOSE, struct.pack("!H", close)))
            assert await peer.rest() == b""
        await service.proves_alive()


async def test_a_client_that_does_not_answer_the_close_is_left_behind(fast_clock: MockClock) -> None:
    async with serving(*DECLARED) as service:
        peer = await service.watcher()
        await peer.send(client_frame(TEXT, b"wrong"))
        with trio.fail_after(HANG_SECONDS):
            assert isinstance(await peer.message(), Error)
            assert (await peer.closed())[0] == 1003
            await wait_all_tasks_blocked()
            fast_clock.jump(3)
            assert await peer.rest() == b""


async def test_a_close_is_answered_with_its_own_code() -> None:
    async with serving(*DECLARED) as service:
        peer = await service.watcher()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(CLOSE, b"\x03\xe8bye"))
            assert (await peer.closed())[0] == 1000
            assert await peer.rest() == b""


async def test_a_fault_of_the_server_closes_that_connection_with_1011_and_no_other(
    monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    def fail(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError

    async with serving(*DECLARED) as service:
        bystander = await service.watcher("A")
        peer = await service.peer()
        with monkeypatch.context() as patch, trio.fail_after(HANG_SECONDS):
            patch.setattr(ServerSession, "steps", fail)
            await peer.ask("ping")
            assert await peer.closed() == (1011, "a fault of the server")
            assert await peer.rest() == b""
        await service.publish(update("A", bid="2.00"))
        with trio.fail_after(HANG_SECONDS):
            assert (await bystander.until(Delta)).changes == [0, {1: 200}]
        await service.proves_alive()
    assert [entry["event"] for entry in alarms(logs)] == ["connection failed"]
