"""Hostile WebSocket frames, over real TLS, beside a client that has to be served (see tests/hostile/test_list.py)."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import BINARY, CLOSE, JSON, MSGPACK, PING, PONG, TEXT, EndOfStream, Peer, client_frame
from tests.hostile.support import attacked
from ticker.config import Limits
from ticker.errors import Code
from ticker.protocol.messages import Close, Error

CONTINUATION = 0x80
BEGUN = 0x01
"""The first byte of a text message's first fragment."""


async def last_frame(peer: Peer) -> bytes:
    """The frame that ends the connection: nothing comes behind it, and before it only messages and pongs."""
    while True:
        first_byte, payload = await peer.frame()
        if first_byte == CLOSE:
            with pytest.raises(EndOfStream):
                await peer.frame()
            return payload
        assert first_byte in {BINARY, TEXT, PONG}


@pytest.mark.parametrize("opcode", [BINARY, TEXT, PING, PONG, CLOSE])
async def test_an_unmasked_frame_ends_its_connection(opcode: int) -> None:
    async with attacked() as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(bytes((opcode, 2)) + b"\x03\xe8")
            assert (await last_frame(peer))[:2] == Close.PROTOCOL_ERROR.to_bytes(2, "big")


@pytest.mark.parametrize("bit", [0x40, 0x20, 0x10, 0x70])
@pytest.mark.parametrize("opcode", [BINARY, TEXT, PING, CLOSE, BEGUN])
async def test_a_reserved_bit_ends_its_connection(bit: int, opcode: int) -> None:
    """No extension was negotiated that could mean anything by it: no compression, so no bomb of it."""
    async with attacked() as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(opcode | bit, b"\x03\xe8"))
            assert (await last_frame(peer))[:2] == Close.PROTOCOL_ERROR.to_bytes(2, "big")


async def test_each_reserved_opcode_ends_its_connection() -> None:
    async with attacked() as service:
        for opcode in (*range(0x83, 0x88), *range(0x8B, 0x90), *range(0x03, 0x08)):
            peer = await service.peer()
            with trio.fail_after(HANG_SECONDS):
                await peer.send(client_frame(opcode, b"?"))
                assert (await last_frame(peer))[:2] == Close.PROTOCOL_ERROR.to_bytes(2, "big")


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("length", [126, 65_536, 2**31, 2**63 - 1, 2**63])
async def test_a_control_frame_of_more_than_125_bytes_ends_its_connection(opcode: int, length: int) -> None:
    form = struct.pack("!BBH", opcode, 0xFE, length) if length < 65_536 else struct.pack("!BBQ", opcode, 0xFF, length)
    async with attacked() as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(form + bytes(4) + b"x" * 126)
            assert (await last_frame(peer))[:2] == Close.PROTOCOL_ERROR.to_bytes(2, "big")


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("inside", [b"", client_frame(BEGUN, b"half")], ids=["alone", "in a message"])
async def test_a_control_frame_in_fragments_ends_its_connection(opcode: int, inside: bytes) -> None:
    async with attacked() as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(inside + client_frame(opcode & 0x7F, b"\x03\xe8") + client_frame(CONTINUATION, b"x"))
            assert (await last_frame(peer))[:2] == Close.PROTOCOL_ERROR.to_bytes(2, "big")


@pytest.mark.parametrize(
    "frames",
    [
        client_frame(TEXT, b"\xff"),
        client_frame(TEXT, b"\xed\xa0\x80"),  # half of a surrogate pair
        client_frame(TEXT, b"\xf4\x90\x80\x80"),  # beyond the last character
        client_frame(TEXT, b"\xc0\xaf"),  # longer than need be
        client_frame(TEXT, b'{"op":"ping","id":1}\xe2\x82'),  # cut off at the end of the message
        client_frame(BEGUN, b"\xe2") + client_frame(CONTINUATION, b"("),
        client_frame(BEGUN, b"") + client_frame(0x00, b"\x80") + client_frame(CONTINUATION, b""),
    ],
)
@pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
async def test_text_that_is_no_utf_8_ends_its_connection(frames: bytes, subprotocol: str) -> None:
    async with attacked() as service:
        peer = await service.peer(subprotocol)
        with trio.fail_after(HANG_SECONDS):
            await peer.send(frames)
            assert (await last_frame(peer))[:2] == Close.MALFORMED.to_bytes(2, "big")


@pytest.mark.parametrize("reason", [b"\xff\xfe", b"bye \xe2\x82", b"\xed\xa0\x80"])
async def test_a_close_reason_that_is_no_utf_8_ends_its_connection(reason: bytes) -> None:
    async with attacked() as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(CLOSE, b"\x03\xe8" + reason))
            assert (await last_frame(peer))[:2] == Close.MALFORMED.to_bytes(2, "big")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015])
async def test_a_close_code_that_may_not_be_ends_its_connection(code: int) -> None:
    async with attacked() as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(CLOSE, code.to_bytes(2, "big")))
            assert (await last_frame(peer))[:2] == Close.PROTOCOL_ERROR.to_bytes(2, "big")


@pytest.mark.parametrize(
    "behind",
    [
        client_frame(PING, b"still here?"),
        client_frame(PING, b"x") * 1000,
        client_frame(CLOSE, b"\x03\xe8") * 10,
        client_frame(BINARY, b"\x82\xa2op\xa4ping\xa2id\x01"),
        client_frame(PONG, b"") + client_frame(PING, b""),
        b"\xff" * 200,
    ],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["in one read", "afterwards"])
async def test_nothing_is_answered_behind_a_close(behind: bytes, at_once: bool) -> None:  # noqa: FBT001
    async with attacked() as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            close = client_frame(CLOSE, b"\x03\xe8")
            await peer.send(close + behind if at_once else close)
            if not at_once:
                with suppress(trio.BrokenResourceError):
                    for _ in range(10_000):  # it has closed, or will have at once
                        await peer.send(behind)
            assert await rest_of(peer) in {CLOSE_1000, b""}


@pytest.mark.parametrize("behind", [client_frame(PING, b"?"), client_frame(PING, b"?") * 100 + client_frame(PONG, b"")])
async def test_a_ping_behind_the_servers_own_close_is_not_answered(behind: bytes) -> None:
    """wsproto refuses to make a pong then, and trio-websocket lets that leave its server."""
    async with attacked() as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(BINARY, b"\xc1"))
            assert isinstance(await peer.message(), Error)
            assert (await peer.closed())[0] == Close.MALFORMED
            await peer.send(behind + client_frame(CLOSE, b"\x03\xef"))
            assert await rest_of(peer) == b""


CLOSE_1000 = b"\x88\x02\x03\xe8"


async def rest_of(peer: Peer) -> bytes:
    try:
        return await peer.rest()
    except trio.BrokenResourceError:
        return b""


@pytest.mark.parametrize("count", [2, 20])
@pytest.mark.parametrize("size", [1001, 8000])
async def test_over_size_messages_in_one_read_get_one_error_and_one_close(count: int, size: int) -> None:
    """trio-websocket closes for each of them, and raises out of its server at the second."""
    async with attacked(limits=Limits(max_message_bytes=1000)) as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(BINARY, bytes(size)) * count)
            error = await peer.message()
            assert isinstance(error, Error)
            assert (error.code, error.fatal) == (Code.TOO_LARGE, True)
            assert (await last_frame(peer))[:2] == Close.TOO_LARGE.to_bytes(2, "big")


@pytest.mark.parametrize("length", [1001, 65_536, 2**32, 2**62])
async def test_a_length_that_no_message_may_have_is_not_waited_for(length: int) -> None:
    async with attacked(limits=Limits(max_message_bytes=1000)) as service:
        peer = await service.peer()
        form = (
            struct.pack("!BBH", BINARY, 0xFE, length) if length < 65_536 else struct.pack("!BBQ", BINARY, 0xFF, length)
        )
        with trio.fail_after(HANG_SECONDS):
            await peer.send(form + bytes(4) + bytes(1001))
            assert (await last_frame(peer))[:2] == Close.TOO_LARGE.to_bytes(2, "big")
