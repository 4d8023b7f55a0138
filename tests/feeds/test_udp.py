"""ticker_feeds/lines/udp.py: datagrams, to one address and to a group."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec
import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.support import update
from ticker.errors import ConfigError
from ticker.market import FeedItem, Instrument, Publication, Stale, Update, Withdrawal
from ticker_feeds.lines import Udp
from ticker_feeds.loading import load_feed

GROUP = "239.255.77.88"


class Line:
    """A sender, and the publications that follow from its datagrams."""

    def __init__(self, feed: Udp, sender: socket.socket) -> None:
        self.feed = feed
        self.sender = sender
        self.items: list[FeedItem] = []

    @property
    def publications(self) -> list[Publication]:
        return [each for item in self.items if isinstance(item, list) for each in item]

    def lasts(self) -> list[object]:
        return [each.fields["last"] for each in self.publications if isinstance(each, Update) and "last" in each.fields]

    def send(self, *datagrams: object, sender: socket.socket | None = None) -> None:
        """Bytes as they are, anything else as JSON."""
        host, _, port = self.feed.address.rpartition(":")
        for each in datagrams:
            data = each if isinstance(each, bytes) else json.dumps(each).encode()
            (sender or self.sender).sendto(data, (host.strip("[]"), int(port)))

    async def until(self, happened: Callable[[], bool]) -> None:
        with trio.fail_after(HANG_SECONDS):
            while not happened():
                await trio.sleep(0.01)


@asynccontextmanager
async def receiving(feed: Udp, family: int = socket.AF_INET) -> AsyncIterator[Line]:
    sending, channel = trio.open_memory_channel[FeedItem](0)

    async def take() -> None:
        async for item in channel:
            line.items.append(item)

    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        line = Line(feed, sender)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            nursery.start_soon(feed.run, sending)
            await line.until(lambda: bool(feed.address))
            yield line
            nursery.cancel_scope.cancel()


async def test_an_object_or_an_array_in_json_or_msgpack_is_a_datagram() -> None:
    async with receiving(Udp(listen="127.0.0.1:0")) as line:
        line.send(b'{"symbol": "A", "last": 1.50}')
        line.send(msgspec.msgpack.encode({"symbol": "A", "last": "2.50", "time": 2**50, "note": None}))
        line.send(b'\n[{"symbol": "A", "last": 3}, {"withdraw": "A"}]')
        line.send(msgspec.msgpack.encode([{"instrument": "B", "price_scale": 5}]))
        await line.until(lambda: len(line.publications) == 6)
    assert line.publications == [
        Instrument("A", price_scale=2),
        update("A", last=Decimal("1.50")),
        update("A", last="2.50", time=2**50, note=None),
        update("A", last=3),
        Withdrawal("A"),
        Instrument("B", price_scale=5),
    ]


@pytest.mark.parametrize("listen", ["[::1]:0", "127.0.0.1:0"])
async def test_it_can_be_run_again_on_either_family(listen: str) -> None:
    feed = Udp(listen=listen)
    for _ in range(2):
        feed.address = ""
        async with receiving(feed, socket.AF_INET6 if "[" in listen else socket.AF_INET) as line:
            line.send({"symbol": "A", "last": 1})
            await line.until(lambda line=line: len(line.publications) == 2)  # type: ignore[misc]  # a default


async def test_the_datagrams_of_a_group_are_taken_and_others_are_not() -> None:
    feed = Udp(listen="127.0.0.1:0", group=GROUP)
    async with receiving(feed) as line:
        assert feed.address.startswith(GROUP)
        line.sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        line.sender.sendto(b'{"symbol": "A", "last": 1}', ("127.0.0.1", int(feed.address.rpartition(":")[2])))
        line.send({"symbol": "A", "last": 2})
        await line.until(lambda: line.lasts() == [2])


async def test_bad_datagrams_are_counted_logged_once_and_skipped(caplog: pytest.LogCaptureFixture) -> None:
    feed = Udp(listen="127.0.0.1:0")
    async with receiving(feed) as line:
        line.send(b"", b"hello", b"{", {"symbol": "A", "last": 1}, [{"symbol": "A"}, 5], {"seq": "1"})
        line.send({"symbol": "A", "last": 2})
        await line.until(lambda: line.lasts() == [1, 2])
    assert feed.counters == {"not msgpack": 2, "not JSON": 1, "no object in an array": 1, "bad seq": 1}
    assert len([text for text in caplog.messages if "skipped" in text]) == 4
    assert line.publications[2:] == [
        Stale("A", "bad_data"),
        update("A", last=2),
    ]


async def test_gaps_repetitions_and_what_comes_late_are_noticed_for_each_sender() -> None:
    feed = Udp(listen="127.0.0.1:0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        async with receiving(feed) as line:
            for number in (10, 11, 11, 14, 13, 15):
                line.send({"seq": number, "symbol": "A", "last": number})
            line.send([{"seq": 17, "symbol": "A", "last": 16}, {"symbol": "A", "last": 17}])
            await line.until(lambda: 17 in line.lasts())
            line.send({"seq": 3, "symbol": "B", "last": 100}, {"seq": 4, "symbol": "B", "last": 101}, sender=other)
            line.send({"symbol": "A", "last": 18})
            await line.until(lambda: {18, 101} <= set(line.lasts()))
    assert [each for each in line.lasts() if each != 18][:8] == [10, 11, 14, 15, 16, 17, 100, 101]
    assert feed.counters == {"duplicates": 1, "gaps": 2, "missed": 3, "late": 1}


@pytest.mark.parametrize("first", [0, 1, 5])
async def test_a_sender_that_begins_anew_is_heard(first: int) -> None:
    feed = Udp(listen="127.0.0.1:0")
    async with receiving(feed) as line:
        for number in (5_000, first, first + 1):
            line.send({"seq": number, "symbol": "A", "last": number})
        await line.until(lambda: line.lasts() == [5_000, first, first + 1])
    assert not feed.counters


async def test_a_burst_is_published_in_few_batches() -> None:
    async with receiving(Udp(listen="127.0.0.1:0")) as line:
        line.send(*({"symbol": "A", "last": at} for at in range(150)))
        await line.until(lambda: len(line.lasts()) == 150)
    assert line.lasts() == list(range(150))
    assert len(line.items) < 15


async def test_an_empty_array_is_a_sign_of_life() -> None:
    feed = Udp(listen="127.0.0.1:0", silence=5)
    assert feed.silence_seconds == 5
    async with receiving(feed) as line:
        line.send([])
        await line.until(lambda: line.items == [[]])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("listen=9000", "give ADDRESS:PORT"),
        ("listen=example.org:9000", "example.org"),
        ("listen=127.0.0.1:x", "invalid literal"),
        ("listen=127.0.0.1:70000", "give ADDRESS:PORT"),
        ("listen=127.0.0.1:9000&group=10.0.0.1", "give an IPv4 multicast group"),
        ("listen=[::1]:9000&group=239.1.1.1", "give an IPv4 multicast group"),
        ("listen=127.0.0.1:9000&silence=-1", "silence -1.0"),
    ],
)
def test_what_cannot_be_listened_to_is_refused_by_name(options: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_feed(f"udp?{options}")
    assert why in str(caught.value)
