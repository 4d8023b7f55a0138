"""One run: an engine, two sources, some edges, clients, and the history that the sources have committed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import trio

from tests.core.harness import leftovers
from tests.storm.seeded.engine import MAX_ENTRIES, Engine
from tests.storm.seeded.past import Market, market_of, shown
from tests.storm.seeded.processes import Edge, Process, Source
from tests.storm.seeded.user import User
from tests.storm.seeded.venue import Venue
from ticker.bus.engine import Entry, Position
from ticker.client.replica import InstrumentState
from ticker.client.table_state import TableState
from ticker.server.bus_entries import Beat, Stamp, read_entry
from ticker.server.follower import Follower
from ticker.server.leader import Leader

NAMES = (
    ("*", "BA trades:4", "BA candles:1m:4"),
    ("A*", "* book:3", "* book:1"),
    ("AA", "BA", "?A candles:5m:4", "BA trades:1"),
    ("* trades:4", "*B book:1", "BB"),
)
"""Names of clients: symbols, patterns, and tables."""

_BOUND_SECONDS = 40.0
"""Time in which everyone has the present market, once all faults are removed."""


class Committed(NamedTuple):
    """A market which a source committed."""

    source: int
    """One life of it."""
    market: Market


class World:
    """One run."""

    def __init__(self, chance: Random, note: Callable[[str], None]) -> None:
        self.chance = chance
        self.digest = hashlib.blake2b(digest_size=16)
        self.violations: list[str] = []
        self.counts = Counter[str]()
        self._note = note
        self.engine = Engine()
        self.venue = Venue(chance)
        self.sources = [Source(self, f"source{number}") for number in range(2)]
        self.edges = [Edge(self, f"edge{number}") for number in range(chance.randint(2, 3))]
        names = chance.sample(NAMES, chance.randint(2, 3))
        self.users = [
            User(self, f"user{number}", each, chance.choice([None, None, 50]) if number else None)
            for number, each in enumerate(names)
        ]
        self._closed: dict[int, dict[tuple[str, int], Market]] = {}
        """By the life of a source: the markets of the cuts that it closed, and which are not accepted yet."""
        self._history: dict[tuple[str, int], list[Committed]] = {}
        self._seen: dict[tuple[str, int, str], tuple[str, object]] = {}
        """What a client saw of a record at a cut of which there are two: by epoch, cut and name."""
        self._terms: dict[str, int] = {}
        """The latest term of each epoch."""
        self._applied: dict[Follower, int] = {}
        """The term of the latest cut in each copy."""
        self._nursery: trio.Nursery | None = None

    @property
    def nursery(self) -> trio.Nursery:
        assert self._nursery is not None
        return self._nursery

    @property
    def processes(self) -> Sequence[Process]:
        return [*self.sources, *self.edges]

    @property
    def leader(self) -> Source | None:
        """The source that leads, if just one says so."""
        leaders = [source for source in self.sources if source.leads]
        return leaders[0] if len(leaders) == 1 else None

    def begin(self, nursery: trio.Nursery) -> None:
        """Start all processes."""
        self._nursery = nursery
        for process in self.processes:
            process.start()

    def note(self, event: str) -> None:
        self._note(f"{trio.current_time():9.3f}  {event}")

    def note_hindered(self) -> None:
        """Note which processes are kept from the engine now."""
        for process in self.processes:
            if process.way.hindered:
                process.way.hindered_at = trio.current_time()

    def kill_replaced_sources(self) -> None:
        """The engine has lost its end, and may have lost that a source was replaced, which does not know it yet.

        Should such a one come back first, it goes on from where it was, and cuts that clients have from the other one
        have the same numbers. Against these three faults at once there is no remedy yet.
        """
        for source in self.sources:
            if source.leads and source.leader.term < self._terms.get(source.leader.cache.epoch, 0):
                self.note(f"kill {source}, which was replaced")
                source.kill()

    def blame(self, problem: str) -> None:
        """Record a violation."""
        self.note(f"VIOLATION: {problem}")
        self.violations.append(problem)

    # History

    def note_closed(self, leader: Leader) -> None:
        """A source has closed a cut."""
        cache = leader.cache
        self._closed.setdefault(id(leader), {})[cache.epoch, cache.cut] = market_of(cache)

    def note_accepted(self, source: Source, position: Position, data: bytes, before: Position) -> None:
        """The engine has accepted an entry of a source."""
        entry, leader = read_entry(Entry(position, data)), source.leader
        known, stamp = self._stamp_at(before), entry.stamp
        self._terms[stamp.epoch] = max(stamp.term, self._terms.get(stamp.epoch, 0))
        same_epoch = known is not None and known.epoch == stamp.epoch
        if known is not None and same_epoch and stamp.term < known.term:
            self.blame(f"{source.name} with term {stamp.term} writes behind one with term {known.term}")
        if known is not None and (known.epoch, known.term) != (stamp.epoch, stamp.term):
            for other in self.sources:
                if other is not source:
                    other.check_replaced()
        if isinstance(entry, Beat):
            return
        reaches = not leader._kept or leader._kept[0][0] - 1 <= before.cut
        if same_epoch and reaches and entry.since != before.cut:
            self.blame(f"{source.name} writes cut {entry.cut} from {entry.since}, behind cut {before.cut}")
        market = self._closed.get(id(leader), {}).pop((stamp.epoch, entry.cut), None)
        if market is not None:
            self._history.setdefault((stamp.epoch, entry.cut), []).append(Committed(id(leader), market))
            self.counts["cuts"] += 1

    def note_applied(self, follower: Follower, stamp: Stamp) -> None:
        """A copy takes a cut."""
        if stamp.term < self._applied.setdefault(follower, stamp.term):
            self.blame(f"a copy takes a cut of term {stamp.term} behind term {self._applied[follower]}")
        self._applied[follower] = stamp.term

    def _stamp_at(self, position: Position) -> Stamp | None:
        data = self.engine.log.entry(position)
        return None if data is None else read_entry(Entry(position, data)).stamp

    def markets(self, epoch: str, cut: int) -> list[Market]:
        """The markets which were committed as this cut: one, if all is well."""
        return [each.market for each in self._history.get((epoch, cut), ())]

    def note_seen(self, name: str, epoch: str, cut: int, states: Sequence[InstrumentState | TableState]) -> None:
        """A client has these records at a cut of which there are two."""
        for state in states:
            record = state.definition.symbol
            user, before = self._seen.setdefault((epoch, cut, record), (name, shown(state)))
            if before != shown(state):
                self.blame(
                    f"{record} was {before} for {user} at cut {cut} of {epoch}, and is {shown(state)} for {name}"
                )

    # The end

    async def converge(self) -> None:
        """Wait until every client has the present market, whose copies then have the right checksums."""
        lags = {"all": "not looked at"}
        with trio.move_on_after(_BOUND_SECONDS):
            while lags and not self.violations:
                await trio.sleep(0.25)
                self.connect_users()
                lags = self._lags()
        for name, lag in lags.items() if not self.violations else ():
            self.blame(f"{name} does not converge within {_BOUND_SECONDS:g} s: {lag}")

    async def verify(self) -> None:
        """All copies have the checksums of their edges."""
        before = [user.verified for user in self.users]
        for user in self.users:
            user.verify()
        await trio.sleep(1)
        for user, verified in zip(self.users, before, strict=True):
            if user.verified == verified and not self.violations:
                self.blame(f"{user.name}: no checksum of its copy came")

    def connect_users(self) -> None:
        """Clients without a connection find an edge, if there is one that serves."""
        for user in self.users:
            user.check_silence()
            if user.socket is None:
                user.connect(self.chance.choice(self.edges))

    def check_released(self) -> None:
        """Nothing is kept of clients that are gone, and no more of the past than there may be."""
        for edge in self.edges:
            if edge.hub is not None and (kept := leftovers(edge.hub)):
                self.blame(f"{edge.name} keeps of clients that are gone: {kept}")
        if self.engine.log.entries > MAX_ENTRIES:
            self.blame(f"the log has {self.engine.log.entries} entries")
        if len(self.engine.connections) > len(self.processes):
            self.blame(f"{len(self.engine.connections)} connections to the engine")

    def _lags(self) -> dict[str, str]:
        leader = self.leader
        if leader is None or leader.leader._pending is not None:
            return {"the sources": f"{self.sources}: none leads, or it has something to commit"}
        cache = leader.role.cache if leader.role is not None else None
        assert cache is not None
        markets = self.markets(cache.epoch, cache.cut)
        if not markets:
            return {"the history": f"lacks cut {cache.cut}"}
        lags = {user.name: user.lag(markets[-1]) for user in self.users}
        lags |= {
            user.name: f"at epoch {user.session.replica.epoch}"
            for user in self.users
            if user.session.replica.epoch != cache.epoch
        }
        return {name: lag for name, lag in lags.items() if lag}
