"""The sums of a usage log by month, subject, and real-time or delayed.

The rules, which are those by which exchanges count:

1. A month is one of UTC; what crosses its end counts in both, each with its part of the time.
2. A *subject* (a token's `sub`; without one, the address) counts once a month, however often it connects. With
   real-time data it counts as real-time, whatever delayed data it had besides.
3. A connection counts while it sees anything. The hours of connections at the same time add up; `most` is the largest
   number of them at any one moment.
4. An instrument counts once for a subject and month, whether it saw its quotes, or a table of it, or both; and once for
   each kind of table, however many depths or periods of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from ticker.core.bitmaps import bitmap_of, numbers_in
from ticker.protocol.tables import BOOK, CANDLES, TRADES, parse_table, split_name
from ticker.usage.lines import (
    EVERY_TABLE,
    NO_VIEW,
    CloseLine,
    FileLine,
    OpenLine,
    ReadyLine,
    SeesLine,
    StopLine,
    ViewLine,
    microseconds,
)
from ticker.usage.reading import LoggedLine

KINDS = (BOOK, TRADES, CANDLES)

_LATEST = datetime.max.replace(tzinfo=UTC)


class Subject(NamedTuple):
    """The one that is counted."""

    name: str | None
    """The token's `sub`."""
    address: str
    """Only where there is none; otherwise empty."""


class Key(NamedTuple):
    """A row of the report."""

    subject: Subject
    delayed: bool


@dataclass
class Count:
    """How many connections there were, and for how long."""

    connections: int = 0
    microseconds: int = 0
    now: int = 0
    most: int = 0

    def enter(self) -> None:
        """Count a connection that begins to see something."""
        self.now += 1
        self.most = max(self.most, self.now)


@dataclass
class Row(Count):
    """The sums of one subject and month."""

    names: int = 0
    """Bitmap of the instruments and tables that it saw."""


@dataclass
class Month:
    """The sums of one month."""

    begins: datetime
    rows: dict[Key, Row] = field(default_factory=dict)
    totals: dict[bool, Count] = field(default_factory=lambda: {False: Count(), True: Count()})
    """Of all subjects, real-time and delayed."""

    def __str__(self) -> str:
        return f"{self.begins:%Y-%m}"

    def row(self, key: Key) -> Row:
        """Return the row of a subject, a new one if there is none."""
        return self.rows.setdefault(key, Row())

    def subjects(self, *, delayed: bool) -> set[Subject]:
        """Return the subjects that count as real-time, or those that had only delayed data."""
        real_time = {key.subject for key in self.rows if not key.delayed}
        return {key.subject for key in self.rows if key.delayed} - real_time if delayed else real_time


class Instruments(NamedTuple):
    """Numbers of instruments: of which anything was seen, their quotes, or tables of a kind."""

    any: int
    quotes: int
    tables: dict[str, int]


class NameIndex:
    """Numbers of all names in a log: of instruments, and of tables, whose instruments have one too."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._instruments = 0
        self._tables = dict.fromkeys(KINDS, 0)
        self._instrument_of: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<NameIndex of {len(self._numbers)} names>"

    def bits(self, names: list[str]) -> int:
        """Return the bitmap of these names."""
        return bitmap_of([self._number(name) for name in names])

    def count(self, bits: int) -> Instruments:
        """Return the numbers of instruments in a bitmap."""
        quotes = bits & self._instruments
        found, tables = quotes, {}
        for kind, mask in self._tables.items():
            of_kind = bitmap_of([self._instrument_of[number] for number in numbers_in(bits & mask)])
            tables[kind] = of_kind.bit_count()
            found |= of_kind
        return Instruments(found.bit_count(), quotes.bit_count(), tables)

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            symbol, text = split_name(name)
            instrument = self._number(symbol) if text else -1
            number = self._numbers[name] = len(self._numbers)
            kind = _kind(text)
            if not text:
                self._instruments |= 1 << number
            elif kind is not None:
                self._tables[kind] |= 1 << number
                self._instrument_of[number] = instrument
        return number


def _kind(text: str) -> str | None:
    """Return the kind of a table, or of all of a kind: those of another ticker that follows. None for another text."""
    if text in EVERY_TABLE:
        return text.partition(":")[0]
    table = parse_table(text)
    return None if table is None else table.kind


class _View:
    """A set of names, and the connections that see it."""

    __slots__ = ("bits", "connections")

    def __init__(self, bits: int = 0) -> None:
        self.bits = bits
        self.connections: set[_Connection] = set()


class _Connection:
    """An open connection."""

    __slots__ = ("counted", "delayed", "since", "subject", "view")

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.view = _View()
        self.delayed = False
        self.since: int | None = None
        """When it began to see what it sees, in this month; None while that is nothing."""
        self.counted: set[bool] = set()
        """Whether it was counted in this month, as real-time and as delayed."""

    @property
    def key(self) -> Key:
        """The row in which it counts."""
        return Key(self.subject, self.delayed)


class _Run:
    """What is open in one run."""

    def __init__(self) -> None:
        self.views: dict[int, _View] = {NO_VIEW: _View()}
        self.connections: dict[str, _Connection] = {}
        self.unconfirmed: dict[str, _Connection] = {}
        """Those of the former file that the head of the present one did not name yet."""
        self.lost_since: int | None = None


class Lost(NamedTuple):
    """Events of a run that are in no file, and the times between which they were."""

    run: str
    events: int
    since: datetime
    until: datetime


class UsageCounter:
    """Counts the lines of all runs, in the order of their times."""

    def __init__(self, wrong: Callable[[LoggedLine, str], None]) -> None:
        """`wrong` is called with a line that cannot follow those before it, and the reason."""
        self.names = NameIndex()
        self.lost: list[Lost] = []
        self._wrong = wrong
        self._runs: dict[str, _Run] = {}
        self._month = Month(_LATEST)
        self._month_ends = 0

    def __repr__(self) -> str:
        return f"<UsageCounter of {len(self._runs)} runs, {self.names!r}>"

    def count(self, lines: Iterator[LoggedLine]) -> Iterator[Month]:
        """Count all lines; yield each month when it is over."""
        for logged in lines:
            while logged.at >= self._month_ends:
                goes_on = next(self._open_connections(), None) is not None
                if self._month_ends:
                    yield self._end_month()
                self._begin_month(self._month_ends if goes_on else logged.at)
            self._add(logged)
        if self._month_ends:
            yield self._end_month()

    # Months

    def _begin_month(self, at: int) -> None:
        date = datetime.fromtimestamp(at // 1_000_000, UTC)
        begins = datetime(date.year, date.month, 1, tzinfo=UTC)
        last = (date.year, date.month) == (9999, 12)  # the last one that a date can have
        ends = _LATEST if last else datetime(date.year + date.month // 12, date.month % 12 + 1, 1, tzinfo=UTC)
        self._month, self._month_ends = Month(begins), microseconds(ends) + last
        for connection in self._open_connections():
            connection.counted.clear()
            self._start(connection, microseconds(begins))

    def _end_month(self) -> Month:
        for connection in self._open_connections():
            self._pause(connection, self._month_ends)
        return self._month

    def _open_connections(self) -> Iterator[_Connection]:
        for run in self._runs.values():
            yield from run.connections.values()
            yield from run.unconfirmed.values()

    # Connections

    def _start(self, connection: _Connection, at: int) -> None:
        """Count a connection from now on, if it sees anything."""
        if connection.since is not None or not connection.view.bits:
            return
        connection.since = at
        first = connection.delayed not in connection.counted
        connection.counted.add(connection.delayed)
        for each in (self._month.row(connection.key), self._month.totals[connection.delayed]):
            each.enter()
            each.connections += first

    def _pause(self, connection: _Connection, at: int) -> None:
        """Count what a connection saw until now, and no more of it for the present."""
        if connection.since is None:
            return
        row = self._month.row(connection.key)
        for each in (row, self._month.totals[connection.delayed]):
            each.microseconds += max(0, at - connection.since)
            each.now -= 1
        row.names |= connection.view.bits
        connection.since = None

    def _end(self, connection: _Connection, at: int) -> None:
        self._pause(connection, at)
        connection.view.connections.discard(connection)

    # Lines

    def _add(self, logged: LoggedLine) -> None:
        run, line = self._runs.setdefault(logged.run, _Run()), logged.line
        match line:
            case ViewLine():
                self._change_view(run, logged, line)
            case OpenLine():
                self._open(run, line)
            case SeesLine():
                self._move(run, logged, line)
            case CloseLine():
                self._close(run, logged, line)
            case FileLine():
                self._begin_file(logged.run, run, line)
            case ReadyLine():
                self._end_unconfirmed(run, logged.at)
            case StopLine():
                for connection in (*run.connections.values(), *run.unconfirmed.values()):
                    self._end(connection, logged.at)
                del self._runs[logged.run]

    def _begin_file(self, name: str, run: _Run, line: FileLine) -> None:
        run.unconfirmed |= run.connections
        run.connections = {}
        run.views = {NO_VIEW: _View()}
        if line.lost_since is not None:
            run.lost_since = microseconds(line.lost_since)
            self.lost.append(Lost(name, line.lost, line.lost_since, line.at))

    def _end_unconfirmed(self, run: _Run, at: int) -> None:
        """End the connections that were not there any more when a file began."""
        for connection in run.unconfirmed.values():
            self._end(connection, at if run.lost_since is None else run.lost_since)
        run.unconfirmed = {}
        run.lost_since = None

    def _open(self, run: _Run, line: OpenLine) -> None:
        known = run.unconfirmed.pop(line.session, None)
        subject = Subject(line.subject, "" if line.subject is not None else line.address)
        run.connections[line.session] = known if known is not None else _Connection(subject)

    def _close(self, run: _Run, logged: LoggedLine, line: CloseLine) -> None:
        connection = run.connections.pop(line.session, None)
        if connection is None:
            self._wrong(logged, f"the connection {line.session} is not open")
        else:
            self._end(connection, logged.at)

    def _move(self, run: _Run, logged: LoggedLine, line: SeesLine) -> None:
        connection, view = run.connections.get(line.session), run.views.get(line.view)
        if connection is None:
            self._wrong(logged, f"the connection {line.session} is not open")
            return
        if view is None:
            self._wrong(logged, f"there is no view {line.view}; what it shows is not counted")
            view = _View()
        if view.bits != connection.view.bits or line.delayed != connection.delayed:
            self._pause(connection, logged.at)
        connection.view.connections.discard(connection)
        view.connections.add(connection)
        connection.view, connection.delayed = view, line.delayed
        self._start(connection, logged.at)

    def _change_view(self, run: _Run, logged: LoggedLine, line: ViewLine) -> None:
        view = run.views.get(line.view)
        if view is None:
            base = run.views.get(NO_VIEW if line.base is None else line.base)
            if base is None:
                self._wrong(logged, f"there is no view {line.base}; what it shows is not counted")
            view = run.views[line.view] = _View(0 if base is None else base.bits)
        view.bits = (view.bits | self.names.bits(line.names)) & ~self.names.bits(line.without)
        for connection in view.connections:
            self._start(connection, logged.at)
