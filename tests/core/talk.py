"""A conversation with `ticker.core.session`, without sockets."""

from __future__ import annotations

from typing import Any

from tests.support import Sink, cut, market, messages, update
from ticker.config import Limits
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.core.session import Answer, ServerSession, Terms
from ticker.core.table_index import ANYBODY, Opener
from ticker.door.grants import ANYONE, Grant
from ticker.errors import Code
from ticker.protocol.messages import Close, Error, Reply, ServerMessage
from ticker.protocol.wire import MSGPACK, Encoding


class Talk:
    """A client's conversation with a server that knows A, AB and B, of which A has a bid in cut 2."""

    def __init__(
        self,
        cache: LastValueCache | None = None,
        *,
        encoding: Encoding = MSGPACK,
        limits: Limits = Limits(max_symbols=4),  # noqa: B008  # it is frozen
        floor_ms: int = 0,
        grant: Grant = ANYONE,
        opener: Opener = ANYBODY,
    ) -> None:
        if cache is None:
            cache = market("A", "AB", "B")
            cut(cache, update("A", bid="1.5"))
        self.cache = cache
        self.hub = Hub(cache)
        self.sink = Sink(encoding)
        self.subscriber = self.hub.connect(self.sink, encoding, 0)
        self._terms = Terms(limits, floor_ms, grant, opener=opener)
        self.session = ServerSession(self.hub, self.subscriber, "s1", self._terms)
        self.requests = 0

    def reconnect(self, opener: Opener | None = None) -> None:
        """Another connection of the same client, or of another sender, after the hub has seen the end of this one."""
        if opener is not None:
            self._terms = self._terms._replace(opener=opener)
        self.subscriber = self.hub.connect(self.sink, self.sink.encoding, 0)
        self.session = ServerSession(self.hub, self.subscriber, "s2", self._terms)

    def publish(self, symbol: str, bid: str) -> None:
        cut(self.cache, update(symbol, bid=bid))
        for _ in self.hub.publish(0):
            pass

    def send(self, payload: bytes | str) -> tuple[ServerMessage, Close | None]:
        return self.read(self.session.receive(payload, 0))

    def read(self, answer: Answer) -> tuple[ServerMessage, Close | None]:
        (message,) = messages([answer.frame], self.sink.encoding)
        return message, answer.close

    def ask(self, op: str, **keys: object) -> dict[str, Any]:
        """The result of a request that succeeds."""
        self.requests += 1
        reply, close = self.send(self.sink.encoding.encode_request({"op": op, "id": self.requests, **keys}))
        assert isinstance(reply, Reply)
        assert (reply.id, close) == (self.requests, None)
        return reply.result

    def fail(self, op: str, **keys: object) -> Code:
        """The code of a request that fails, on a connection that goes on."""
        error, close = self.send(self.sink.encoding.encode_request({"op": op, "id": 7, **keys}))
        assert isinstance(error, Error)
        assert (error.id, error.fatal, close) == (7, False, None)
        return Code(error.code)

    def outcomes(self, op: str, *symbols: str) -> list[Any]:
        """The outcomes of a request, without the names, which come in the order in which they were given."""
        outcomes = self.ask(op, symbols=list(symbols))["outcomes"]
        assert [name for name, *_ in outcomes] == list(symbols)
        return [outcome[1:] for outcome in outcomes]

    def subscribed(self) -> list[str]:
        names = self.ask("subscriptions")["symbols"]
        assert isinstance(names, list)
        return names
