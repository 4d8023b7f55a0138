"""A peer's frames, into the engine of one machine: each gets an answer, or ends its connection and no other."""

from __future__ import annotations

import socket
import struct
from typing import Any, NamedTuple

import msgspec
import trio
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from trio.testing import MockClock

from tests.fuzz import Target
from tests.fuzz.values import ANYTHING, DAMAGE, Damage, as_msgpack, changed, damaged
from ticker.bus import frames
from ticker.bus.engine import Entry, Position
from ticker.bus.log import Log
from ticker.bus.served_log import serve_log

_NUMBER = st.one_of(st.integers(0, 5), st.integers(0, 5), st.sampled_from([-1, 2**53, 2**64 - 1]))
_POSITION = st.tuples(_NUMBER, _NUMBER).map(list)
_SECONDS = st.sampled_from([0, 0.5, -1, float("nan"), float("inf"), 10**18])

_REQUESTS: SearchStrategy[list[Any]] = st.one_of(
    st.just(["last"]),
    st.tuples(st.just("append"), _POSITION, st.binary(max_size=3)).map(list),
    st.tuples(st.just("read"), _POSITION, _SECONDS).map(list),
    st.tuples(st.just("follow"), _POSITION).map(list),
    st.tuples(st.just("find"), _POSITION).map(list),
    st.tuples(st.just("put-part"), _NUMBER, _NUMBER, st.binary(max_size=3)).map(list),
    st.tuples(st.just("finish-keyframe"), st.tuples(_NUMBER, _NUMBER).map(list)).map(list),
    st.just(["keyframe"]),
    st.tuples(st.sampled_from(["part", "parts"]), _NUMBER, _NUMBER).map(list),
)
_ANY = st.one_of(
    _REQUESTS,
    _REQUESTS,
    st.builds(changed, _REQUESTS, st.lists(st.integers(0, 4), min_size=1, max_size=3), ANYTHING),
    ANYTHING,
)
MESSAGES = st.builds(as_msgpack, _ANY, DAMAGE)


def framed(messages: list[bytes], damage: Damage) -> bytes:
    return damaged(b"".join(struct.pack(">I", len(each)) + each for each in messages), damage)


class Case(NamedTuple):
    """What a peer sends, and whether it then leaves at once."""

    sent: bytes
    leaves: bool


CASES = st.builds(Case, st.builds(framed, st.lists(MESSAGES, max_size=8), DAMAGE), st.booleans())


def check(case: Case) -> None:
    trio.run(_check, case, clock=MockClock(autojump_threshold=0))


async def _check(case: Case) -> None:
    log = Log()
    log.append(Position(1), b"first")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send, log, case)
    assert log.connections == 0
    assert log.bytes == sum(len(each.data) for each in log._entries)
    positions = [each.position for each in log._entries]
    assert positions == sorted(set(positions))
    assert log.last >= Position(1)
    if (latest := log.keyframes.latest()) is not None:
        assert all(log.keyframes.part(latest.cut, number) is not None for number in range(latest.parts))
    if log.last < Position(2**53):
        log.append(Position(2**53), b"and the next")
        assert log.entry(Position(2**53)) == b"and the next"


async def _send(log: Log, case: Case) -> None:
    own, theirs = socket.socketpair()
    theirs.settimeout(0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_log, log, theirs)
        async with trio.SocketStream(trio.socket.from_stdlib_socket(own)) as ours:
            try:
                await ours.send_all(case.sent)
                if case.leaves:
                    return
                await ours.send_eof()
                received = b""
                while chunk := await ours.receive_some(65_536):
                    received += chunk
            except trio.BrokenResourceError:
                return
    _answers(received)


def _answers(received: bytes) -> None:
    """What comes back are whole messages: a hello, answers, and entries."""
    first = True
    while received:
        (length,) = struct.unpack_from(">I", received)
        message, received = received[4 : 4 + length], received[4 + length :]
        assert len(message) == length
        kind = frames.Hello if first else Entry if frames.is_pushed(message) else frames.Answer[object]
        msgspec.msgpack.decode(message, type=kind)
        first = False


TARGET = Target("a peer's frames into the engine of one machine", CASES, check)
