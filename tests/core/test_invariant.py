"""The central promise: after every data frame, a client's copy equals the cache at that frame's cut.

A stateful property test drives the real cache, hub, sessions and replicas through any schedule of updates, cuts,
stalls, partial writes, reconnects, subscribes, unsubscribes, withdrawn fields and raised scales. Only the socket is
played: a `Pipe` takes as many bytes as it has room for and keeps the rest, as a socket does.

The model is kept apart from the code under test: after each cut the test copies its own publications, as Decimals.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from ticker.client.session import ClientSession
from ticker.config import Limits
from ticker.core.audience_index import Step
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.core.session import ServerSession, Terms
from ticker.errors import BadPublication
from ticker.market import Instrument, Stale, Update, Withdrawal
from ticker.protocol.wire import ENCODINGS, Encoding

SYMBOLS = ["AA", "AB", "BA", "BB", "C"]
NAMES = [*SYMBOLS, "A*", "*B", "*", "ZZ"]
FIELDS = ["bid", "ask", "bid_size", "last", "note"]
FEEDS = ["one", "other"]

Model = dict[str, dict[str, Decimal | str]]
"""The published values that were not withdrawn: by field name, by symbol."""

COARSE = st.decimals(-99, 99, places=1) | st.decimals(0, 9, places=3)
ANY_DECIMAL = st.builds(
    lambda digits, places: Decimal(f"{digits}E-{places}"), st.integers(1 - 10**40, 10**40 - 1), st.integers(0, 40)
)
UNREADABLE: st.SearchStrategy[Any] = st.sampled_from([True, 1.5, Decimal("NaN"), Decimal("1E+50"), b"1", 10**41])
"""No value of any field."""


class Shown:
    """The values to be shown of one instrument, and the feed of each; kept apart from the code under test."""

    def __init__(self) -> None:
        self.said: dict[str, tuple[Decimal | str, str]] = {}
        self.outdated: dict[str, str] = {}
        """Feeds whose values are not current any more, with the reason."""
        self.reason = ""

    def update(self, feed: str, values: dict[str, Decimal | None], unreadable: set[str]) -> None:
        if self.outdated and (values.keys() - unreadable):
            kept = self.said.items()
            self.said = {name: said for name, said in kept if said[1] not in self.outdated or name in values}
            self.outdated.clear()
            self.reason = "live"
        for name, value in values.items():
            if value is None or name in unreadable:
                self.said.pop(name, None)
            else:
                self.said[name] = value, feed

    def go_stale(self, feed: str, reason: str) -> None:
        givers = {giver for _, giver in self.said.values()}
        if not givers or feed in givers:
            self.outdated[feed] = self.reason = reason

    def withdraw(self) -> None:
        self.said.clear()
        self.reason = "live" if self.outdated else ""
        self.outdated.clear()

    def fields(self) -> dict[str, Decimal | str]:
        marks = {"": {}, "live": {"status": "live"}}.get(self.reason, {"status": "stale", "reason": self.reason})
        return {**{name: value for name, (value, _) in self.said.items()}, **marks}


def whole_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """The payloads of the whole unmasked WebSocket frames at the start of `data`, and the rest."""
    payloads = []
    while len(data) >= 2:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        if len(data) < start + length:
            break
        payloads.append(data[start : start + length])
        data = data[start + length :]
    return payloads, data


class Pipe:
    """A socket's buffer: bytes in order, of which only `room` are taken at once."""

    def __init__(self) -> None:
        self.room = 10**9
        self.unsent = b""
        self.arrived = b""

    def push(self, frame: bytes) -> bool:
        self.unsent += frame
        return self.flush()

    def catch_up_later(self) -> None:
        """Nothing: `Client.progress` does that."""

    def flush(self) -> bool:
        taken = min(self.room, len(self.unsent))
        self.room -= taken
        self.arrived += self.unsent[:taken]
        self.unsent = self.unsent[taken:]
        return not self.unsent


class Client:
    """One client over all its connections: its own state machine, and the connection of the moment."""

    def __init__(self, world: World, encoding: Encoding, interval_ms: int | None) -> None:
        self.world = world
        self.encoding = encoding
        self.wanted: set[str] = set()
        self.session = ClientSession(encoding, interval_ms)
        self.connect()

    def connect(self) -> None:
        world = self.world
        self.pipe = Pipe()
        self.subscriber = world.hub.connect(self.pipe, self.encoding, world.now)
        self.server = ServerSession(world.hub, self.subscriber, "s", Terms(Limits()))
        self.unsent_answers: list[bytes] = []
        self.welcomed = False
        self.last_cut = 0
        self.send(self.server.welcome())
        self.read()

    def reconnect(self) -> None:
        """The connection breaks, and all bytes on their way are lost."""
        self.world.hub.disconnect(self.subscriber)
        self.connect()

    def subscribe(self, names: set[str]) -> None:
        new = names - self.wanted
        self.wanted |= new
        self.session.add_names(new)
        self.ask()

    def unsubscribe(self, names: set[str]) -> None:
        gone = names & self.wanted
        self.wanted -= gone
        self.session.remove_names(gone)
        self.ask()

    def ask(self) -> None:
        """Send the pending requests; the server answers each before it takes the next."""
        if not self.welcomed or self.unsent_answers:
            return
        for payload in self.session.requests():
            answer = self.server.receive(payload, self.world.now)
            assert answer.close is None
            self.unsent_answers.append(answer.frame)
            self.progress()

    def send(self, frame: bytes) -> None:
        if not self.pipe.push(frame):
            self.world.hub.pause_delivery(self.subscriber)

    def progress(self) -> None:
        """The part of the connection's own task: catch up while the socket is free, then send the answers."""
        while self.pipe.flush() and not self.world.hub.catch_up(self.subscriber):
            pass
        while self.unsent_answers and self.subscriber.is_member:
            self.send(self.unsent_answers.pop(0))

    def read(self) -> None:
        """Apply every whole frame that has arrived."""
        payloads, self.pipe.arrived = whole_frames(self.pipe.arrived)
        for each in payloads:
            payload = each.decode() if self.encoding.text else each
            if not self.welcomed:
                self.session.begin(payload)
                self.welcomed = True
                self.ask()
                continue
            received = self.session.receive(payload)
            assert received.error is None
            if received.changes is not None:
                assert self.session.replica.cursor >= self.last_cut, "cuts only grow"
                self.last_cut = self.session.replica.cursor
                self.check()

    def check(self) -> None:
        """Every record of the copy is the market's at the cursor's cut, and none that was confirmed is missing."""
        replica = self.session.replica
        market = self.world.market_at(replica.cursor)
        held = {state.definition.symbol: state.present() for state in replica}
        for symbol, fields in held.items():
            assert fields == market[symbol], f"{symbol} at cut {replica.cursor}"
        for symbol in market:
            if not self.world.visible(symbol, replica.cursor):
                continue
            if self.session.complete and any(fnmatchcase(symbol, name) for name in self.wanted):
                assert symbol in held, f"{symbol} is missing at cut {replica.cursor}"


class World(RuleBasedStateMachine):
    """A cache, a hub and any number of clients."""

    clients = Bundle("clients")

    @initialize(broad=st.sampled_from([1, 3, 100]))
    def start(self, broad: int) -> None:
        self.now = 1_000_000
        self.cache = LastValueCache("epoch")
        self.hub = Hub(self.cache, snapshot_part=1, burst=1, group_audiences=1, step=Step(1, 1, broad))
        self.open: dict[str, Shown] = {}
        self.history: dict[int, Model] = {0: {}}
        self.all_clients: list[Client] = []
        self.cut_is_open = False
        """In the service no client acts between an update and the close of its cut: that is one synchronous step."""
        self.passing: Iterator[None] = iter(())
        self.waiting: list[tuple[str, Decimal]] = []
        """Bids that arrive during a pass, each a cut of its own."""
        self.behind = False
        """Another pass has to follow at once, as the publisher sees to it."""

    @precondition(lambda self: not self.cut_is_open)
    @rule(
        target=clients,
        encoding=st.sampled_from(list(ENCODINGS.values())),
        names=st.sets(st.sampled_from(NAMES)),
        ms=st.sampled_from([None, 0, 50, 200]),
    )
    def a_client_connects(self, encoding: Encoding, names: set[str], ms: int | None) -> Client:
        client = Client(self, encoding, ms)
        self.all_clients.append(client)
        if names:
            client.subscribe(names)
        return client

    @rule(symbol=st.sampled_from(SYMBOLS), scale=st.integers(0, 2), note=st.sampled_from(["", "x"]))
    def an_instrument_is_declared(self, symbol: str, scale: int, note: str) -> None:
        self.finish_pass()
        self.cut_is_open = True
        self.cache.publish(Instrument(symbol, scale, 0, {"note": note}))
        self.open.setdefault(symbol, Shown())

    @rule(
        symbol=st.sampled_from(SYMBOLS),
        values=st.dictionaries(st.sampled_from(FIELDS), st.none() | COARSE | ANY_DECIMAL, min_size=1),
        bad=st.dictionaries(st.sampled_from(FIELDS), UNREADABLE, max_size=1),
        feed=st.sampled_from(FEEDS),
    )
    def an_update_is_published(
        self, symbol: str, values: dict[str, Decimal | None], bad: dict[str, Any], feed: str
    ) -> None:
        self.finish_pass()
        self.cut_is_open = True
        try:
            unusable = self.cache.publish(Update(symbol, {**values, **bad}), feed)
        except BadPublication:
            assert symbol not in self.open
            return
        assert {each.cause for each in unusable} == {f"unreadable {name}" for name in bad}
        self.open[symbol].update(feed, {**values, **bad}, set(bad))

    @rule(symbol=st.sampled_from(SYMBOLS), feed=st.sampled_from(FEEDS), reason=st.sampled_from(["gap", "feed_down"]))
    def a_feed_says_that_what_it_said_is_outdated(self, symbol: str, feed: str, reason: str) -> None:
        self.finish_pass()
        self.cut_is_open = True
        if symbol in self.open:
            self.cache.publish(Stale(symbol, reason), feed)
            self.open[symbol].go_stale(feed, reason)

    @rule(symbol=st.sampled_from(SYMBOLS))
    def an_instrument_is_withdrawn(self, symbol: str) -> None:
        self.finish_pass()
        self.cut_is_open = True
        if symbol in self.open:
            self.cache.publish(Withdrawal(symbol))
            self.open[symbol].withdraw()

    @rule(steps=st.integers(0, 3))
    def a_cut_is_closed(self, steps: int) -> None:
        """The publisher's pass begins, and is left after some of its steps, as a yield leaves it."""
        self.finish_pass()
        self.close_cut()
        self.cut_is_open = False
        self.begin_pass(steps)

    @rule(symbol=st.sampled_from(SYMBOLS), bid=st.decimals(-99, 99, places=2))
    def a_bid_arrives_during_a_pass(self, symbol: str, bid: Decimal) -> None:
        self.waiting.append((symbol, bid))

    @precondition(lambda self: not self.cut_is_open)
    @rule(ms=st.sampled_from([1, 20, 49, 50, 200]), steps=st.integers(0, 3))
    def time_passes(self, ms: int, steps: int) -> None:
        self.finish_pass()
        self.now += ms * 1000
        due = self.hub.next_due()
        if due is not None and due <= self.now:
            self.begin_pass(steps)

    @precondition(lambda self: not self.cut_is_open)
    @rule()
    def heartbeats_are_sent(self) -> None:
        self.finish_pass()
        for _ in self.hub.heartbeat(self.now, 20_000):
            pass

    @precondition(lambda self: not self.cut_is_open)
    @rule(client=clients, names=st.sets(st.sampled_from(NAMES), min_size=1))
    def a_client_subscribes(self, client: Client, names: set[str]) -> None:
        client.subscribe(names)

    @precondition(lambda self: not self.cut_is_open)
    @rule(client=clients, names=st.sets(st.sampled_from(NAMES), min_size=1))
    def a_client_unsubscribes(self, client: Client, names: set[str]) -> None:
        client.unsubscribe(names)

    @precondition(lambda self: not self.cut_is_open)
    @rule(client=clients, room=st.sampled_from([0, 1, 7, 60, 10**9]))
    def a_socket_has_room_for(self, client: Client, room: int) -> None:
        client.pipe.room = room
        client.progress()

    @rule(client=clients)
    def a_client_reads(self, client: Client) -> None:
        client.read()

    @precondition(lambda self: not self.cut_is_open)
    @rule(client=clients)
    def a_client_reconnects(self, client: Client) -> None:
        client.reconnect()

    @rule()
    def all_clients_keep_reading(self) -> None:
        """Given room and time, every client ends with the present market."""
        self.a_cut_is_closed(0)
        self.finish_pass()
        cut = -1
        while cut != self.cache.cut:  # a bid that came in a pass is behind the frames of that pass
            cut = self.cache.cut
            self.now += 1_000_000
            self.begin_pass(0)
            self.finish_pass()
        for client in self.all_clients:
            client.pipe.room = 10**9
            for _ in range(3):  # names given while an answer was unsent are sent only then
                client.progress()
                client.read()
                client.ask()
            assert client.session.complete
        for client in self.all_clients:
            client.check()
            for state in client.session.replica:
                symbol = state.definition.symbol
                assert state.present() == self.open[symbol].fields(), f"{symbol} is not up to date"

    def teardown(self) -> None:
        if hasattr(self, "cache"):
            self.all_clients_keep_reading()

    def close_cut(self) -> None:
        self.market_at(self.cache.cut)
        if self.cache.close_cut(self.now):
            self.history[self.cache.cut] = {symbol: shown.fields() for symbol, shown in self.open.items()}

    def market_at(self, cut: int) -> Model:
        """Return the market at a cut. The hub's own cuts make instruments visible, and change no value."""
        while cut not in self.history:
            last = max(self.history)
            self.history[last + 1] = self.history[last]
        return self.history[cut]

    def visible(self, symbol: str, cut: int) -> bool:
        """Return whether all patterns had been compared with an instrument at a cut."""
        record = self.cache.find(symbol)
        return record is not None and record.id < self.hub.index.visible and record.whole_at <= cut

    def refresh(self) -> None:
        """Between two groups of a pass: take in one thing that waits."""
        while self.waiting:
            symbol, bid = self.waiting.pop(0)
            if symbol in self.open:
                self.cache.publish(Update(symbol, {"bid": bid}), FEEDS[0])
                self.open[symbol].update(FEEDS[0], {"bid": bid}, set())
                self.close_cut()
                self.behind = True
                return

    def begin_pass(self, steps: int) -> None:
        self.passing = self.hub.publish(self.now, self.refresh)
        for _ in range(steps):
            if next(self.passing, "over") == "over":
                break

    def finish_pass(self) -> None:
        for _ in self.passing:
            pass
        while self.behind or (self.hub.index.behind and not self.cut_is_open):
            self.behind = False
            for _ in self.hub.publish(self.now, self.refresh):
                pass

    @invariant()
    def memory_does_not_depend_on_slow_clients(self) -> None:
        if hasattr(self, "cache"):
            for client in self.all_clients:
                if client.subscriber.is_member:
                    assert not client.pipe.unsent
                else:
                    assert len(client.pipe.unsent) < 1024


World.TestCase.settings = settings(max_examples=1000, stateful_step_count=50, deadline=None, report_multiple_bugs=False)
TestEveryReplicaEqualsTheCacheAtItsCut = World.TestCase
