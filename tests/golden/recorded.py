"""A conversation that the server's own code leads: whatever it sends is recorded, in both encodings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.golden.steps import EPOCH, TIME, Conversation, Message, Step
from tests.stranger.client import decode
from tests.stranger.held_copy import Copy
from tests.support import Sink, cut, payload, split, update
from ticker.config import Limits, Tables
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.core.session import ServerSession, Terms
from ticker.market import Instrument, Levels, Publication, Stale, Trade
from ticker.protocol.messages import MessageKind
from ticker.protocol.wire import JSON, MSGPACK, Encoding

_SECOND = 1_000_000


class _Line:
    """A connection with one encoding."""

    def __init__(self, hub: Hub, encoding: Encoding) -> None:
        self.sink = Sink(encoding)
        self.subscriber = hub.connect(self.sink, encoding, 0)
        self.session = ServerSession(hub, self.subscriber, "s1", Terms(Limits()))
        self.sink.frames.append(self.session.welcome())

    def ask(self, request: dict[str, Any]) -> None:
        answer = self.session.receive(self.sink.encoding.encode_request(request), 0)
        self.sink.frames.append(answer.frame)

    def take(self) -> list[bytes | str]:
        frames, self.sink.frames = self.sink.frames, []
        return [payload(frame) for frame in split(frames)]


class _Recording:
    """The server, its client, and the steps so far; the payload of a message is in its encoding."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self.steps: list[Step] = []
        tables = Tables(depths=(3,), trades=(3,), bars=(3,), periods=("1m",))
        self._cache = LastValueCache(EPOCH, tables=tables)
        self._hub = Hub(self._cache)
        self._copy = Copy()
        self._line: _Line | None = None
        self._requests = 0

    def publish(self, name: str, *publications: Publication) -> None:
        """One cut, with what the client gets of it."""
        cut(self._cache, *publications)
        for _ in self._hub.publish(0):
            pass
        self._record(name)

    def connect(self) -> None:
        """Begin a connection; the client sends what it has to."""
        self._line = _Line(self._hub, self._encoding)
        (welcome,) = self._record("a connection")
        requests = [self._numbered(request) for request in self._copy.begin(welcome)]
        self._send(requests)

    def want(self, *names: str) -> None:
        """The user wants other names: the client gives names up, or asks for further ones."""
        before, self._copy.wanted = self._copy.wanted, list(names)
        self.steps.append({"wants": list(names)})
        given_up = [name for name in before if name not in names]
        added = [name for name in names if name not in before]
        changes = [("unsubscribe", given_up), ("subscribe", added)]
        if self._line is not None:
            self._send([self._numbered({"op": op, "symbols": each}) for op, each in changes if each])

    def verify(self) -> None:
        """The user asks for the checksum."""
        self.steps.append({"asks": "digest"})
        self._send([self._numbered({"op": "digest"})])

    def lose(self, messages: int = 0) -> None:
        """The connection is lost, with so many of the latest messages on their way."""
        assert self._line is not None
        self._hub.disconnect(self._line.subscriber)
        self._line = None
        del self.steps[len(self.steps) - messages :]
        self.steps.append({"closed": True})
        self._copy = self._replayed()

    def _replayed(self) -> Copy:
        """The client's copy after the steps so far."""
        copy = Copy()
        for step in self.steps:
            if "wants" in step:
                copy.wanted = step["wants"]
            elif "sends" in step:
                for request in step["sends"]:
                    copy.sent(request)
            elif "closed" in step:
                copy.lost()
            elif "message" in step:
                copy.apply(step["message"])
                if step["message"][0] == MessageKind.WELCOME:
                    copy.begin(step["message"])
        return copy

    def _numbered(self, request: dict[str, Any]) -> dict[str, Any]:
        self._requests += 1
        return request | {"id": self._requests}

    def _send(self, requests: list[dict[str, Any]]) -> None:
        if not requests or self._line is None:
            return
        self.steps.append({"sends": requests})
        for request in requests:
            self._copy.sent(request)
            self._line.ask(request)
            self._record(request["op"])

    def _record(self, name: str) -> list[Message]:
        """Add the messages that have come."""
        messages = []
        for received in self._line.take() if self._line is not None else ():
            message = decode(received)
            self._copy.apply(message)
            kind = MessageKind(message[0]).name
            self.steps.append({"receives": f"{name}: {kind}", "message": message, "payload": received})
            messages.append(message)
        return messages


def _trade(price: str, size: str, seconds: float, number: int) -> Trade:
    return Trade("EURUSD", price, size, "buy" if number % 2 else "sell", TIME + int(seconds * _SECOND), number)


def _market() -> Iterator[tuple[str, list[Publication]]]:
    """Moments of a market, each with its name."""
    yield "a quote", [update("EURUSD", bid="1.39122", bid_size="700000")]
    yield "a better bid", [Levels("EURUSD", [("1.39122", "7")], [])]
    yield "it goes, and the pushed out one comes back", [Levels("EURUSD", [("1.39122", "0")], [("1.39134", "5")])]
    yield "one side is taken", [Levels("EURUSD", [], [("1.39134", "0"), ("1.39135", "0"), ("1.39136", "0")])]
    yield "a trade", [_trade("1.39122", "3", 1, 1)]
    yield "more trades at once than there is room for", [_trade(f"1.3912{each}", "2", 61, each) for each in range(2, 8)]
    yield "a trade is busted", [_trade("1.39126", "0", 61, 6)]
    yield "a late trade makes a bar", [_trade("1.39100", "9", -130, 8)]
    yield "a finer size", [Levels("EURUSD", [("1.39121", "0.5")], [("1.39140", "8")])]
    yield "a finer trade", [_trade("1.391255", "0.25", 125, 9)]
    yield "a number that has no integer", [Levels("EURUSD", [("1.3912000000000001", "4")], [])]
    yield "the book is not current", [Stale("EURUSD", "gap", book_only=True)]
    yield "it is again", [Levels("EURUSD", [("1.39121", "0.5"), ("1.39119", "3")], [("1.39141", "1")], complete=True)]


def _recorded(encoding: Encoding) -> list[Step]:
    recording = _Recording(encoding)
    tables = ["EURUSD book:3", "EURUSD trades:3", "EURUSD candles:1m:3"]
    bids = [("1.39121", "5"), ("1.39120", "4"), ("1.39119", "3"), ("1.39118", "2")]
    asks = [("1.39134", "4"), ("1.39135", "5"), ("1.39136", "6")]
    recording.publish("a market", Instrument("EURUSD", 5, 0), Instrument("GBPUSD", 4, 0))
    recording.publish("a book", Levels("EURUSD", bids, asks, complete=True), update("EURUSD", bid="1.39121"))
    recording.want("EURUSD", *tables)
    recording.connect()
    for name, publications in _market():
        recording.publish(name, *publications)
    recording.verify()
    recording.want("EURUSD", *tables[1:])
    recording.publish("a level that nobody watches", Levels("EURUSD", [("1.39120", "9")], []))
    recording.want("EURUSD", *tables[1:], "* book:3")
    recording.lose(messages=1)
    recording.publish("a moment missed", update("EURUSD", bid=None, ask="1.39140"), _trade("1.39130", "1", 130, 10))
    recording.connect()
    recording.publish(
        "a new instrument", Instrument("XAUUSD", 2, 0), Levels("XAUUSD", [("1290.1", "1")], [], complete=True)
    )
    recording.publish("a finer quote", update("EURUSD", ask="1.391405"))
    recording.verify()
    return recording.steps


def server() -> Conversation:
    """Return the conversation that the server leads."""
    steps = []
    for binary, text in zip(_recorded(MSGPACK), _recorded(JSON), strict=True):
        if "receives" in binary:
            forms = {"msgpack": binary["payload"].hex(), "json": text["payload"]}
            steps.append({"receives": binary["receives"], "message": binary["message"], "forms": forms})
        else:
            assert binary == text
            steps.append(binary)
    return Conversation("server", steps)
