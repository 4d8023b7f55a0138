"""ticker/client/session.py with the server's: names that are removed and added again before the server has replied."""

from __future__ import annotations

from tests.support import Sink, cut, market, payload, split, update
from ticker.client.replica import Fields
from ticker.client.session import ClientSession
from ticker.config import Limits
from ticker.core.hub import Hub
from ticker.core.session import ServerSession, Terms
from ticker.market import WireValue
from ticker.protocol.wire import MSGPACK

BID = 1


class Both:
    """A client's session and the server's, whose frames arrive at a call of the test."""

    def __init__(self) -> None:
        self.cache = market("AA", "B")
        cut(self.cache, update("AA", bid=1), update("B", bid=1))
        self.hub = Hub(self.cache)
        self.sink = Sink()
        self.server = ServerSession(self.hub, self.hub.connect(self.sink, MSGPACK, 0), "s", Terms(Limits()))
        self.client = ClientSession(MSGPACK)
        self.client.begin(payload(self.server.welcome()))

    def serve(self, requests: list[bytes | str]) -> None:
        for request in requests:
            self.sink.push(self.server.receive(request, 0).frame)

    def publish(self, bid: int) -> None:
        cut(self.cache, update("AA", bid=bid), update("B", bid=bid))
        for _ in self.hub.publish(0):
            pass

    def changes(self) -> list[dict[str, Fields]]:
        """Let the pending frames arrive, and return the changes of each that has any."""
        frames, self.sink.frames = self.sink.frames, []
        received = [self.client.receive(payload(frame)).changes for frame in split(frames)]
        return [changes for changes in received if changes]

    def arrive(self) -> list[dict[str, WireValue]]:
        """Let the pending frames arrive, and return the copy after each: bids by symbol."""
        copies = []
        frames, self.sink.frames = self.sink.frames, []
        for frame in split(frames):
            self.client.receive(payload(frame))
            copies.append({each.definition.symbol: each.values[BID] for each in self.client.replica})
        return copies


def test_an_instrument_that_is_given_up_and_asked_for_again_is_not_taken_from_before() -> None:
    both = Both()
    client = both.client
    client.add_names(["A*", "B"])
    first = client.requests()
    client.remove_names(["A*"])
    second = client.requests()
    client.add_names(["AA"])
    third = client.requests()
    both.serve(first + second)
    both.publish(2)
    both.serve(third)
    copies = both.arrive()
    assert all(len(set(copy.values())) <= 1 for copy in copies), "all instruments are of one moment"
    assert {"B": 100} in copies
    assert copies[-1] == {"AA": 200, "B": 200}
    assert client.complete


def test_an_instrument_that_another_name_asks_for_at_once_comes_again_with_all_its_values() -> None:
    both = Both()
    client = both.client
    client.add_names(["A*", "B"])
    both.serve(client.requests())
    assert both.arrive()[-1] == {"AA": 100, "B": 100}
    client.remove_names(["A*"])
    client.add_names(["AA"])
    unsubscribe, subscribe = client.requests()
    both.serve([unsubscribe])
    both.publish(2)
    both.serve([subscribe])
    copies = both.arrive()
    assert copies[0] == {"B": 100}
    assert copies[-1] == {"AA": 200, "B": 200}


def test_what_leaves_the_copy_is_withdrawn_and_what_is_asked_for_again_comes_whole() -> None:
    both = Both()
    client = both.client
    cut(both.cache, update("AA", ask=3))
    client.add_names(["A*", "B"])
    both.serve(client.requests())
    both.arrive()
    client.remove_names(["B"])
    first = client.requests()
    client.add_names(["AA"])
    client.remove_names(["A*"])
    second = client.requests()
    cut(both.cache, update("AA", bid=None))
    both.serve(first + second)
    assert both.changes() == [{"B": {"bid": None}}, {"AA": {"bid": None, "ask": None}}, {"AA": {"ask": 3}}]
