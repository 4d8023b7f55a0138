"""A hub with clients on a floor of their own, where tests say what time it is and whose socket is full."""

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


class Floor:
    """A hub with its cache, and a clock that goes as we say."""

    def __init__(self, *instruments: Instrument | str, part: int = 256, burst: int = 32) -> None:
        self.cache = market(*instruments)
        self.hub = Hub(self.cache, snapshot_part=part, burst=burst)
        self.now = 1 * SECOND

    def client(self, *names: str, interval_us: int = 0, encoding: Encoding = MSGPACK) -> Client:
        """A client that watches these, and has read what it was sent for that."""
        client = Client(self, encoding)
        if names:
            client.watch(*names, interval_us=interval_us)
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
    """A client on this floor."""

    def __init__(self, floor: Floor, encoding: Encoding = MSGPACK) -> None:
        super().__init__(encoding)
        self.hub = floor.hub
        self.floor = floor
        self.times: list[int] = []
        """When it was sent each of its frames."""
        self.subscriber = floor.hub.connect(self, encoding, floor.now)

    def watch(self, *names: str, interval_us: int = 0, resume_from: int | None = None) -> None:
        self.hub.watch(
            self.subscriber, a_watch(*names, interval_us=interval_us), self.floor.now, resume_from=resume_from
        )

    def push(self, frame: bytes) -> bool:
        self.times.append(self.floor.now)
        return super().push(frame)

    def leave(self) -> None:
        self.hub.disconnect(self.subscriber)

    def block(self) -> None:
        """From now on its socket takes nothing; the hub learns of that with the next frame."""
        self.full = True

    def unblock(self) -> bool:
        self.full = False
        return self.hub.catch_up(self.subscriber)


def a_watch(*names: str, interval_us: int = 0) -> SubscriptionSet:
    patterns = frozenset(name for name in names if set(name) & set("*?["))
    return SubscriptionSet(frozenset(names) - patterns, patterns, interval_us)


def bids(messages: list[ServerMessage]) -> list[object]:
    """The bids of instrument 0 in these, for tests that need no more."""
    return [message.changes[1][BID] for message in messages if isinstance(message, Delta)]


def leftovers(hub: Hub) -> dict[str, object]:
    """What a hub without subscribers still holds of them."""
    held = {
        "audiences": hub._audiences,
        "ready": [group for group in hub._pacing.ready() if group.audiences],
        "resting": hub._pacing._resting,
        "dues": hub._pacing._dues,
        "waiting": hub._waiting_symbols,
        "patterns": hub._patterns,
        "watchers": [watchers for watchers in hub._watchers if watchers],
    }
    return {name: value for name, value in held.items() if value}
