"""Bombs and lies in requests, over real TLS, beside a client that is served (see tests/hostile/test_list.py).

A message that no decoder should see is refused before it costs memory or depth. A message that is merely wrong gets an
ERROR, and the connection goes on.
"""

from __future__ import annotations

import struct

import msgpack
import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import BINARY, JSON, MSGPACK, TEXT, Running, client_frame
from tests.hostile.support import attacked, growth
from ticker.config import Limits
from ticker.errors import Code
from ticker.protocol.messages import Error, Reply

LARGE = Limits(max_message_bytes=3_000_000, requests_per_second=1_000_000, request_burst=1_000_000)
MEGABYTE = 1_000_000


def request(**fields: object) -> bytes:
    return msgpack.packb(fields)


def subscribe(symbols: bytes) -> bytes:
    """A subscribe with `symbols` given in msgpack."""
    return b"\x83" + b"".join(map(msgpack.packb, ("op", "subscribe", "id", 1, "symbols"))) + symbols


def pairs(content: bytes, *, count: int) -> bytes:
    """A msgpack map of `count` pairs."""
    return struct.pack("!BI", 0xDF, count) + content


PING = request(op="ping", id=1)[1:]

MSGPACK_BOMBS = {
    "deep arrays": b"\x91" * 60_000 + b"\xc0",
    "deep arrays in a request": subscribe(b"\x91" * 60_000 + b"\xc0"),
    "deep maps": b"\x81\xa1a" * 20_000 + b"\xc0",
    "deep keys": b"\x81" * 60_000,
    "a map that is a key": b"\x81\x81\xc0\xc0\xc0",
    "an array that is a key": b"\x81\x90\xc0",
    "a wide map": pairs(b"\xc0\xc0" * 16_385, count=16_385),
    "a wide array": subscribe(b"\xdc\x40\x01" + b"\xa1A" * 16_385),
    "an array that lies": subscribe(b"\xdd\xff\xff\xff\xff"),
    "many arrays that lie": subscribe(b"\xdc\x40\x00" * 500),
    "a map that lies": b"\xdf\xff\xff\xff\xff",
    "a text that lies": subscribe(b"\x91\xdb\xff\xff\xff\xff"),
    "bytes that lie": subscribe(b"\xc6\xff\xff\xff\xff"),
    "an extension that lies": subscribe(b"\xc9\xff\xff\xff\xff\x01"),
    "an extension": subscribe(b"\xd4\x01\x00"),
    "an extension of nothing": subscribe(b"\xc7\x00\x05"),
    "a timestamp": subscribe(b"\xd6\xff\x00\x00\x00\x00"),
    "a long timestamp": subscribe(b"\xc7\x0c\xff" + bytes(12)),
    "text that is no UTF-8": subscribe(b"\x91\xa2\xff\xfe"),
    "half of a surrogate pair": subscribe(b"\x91\xa3\xed\xa0\x80"),
    "the byte that is never used": b"\xc1",
    "two messages": request(op="ping", id=1) * 2,
    "nothing": b"",
    "an array": msgpack.packb(["ping", 1]),
    "a number": b"\x01",
}
"""Msgpack other than a map, or maps too deep or too wide."""

MSGPACK_LIES = {
    "keys that are numbers": b"\x83" + PING + b"\x05\x06",
    "keys that are nil": b"\x83" + PING + b"\xc0\x06",
    "keys that are bytes": b"\x82\xc4\x02op\xa4ping" + b"\xc4\x02id\x01",
    "keys that are bytes besides": b"\x83" + PING + b"\xc4\x02id\x07",
    "keys that are NaN": b"\x83" + PING + b"\xcb\x7f\xf8" + bytes(6) + b"\x01",
    "keys that are true": b"\x83" + PING + b"\xc3\x01",
    "an id that is NaN": b"\x82\xa2op\xa4ping\xa2id\xcb\x7f\xf8" + bytes(6),
    "an id that is infinite": b"\x82\xa2op\xa4ping\xa2id\xcb\x7f\xf0" + bytes(6),
    "an id that is huge": b"\x82\xa2op\xa4ping\xa2id\xcf" + b"\xff" * 8,
    "an id that is 2**53": request(op="ping", id=2**53),
    "an id that is negative": b"\x82\xa2op\xa4ping\xa2id\xd3\x80" + bytes(7),
    "an id that is true": request(op="ping", id=True),
    "an id that is a text": request(op="ping", id="1"),
    "no id": request(op="ping"),
    "symbols that are one text": request(op="subscribe", id=1, symbols="A"),
    "symbols that are numbers": request(op="subscribe", id=1, symbols=[1, 2.5, None]),
    "symbols that are bytes": request(op="subscribe", id=1, symbols=[b"A"]),
    "symbols that are nil": request(op="subscribe", id=1, symbols=None),
    "a map for symbols": request(op="subscribe", id=1, symbols={"A": 1}),
    "an interval that is NaN": request(op="subscribe", id=1, symbols=[], interval_ms=float("nan")),
    "an interval that is negative": request(op="subscribe", id=1, symbols=[], interval_ms=-1),
    "an interval that is huge": request(op="subscribe", id=1, symbols=[], interval_ms=2**64 - 1),
    "fields that are one text": request(op="subscribe", id=1, symbols=["A"], fields="bid"),
    "fields that are numbers": request(op="subscribe", id=1, symbols=["A"], fields=[1, 2.5, None]),
    "fields that are no names": request(op="subscribe", id=1, symbols=["A"], fields=["bid\n", "\x1b[2J"]),
    "fields without end": request(
        op="subscribe", id=1, symbols=["A"], fields=[f"f{number}" for number in range(9_000)]
    ),
    "sets of fields without end": request(
        op="resume", id=1, epoch="e", cursor=0, symbols=[], selected=[[["a"], []]] * 9_000
    ),
    "a set of fields that is a map": request(
        op="resume", id=1, epoch="e", cursor=0, symbols=[], selected=[{"a": ["A"]}]
    ),
    "a cursor that is huge": request(op="resume", id=1, epoch="e", cursor=2**63, symbols=[]),
    "an empty map": b"\x80",
    "10,001 names": request(op="subscribe", id=1, symbols=["A"] * 10_001),
}
"""Maps that are no requests."""


async def said_to(service: Running, payload: bytes, subprotocol: str) -> Error:
    """The error that a message gets. A client of which it is not fatal is still served."""
    peer = await service.peer(subprotocol)
    with trio.fail_after(HANG_SECONDS):
        await peer.send(client_frame(TEXT if subprotocol == JSON else BINARY, payload))
        error = await peer.message()
        assert isinstance(error, Error)
        assert len(error.text) < 500
        if error.fatal:
            assert (await peer.closed())[0] == 1007
        else:
            assert isinstance(await peer.answer("ping"), Reply)
    return error


@pytest.mark.parametrize("payload", MSGPACK_BOMBS.values(), ids=MSGPACK_BOMBS)
async def test_a_bomb_of_msgpack_is_refused_and_ends_its_connection(payload: bytes) -> None:
    async with attacked() as service:
        error = await said_to(service, payload, MSGPACK)
        assert (error.id, error.code, error.fatal) == (None, Code.MALFORMED, True)


@pytest.mark.parametrize("payload", MSGPACK_LIES.values(), ids=MSGPACK_LIES)
async def test_a_lie_in_msgpack_is_named_and_the_conversation_goes_on(payload: bytes) -> None:
    async with attacked() as service:
        error = await said_to(service, payload, MSGPACK)
        assert (error.code, error.fatal) == (Code.BAD_REQUEST, False)


@pytest.mark.parametrize("form", [b"\xdd", b"\xdf", b"\xdb", b"\xc6"], ids=["array", "map", "text", "bytes"])
async def test_lengths_that_lie_take_no_memory(form: bytes) -> None:
    """An unlimited decoder takes 8 bytes for each item that a length promises, at once."""
    async with attacked() as service:
        with growth() as grown:
            for length in (16_385, 10**6, 2**31, 2**32 - 1):
                error = await said_to(service, subscribe(form + length.to_bytes(4, "big")), MSGPACK)
                assert error.code == Code.MALFORMED
            assert grown.bytes < MEGABYTE


JSON_BOMBS = {
    "a number of 60,000 digits": '{"op":"ping","id":' + "9" * 60_000 + "}",
    "an exponent": '{"op":"ping","id":1e400}',
    "an interval that is infinite": '{"op":"subscribe","id":1,"symbols":[],"interval_ms":1e999}',
    "deep arrays": "[" * 60_000,
    "deep arrays that end": "[" * 30_000 + "]" * 30_000,
    "deep maps": '{"a":' * 12_000 + "1" + "}" * 5_000,
    "deep arrays in a request": '{"op":"ping","id":' + "[" * 30_000 + "]" * 30_000 + "}",
    "NaN": '{"op":"ping","id":NaN}',
    "infinity": '{"op":"ping","id":-Infinity}',
    "an array": "[1]",
    "a text": '"ping"',
    "two messages": '{"op":"ping","id":1}{"op":"ping","id":2}',
    "half of a surrogate pair": '{"op":"subscribe","id":1,"symbols":["\\ud800"]}',
    "a mark of byte order": '\ufeff{"op":"ping","id":1}',
    "keys without quotes": "{op:1}",
    "an end too early": '{"op":"ping","id":1',
    "nothing": "",
    "spaces": " " * 60_000,
    "a zero character": '{"op":"ping","id":1}\0',
}

JSON_LIES = {
    "a fraction of 60,000 digits": '{"op":"ping","id":0.' + "9" * 60_000 + "}",
    "an id that is huge": '{"op":"ping","id":18446744073709551616}',
    "an id that is a fraction": '{"op":"ping","id":1.5}',
    "an id that is a text": '{"op":"ping","id":"1"}',
    "a key that is not known": '{"op":"ping","id":1,"__class__":"x"}',
    "a wide map": '{"op":"ping","id":1,' + ",".join(f'"k{number}":0' for number in range(5_000)) + "}",
    "symbols that are numbers": '{"op":"subscribe","id":1,"symbols":[1,null,{}]}',
    "10,001 names": '{"op":"subscribe","id":1,"symbols":[' + ",".join(['"A"'] * 10_001) + "]}",
}


@pytest.mark.parametrize("text", JSON_BOMBS.values(), ids=JSON_BOMBS)
async def test_a_bomb_of_json_is_refused_and_ends_its_connection(text: str) -> None:
    async with attacked() as service:
        error = await said_to(service, text.encode(), JSON)
        assert (error.id, error.code, error.fatal) == (None, Code.MALFORMED, True)


@pytest.mark.parametrize("text", JSON_LIES.values(), ids=JSON_LIES)
async def test_a_lie_in_json_is_named_and_the_conversation_goes_on(text: str) -> None:
    async with attacked() as service:
        error = await said_to(service, text.encode(), JSON)
        assert (error.code, error.fatal) == (Code.BAD_REQUEST, False)


@pytest.mark.parametrize("op", [None, 0, 1.5, True, [], {}, ["ping"], {"op": "ping"}])
@pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
async def test_an_op_of_the_wrong_type_is_a_bad_request(op: object, subprotocol: str) -> None:
    async with attacked() as service:
        peer = await service.peer(subprotocol)
        with trio.fail_after(HANG_SECONDS):
            payload = peer.encoding.encode_request({"op": op, "id": 5})
            data = payload.encode() if isinstance(payload, str) else payload
            await peer.send(client_frame(TEXT if subprotocol == JSON else BINARY, data))
            error = await peer.message()
            assert isinstance(error, Error)
            assert (error.id, error.code, error.fatal) == (5, Code.BAD_REQUEST, False)


@pytest.mark.parametrize("op", ["", "PING", "ping ", "p\x00ing", "__init__", "x" * 60_000, "\u202e", "🦀" * 1000])
@pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
async def test_an_op_that_there_is_not_is_named_in_brief(op: str, subprotocol: str) -> None:
    async with attacked() as service:
        peer = await service.peer(subprotocol)
        with trio.fail_after(HANG_SECONDS):
            error = await peer.answer(op)
            assert isinstance(error, Error)
            assert (error.code, error.fatal) == (Code.UNKNOWN_OP, False)
            assert len(error.text) < 500


@pytest.mark.parametrize(
    ("subprotocol", "payload"),
    [
        (MSGPACK, b"\x83\xa2op\xa4ping\xa2id\x01\xa2id\x02"),
        (MSGPACK, pairs(b"\xa2id\x01" * 9_998 + b"\xa2op\xa4ping\xa2id\x02", count=10_000)),
        (JSON, b'{"op":"auth","id":1,"op":"ping","id":2}'),
    ],
)
async def test_of_a_key_given_twice_the_last_one_counts(subprotocol: str, payload: bytes) -> None:
    """No second parser sees the message, so the two cannot be made to disagree about it."""
    async with attacked() as service:
        peer = await service.peer(subprotocol)
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(TEXT if subprotocol == JSON else BINARY, payload))
            reply = await peer.message()
            assert isinstance(reply, Reply)
            assert reply.id == 2


async def test_a_bomb_that_an_operator_leaves_room_for_is_refused_too() -> None:
    async with attacked(limits=LARGE) as service:
        for payload in (b"\x91" * 2_900_000, b"\x81\xa1a" * 900_000, b"\xdc\x40\x00" * 900_000):
            assert (await said_to(service, payload, MSGPACK)).code == Code.MALFORMED
        for text in ("[" * 2_900_000, '{"a":' * 500_000):
            assert (await said_to(service, text.encode(), JSON)).code == Code.MALFORMED
