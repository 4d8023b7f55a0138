"""The open tables: those that any client has asked for. They stay open, so that an id never means anything else.

The rules:

1. A table is opened when the first client names it, alone or with a pattern, and its instrument is there.
2. While a pattern with a table is subscribed (`*-USD book:10`), each new instrument that it matches has its table
   opened.
3. A table's rows are only kept up to date while somebody watches it.
4. Nobody can take all the room: the tables that are opened for a sender are counted, and limited, and as instruments
   appear, tables are opened only into the first half of the room.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ticker.core.bitmaps import bitmap_of, numbers_in
from ticker.core.last_value import LastValueCache
from ticker.core.tables.table_record import TableRecord
from ticker.protocol.symbols import Match, is_table, is_table_pattern, matcher
from ticker.protocol.tables import TableName, parse_table, split_name


class Opener(NamedTuple):
    """The sender for which tables are opened, and how many these may be since the start."""

    name: str = ""
    most: int = sys.maxsize


ANYBODY = Opener()
"""Without a limit of its own."""


class TableIndex:
    """The open tables of one cache."""

    def __init__(self, cache: LastValueCache) -> None:
        self._cache = cache
        self.bits = bitmap_of([record.id for record in cache.records if isinstance(record, TableRecord)])
        """The bitmap of their ids."""
        self._patterns: dict[str, tuple[Match, TableName]] = {}
        """The subscribed patterns with a table: a test of symbols, and the table."""
        self._uses: Counter[str] = Counter()
        """How often each of these is used: by audiences, and by requests on their way."""
        self._awaited: dict[str, Counter[TableName]] = {}
        """Tables of symbols that are not there yet, with the number of audiences that wait for each."""
        self._opened: Counter[str] = Counter()
        """By name of the opener: the number of tables that were opened for it."""
        self.refused: Counter[str] = Counter()
        """How often a table was not opened, by whose limit was reached: `service`, `sender` or `connection`."""

    def __repr__(self) -> str:
        return f"<TableIndex of {self.bits.bit_count()} open tables, {len(self._patterns)} patterns>"

    @property
    def room(self) -> int:
        """The number of tables that may still be opened."""
        return self._cache.tables.config.max_open - self.bits.bit_count()

    def has_share(self, opener: Opener) -> bool:
        """Return whether further tables may be opened for it."""
        return self._opened[opener.name] < opener.most

    def open(self, symbol: str, table: TableName, opener: Opener = ANYBODY, *, spare: int = 0) -> bool:
        """Open a table of an instrument in the open cut; False, and nothing, if it is open or there is no room.

        `spare` is the room that has to be left.
        """
        instrument = self._cache.instrument(symbol)
        if instrument is None or self._cache.find(f"{symbol} {table}") is not None:
            return False
        if self.room <= spare or not self._cache.tables.has_room(instrument):
            self.refused["service"] += 1
            return False
        if not self.has_share(opener):
            self.refused["sender"] += 1
            return False
        record = self._cache.open_table(symbol, table)
        self.bits |= 1 << record.id
        self._opened[opener.name] += 1
        return True

    def appear(self, symbol: str) -> bool:
        """Open the tables that are wanted of a new instrument; return whether there were any."""
        opened, spare = False, self._cache.tables.config.max_open // 2
        for table in self._awaited.pop(symbol, ()):
            opened |= self.open(symbol, table, spare=spare)
        for match, table in self._patterns.values():
            if match(symbol):
                opened |= self.open(symbol, table, spare=spare)
        return opened

    def await_table(self, name: str) -> None:
        """Have this table opened when its instrument appears."""
        symbol, text = split_name(name)
        table = parse_table(text)
        if table is not None:
            self._awaited.setdefault(symbol, Counter())[table] += 1

    def give_up_waiting(self, name: str) -> None:
        """Take an `await_table` back."""
        symbol, text = split_name(name)
        table, awaited = parse_table(text), self._awaited.get(symbol)
        if table is None or awaited is None:
            return
        awaited[table] -= 1
        if awaited[table] <= 0:
            del awaited[table]
        if not awaited:
            del self._awaited[symbol]

    def use(self, pattern: str) -> None:
        """Have the tables of new instruments opened that this pattern matches, if it is one with a table."""
        symbols, text = split_name(pattern)
        table = parse_table(text)
        if table is not None:
            self._uses[pattern] += 1
            self._patterns[pattern] = matcher([symbols]), table

    def give_up(self, pattern: str) -> None:
        """Take a `use` back."""
        self._uses[pattern] -= 1
        if self._uses[pattern] <= 0:
            del self._uses[pattern]
            self._patterns.pop(pattern, None)

    @contextmanager
    def holding(self, names: Collection[str]) -> Iterator[None]:
        """Open the tables of new instruments that these names of a request need, until an audience is to have them."""
        patterns = [name for name in names if is_table_pattern(name)]
        awaited = [name for name in names if is_table(name) and self._cache.instrument(split_name(name)[0]) is None]
        for pattern in patterns:
            self.use(pattern)
        for name in awaited:
            self.await_table(name)
        try:
            yield
        finally:
            for pattern in patterns:
                self.give_up(pattern)
            for name in awaited:
                self.give_up_waiting(name)

    def watch(self, bits: int) -> None:
        """Count another watcher of the tables among these records."""
        for record in self._among(bits):
            record.watch()

    def unwatch(self, bits: int) -> None:
        """Count one watcher less of the tables among these records."""
        for record in self._among(bits):
            record.unwatch()

    def _among(self, bits: int) -> Iterator[TableRecord]:
        for number in numbers_in(bits & self.bits):
            record = self._cache.records[number]
            if isinstance(record, TableRecord):
                yield record

    def leftovers(self) -> dict[str, Collection[object]]:
        """Return the data still held for audiences, for tests."""
        return {"awaited tables": self._awaited, "table patterns": self._patterns}
