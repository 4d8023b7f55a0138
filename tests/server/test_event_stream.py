"""ticker/server/event_stream.py: the same prices as on the WebSocket, as server-sent events."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import EndOfStream, Peer, Running, serving
from tests.support import update
from tests.tokens import bearer, key_file, token
from ticker.config import Limits, Tokens
from ticker.errors import Code
from ticker.market import Instrument, Publication
from ticker.protocol.messages import Close, MessageKind

MARKET: tuple[Publication, ...] = (Instrument("A"), Instrument("B"), update("A", bid="1.00"), update("B", bid="2.00"))
KIND = MessageKind


class Event(NamedTuple):
    id: str
    message: list[Any]


class Reader:
    """A client of the event stream, made of bytes."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.rest = b""

    async def event(self) -> Event:
        while b"\n\n" not in self.rest:
            data = await self.peer.stream.receive_some()
            if not data:
                raise EndOfStream
            self.rest += data
        whole, _, self.rest = self.rest.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in whole.decode().split("\n"))
        return Event(fields.get("id", ""), json.loads(fields["data"]))

    async def until(self, kind: MessageKind) -> Event:
        while True:
            event = await self.event()
            if event.message[0] == kind:
                return event


async def events(service: Running, query: str, more: str = "", *, buffer: int | None = None) -> Reader:
    peer = await service.dial(buffer=buffer)
    await peer.send(f"GET /v1/events?{query} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
    head = await peer.head()
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"Content-Type: text/event-stream" in head
    assert b"Cache-Control: no-store" in head
    reader = Reader(peer)
    reader.rest = bytes(peer._received)
    return reader


async def test_events_bring_the_snapshot_the_outcomes_and_then_each_change() -> None:
    async with serving(*MARKET) as service:
        reader = await events(service, "symbols=A,NOPE,B*")
        welcome = await reader.event()
        assert (welcome.message[0], welcome.id) == (KIND.WELCOME, "")
        epoch = welcome.message[2]
        assert (await reader.event()).message[0] == KIND.INSTRUMENTS
        snapshot = await reader.event()
        assert snapshot.message[5] == [0, {"1": 100}, 1, {"1": 200}]
        assert snapshot.id == ""
        reply = await reader.event()
        assert [outcome[:2] for outcome in reply.message[2]["outcomes"]] == [["A", 0], ["NOPE", 6], ["B*", 0]]
        assert reply.id == f"{epoch}:1"
        await service.publish(update("B", bid="2.10"))
        delta = await reader.event()
        assert (delta.message[0], delta.message[4], delta.id) == (KIND.DELTA, [1, {"1": 210}], f"{epoch}:2")


async def test_a_client_that_reconnects_resumes_at_its_event() -> None:
    async with serving(*MARKET) as service:
        reader = await events(service, "symbols=*")
        last = (await reader.until(KIND.REPLY)).id
        await reader.peer.close()
        watcher = await service.watcher("A")
        await service.publish(update("A", bid="1.10"))
        await watcher.until_cut(2)
        again = await events(service, "symbols=*", f"Last-Event-ID: {last}\r\n")
        seen = [(await again.event()).message for _ in range(3)]
        assert [message[0] for message in seen] == [KIND.WELCOME, KIND.DELTA, KIND.REPLY]
        assert seen[1][1:3] == [1, 2]
        assert seen[1][4] == [0, {"1": 110}]


async def test_some_fields_are_sent_alone_and_a_client_that_reconnects_with_them_resumes() -> None:
    async with serving(*MARKET) as service:
        reader = await events(service, "symbols=A,B&fields=bid,own")
        reply = await reader.until(KIND.REPLY)
        await service.publish(update("A", ask="2.00", bid="1.10"))
        changed = await reader.until(KIND.DELTA)
        assert changed.message[4] == [0, {"1": 110}]
        await service.publish(update("A", ask="2.01"), update("B", own="x"))
        again = await events(service, "symbols=A,B&fields=bid,own", f"Last-Event-ID: {reply.id}\r\n")
        assert (await again.until(KIND.DELTA)).message[4] == [0, {"1": 110}, 1, {"own": "x"}]


@pytest.mark.parametrize("fields", ["", "bid,", "Bid", "a%20b", ",".join(f"f{number}" for number in range(65))])
@pytest.mark.parametrize("path", ["/v1/events", "/v1/snapshot"])
async def test_fields_that_cannot_be_are_refused_as_a_query(path: str, fields: str) -> None:
    async with serving(*MARKET) as service:
        peer = await service.dial()
        await peer.send(
            f"GET {path}?symbols=A&fields={fields} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        )
        assert (await peer.head()).startswith(b"HTTP/1.1 400 ")
        assert b"fields" in (await peer.rest())


async def test_an_id_beyond_the_servers_cut_gets_an_error_and_then_everything_anew() -> None:
    async with serving(*MARKET) as service:
        peer = await service.peer()
        assert peer.welcome is not None
        reader = await events(service, "symbols=*", f"Last-Event-ID: {peer.welcome.epoch}:99\r\n")
        seen: list[Any] = []
        while not seen or seen[-1][0] != KIND.REPLY:
            seen.append((await reader.event()).message)
        assert [message[0] for message in seen if message[0] != KIND.HEARTBEAT] == [
            KIND.WELCOME, KIND.ERROR, KIND.INSTRUMENTS, KIND.SNAPSHOT, KIND.REPLY,
        ]  # fmt: skip
        (error,) = [message for message in seen if message[0] == KIND.ERROR]
        assert (error[1], error[2], error[4]) == (1, Code.WRONG_EPOCH, False)


@pytest.mark.parametrize("last", ["other:1", ":1", "nonsense", "{epoch}:99", "{epoch}:-1", "{epoch}:" + "9" * 400, "é"])
async def test_an_id_that_means_nothing_here_begins_anew(last: str) -> None:
    async with serving(*MARKET) as service:
        peer = await service.peer()
        assert peer.welcome is not None
        line = f"Last-Event-ID: {last.format(epoch=peer.welcome.epoch)}\r\n"
        dialled = await service.dial()
        await dialled.send(f"GET /v1/events?symbols=* HTTP/1.1\r\nHost: a\r\n{line}\r\n".encode("latin-1"))
        await dialled.head()
        reader = Reader(dialled)
        reader.rest = bytes(dialled._received)
        assert (await reader.until(KIND.SNAPSHOT)).message[5] == [0, {"1": 100}, 1, {"1": 200}]


async def test_a_snapshot_in_parts_cannot_be_resumed_from_before_it_is_whole() -> None:
    declared = [Instrument(f"S{number}") for number in range(20)]
    async with serving(*declared, limits=Limits(snapshot_part=3)) as service:
        reader = await events(service, "symbols=*")
        ids = []
        while True:
            event = await reader.event()
            ids.append(event.id)
            if event.message[0] == KIND.REPLY:
                break
        assert len(ids) > 8
        assert not any(ids[:-1])
        assert ids[-1]


async def test_texts_that_look_like_events_stay_texts() -> None:
    async with serving(Instrument("A"), update("A", note="id: x data: y")) as service:
        reader = await events(service, "symbols=A")
        assert (await reader.until(KIND.SNAPSHOT)).message[5] == [0, {"note": "id: x data: y"}]


async def test_an_interval_holds_for_events_too(fast_clock: MockClock) -> None:
    async with serving(*MARKET) as service:
        reader = await events(service, "symbols=A&interval_ms=1000")
        assert (await reader.until(KIND.REPLY)).message[2]["interval_ms"] == 1000
        for number in range(2, 9):
            await service.publish(update("A", bid=number))
        await wait_all_tasks_blocked()
        fast_clock.jump(2)
        seen: list[Event] = []
        while not seen or seen[-1].message[4] != [0, {"1": 800}]:
            seen.append(await reader.until(KIND.DELTA))
        assert len(seen) <= 2


async def test_a_reader_that_stalls_gets_one_merged_event() -> None:
    async with serving(*MARKET) as service:
        reader = await events(service, "symbols=A", buffer=4096)
        brisk = await service.watcher("A")
        for number in range(2, 102):
            # Over a megabyte in all, of which sockets take a small part: most events have to wait.
            bulk = {f"note{column}": f"{number:03}" + "x" * 250 for column in range(50)}
            await service.publish(update("A", bid=number, **bulk))
            await brisk.until_cut(number)
        seen: list[Event] = []
        while not seen or seen[-1].message[2] < 101:
            seen.append(await reader.until(KIND.DELTA))
        assert all(later.message[1] <= earlier.message[2] for earlier, later in pairwise(seen))
        assert len(seen) < 50
        assert seen[-1].message[4][1]["1"] == 10_100


async def test_a_stop_is_told_with_a_time_to_come_back() -> None:
    async with serving(*MARKET, retry_ms=(700, 700)) as service:
        reader = await events(service, "symbols=A")
        await reader.until(KIND.REPLY)
        service.stop.set()
        with trio.fail_after(HANG_SECONDS):
            rest = reader.rest
            while data := await reader.peer.stream.receive_some():
                rest += bytes(data)
            await service.done.wait()
        assert rest == b'retry: 700\ndata: [8,"the server is stopping",700,true]\n\n'


async def test_a_client_that_leaves_is_forgotten() -> None:
    async with serving(*MARKET, limits=Limits(max_connections=1)) as service:
        for _ in range(5):
            with trio.fail_after(HANG_SECONDS):
                reader = await events(service, "symbols=A")
                await reader.until(KIND.REPLY)
            await reader.peer.stream.aclose()
            await wait_all_tasks_blocked(0.02)


async def test_what_a_client_says_more_is_not_kept() -> None:
    async with serving(*MARKET) as service:
        reader = await events(service, "symbols=A")
        await reader.until(KIND.REPLY)
        with trio.fail_after(HANG_SECONDS):
            try:
                while True:
                    await reader.peer.send(b"x" * 10_000)
            except trio.BrokenResourceError:
                pass
        await service.proves_alive()


# Tokens


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(key=key_file(tmp_path))


async def test_events_end_with_the_token(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        reader = await events(service, "symbols=*", bearer(token(exp=time.time() - 4)))
        await reader.until(KIND.EXPIRING)
        error = await reader.until(KIND.ERROR)
        assert error.message[2:] == [11, "the token has expired", True]
        with pytest.raises(EndOfStream):
            await reader.event()
        assert Close.TOKEN_EXPIRED.come_back


async def test_events_of_another_entitlement_cannot_be_resumed(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        wide = await events(service, "symbols=*", bearer(token()))
        last = (await wide.until(KIND.REPLY)).id
        narrow = await events(service, "symbols=*", bearer(token(symbols=["A"])) + f"Last-Event-ID: {last}\r\n")
        assert (await narrow.until(KIND.SNAPSHOT)).message[5] == [0, {"1": 100}]
        own = (await narrow.until(KIND.REPLY)).id
        again = await events(service, "symbols=*", bearer(token(symbols=["A"])) + f"Last-Event-ID: {own}\r\n")
        assert [(await again.event()).message[0] for _ in range(2)] == [KIND.WELCOME, KIND.REPLY]
