"""ticker/bus/log.py, frames.py and local.py: limits of the engine of one machine, and peers that are none of ours."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import structlog
import trio
from trio.testing import MockClock

from tests.bus.engines import local_engine
from ticker.bus import frames, keyframes, log, served_log
from ticker.bus.engine import Entry, Keyframe, Position, Refused, Unavailable
from ticker.bus.local import LocalEngine
from ticker.bus.log import Log
from ticker.bus.served_log import serve_log
from ticker.bus_bounds import BUS_PART_SECONDS, BUS_READ_SECONDS
from ticker.errors import ConfigError


def entries(*cuts: int) -> list[Entry]:
    return [Entry(Position(cut), b"x" * 10) for cut in cuts]


async def read(log: Log, after: int = 0) -> list[int]:
    return [each.position.cut for each in await log.read(Position(after), 0)]


async def test_beyond_its_entries_a_log_drops_the_oldest_and_counts_them() -> None:
    log = Log(max_entries=3)
    for each in entries(1, 2, 3, 4, 5):
        log.append(*each)
    assert await read(log) == [3, 4, 5]
    assert (log.dropped, log.entries, log.bytes, log.appended) == (2, 3, 30, 5)


async def test_beyond_its_bytes_a_log_drops_the_oldest_but_never_the_last() -> None:
    log = Log(max_bytes=25)
    for each in entries(1, 2, 3):
        log.append(*each)
    assert await read(log) == [2, 3]
    log.append(Position(4), bytes(100))
    assert await read(log) == [4]
    assert (log.dropped, log.bytes) == (3, 100)


async def test_of_the_beats_a_log_keeps_the_last() -> None:
    log = Log()
    for beat in range(1, 100):
        log.append(Position(0, beat), b"beat")
    log.append(Position(1), b"cut")
    log.append(Position(1, 1), b"beat")
    assert (log.entries, log.bytes, log.dropped) == (3, 11, 0)
    assert log.entry(Position(0, 98)) is None
    assert log.entry(Position(0, 99)) == b"beat"


async def test_a_read_ends_with_the_entry_that_makes_it_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "BUS_BYTES_PER_READ", 15)
    own = Log()
    for each in entries(1, 2, 3):
        own.append(*each)
    assert await read(own) == [1, 2]


async def test_a_read_waits_no_longer_than_its_limit(autojump_clock: MockClock) -> None:  # noqa: ARG001
    begun = trio.current_time()
    assert await Log().read(Position(0), 10**9) == []
    assert trio.current_time() == begun + BUS_READ_SECONDS


async def test_a_keyframe_beyond_its_limit_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyframes, "MAX_BUS_KEYFRAME_BYTES", 1000)
    own = Log()
    own.keyframes.put_part(1, 0, bytes(500))
    with pytest.raises(Unavailable, match=r"after cut 1 has more than 1000 bytes: lower tables\.max_instruments"):
        own.keyframes.put_part(1, 1, bytes(401))
    own.keyframes.put_part(1, 0, bytes(500))  # in the place of the one before
    own.keyframes.put_part(1, 1, bytes(400))


def test_parts_of_keyframes_before_the_latest_are_dropped() -> None:
    own = Log()
    own.keyframes.put_part(5, 0, b"")
    for cut in range(5):
        own.keyframes.put_part(cut, 0, b"")
        assert own.keyframes.part(cut, 0) is None
    assert repr(own.keyframes) == "<Keyframes after cuts [], 1 unfinished>"


def test_their_texts_say_what_they_have() -> None:
    own = Log()
    own.append(Position(3), b"abc")
    own.keyframes.put_part(3, 0, b"")
    own.finish_keyframe(Keyframe(3, 1))
    own.keyframes.put_part(4, 0, b"")
    assert repr(own) == "<Log to Position(cut=3, beat=0): 1 entries, 3 bytes, 0 connections>"
    assert repr(own.keyframes) == "<Keyframes after cuts [3], 1 unfinished>"
    assert repr(LocalEngine("/x/bus")) == "<LocalEngine at /x/bus>"


def pair() -> tuple[trio.SocketStream, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    return trio.SocketStream(trio.socket.from_stdlib_socket(ours)), theirs


@asynccontextmanager
async def peer(own: Log) -> AsyncIterator[trio.abc.Stream]:
    """The other end of a connection to the log, which has said hello."""
    ours, theirs = pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_log, own, theirs)
        (length,) = struct.unpack(">I", await ours.receive_some(4))
        hello = msgspec.msgpack.decode(await ours.receive_some(length), type=frames.Hello)
        assert hello == frames.Hello(frames.PROTOCOL, own.run, pushes=True)
        yield ours
        await ours.aclose()
    assert own.connections == 0


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x05\x91\xa3abc",
        b"\x00\x00\x00\x06\x92\xa4read",
        b"\x00\x00\x10\x00" + b"\x91" * 4096,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_message_ends_its_connection_and_is_counted(sent: bytes) -> None:
    own = Log()
    async with peer(own) as stream:
        await stream.send_all(sent)
        assert await stream.receive_some(1) == b""
    assert own.failed_connections == 1
    assert own.last == Position(0)


async def test_a_message_that_stays_in_its_middle_ends_its_connection(autojump_clock: MockClock) -> None:  # noqa: ARG001
    own = Log()
    async with peer(own) as stream:
        await stream.send_all(b"\x00\x00")
        assert await stream.receive_some(1) == b""
    assert own.failed_connections == 1


async def test_a_peer_that_leaves_is_no_failure_except_in_the_middle_of_a_message() -> None:
    own = Log()
    async with peer(own):
        pass
    assert own.failed_connections == 0
    async with peer(own) as stream:
        await stream.send_all(b"\x00\x00\x00\x09abc")
    assert own.failed_connections == 1


async def test_a_peer_that_takes_no_answer_is_given_up(autojump_clock: MockClock) -> None:  # noqa: ARG001
    own = Log()
    own.append(Position(1), bytes(10_000_000))
    async with peer(own) as stream:
        await stream.send_all(frames.framed(frames.encode(frames.Find(Position(1)))))
        with trio.move_on_after(BUS_PART_SECONDS + 1):
            await trio.sleep_forever()
        assert (own.connections, own.failed_connections) == (0, 1)


async def test_connections_beyond_the_limit_are_closed_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_log, "MAX_BUS_CONNECTIONS", 1)
    own = Log()
    async with local_engine(tmp_path, own) as engine:
        async with engine.connect():
            with pytest.raises(Unavailable, match="its process has ended"):
                async with engine.connect():
                    pass
        assert own.refused_connections == 1
        while own.connections:
            await trio.testing.wait_all_tasks_blocked()
        async with engine.connect() as connection:
            assert repr(connection) == f"<LocalConnection to {engine.name}>"


async def test_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Log()
    async with local_engine(tmp_path, own) as engine:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        with pytest.raises(Unavailable, match="its process has ended"):
            async with engine.connect():
                pass
        assert own.refused_connections == 1


async def test_a_fault_with_one_connection_ends_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Log()
    async with local_engine(tmp_path, own) as engine, engine.connect() as other:
        with structlog.testing.capture_logs() as logs, monkeypatch.context() as patched:
            patched.setattr(own, "entry", None)
            with pytest.raises(Unavailable, match="its process has ended"):
                async with engine.connect() as connection:
                    await connection.entry(Position(1))
        assert await other.last() == Position(0)
    assert [each["event"] for each in logs] == ["a connection to the bus failed"]
    assert own.failed_connections == 1


async def test_only_its_user_may_use_the_socket(tmp_path: Path) -> None:
    async with local_engine(tmp_path):
        assert (await trio.Path(tmp_path / "bus.sock").stat()).st_mode & 0o777 == 0o600


async def test_a_path_that_cannot_be_used_is_named() -> None:
    with pytest.raises(ConfigError, match="cannot listen on /nowhere/bus"):
        await served_log.serve_log_at(Log(), "/nowhere/bus")


async def test_an_engine_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=rf"the bus at unix:{tmp_path}/x cannot be reached: No such file"):
        async with LocalEngine(f"{tmp_path}/x").connect():
            pass


@asynccontextmanager
async def other_engine(folder: Path, hello: frames.Hello | None) -> AsyncIterator[LocalEngine]:
    """Says this to a connection, and ends it at its first command."""
    with trio.socket.socket(socket.AF_UNIX) as listener:
        await listener.bind(f"{folder}/bus")
        listener.listen()

        async def serve() -> None:
            accepted, _ = await listener.accept()
            async with trio.SocketStream(accepted) as stream:
                if hello is not None:
                    message = frames.encode(hello)
                    await stream.send_all(struct.pack(">I", len(message)) + message)
                await stream.receive_some(100)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            yield LocalEngine(f"{folder}/bus")


async def test_an_engine_of_another_version_is_named_with_the_remedy(tmp_path: Path) -> None:
    async with other_engine(tmp_path, frames.Hello("ticker-bus-9", "run")) as engine:
        with pytest.raises(Unavailable, match=r"speaks 'ticker-bus-9'.*: after an update restart the whole service"):
            async with engine.connect():
                pass


@pytest.mark.parametrize("seconds", [-1, 2_678_401, 2**63])
async def test_an_engine_with_a_delay_that_cannot_be_is_refused_and_named(tmp_path: Path, seconds: int) -> None:
    async with other_engine(tmp_path, frames.Hello(frames.PROTOCOL, "run", seconds)) as engine:
        with pytest.raises(Unavailable, match=rf"says that it is {seconds} s late, which has to be 0 to 2678400: "):
            async with engine.connect():
                pass
        assert engine.delay_seconds == 0


async def test_an_engine_with_a_delay_that_is_no_number_is_refused(tmp_path: Path) -> None:
    hello = frames.Hello(frames.PROTOCOL, "run", "900")  # type: ignore[arg-type]  # of another program
    async with other_engine(tmp_path, hello) as engine:
        with pytest.raises(Unavailable, match=r"does not answer: a message of .* bytes that is none of ours"):
            async with engine.connect():
                pass


async def test_an_engine_that_says_nothing_is_given_up(
    tmp_path: Path,
    autojump_clock: MockClock,  # noqa: ARG001
) -> None:
    async with other_engine(tmp_path, None) as engine:
        with pytest.raises(Unavailable, match="does not answer: nothing came for 5 s"):
            async with engine.connect():
                pass


async def test_when_its_process_ends_a_command_ends_with_a_line(tmp_path: Path) -> None:
    async with other_engine(tmp_path, frames.Hello(frames.PROTOCOL, "run")) as engine, engine.connect() as connection:
        assert connection.run == "run"
        with pytest.raises(
            Unavailable, match=rf"the bus at unix:{tmp_path}/bus does not answer: its process has ended"
        ):
            await connection.read(Position(0), 60)
        assert repr(connection) == f"<LocalConnection to unix:{tmp_path}/bus, ended>"


async def test_a_refusal_names_the_engine(tmp_path: Path) -> None:
    async with local_engine(tmp_path) as engine, engine.connect() as connection:
        await connection.append(Position(1), b"")
        with pytest.raises(Refused, match=rf"unix:{tmp_path}/bus\.sock: .*cut=1.* is not behind"):
            await connection.append(Position(1), b"")
