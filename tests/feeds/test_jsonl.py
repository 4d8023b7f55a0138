"""ticker_feeds/lines/jsonl.py: lines from standard input, files that grow, and programs that connect."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import ticker
from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, alarms
from tests.support import update
from ticker.config import Config
from ticker.errors import ConfigError
from ticker.market import MAX_BATCH, FeedItem, Instrument, Publication, Stale, Update
from ticker.server.service import serve
from ticker_feeds.lines.jsonl import LOOK_SECONDS, MAX_LINE, MAX_WRITERS, JsonLines
from ticker_feeds.loading import load_feed

A, B = Instrument("A", price_scale=0), Instrument("B", price_scale=0)


def line(symbol: str, bid: object) -> bytes:
    return f'{{"symbol": "{symbol}", "bid": {bid}}}\n'.encode()


class Received:
    """The publications of a feed so far."""

    def __init__(self) -> None:
        self.items: list[FeedItem] = []

    @property
    def publications(self) -> list[Publication]:
        return [each for item in self.items if isinstance(item, list) for each in item]

    def bids(self, symbol: str = "A") -> list[object]:
        fields = [each.fields for each in self.publications if isinstance(each, Update) and each.symbol == symbol]
        return [each["bid"] for each in fields if "bid" in each]

    async def until(self, happened: Callable[[], bool]) -> None:
        with trio.fail_after(HANG_SECONDS):
            while not happened():
                await trio.sleep(0.01)


@asynccontextmanager
async def running(feed: JsonLines) -> AsyncIterator[Received]:
    """A running feed, and its publications."""
    received = Received()
    sending, receiving = trio.open_memory_channel[FeedItem](0)

    async def take() -> None:
        async for item in receiving:
            received.items.append(item)

    async with sending, receiving, trio.open_nursery() as nursery:
        nursery.start_soon(take)
        nursery.start_soon(feed.run, sending)
        yield received
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def listening(feed: JsonLines) -> AsyncIterator[Received]:
    async with running(feed) as received:
        await received.until(lambda: bool(feed.address))
        yield received


async def all_of(feed: JsonLines) -> list[Publication]:
    """Return the publications of a feed that ends."""
    received = Received()
    sending, receiving = trio.open_memory_channel[FeedItem](1_000)
    with trio.fail_after(HANG_SECONDS):
        async with sending:
            await feed.run(sending)
    received.items = [item async for item in receiving]
    return received.publications


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def dial(feed: JsonLines) -> trio.SocketStream:
    if feed.address.startswith("/"):
        return await trio.open_unix_socket(feed.address)
    host, _, port = feed.address.rpartition(":")
    return await trio.open_tcp_stream(host, int(port))


async def test_a_file_is_read_to_its_end_even_without_a_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"\xef\xbb\xbf" + line("A", 1) + b"\n  \r\n" + line("A", 2).strip())
    feed = JsonLines(path=str(path))
    assert await all_of(feed) == [A, update("A", bid=1), update("A", bid=2)]
    assert await all_of(feed) == [A, update("A", bid=1), update("A", bid=2)], "and anew when it is run again"
    assert not feed.counters


async def test_an_array_is_one_moment_and_many_lines_are_few_batches(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(line("A", at) for at in range(5_000)) + b"[" + line("A", 1) + b"]\n")
    received = Received()
    sending, receiving = trio.open_memory_channel[FeedItem](1_000)
    async with sending:
        await JsonLines(path=str(path)).run(sending)
    received.items = [item async for item in receiving]
    assert received.bids()[:5_000] == list(range(5_000))
    assert len(received.items) < 50
    assert max(len(item) for item in received.items if isinstance(item, list)) <= 1_001


async def test_bad_lines_are_counted_and_logged_once_with_their_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(line("A", 1) + b"nonsense\n\xff\n" + b'[{"symbol": "A", "bid": "x"}, 5]\n' + line("A", 2))
    feed = JsonLines(path=str(path))
    assert await all_of(feed) == [A, update("A", bid=1), Stale("A", "bad_data"), update("A", bid=2)]
    assert feed.counters == {"not JSON": 2, "no object in an array": 1}
    assert [text.partition(" (")[0] for text in caplog.messages] == [
        f"{path}, line 2: not JSON",
        f"{path}, line 4: no object in an array",
    ]


@pytest.mark.parametrize("size", [MAX_LINE + 1, 5 * MAX_LINE])
async def test_a_line_that_is_too_long_costs_itself_alone(tmp_path: Path, size: int) -> None:
    path = tmp_path / "lines"
    path.write_bytes(line("A", 1) + b" " * size + line("A", 2) + line("A", 3))
    feed = JsonLines(path=str(path))
    assert await all_of(feed) == [A, update("A", bid=1), update("A", bid=3)]
    assert feed.counters == {"line too long": 1}


async def test_a_file_is_followed_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    async with running(JsonLines(path=str(path), follow=True)) as received:
        path.write_bytes(line("A", 1))
        await received.until(lambda: received.bids() == [1])
        with path.open("ab", buffering=0) as file:
            file.write(line("A", 2) + line("A", 3)[:9])
            await received.until(lambda: received.bids() == [1, 2])
            file.write(line("A", 3)[9:])
            await received.until(lambda: received.bids() == [1, 2, 3])
    assert received.publications.count(A) == 1


async def test_a_file_that_is_replaced_is_read_to_its_end_and_then_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(line("A", 1))
    async with running(JsonLines(path=str(path), follow=True)) as received:
        await received.until(lambda: received.bids() == [1])
        with path.open("ab", buffering=0) as old:
            path.rename(tmp_path / "lines.1")
            old.write(line("A", 2))
            await received.until(lambda: received.bids() == [1, 2])
            old.write(line("A", 3))
            path.write_bytes(line("A", 4))
        await received.until(lambda: received.bids() == [1, 2, 3, 4])


async def test_a_file_that_is_truncated_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(line("A", 1) + line("A", 2) + b'{"symbol": "A", ')
    feed = JsonLines(path=str(path), follow=True)
    async with running(feed) as received:
        await received.until(lambda: received.bids() == [1, 2])
        path.write_bytes(line("A", 3))
        await received.until(lambda: received.bids() == [1, 2, 3])
    assert not feed.counters


async def test_a_file_that_falls_silent_is_stale_until_it_grows_and_is_not_read_anew(
    tmp_path: Path, fast_clock: MockClock
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(line("A", 1) + line("B", 1))
    feed = JsonLines(path=str(path), follow=True, silence=60)
    assert feed.silence_seconds is None
    stale = [Stale(symbol, "feed_silent") for symbol in "AB"]
    async with running(feed) as received:
        await received.until(lambda: received.bids("B") == [1])
        fast_clock.jump(61)
        await received.until(lambda: received.publications[4:] == stale)
        fast_clock.jump(61)
        await trio.sleep(3 * LOOK_SECONDS)
        assert len(received.publications) == 6, "it is said once"
        with path.open("ab", buffering=0) as file:
            file.write(line("A", 2))
        await received.until(lambda: received.publications[6:] == [update("A", bid=2)])


MANY = 12_000
"""More instruments than a batch may have publications."""


def largest(items: Sequence[FeedItem]) -> int:
    return max(len(item) for item in items if isinstance(item, list))


async def test_many_instruments_that_fall_silent_are_stale_in_batches_that_the_service_takes(
    tmp_path: Path, fast_clock: MockClock
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(line(f"S{at}", at) for at in range(MANY)))
    async with running(JsonLines(path=str(path), follow=True, silence=60)) as received:
        await received.until(lambda: len(received.publications) == 2 * MANY)
        fast_clock.jump(61)
        await received.until(lambda: len(received.publications) == 3 * MANY)
    assert largest(received.items) <= MAX_BATCH


async def test_the_many_instruments_of_a_program_that_hangs_up_are_stale_in_batches_that_the_service_takes() -> None:
    feed = JsonLines(path="tcp://127.0.0.1:0")
    async with listening(feed) as received:
        async with await dial(feed) as writer:
            await writer.send_all(b"".join(line(f"S{at}", at) for at in range(MANY)))
            await received.until(lambda: len(received.publications) == 2 * MANY)
        await received.until(lambda: len(received.publications) == 3 * MANY)
    assert largest(received.items) <= MAX_BATCH


async def test_the_service_shows_many_instruments_of_a_silent_feed_as_stale_and_its_feed_goes_on(
    tmp_path: Path, logs: Logs
) -> None:
    path, stop = tmp_path / "lines", trio.Event()
    path.write_bytes(b"".join(line(f"S{at}", at) for at in range(MANY)))
    async with trio.open_nursery() as nursery:
        config = Config(listen="127.0.0.1:0", feeds=[f"jsonl?path={path}&follow=yes&silence=1"])
        url = await nursery.start(serve, config, stop)
        stale: set[str] = set()
        async with ticker.connect(url) as client:
            with trio.fail_after(HANG_SECONDS):
                async for change in client.subscribe("*"):
                    stale |= {name for name, fields in change.changes.items() if fields.get("status") == "stale"}
                    if len(stale) == MANY:
                        break
        stop.set()
    assert {client.values(f"S{at}")["status"] for at in range(MANY)} == {"stale"}
    assert client.values("S0")["reason"] == "feed_silent"
    assert alarms(logs) == []


async def test_a_named_pipe_is_followed_from_one_writer_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    async with running(JsonLines(path=str(path), follow=True)) as received:
        for at in range(3):
            async with await trio.open_file(path, "wb") as file:
                await file.write(line("A", at))
            await received.until(lambda at=at: received.bids() == list(range(at + 1)))  # type: ignore[misc]  # a default


READ_STANDARD_INPUT = """
import trio
from ticker_feeds.lines import JsonLines

async def main():
    sending, receiving = trio.open_memory_channel(100)
    with trio.fail_after(60):
        async with sending:
            await JsonLines(path="-").run(sending)
    print([each async for batch in receiving for each in batch])

trio.run(main)
"""
"""A program of its own, which imports nothing of these tests: that would take most of the time."""


async def test_standard_input_is_read_until_it_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", READ_STANDARD_INPUT]
    expected = f"{[A, update('A', bid=1), update('A', bid=2)]}\n".encode()
    process = await trio.run_process(command, stdin=line("A", 1) + line("A", 2), capture_stdout=True)
    assert process.stdout == expected
    path = tmp_path / "lines"
    path.write_bytes(line("A", 1) + line("A", 2))
    with path.open("rb") as file:
        assert (await trio.run_process(command, stdin=file, capture_stdout=True)).stdout == expected
    assert (await trio.run_process(command, stdin=subprocess.DEVNULL, capture_stdout=True)).stdout == b"[]\n"


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_several_programs_write_to_a_socket_at_once(tmp_path: Path, kind: str) -> None:
    feed = JsonLines(path="tcp://127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/socket")
    async with listening(feed) as received, await dial(feed) as one, await dial(feed) as two:
        await one.send_all(line("A", 1)[:10])
        await two.send_all(line("B", 1))
        await received.until(lambda: received.bids("B") == [1])
        await one.send_all(line("A", 1)[10:] + line("A", 2))
        await received.until(lambda: received.bids("A") == [1, 2])
    assert left_in(tmp_path) == []


async def test_what_a_program_published_is_stale_when_it_hangs_up(tmp_path: Path) -> None:
    feed = JsonLines(path=f"unix:{tmp_path}/socket")
    gone = Stale("B", "writer_gone")
    async with listening(feed) as received, await dial(feed) as one:
        async with await dial(feed) as two:
            await two.send_all(line("A", 1) + line("B", 1))
            await received.until(lambda: received.bids("B") == [1])
            await one.send_all(line("A", 2))
            await received.until(lambda: received.bids() == [1, 2])
        await received.until(lambda: received.publications[-1] == gone)
        assert Stale("A", "writer_gone") not in received.publications, "it is the other's"
        await one.send_all(line("B", 2))
        await received.until(lambda: received.publications[-1] == update("B", bid=2))


async def test_the_fields_of_a_program_that_hangs_up_are_withdrawn_where_another_one_gives_the_others() -> None:
    feed = JsonLines(path="tcp://127.0.0.1:0")
    async with listening(feed) as received, await dial(feed) as one:
        async with await dial(feed) as two:
            await two.send_all(b'{"symbol": "A", "bid": 1, "ask": 2}\n')
            await received.until(lambda: received.bids("A") == [1])
            await one.send_all(b'{"symbol": "A", "ask": 3, "last": 4}\n')
            await received.until(lambda: received.publications[-1] == update("A", ask=3, last=4))
        await received.until(lambda: received.publications[-1] == update("A", bid=None))
    assert not any(isinstance(each, Stale) for each in received.publications)


async def test_the_fault_of_a_program_is_its_own() -> None:
    feed = JsonLines(path="tcp://127.0.0.1:0")
    async with listening(feed) as received, await dial(feed) as good:
        garbage = await dial(feed)
        await garbage.send_all(os.urandom(10_000) + b"\n")
        endless = await dial(feed)
        for _ in range(3):
            await endless.send_all(b" " * MAX_LINE)
        cut_off = await dial(feed)
        await cut_off.send_all(b'{"symbol": "B", "bid": 1')
        cut_off.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await cut_off.aclose()
        await good.send_all(line("A", 1))
        await received.until(lambda: received.bids() == [1])
        await endless.send_all(b"\n" + line("A", 2))
        await received.until(lambda: received.bids() == [1, 2])
        await garbage.aclose()
        await endless.aclose()
    assert received.bids("B") == []
    assert feed.counters["line too long"] == 1
    assert feed.counters["not JSON"] >= 1


HTTP = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nOrigin: https://evil.example\r\n"
    b"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: 28\r\n\r\n" + line("A", 1)
)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize(
    ("opening", "cause"),
    [
        (HTTP, "HTTP request"),
        (b"OPTIONS / HTTP/1.1\r\n\r\n" + line("A", 1), "HTTP request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + line("A", 1), "HTTP request"),
        (b"\r\n\r\nGET /" + b"a" * 2 * MAX_LINE + b" HTTP/1.1\r\n\r\n" + line("A", 1), "HTTP request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n" + line("A", 1), "not JSON"),
        (b"\xef\xbb\xbfGET / HTTP/1.1\n" + line("A", 1), "HTTP request"),
        (b"hello\n" + line("A", 1), "not JSON"),
        (b"1\n" + line("A", 1), "not JSON"),
        (b'"text"\n' + line("A", 1), "not JSON"),
        (b"{nonsense\n" + line("A", 1), "not JSON"),
        (b"[" * 100_000 + b"\n" + line("A", 1), "not JSON"),
        (b"{" * (MAX_LINE + 9) + b"\nHost: localhost\r\n" + line("A", 1), "not JSON"),
        (b"GET", "not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:12]),
)
async def test_a_connection_that_does_not_begin_with_a_line_of_json_is_ended(
    tmp_path: Path, kind: str, opening: bytes, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    feed = JsonLines(path="tcp://127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/socket")
    async with listening(feed) as received, await dial(feed) as good, await dial(feed) as stranger:
        await good.send_all(line("B", 1))
        for at in range(0, len(opening), 7 if len(opening) < 1_000 else len(opening)):
            with suppress(trio.BrokenResourceError):
                await stranger.send_all(opening[at : at + 7 if len(opening) < 1_000 else None])
        with suppress(trio.BrokenResourceError):
            await stranger.send_eof()
        with trio.fail_after(HANG_SECONDS), suppress(trio.BrokenResourceError):
            assert await stranger.receive_some() == b""
        await received.until(lambda: feed.counters[cause] == 1)
        await good.send_all(line("B", 2))
        await received.until(lambda: received.bids("B") == [1, 2])
    assert received.bids("A") == []
    text = next(each for each in caplog.messages if cause in each)
    assert text.endswith("its connection is ended, and from now on only counted")


async def test_a_page_cannot_publish_by_posting() -> None:
    """As a page in a browser does it: `fetch(url, {method: "POST", mode: "no-cors", body: lines})`."""
    feed = JsonLines(path="tcp://127.0.0.1:0")
    async with listening(feed) as received:
        host, _, port = feed.address.rpartition(":")

        def post() -> None:
            connection = http.client.HTTPConnection(host, int(port), timeout=HANG_SECONDS)
            with suppress(http.client.HTTPException, OSError):
                connection.request("POST", "/", line("A", 1) * 100, {"Content-Type": "text/plain"})
                connection.getresponse()
            connection.close()

        await trio.to_thread.run_sync(post)
        await received.until(lambda: feed.counters["HTTP request"] == 1)
        async with await dial(feed) as good:
            await good.send_all(line("A", 7))
            await received.until(lambda: bool(received.bids()))
    assert received.bids() == [7]


async def test_a_program_that_has_begun_well_may_send_a_bad_line(tmp_path: Path) -> None:
    feed = JsonLines(path=f"unix:{tmp_path}/socket")
    async with listening(feed) as received, await dial(feed) as writer:
        await writer.send_all(b"\xef\xbb\xbf\n  \n[]\nPOST / HTTP/1.1\n" + line("A", 1))
        await received.until(lambda: received.bids() == [1])
    assert feed.counters == {"not JSON": 1}


async def test_the_number_of_programs_is_bounded(tmp_path: Path) -> None:
    feed = JsonLines(path=f"unix:{tmp_path}/socket")
    async with listening(feed) as received:
        streams = [await dial(feed) for _ in range(MAX_WRITERS)]
        for at, stream in enumerate(streams):
            await stream.send_all(line(f"S{at}", at))
        await received.until(lambda: all(received.bids(f"S{at}") for at in range(MAX_WRITERS)))
        async with await dial(feed) as one_too_many:
            with trio.fail_after(HANG_SECONDS):
                assert await one_too_many.receive_some() == b"", "it is sent away"
        await streams.pop().aclose()
        gone = Stale(f"S{MAX_WRITERS - 1}", "writer_gone")
        await received.until(lambda: received.publications[-1] == gone)
        replacement = await dial(feed)
        await replacement.send_all(line("B", 1))
        await received.until(lambda: received.bids("B") == [1])
        for stream in [*streams, replacement]:
            await stream.aclose()
    assert feed.counters == {"too many writers": 1}


async def test_a_socket_that_was_left_behind_gives_way_and_one_in_use_does_not(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    feed = JsonLines(path=f"unix:{path}")
    async with listening(feed):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(OSError, match="another program is listening"):
            await all_of(JsonLines(path=f"unix:{path}"))
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        await all_of(feed)
    assert path.read_text() == "precious"


async def test_an_empty_array_is_a_sign_of_life() -> None:
    feed = JsonLines(path="tcp://127.0.0.1:0", silence=5)
    assert feed.silence_seconds == 5
    async with listening(feed) as received, await dial(feed) as writer:
        await writer.send_all(b"[]\n")
        await received.until(lambda: received.items == [[]])


async def test_a_program_in_any_language_feeds_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticker_home: Path
) -> None:
    monkeypatch.setenv("TICKER_HOME", str(ticker_home))
    path, stop = tmp_path / "lines", trio.Event()
    path.touch()
    async with trio.open_nursery() as nursery:
        config = Config(listen="127.0.0.1:0", feeds=[f"jsonl?path={path}&follow=yes"])
        url = await nursery.start(serve, config, stop)
        await trio.run_process(["sh", "-c", 'echo \'{"symbol": "A", "bid": 0.00001306}\' >> "$0"', str(path)])
        async with ticker.connect(url) as client:
            with trio.fail_after(HANG_SECONDS):
                async for change in client.subscribe("A"):
                    if "bid" in change.changes["A"]:
                        assert str(client.values("A")["bid"]) == "0.00001306"
                        break
        stop.set()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("path=missing.jsonl", "there is no such file"),
        ("path=tcp://192.0.2.1:9000", "an address of this machine's own"),
        ("path=tcp://example.org:9000", "does not appear to be an IPv4 or IPv6 address"),
        ("path=tcp://127.0.0.1", "tcp://127.0.0.1:PORT"),
        ("path=tcp://127.0.0.1:99999", "out of range"),
        ("path=-&follow=yes", "only a file can be followed"),
        ("path=-&silence=0", "silence 0.0"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(options: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_feed(f"jsonl?{options}")
    assert why in str(caught.value)
