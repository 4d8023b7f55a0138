"""The messages of a phase with recorded depth or prints, and which of them a copy of a table shows.

Every message has a number of its own, which stands for a price in the rest of the benchmarks: a copy is at the latest
message that it shows. Depth: the best levels tell which, by their fingerprint. Prints: their running number tells.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from benchmarks.schedule import Schedule
from benchmarks.tables.reader import TRADES, Row, Table, TableReader, number_of
from benchmarks.tables.recordings import Missing, Recording, Trade, recordings
from benchmarks.workloads import Phase

_TRADES_EVERY = 50


class Instrument:
    """One of the instruments, which plays its own part of a recording."""

    def __init__(self, number: int) -> None:
        found = recordings()
        self.number = number
        self.recording: Recording = found[number % len(found)]
        self.start = self.recording.start(number)
        self.first_trade = number * _TRADES_EVERY % (len(self.recording.trades) // 2)
        self.played = 0
        """Messages so far."""
        self.shown_by: dict[int, list[int]] = {}
        """By fingerprint, the numbers of the messages after which the best levels have it, ascending."""
        self.fingerprint = 0
        """That of the best levels after the last message."""
        self.numbers: list[int] = []
        """By print, from the first on: the number of its message."""

    def book(self) -> bytes:
        """Return the message with the whole book, before all others."""
        self.fingerprint = self.recording.fingerprints[self.start]
        self.shown_by[self.fingerprint] = [0]
        return self.recording.book_before(self.start)

    def next_event(self, number: int) -> tuple[bytes, bool]:
        """Return the next changed levels, which have this number, and whether the best levels change."""
        at = self.start + self.played
        if at >= len(self.recording.events):
            raise Missing(f"a recording has no more than {at - self.start} events from where this instrument begins")
        self.played += 1
        before, self.fingerprint = self.fingerprint, self.recording.fingerprints[at + 1]
        if self.fingerprint != before:
            self.shown_by.setdefault(self.fingerprint, []).append(number)
        return self.recording.events[at], self.fingerprint != before

    def next_trade(self, number: int) -> bytes:
        """Return the next print, which has this number."""
        self.numbers.append(number)
        return self.trade(len(self.numbers)).line

    def trade(self, running: int) -> Trade:
        """Return the print with this running number; they begin at 1."""
        at = self.first_trade + running - 1
        if at >= len(self.recording.trades):
            raise Missing(f"a recording has no more than {running - 1} prints from where this instrument begins")
        return self.recording.trades[at]


class RecordedSchedule(Schedule):
    """The messages of a phase, one instrument after the other, evenly in time."""

    def __init__(self, phase: Phase, instruments: Sequence[Instrument], *, first_price: int, prints: bool) -> None:
        count = int(phase.rate * phase.seconds)
        self.phase = phase
        self.first_price = first_price
        self.numbers = [index % len(instruments) for index in range(count)]
        self.intended = [index / phase.rate for index in range(count)]
        self._messages: list[bytes] = []
        self._visible: list[bool] = []
        for index, number in enumerate(self.numbers):
            instrument = instruments[number]
            if prints:
                message, visible = instrument.next_trade(first_price + index), True
            else:
                message, visible = instrument.next_event(first_price + index)
            self._messages.append(b"%d %b\n" % (number, message))
            self._visible.append(visible)
        self._by_instrument = []
        self.truncate(count)

    def truncate(self, count: int) -> None:
        """Keep only the first `count` messages, and of the offered ones those that a table shows."""
        super().truncate(count)
        self._by_instrument = [list(filter(self._visible.__getitem__, each)) for each in self._by_instrument]

    def lines(self, wall: float) -> list[bytes]:  # noqa: ARG002  # the venue's times are those of the recording
        """Return the server's input."""
        return self._messages

    def latest(self) -> Mapping[int, int]:
        """Return the number of the last message that each instrument's table shows."""
        return {number: self.first_price + indexes[-1] for number, indexes in enumerate(self._by_instrument) if indexes}


class FollowingReader(TableReader):
    """Tells the message that each table shows, in the place of a price."""

    def follow(self, instruments: Sequence[Instrument]) -> None:
        """The instruments whose messages are to be found in the tables."""
        self.instruments = instruments
        self.at: dict[int, int] = {}
        self.last_print: dict[int, int] = {}
        self.missed = 0
        """Prints that were not sent."""

    def read(self, payloads: Sequence[bytes]) -> list[tuple[int, int]]:
        """Return the instruments whose tables changed, each with its latest message."""
        prices: dict[int, int] = {}
        for payload in payloads:  # one by one: the next may raise a scale
            super().read([payload])
            prices |= self._found()
        return list(prices.items())

    def _found(self) -> dict[int, int]:
        """Return the latest messages in what a message has changed."""
        changed, self.changed = self.changed, []
        prices: dict[int, int] = {}
        for table, field, rows in changed:
            found = self._last_print(table, rows) if field == TRADES else 0
            if found:
                prices[table.instrument] = self.at[table.instrument] = found
        for table in {each[0] for each in changed if each[1] != TRADES}:
            found = self._book(table)
            if found:
                prices[table.instrument] = self.at[table.instrument] = found
        return prices

    def _book(self, table: Table) -> int:
        number = table.instrument
        shown_by = self.instruments[number].shown_by.get(table.fingerprint)
        if shown_by is None:
            if table.fingerprint:
                self.fault = self.fault or f"{table.name} is no book that the recording had"
            return 0
        at = bisect_left(shown_by, self.at.get(number, 0))
        return shown_by[min(at, len(shown_by) - 1)]

    def _last_print(self, table: Table, rows: Sequence[Row]) -> int:
        """Check prints, and count those that are missing in front of them; return the message of the last one."""
        instrument = self.instruments[table.instrument]
        for row in rows:
            trade = instrument.trade(row[0])
            price, size = number_of(row[1], table.price_scale), number_of(row[2], table.size_scale)
            if (price, size, *row[3:]) != (trade.price, trade.size, trade.time, trade.side, trade.id):
                self.fault = self.fault or f"{table.name}: print {row[0]} is {row}, and should be {trade[:-1]}"
        numbers = [row[0] for row in rows]
        if not numbers:
            return 0
        first, last = int(min(numbers)), int(max(numbers))
        self.missed += max(0, first - self.last_print.get(table.instrument, first - 1) - 1)
        self.last_print[table.instrument] = last
        return instrument.numbers[last - 1]
