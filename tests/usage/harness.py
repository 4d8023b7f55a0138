"""A service's hub and its usage log without the service: clients move as a test says, at times that it says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.support import Sink, cut
from ticker.config import Usage
from ticker.core.audiences import Subscriber, SubscriptionSet
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.door.grants import Grant
from ticker.door.sender import Sender
from ticker.market import Instrument
from ticker.protocol.symbols import is_pattern, is_table_pattern
from ticker.protocol.wire import MSGPACK
from ticker.server.usage_log import UsageLog
from ticker.usage.counting import Month, UsageCounter
from ticker.usage.events import Alive, NewFile, Stop
from ticker.usage.reading import LoggedLine, Problem, merged, parts_by_run, relevant

START = 1_795_000_000_000_007
"""18 November 2026, in microseconds since 1970 UTC."""


class Clock:
    """The time of all services of a test."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


class Service:
    """One run."""

    def __init__(self, folder: Path, clock: Clock, **settings: Any) -> None:  # noqa: ANN401  # those of `Usage`
        self.clock = clock
        self.hub = Hub(LastValueCache("epoch"))
        self.usage = UsageLog(Usage(str(folder), **settings), clock)
        self.usage.watch(self.hub)
        self.usage._began = clock.now
        self.writer = self.usage.writer
        self.writer.begin(NewFile(clock.now))
        self.writer.start()

    def declare(self, *symbols: str) -> None:
        cut(self.hub.cache, *map(Instrument, symbols))
        for _ in self.hub.publish(0):
            pass

    def connect(
        self, session: str, subject: str | None = None, address: str = "10.0.0.1", agent: str = "test"
    ) -> Subscriber:
        subscriber = self.hub.connect(Sink(), MSGPACK, 0)
        self.usage.opened(subscriber, session, Sender(address, Grant(subject), agent), "websocket")
        return subscriber

    def subscribe(
        self, subscriber: Subscriber, names: Iterable[str], entitled: frozenset[str] | None = None, interval: int = 0
    ) -> None:
        patterns = {name for name in names if is_pattern(name) or is_table_pattern(name)}
        wanted = SubscriptionSet(tuple(sorted({*names} - patterns)), tuple(sorted(patterns)), interval, entitled)
        keys: list[str | frozenset[str]] = [*patterns, *([entitled] if entitled is not None else [])]
        tabled = [name for name in names if " " in name]
        for _ in self.hub.prepare(tabled, keys, Grant(symbols=entitled).sees):
            pass
        self.hub.subscribe(subscriber, wanted, 0)

    def disconnect(self, subscriber: Subscriber) -> None:
        self.usage.closed(subscriber)
        self.hub.disconnect(subscriber)

    def stop(self) -> None:
        self.usage._put(Stop(self.clock.now))
        self.writer.finish(20)

    def kill(self) -> None:
        """Nothing is written after this moment."""
        self.usage._put(Alive(self.clock.now))
        self.writer.finish(20)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("usage-*.jsonl"))


def lines(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


class Counted:
    """A folder as `ticker usage` counts it."""

    def __init__(self, folder: Path, start: str = "0", end: str = "~") -> None:
        self.problems: list[str] = []
        self.opened = 0
        self._counter = UsageCounter(self._wrong)
        runs = [relevant(parts, start, end) for parts in parts_by_run(folder).values()]
        self.months = {str(month): month for month in self._counter.count(merged(runs, self._report, self._open))}
        self.lost = self._counter.lost

    def _report(self, problem: Problem) -> None:
        self.problems.append(f"{problem.path.name}:{problem.line}: {problem.text}")

    def _wrong(self, logged: LoggedLine, text: str) -> None:
        self.problems.append(f"{logged.path.name}:{logged.number}: {text}")

    def _open(self) -> None:
        self.opened += 1

    def row(self, month: str, subject: str) -> tuple[int, int, int, Sequence[int]]:
        """Connections, most at once, microseconds; and instruments: any, quotes, book, trades, candles."""
        return {key.subject.name or key.subject.address: row for key, row in self.rows(self.months[month])}[subject]

    def rows(self, month: Month) -> Iterable[tuple[Any, tuple[int, int, int, Sequence[int]]]]:
        for key, row in month.rows.items():
            found = self._counter.names.count(row.names)
            numbers = (found.any, found.quotes, *found.tables.values())
            yield key, (row.connections, row.most, row.microseconds, numbers)
