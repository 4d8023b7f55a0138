"""The whole way from clients to sums, against a model that goes through every moment by itself."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.usage.harness import Clock, Counted, Service
from ticker.core.audiences import Subscriber

SYMBOLS = ("A", "AB", "B", "C.D")
TABLES = ("book:10", "book:25", "trades:10", "candles:1m:10")
NAMES = (*SYMBOLS, *(f"{symbol} {table}" for symbol in SYMBOLS[:2] for table in TABLES))
PATTERNS = ("*", "A*", "* book:10", "A* trades:10")
ENTITLED = (None, None, None, frozenset({"A*"}), frozenset({"*", "* *"}), frozenset({"B", "A book:*"}))
SUBJECTS = ("alice", "bob", None)
_DAY = 86_400_000_000


class Seen(NamedTuple):
    """A connection at one moment."""

    session: str
    subject: str
    names: frozenset[str]


class World:
    """Services and their clients, and the model: what each client sees, at every moment at which that may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.services = [Service(folder, self.clock), Service(folder, self.clock)]
        self.declared: list[set[str]] = [set(), set()]
        self.clients: list[dict[str, tuple[Subscriber, str | None, frozenset[str], frozenset[str] | None]]] = [{}, {}]
        self.moments: list[tuple[int, list[Seen]]] = []
        self.number = 0
        for place in (0, 1):
            self.declare(place, "A")

    def act(self, action: tuple[Any, ...]) -> None:
        kind, place, wait, *more = action
        self.clock.now += wait
        getattr(self, kind)(place, *more)
        self.moments.append((self.clock.now, list(self._seen())))

    def connect(self, place: int, subject: str | None, names: frozenset[str], entitled: frozenset[str] | None) -> None:
        self.number += 1
        session = f"session{self.number}"
        subscriber = self.services[place].connect(session, subject)
        self.clients[place][session] = subscriber, subject, frozenset(), None
        self._subscribe(place, session, names, entitled)

    def move(self, place: int, choice: int, names: frozenset[str], entitled: frozenset[str] | None) -> None:
        if self.clients[place]:
            self._subscribe(place, self._chosen(place, choice), names, entitled)

    def leave(self, place: int, choice: int) -> None:
        if self.clients[place]:
            self.services[place].disconnect(self.clients[place].pop(self._chosen(place, choice))[0])

    def declare(self, place: int, symbol: str) -> None:
        self.services[place].declare(symbol)
        self.declared[place].add(symbol)

    def new_file(self, place: int) -> None:
        self.services[place].usage._begin_file()

    def alive(self, _place: int) -> None:
        """Nothing but time."""

    def restart(self, place: int, killed: bool) -> None:  # noqa: FBT001  # a value
        service = self.services[place]
        service.kill() if killed else service.stop()
        self.services[place] = Service(self.folder, self.clock)
        self.declared[place], self.clients[place] = set(), {}

    def end(self) -> None:
        self.clock.now += 1
        for service in self.services:
            service.stop()
        self.moments.append((self.clock.now, []))

    def _chosen(self, place: int, choice: int) -> str:
        return sorted(self.clients[place])[choice % len(self.clients[place])]

    def _subscribe(self, place: int, session: str, names: frozenset[str], entitled: frozenset[str] | None) -> None:
        subscriber, subject, *_ = self.clients[place][session]
        self.services[place].subscribe(subscriber, names, entitled)
        self.clients[place][session] = subscriber, subject, names, entitled

    def _seen(self) -> Iterable[Seen]:
        for place, clients in enumerate(self.clients):
            for session, (_, subject, names, entitled) in clients.items():
                there = {
                    *self.declared[place],
                    *(f"{each} {table}" for each in self.declared[place] for table in TABLES),
                }
                seen = {name for name in there if _matches(name, names) and _allowed(name, entitled)}
                yield Seen(session, subject or "10.0.0.1", frozenset(seen))


def _matches(name: str, wanted: Iterable[str]) -> bool:
    return any(" " not in each and " " not in name and fnmatchcase(name, each) for each in wanted) or any(
        " " in each and " " in name and _both(name, each) for each in wanted
    )


def _allowed(name: str, entitled: frozenset[str] | None) -> bool:
    return entitled is None or _matches(name, entitled)


def _both(name: str, pattern: str) -> bool:
    return all(fnmatchcase(part, each) for part, each in zip(name.split(" "), pattern.split(" "), strict=True))


def summed(moments: list[tuple[int, list[Seen]]]) -> Mapping[tuple[str, str], tuple[int, int, int, tuple[int, ...]]]:
    """By month and subject: connections, most, microseconds, instruments; from each stretch between two moments."""
    sessions, names = defaultdict[Any, set[str]](set), defaultdict[Any, set[str]](set)
    most, time = defaultdict[Any, int](int), defaultdict[Any, int](int)
    for (start, seen), (end, _) in pairwise(moments):
        for month, length in _months(start, end):
            now = defaultdict[str, int](int)
            for each in seen:
                if each.names:
                    key = month, each.subject
                    sessions[key].add(each.session)
                    names[key] |= each.names
                    time[key] += length
                    now[each.subject] += 1
                    most[key] = max(most[key], now[each.subject])
    return {key: (len(sessions[key]), most[key], time[key], _instruments(names[key])) for key in sessions}


def _months(start: int, end: int) -> Iterable[tuple[str, int]]:
    """The months between two moments, with the length of each part."""
    while start < end:
        date = datetime.fromtimestamp(start / 1e6, UTC)
        following = datetime(date.year + date.month // 12, date.month % 12 + 1, 1, tzinfo=UTC)
        until = min(end, int(following.timestamp()) * 1_000_000)
        yield f"{date:%Y-%m}", until - start
        start = until


def _instruments(names: set[str]) -> tuple[int, ...]:
    kinds = [{name.split(" ")[0] for name in names if f" {kind}:" in name} for kind in ("book", "trades", "candles")]
    everything = {name.split(" ")[0] for name in names}
    return len(everything), len({name for name in names if " " not in name}), *map(len, kinds)


_wait = st.one_of(st.integers(1, 1_000), st.integers(1, 40).map(lambda days: days * _DAY + 1))
_names = st.frozensets(st.sampled_from((*PATTERNS, *NAMES)), max_size=4)
_place, _choice = st.integers(0, 1), st.integers(0, 5)
_actions = st.one_of(
    st.tuples(st.just("connect"), _place, _wait, st.sampled_from(SUBJECTS), _names, st.sampled_from(ENTITLED)),
    st.tuples(st.just("connect"), _place, _wait, st.sampled_from(SUBJECTS), _names, st.sampled_from(ENTITLED)),
    st.tuples(st.just("move"), _place, _wait, _choice, _names, st.sampled_from(ENTITLED)),
    st.tuples(st.just("leave"), _place, _wait, _choice),
    st.tuples(st.just("declare"), _place, _wait, st.sampled_from(SYMBOLS)),
    st.tuples(st.just("declare"), _place, _wait, st.sampled_from(SYMBOLS)),
    st.tuples(st.just("new_file"), _place, _wait),
    st.tuples(st.just("alive"), _place, _wait),
    st.tuples(st.just("restart"), _place, _wait, st.booleans()),
)


@pytest.mark.untraced
@settings(max_examples=80)
@given(st.lists(_actions, min_size=10, max_size=25))
def test_the_sums_are_those_of_a_model_that_looks_at_every_moment(actions: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for action in actions:
            world.act(action)
        world.end()
        counted = Counted(Path(folder))
        found = {
            (month, key.subject.name or key.subject.address): row
            for month, sums in counted.months.items()
            for key, row in counted.rows(sums)
        }
        assert counted.problems == []
        assert found == summed(world.moments)
