"""Helpers of several test modules: a market in a line, a sink that remembers, and frames decoded as messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
import trio

from ticker.core.last_value import LastValueCache
from ticker.market import Instrument, Publication, Update, Value
from ticker.net.fair_queue import FairQueue
from ticker.protocol.messages import ServerMessage, parse_server_message
from ticker.protocol.wire import MSGPACK, Encoding

CLOCK = 2_000_000_000_000_000
"""A time after those of all prints, quotes and bars of the tests, in microseconds since 1970 UTC."""


def market(*instruments: Instrument | str) -> LastValueCache:
    """A cache in which these were declared in cut 1; a symbol stands for an instrument with the default scales."""
    cache = LastValueCache("epoch")
    cut(cache, *(Instrument(item) if isinstance(item, str) else item for item in instruments))
    return cache


def cut(cache: LastValueCache, *publications: Publication) -> int:
    """Publish these as one cut, a millisecond after the last one; return the present cut."""
    for publication in publications:
        cache.publish(publication)
    cache.close_cut(cache.time + 1000)
    return cache.cut


def update(symbol: str, **fields: Value) -> Update:
    """An update, with its fields as keywords."""
    return Update(symbol, fields)


class Sink:
    """A client's socket. While it is `full` it still takes a frame, but the frame's rest has to wait."""

    def __init__(self, encoding: Encoding = MSGPACK) -> None:
        self.encoding = encoding
        self.full = False
        self.frames: list[bytes] = []

    def push(self, frame: bytes) -> bool:
        self.frames.append(frame)
        return not self.full

    def catch_up_later(self) -> None:
        """Nothing: the tests call `Hub.catch_up` themselves."""

    def take(self) -> list[ServerMessage]:
        """The messages that arrived since the last time."""
        frames, self.frames = self.frames, []
        return messages(frames, self.encoding)


def messages(frames: Iterable[bytes], encoding: Encoding) -> list[ServerMessage]:
    """The messages in frames, all of them of kinds that we know."""
    parsed = [parse_server_message(encoding.decode_message(payload(frame))) for frame in split(frames)]
    assert None not in parsed
    return [message for message in parsed if message is not None]


def payload(frame: bytes) -> bytes | str:
    """The payload of a frame as a WebSocket library returns it: bytes of a binary one, text of a text one."""
    content = frame[_header(frame) :]
    return content.decode() if frame[0] == 0x81 else content


def split(data: Iterable[bytes]) -> list[bytes]:
    """The single frames in pushed data: one push may bring several."""
    frames = []
    for joined in data:
        rest = joined
        while rest:
            start = _header(rest)
            length = rest[1] if rest[1] < 126 else int.from_bytes(rest[2:start], "big")
            assert len(rest) >= start + length, "a push holds whole frames"
            frames.append(rest[: start + length])
            rest = rest[start + length :]
    return frames


def _header(frame: bytes) -> int:
    """The length of a frame's header (RFC 6455, section 5.2)."""
    return {126: 4, 127: 10}.get(frame[1], 2)


class HeldTurns:
    """Nobody gets a turn until `release`; `waiting` is how many wait for that."""

    def __init__(self) -> None:
        self.waiting = 0
        self._released = trio.Event()

    def release(self) -> None:
        self._released.set()

    async def until(self, waiting: int) -> None:
        """Wait until so many wait for a turn."""
        while self.waiting < waiting:
            await trio.sleep(0.001)

    async def wait(self) -> None:
        self.waiting += 1
        await self._released.wait()


def hold_turns(monkeypatch: pytest.MonkeyPatch) -> HeldTurns:
    """From now on."""
    held, take = HeldTurns(), FairQueue.take

    async def wait(fair_queue: FairQueue) -> None:
        await held.wait()
        await take(fair_queue)

    monkeypatch.setattr(FairQueue, "take", wait)
    return held


@asynccontextmanager
async def hangups() -> AsyncIterator[tuple[trio.MemorySendChannel[object], AsyncIterator[object]]]:
    """A stand-in for the service's SIGHUPs, and its sending end."""
    send, receive = trio.open_memory_channel[object](0)
    async with send, receive:
        yield send, receive
