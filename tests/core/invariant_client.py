"""The clients of the invariant test: a real session over a played socket, and the checks of its copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tests.core.invariant_market import Market
from tests.tables_model import covers, table_fields
from ticker.client.session import ClientSession
from ticker.client.table_state import TableState
from ticker.client.wanted import FieldSet
from ticker.config import Limits
from ticker.core.hub import Hub
from ticker.core.session import NotUpToDate, ServerSession, Terms
from ticker.protocol.wire import Encoding

ALWAYS = {"status", "reason"}
"""Fields that are in every selection."""


class World(Protocol):
    """The part of the world that a client needs."""

    hub: Hub
    now: int

    def market_at(self, cut: int) -> Market: ...

    def known(self, cut: int, hub: Hub) -> Iterator[str]: ...


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
        self.wanted: dict[str, FieldSet] = {}
        self.selecting = False
        """Whether it ever wanted some fields only: then a copy has perhaps those of before until a reply comes."""
        self.session = ClientSession(encoding, interval_ms)
        self.verified = 0
        """Times that its copy's checksum was the server's."""
        self.connect()

    def connect(self) -> None:
        world = self.world
        self.pipe = Pipe()
        self.hub = world.hub
        """The service's process that it is connected to."""
        self.subscriber = self.hub.connect(self.pipe, self.encoding, world.now)
        self.server = ServerSession(self.hub, self.subscriber, "s", Terms(Limits()))
        self.requests: list[bytes | str] = []
        """Those that the server has not carried out."""
        self.unsent_answers: list[bytes] = []
        self.welcomed = False
        self.last_cut = 0
        self.send(self.server.welcome())
        self.read()

    def reconnect(self) -> None:
        """The connection breaks, and all bytes on their way are lost."""
        self.hub.disconnect(self.subscriber)
        self.connect()

    def subscribe(self, names: set[str], fields: FieldSet = None) -> None:
        """Want these names, from now on with these fields."""
        self.selecting = self.selecting or fields is not None
        new = {name for name in names if name not in self.wanted or self.wanted[name] != fields}
        self.session.add_names(new, fields)
        self.give_up(new)
        self.wanted |= dict.fromkeys(new, fields)
        self.ask()

    def unsubscribe(self, names: set[str]) -> None:
        self.give_up(names)
        self.ask()

    def give_up(self, names: set[str]) -> None:
        for name in names & self.wanted.keys():
            self.session.remove_names([name], self.wanted.pop(name))

    def verify(self) -> None:
        """Compare the copy's checksum with the server's."""
        self.session.verify()
        self.ask()

    def ask(self) -> None:
        """Send the pending requests; the server answers each before it takes the next."""
        if not self.welcomed or self.unsent_answers:
            return
        self.requests += self.session.requests()
        while self.requests:
            try:
                answer = self.server.receive(self.requests[0], self.world.now)
            except NotUpToDate:
                return  # carried out again once the socket has taken everything
            del self.requests[0]
            assert answer.close is None
            self.unsent_answers.append(answer.frame)
            self.progress()

    def send(self, frame: bytes) -> None:
        if not self.pipe.push(frame):
            self.hub.pause_delivery(self.subscriber)

    def progress(self) -> None:
        """The part of the connection's own task: catch up while the socket is free, then send the answers."""
        while self.pipe.flush() and not self.hub.catch_up(self.subscriber):
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
                self.session.take_withdrawn()
                self.welcomed = True
                self.ask()
                continue
            received = self.session.receive(payload)
            assert received.error is None
            assert received.verified is not False, f"the checksum differs at cut {self.session.replica.cursor}"
            assert received.unverified is None, received.unverified
            self.verified += received.verified is True
            if received.moved:
                assert self.session.replica.cursor >= self.last_cut, "cuts only grow"
                self.last_cut = self.session.replica.cursor
            if received.moved or received.replied:
                self.check()

    def check(self) -> None:
        """Every record of the copy is the market's at the cursor's cut, and none that was confirmed is missing."""
        replica = self.session.replica
        self.compare(self.world.market_at(replica.cursor))
        held = {state.definition.symbol for state in replica}
        if self.session.complete:
            for name in self.world.known(replica.cursor, self.hub):
                covered = any(covers(each, name) for each in self.wanted)
                assert (name in held) == covered, f"{name} at cut {replica.cursor}: held {not covered}"

    def compare(self, market: Market) -> None:
        """Every record of the copy is that of this market."""
        cursor = self.session.replica.cursor
        for state in self.session.replica:
            name = state.definition.symbol
            if isinstance(state, TableState):
                assert table_fields(state) == market.table(name), f"{name} at cut {cursor}"
                continue
            held, shown = state.fields(state.values), market.fields[name]
            if self.selecting and not self.session.complete:
                assert held.items() <= shown.items(), f"{name} at cut {cursor}"
                continue
            if (fields := self.fields_of(name)) is not None:
                shown = {key: shown[key] for key in shown.keys() & {*fields, *ALWAYS}}
            assert held == shown, f"{name} at cut {cursor}"

    def fields_of(self, symbol: str) -> FieldSet:
        """The fields that are wanted of an instrument, by whichever names."""
        wanted = [fields for name, fields in self.wanted.items() if covers(name, symbol)]
        return (
            None if None in wanted or not wanted else frozenset().union(*(each for each in wanted if each is not None))
        )
