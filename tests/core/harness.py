"""A hub with clients for tests, which set the time and fill the sockets."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support import Sink, cut, market
from ticker.core.audiences import Audience, SubscriptionSet
from ticker.core.hub import Hub
from ticker.market import Instrument, Publication
from ticker.protocol.messages import Delta, ServerMessage
from ticker.protocol.wire import MSGPACK, Encoding

MS = 1000
SECOND = 1000 * MS
BID = 1


class Harness:
    """A hub with its cache and a clock set by the test."""

    def __init__(self, *instruments: Instrument | str, part: int = 256, burst: int = 32) -> None:
        self.cache = market(*instruments)
        self.hub = Hub(self.cache, snapshot_part=part, burst=burst)
        self.now = 1 * SECOND

    def client(self, *names: str, interval_us: int = 0, encoding: Encoding = MSGPACK) -> Client:
        """A client with these subscriptions that has taken their first data."""
        client = Client(self, encoding)
        if names:
            client.subscribe(*names, interval_us=interval_us)
            client.take()
        return client

    def publish(self, *publications: Publication) -> int:
        """One cut and its whole pass."""
        cut(self.cache, *publications)
        self.run()
        return self.cache.cut

    def run(self) -> None:
        for _ in self.hub.publish(self.now):
            pass

    def begin(self, *publications: Publication) -> Iterator[None]:
        """One cut, and its pass up to the first yield."""
        cut(self.cache, *publications)
        steps = self.hub.publish(self.now)
        next(steps)
        return steps

    def wait(self, us: int) -> None:
        """Let time pass, with a pass whenever one is due."""
        end = self.now + us
        while (due := self.hub.next_due()) is not None and due <= end:
            self.now = due
            self.run()
        self.now = end

    def beat(self, idle_us: int = 10 * SECOND) -> None:
        for _ in self.hub.heartbeat(self.now, idle_us):
            pass

    def audiences(self) -> list[Audience]:
        return list(self.hub._audiences.values())


class Client(Sink):
    """A client of this hub."""

    def __init__(self, harness: Harness, encoding: Encoding = MSGPACK) -> None:
        super().__init__(encoding)
        self.hub = harness.hub
        self.harness = harness
        self.times: list[int] = []
        """The time of each of its frames."""
        self.subscriber = harness.hub.connect(self, encoding, harness.now)

    def subscribe(self, *names: str, interval_us: int = 0, resume_from: int | None = None) -> None:
        self.hub.subscribe(
            self.subscriber,
            subscription_set(*names, interval_us=interval_us),
            self.harness.now,
            resume_from=resume_from,
        )

    def push(self, frame: bytes) -> bool:
        self.times.append(self.harness.now)
        return super().push(frame)

    def leave(self) -> None:
        self.hub.disconnect(self.subscriber)

    def block(self) -> None:
        """From now on its socket takes nothing; the hub notices with the next frame."""
        self.full = True

    def unblock(self) -> bool:
        self.full = False
        return self.hub.catch_up(self.subscriber)


def subscription_set(*names: str, interval_us: int = 0) -> SubscriptionSet:
    patterns = {name for name in names if set(name) & set("*?[")}
    return SubscriptionSet(tuple(sorted({*names} - patterns)), tuple(sorted(patterns)), interval_us)


def bids(messages: list[ServerMessage]) -> list[object]:
    """The bids of instrument 0 in these, for tests that need no more."""
    return [message.changes[1][BID] for message in messages if isinstance(message, Delta)]


def leftovers(hub: Hub) -> dict[str, object]:
    """Return the state that a hub without subscribers still holds of them."""
    held = {
        "audiences": hub._audiences,
        "ready": [group for group in hub._scheduler.ready() if group.audiences],
        "throttled": hub._scheduler._throttled,
        "dues": hub._scheduler._dues,
        **hub.index.leftovers(),
    }
    return {name: value for name, value in held.items() if value}
