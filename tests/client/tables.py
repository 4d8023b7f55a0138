"""A client without a network: the test gives it the server's messages, and it has its readers as any client has."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from tests.support import payload
from ticker.client.addresses import Address
from ticker.client.client import Client
from ticker.client.events import Connected, Disconnected, Event
from ticker.client.session import ClientSession
from ticker.market import Cell, FieldKey, RecordValue
from ticker.protocol.messages import Definition, Delta, Instruments, Reply, ServerMessage, Snapshot, Welcome
from ticker.protocol.wire import MSGPACK

BIDS, ASKS, TRADES, CANDLES, STATUS, REASON = 16, 17, 18, 19, 14, 15

FEATURES: dict[str, Any] = {
    "book": [2, 10, 25],
    "trades": [3, 10, 50],
    "candles": {"periods": ["1m", "1d"], "rows": [5, 300]},
    "digest": True,
}

Fields = dict[FieldKey, RecordValue]


async def no_stream() -> trio.abc.Stream:
    raise AssertionError


class Talk:
    """A client, and a server whose messages the test writes. Its cuts are closed at 1,000 µs times their number."""

    def __init__(self, features: dict[str, Any] | None = None, limits: dict[str, int] | None = None) -> None:
        self.session = ClientSession(MSGPACK)
        self.events: list[Event] = []
        self.client = Client([Address("wss://host/v1/stream", no_stream)], None, self.session, self.events.append)
        self.features = FEATURES if features is None else features
        self.limits = limits or {}
        self.cut = 0
        self.connect()

    def connect(self, epoch: str = "e1", cut: int | None = None) -> None:
        self.cut = self.cut if cut is None else cut
        message = Welcome(1, epoch, "s", self.cut, self.cut * 1000, 0, self.limits, self.features)
        self.session.begin(payload(MSGPACK.frame(message)))
        self.client._process_event(Connected(self.client.url, "s", resumed=self.session.replica.resuming))
        self.client._process(self.session.take_withdrawn())

    def lose(self) -> None:
        self.client._process_event(Disconnected("lost", 1.0))

    def says(self, message: ServerMessage) -> None:
        self.client._process(self.session.receive(payload(MSGPACK.frame(message))))

    def asked(self) -> list[dict[str, Any]]:
        return [MSGPACK.decode_request(request) for request in self.session.requests()]  # type: ignore[misc]

    def define(self, *definitions: Definition) -> None:
        self.says(Instruments(list(definitions)))

    def record(self, number: int, fields: Fields, time: int | None = None) -> None:
        """A complete record, in the next cut."""
        since, self.cut = self.cut, self.cut + 1
        self.says(Snapshot(since, self.cut, self.cut * 1000 if time is None else time, [], [number, fields]))

    def change(self, number: int, fields: Fields, time: int | None = None) -> None:
        since, self.cut = self.cut, self.cut + 1
        self.says(Delta(since, self.cut, self.cut * 1000 if time is None else time, [number, fields]))

    def answer(self) -> list[str]:
        """Answer the client's requests, all with success; return the names that it asked for."""
        names = []
        for request in self.asked():
            names += request.get("symbols", [])
            self.says(Reply(request["id"], {"outcomes": [[name, 0, ""] for name in request.get("symbols", [])]}))
        return names


def book(name: str = "A book:2", number: int = -7, *, prices: int = 2, sizes: int = 0) -> Definition:
    return Definition(number, name, prices, sizes, {})


def trade(number: int, price: int = 100, size: int = 1, **more: Cell) -> list[Cell]:
    columns: dict[str, Cell] = {"time": 5, "side": None, "id": None, **more}
    return [number, price, size, columns["time"], columns["side"], columns["id"]]


def tape(*numbers: int) -> list[Cell]:
    """The rows of trades with these numbers, as the wire has them."""
    return [cell for number in numbers for cell in trade(number)]


def bar(start: int, close: int = 100, **more: Cell) -> list[Cell]:
    columns: dict[str, Cell] = {"open": close, "high": close, "low": close, "volume": 3, "count": 2, **more}
    return [start, columns["open"], columns["high"], columns["low"], close, columns["volume"], columns["count"]]


async def ready(reader: Any, count: int) -> list[Any]:  # noqa: ANN401  # any reader
    """What a reader gives without waiting, at most so many."""
    found: list[Any] = []

    async def read() -> None:
        while len(found) < count:
            found.append(await anext(reader))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return found
