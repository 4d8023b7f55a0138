"""A client that moves between edges, and the invariants of its copy after each message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import trio

from tests.storm.seeded.past import Market, shown
from tests.storm.seeded.socket import Requests, Socket
from ticker.bus_bounds import BEHIND_SECONDS
from ticker.client.received import Received
from ticker.client.replica import InstrumentState
from ticker.client.session import ClientSession
from ticker.client.table_state import TableState
from ticker.errors import Code, ProtocolError
from ticker.protocol.wire import MSGPACK

if TYPE_CHECKING:
    from tests.storm.seeded.processes import Edge
    from tests.storm.seeded.world import World

_PATIENCE = 5.0
"""Seconds without a message, after which it goes to another edge: 2.5 heartbeats."""


class User:
    """One client over all its connections."""

    def __init__(self, world: World, name: str, names: Sequence[str], interval_ms: int | None) -> None:
        self.world = world
        self.name = name
        self.session = ClientSession(MSGPACK, interval_ms)
        self.session.servers = len(world.edges)
        self.session.add_names(names)
        self.edge: Edge | None = None
        self._requests: Requests | None = None
        self.socket: Socket | None = None
        self.verified = 0
        self._welcomed = False
        self._heard_at = 0.0
        self._asked_at = 0.0
        self._checked = True
        """Whether all of the copy was compared since the last message."""
        self._reached: Mapping[str, int] = {}
        """By epoch, the cut through which it has its copy."""

    @property
    def is_up(self) -> bool:
        """Whether its copy has everything that it wants."""
        return self._welcomed and self.session.complete and not self.session.replica.resuming

    def connect(self, edge: Edge) -> None:
        """Leave the present edge, and go to this one."""
        self.leave()
        self.edge, self._welcomed = edge, False
        self.socket = Socket(edge.way, self._hear)
        self._requests = Requests(self.socket, edge.way)
        self._heard_at = trio.current_time()
        edge.admit(self, self.socket, self._requests)

    def leave(self) -> None:
        """End the connection."""
        if self.socket is not None and self._requests is not None:
            self.socket.close()
            self._requests.send.close()
        self.edge = self.socket = self._requests = None

    def lost(self, socket: Socket) -> None:
        """An edge has ended this connection."""
        if socket is self.socket:
            self.leave()

    def check_silence(self) -> None:
        """Leave an edge of which nothing was heard for too long."""
        if self.socket is not None and trio.current_time() - self._heard_at > _PATIENCE:
            self.leave()

    def ask(self) -> None:
        """Send the requests that are due."""
        if self._requests is not None and self._welcomed:
            for payload in self.session.requests():
                self._requests.send.send_nowait(payload)

    def verify(self) -> None:
        """Have the copy's checksum compared with that of the edge."""
        self.session.verify()
        self.ask()

    def _hear(self, payload: bytes) -> None:
        self._heard_at, self._checked = trio.current_time(), False
        self.world.digest.update(payload)
        try:
            if self._welcomed:
                self._take(self.session.receive(payload))
            else:
                self._begin(payload)
        except ProtocolError as error:
            self._blame(f"the edge broke the protocol: {error}")

    def _begin(self, payload: bytes) -> None:
        session = self.session
        before, confirmed = session.replica.epoch, bool(session._confirmed & session._wanted.names)
        welcome = session.begin(payload)
        session.take_withdrawn()
        self._welcomed, self._asked_at = True, trio.current_time()
        if session.replica.resuming:
            self.world.counts["resumes"] += 1
        elif before:
            self.world.counts["snapshots"] += 1
            if welcome.epoch == before and confirmed:
                self._blame(f"a snapshot within epoch {before}")
        self.ask()

    def _take(self, received: Received) -> None:
        if received.error is not None:
            self._judge(Code(received.error.code))
            if received.behind:
                self.leave()
                return
        if received.verified is False:
            self._blame(f"the checksum of the copy differs at cut {self.session.replica.cursor}")
        self.verified += received.verified is True
        if received.moved:
            self._check_step()
            self.check({*(received.changes or ()), *received.tables})
        if received.replied:
            self.check()
        if received.goodbye is not None:
            self.leave()
        else:
            self.ask()

    def _judge(self, code: Code) -> None:
        """Only an edge that is behind for long says anything but yes."""
        waited = trio.current_time() - self._asked_at
        self.world.counts["behind"] += 1
        self._reached = {}
        if code != Code.WRONG_EPOCH or waited < BEHIND_SECONDS:
            self._blame(f"ERROR {int(code)} after {waited:.1f} s")

    def _check_step(self) -> None:
        replica = self.session.replica
        if replica.cursor < self._reached.get(replica.epoch, 0):
            self._blame(f"at cut {replica.cursor} after cut {self._reached[replica.epoch]}")
        self._reached = {replica.epoch: replica.cursor}

    def check(self, names: set[str] | None = None) -> None:
        """The copy, or these records of it, is the market which a source committed as its cut."""
        replica = self.session.replica
        if not self._welcomed or replica.resuming or (names is None and self._checked):
            return
        self._checked = names is None
        held = {each.definition.symbol: each for each in replica}
        states = [held[name] for name in (held if names is None else sorted(names)) if name in held]
        if not states:
            return
        markets = self.world.markets(replica.epoch, replica.cursor)
        if not any(all(market.has(each) for each in states) for market in markets):
            self._blame_difference(states, markets)
        elif len(markets) > 1:
            self.world.note_seen(self.name, replica.epoch, replica.cursor, states)

    def lag(self, market: Market) -> str:
        """The first difference from the present market; empty if there is none."""
        if not self.is_up:
            return "not connected, or not everything is there"
        replica = self.session.replica
        wrong = [each for each in replica if not market.has(each)]
        if wrong:
            name = wrong[0].definition.symbol
            return f"{name} is {shown(wrong[0])} at cut {replica.cursor}, and should be {market.shown(name)}"
        due, held = market.covered(list(self.session.names)), {each.definition.symbol for each in replica}
        if due != held:
            return f"lacks {sorted(due - held)}, and has {sorted(held - due)} besides"
        return "the source is silent" if self.session.source_silent_since is not None else ""

    def _blame_difference(self, states: Sequence[InstrumentState | TableState], markets: Sequence[Market]) -> None:
        at = f"at cut {self.session.replica.cursor} of epoch {self.session.replica.epoch}"
        if not markets:
            self._blame(f"{at}, which no source has committed")
            return
        wrong = next((each for each in states if not markets[0].has(each)), states[0])
        name = wrong.definition.symbol
        self._blame(f"{name} is {shown(wrong)} {at}, and should be {markets[0].shown(name)}")

    def _blame(self, problem: str) -> None:
        edge = "" if self.edge is None else f" at {self.edge.name}"
        self.world.blame(f"{self.name}{edge}: {problem}")
