"""The names that one client is subscribed to: symbols, tables and patterns, and the limits on them.

An outcome is `[name, code, text]` (PROTOCOL.md, section 5): one bad name never fails the others of its request.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from operator import itemgetter
from typing import TypeAlias

from ticker.bounds import BYTES_PER_NAME, BYTES_PER_SELECTED, MAX_SELECTIONS, NAMES_PER_STEP
from ticker.config import Limits
from ticker.core.audiences import SubscriptionSet
from ticker.core.hub import Hub
from ticker.core.offer import offer_text, offers
from ticker.core.selections import Selection
from ticker.core.table_index import Opener
from ticker.door.grants import Grant
from ticker.errors import Code
from ticker.market import MAX_SYMBOL, is_symbol
from ticker.protocol.symbols import is_pattern, is_table, is_table_pattern
from ticker.protocol.tables import parse_table, split_name

Outcomes: TypeAlias = list[list[object]]

_NO_NAME = f"neither a symbol (1 to {MAX_SYMBOL} printable characters) nor a pattern"


def most_names(limits: Limits, grant: Grant) -> int:
    """Return the most symbols and patterns that a client may name: the grant can only lower the service's limit."""
    return min(limits.max_symbols, grant.max_symbols)


def exceeded_limit(limits: Limits, grant: Grant, names: int, patterns: int) -> str:
    """Return the limit that this number of names, `patterns` of them patterns, exceeds; an empty text if none.

    Every interface that takes names applies this one.
    """
    most = most_names(limits, grant)
    if names > most:
        return f"{most} symbols and patterns"
    return f"{limits.max_patterns} patterns" if patterns > limits.max_patterns else ""


class SubscribedNames:
    """The names of one client while a request changes them; between requests, its `SubscriptionSet` has them."""

    __slots__ = ("_hub", "_limits", "_opener", "patterns", "selected", "symbols", "tables")

    def __init__(
        self, hub: Hub, limits: Limits, opener: Opener, present: SubscriptionSet, tables: Mapping[str, int]
    ) -> None:
        self._hub = hub
        self._limits = limits
        self._opener = opener
        self.symbols: dict[str, None] = dict.fromkeys(present.symbols)
        """Symbols, and names of single tables."""
        self.patterns: dict[str, None] = dict.fromkeys(present.patterns)
        """Patterns, and those with a table."""
        self.selected: dict[str, Selection] = dict(present.selected)
        """The fields that are wanted of what these names match; without an entry, all."""
        self.tables: dict[str, int] = dict(tables)
        """By name: the number of tables that it stood for when it was subscribed."""

    def __repr__(self) -> str:
        return f"{len(self.symbols)} symbols and {len(self.patterns)} patterns"

    def __len__(self) -> int:
        return len(self.symbols) + len(self.patterns)

    def __contains__(self, name: str) -> bool:
        return name in self.symbols or name in self.patterns

    @property
    def held(self) -> int:
        """Upper estimate of the bytes that they take."""
        characters = sum(map(len, self.symbols)) + sum(map(len, self.patterns))
        return characters + BYTES_PER_NAME * len(self) + BYTES_PER_SELECTED * len(self.selected)

    def subscription_set(self, interval_us: int, entitled: frozenset[str] | None) -> SubscriptionSet:
        """Return them as subscriptions."""
        selected = tuple(sorted(self.selected.items(), key=itemgetter(0)))
        return SubscriptionSet(
            tuple(sorted(self.symbols)), tuple(sorted(self.patterns)), interval_us, entitled, selected
        )

    def prepare(self, names: Sequence[str], forget: Sequence[str], grant: Grant) -> Generator[None, None, set[str]]:
        """Find the matches of new patterns, and open new tables, in steps, so that all is subscribed in one.

        Return the names for whose tables there is room.
        """
        new = [name for name in dict.fromkeys(names) if name not in self]
        patterns = [name for name in new if is_pattern(name)][: self._limits.max_patterns - len(self.patterns)]
        keys: list[str | frozenset[str]] = [*patterns, *dict.fromkeys(name for name in forget if is_any_pattern(name))]
        tabled = yield from self._tables_with_room(name for name in new if " " in name)
        keys += [name for name in tabled if is_table_pattern(name)]
        if grant.symbols is not None and (keys or self.patterns):
            keys.append(grant.symbols)
        yield from self._hub.prepare(tabled, keys, grant.sees, self._opener)
        return set(tabled)

    def _tables_with_room(
        self, names: Collection[str] | Generator[str, None, None]
    ) -> Generator[None, None, list[str]]:
        """Return those of these names with a table for which this client has room."""
        left = self._limits.max_tables - sum(self.tables.values())
        found = []
        for name in names:
            symbol, text = split_name(name)
            table = parse_table(text)
            if table is None or not offers(self._hub.cache.tables.config, table):
                continue
            count = 1
            if not is_symbol(symbol):
                if not is_pattern(symbol) or len(self.patterns) >= self._limits.max_patterns:
                    continue
                yield from self._hub.index.prepare([symbol])
                count = self._hub.index.matching(symbol).bit_count()
            if count <= left:
                left -= count
                found.append(name)
        return found

    def has_room_for(self, selections: Collection[Selection], names: Collection[str]) -> bool:
        """Return whether these names may have these selections, besides those that others have."""
        if not selections or len({*selections, *self.selected.values()}) <= MAX_SELECTIONS:
            return True
        given = set(names)
        others = {selection for name, selection in self.selected.items() if name not in given}
        return len({*selections, *others}) <= MAX_SELECTIONS

    def add(
        self, names: Sequence[str], room: Collection[str], grant: Grant, selection: Selection = None
    ) -> Generator[None, None, Outcomes]:
        """Add the acceptable names, after `prepare`, with this selection from now on; return the outcome of each."""
        outcomes: Outcomes = []
        for number, name in enumerate(names, 1):
            if number % NAMES_PER_STEP == 0:
                yield
            code, text = self._add(name, room, grant)
            outcomes.append([name, code, text])
            if selection is None or " " in name:
                self.selected.pop(name, None)
            elif name in self:
                self.selected[name] = selection
        return outcomes

    def _add(self, name: str, room: Collection[str], grant: Grant) -> tuple[Code, str]:
        record = self._hub.index.find(name)
        # A record's name needs no look at its characters: of names that are subscribed, nearly all are such.
        pattern = record is None and not is_symbol(name) and not is_table(name)
        if name not in self:
            code, text = self._fault(name, room, grant, pattern=pattern)
            if code is not Code.OK:
                return code, text
            # The record's own text: one for all clients.
            (self.patterns if pattern else self.symbols)[name if record is None else record.symbol] = None
        if not pattern and not (record is not None and grant.sees(name)):
            return Code.UNKNOWN_SYMBOL, "there is no such instrument; should it appear, it will join"
        return Code.OK, ""

    def _fault(self, name: str, room: Collection[str], grant: Grant, *, pattern: bool) -> tuple[Code, str]:
        """Return why a new name cannot be added; or count its tables."""
        tabled = " " in name
        if tabled:
            symbol, text = split_name(name)
            table = parse_table(text)
            if not is_symbol(symbol) and not is_pattern(symbol):
                return Code.BAD_SYMBOL, _NO_NAME
            if table is None or not offers(self._hub.cache.tables.config, table):
                return Code.UNKNOWN_TABLE, offer_text(self._hub.cache.tables.config, table)
        elif pattern and not is_pattern(name):
            return Code.BAD_SYMBOL, _NO_NAME
        names, patterns = len(self.symbols) + len(self.patterns) + 1, len(self.patterns) + pattern
        if exceeded := exceeded_limit(self._limits, grant, names, patterns):
            return Code.TOO_MANY_SYMBOLS, f"a connection may have {exceeded}"
        return self._take_tables(name, room, grant, pattern=pattern) if tabled else (Code.OK, "")

    def _take_tables(self, name: str, room: Collection[str], grant: Grant, *, pattern: bool) -> tuple[Code, str]:
        """Count the tables of a new name; or return why there is no room for them."""
        index, (symbol, _) = self._hub.index, split_name(name)
        if name not in room:
            index.tables.refused["connection"] += 1
            return Code.TOO_MANY_TABLES, f"a connection may have {self._limits.max_tables} tables"
        known = index.find(symbol) is not None and grant.sees(name)
        if not pattern and known and index.find(name) is None:
            return Code.TOO_MANY_TABLES, self._no_room()
        self.tables[name] = index.matching(symbol).bit_count() if pattern else 1
        return Code.OK, ""

    def _no_room(self) -> str:
        if self._hub.index.tables.has_share(self._opener):
            return "the service has no room for further tables"
        return f"{self._opener.most} tables were opened for this subject or address; no more can be"

    def remove(self, names: Sequence[str]) -> Generator[None, None, Outcomes]:
        """Take names back; return the outcome of each."""
        outcomes: Outcomes = []
        for number, name in enumerate(names, 1):
            if number % NAMES_PER_STEP == 0:
                yield
            if name in self:
                (self.symbols if name in self.symbols else self.patterns).pop(name)
                self.tables.pop(name, None)
                self.selected.pop(name, None)
                outcomes.append([name, Code.OK, ""])
            else:
                outcomes.append([name, Code.NOT_SUBSCRIBED, "it was not subscribed"])
        return outcomes


def is_any_pattern(name: str) -> bool:
    """Return whether this is a pattern, with or without a table."""
    return is_pattern(name) or is_table_pattern(name)
