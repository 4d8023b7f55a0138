"""Which audiences watch an instrument: patterns, symbols that are not there yet, and the watch index.

The rules:

1. An instrument is *visible* once all subscribed patterns were compared with it. Those with lower ids are, too, so one
   number says which are: `visible`. Others are in no audience yet.
2. New instruments are compared in steps, however many patterns there are. If a pass begins before all are visible, the
   others are late: they count as declared anew in the cut in which they become visible, so every audience that watches
   them gets them whole.
3. Tables are records as instruments are. `table_index` opens those that audiences name.
4. An audience with a large share of all instruments is *broad*: it is not in the watch index, but searched at each
   pass. So it is made and moved at once, however many instruments it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple, Protocol, TypeAlias

from ticker.bounds import COMPARISONS_PER_STEP, ENCODED_PER_STEP, SPARE_MATCHES, TABLES_PER_STEP
from ticker.core.audiences import Audience, Group, Subscriber
from ticker.core.bitmaps import bitmap_of, numbers_in
from ticker.core.last_value import LastValueCache
from ticker.core.matching import Matches, SymbolIndex
from ticker.core.record import MarketRecord
from ticker.core.selections import Selection, portions_of
from ticker.core.table_index import Opener, TableIndex
from ticker.core.text_search import TEXT_WEIGHT, FoldedTexts, words_of
from ticker.core.watch_index import WatchIndex, unwatch, watch
from ticker.market import is_symbol
from ticker.protocol.symbols import Match, is_pattern, is_table, is_table_pattern
from ticker.protocol.tables import TableName, parse_table, split_name

BROAD_LEAST = 1_024
"""The least number of instruments of a broad audience."""

_BROAD_SHARE = 16
"""An audience with at least so many instruments, and at least one of so many of all, is broad."""

_Key: TypeAlias = str | frozenset[str]
"""A pattern, or the names of an entitlement."""


class Step(NamedTuple):
    """The most work between two yields of the hub."""

    comparisons: int = COMPARISONS_PER_STEP
    """Comparisons of an instrument with a pattern."""
    encoded: int = ENCODED_PER_STEP
    """Entries to encode."""
    broad: int = BROAD_LEAST
    """Instruments, for smaller audiences are in the watch index."""


USUAL_STEP = Step()


class Observer(Protocol):
    """Is told what subscribers see."""

    def moved(self, subscriber: Subscriber) -> None:
        """A subscriber has other subscriptions now."""
        ...

    def joined(self, audience: Audience, bits: int) -> None:
        """These instruments and tables have appeared, and an audience watches them."""
        ...


class AudienceIndex:
    """The audiences of a hub by the instruments that they watch."""

    def __init__(self, cache: LastValueCache, step: Step) -> None:
        self._broad = step.broad
        self.tables = TableIndex(cache)
        self.observer: Observer | None = None
        self.watch_index: list[WatchIndex] = []
        """By the ids of the visible instruments."""
        self.comparisons = 0
        """Number of comparisons so far: the work that a client can cause."""
        self.joins = 0
        """Number of entries made in the watch index or removed from it so far, likewise."""
        self._cache = cache
        self._most = step.comparisons
        self._texts = FoldedTexts()
        self._symbols = SymbolIndex()
        self._matches: dict[_Key, Matches] = {}
        """Those that audiences use."""
        self._spare: dict[_Key, Matches] = {}
        """Others that were used lately, the latest last."""
        self._audiences_of: dict[_Key, dict[Audience, None]] = {}
        self._waiting: dict[str, dict[Audience, None]] = {}
        """The audiences of symbols that are not visible yet."""
        self._target = 0
        """Instruments below this id become visible next, all at once."""
        self._late = 0
        """Instruments below this id were there in an earlier pass."""

    def __repr__(self) -> str:
        return f"<AudienceIndex of {self.visible} instruments, {len(self._matches)} patterns>"

    @property
    def visible(self) -> int:
        """The number of visible instruments."""
        return len(self.watch_index)

    @property
    def behind(self) -> bool:
        """Whether there are instruments that are not visible yet."""
        return len(self.watch_index) < len(self._cache.records)

    def find(self, name: str) -> MarketRecord | None:
        """Return the visible instrument or table with this name."""
        record = self._cache.find(name)
        return record if record is not None and record.id < len(self.watch_index) else None

    # Searching

    def prepare(self, keys: Collection[_Key]) -> Iterator[None]:
        """Compare everything with these patterns and entitlements, yielding between steps of bounded work."""
        records = self._cache.records
        while not self._symbols.advance(records):
            yield
        found = {key: self._find(key) for key in keys}  # held here: others may push them out of the spare ones
        while behind := [matches for matches in found.values() if matches.through < len(records)]:
            room = self._most
            for matches in behind:
                while matches.through < len(records) and room > 0:
                    room -= self._advance(matches, len(records), room)
                if room <= 0:
                    break
            yield
        for key, matches in found.items():
            if key not in self._matches:
                self._spare.pop(key, None)
                self._spare[key] = matches

    def open_tables(self, names: Collection[str], sees: Match, opener: Opener) -> Iterator[None]:
        """Open the tables that these names need and `sees` allows, for this sender, yielding between steps.

        They are in the open cut. So after each step new records have to be made visible, and a cut be closed.
        """
        wanted: list[tuple[str, TableName]] = []
        for name in names:
            symbol, text = split_name(name)
            table = parse_table(text)
            if table is None:
                continue
            if is_symbol(symbol):
                wanted.append((symbol, table))
            else:
                yield from self.prepare([symbol])
                records = self._cache.records
                wanted += [(records[number].symbol, table) for number in numbers_in(self.matching(symbol))]
        for number, (symbol, table) in enumerate(wanted, 1):
            if self.find(symbol) is not None and sees(f"{symbol} {table}"):
                self.tables.open(symbol, table, opener)
            if number % TABLES_PER_STEP == 0:
                yield

    def matching(self, key: _Key) -> int:
        """Return the bitmap of the instruments that match; at once if `prepare` was exhausted."""
        matches, through = self._find(key), len(self._cache.records)
        while matches.through < through:
            self._advance(matches, through, self._most)
        return matches.bits

    def bits_of(self, names: Collection[str]) -> int:
        """Return the bitmap of the records that any of these names matches; at once if `prepare` was exhausted."""
        bits = 0
        for name in names:
            if is_symbol(name) or is_table(name):
                record = self.find(name)
                bits |= 1 << record.id if record is not None else 0
            elif is_pattern(name) or is_table_pattern(name):
                bits |= self.matching(name)
        return bits & ((1 << self.visible) - 1)

    def search(self, name: str, after: str, most: int, sees: Match, text: str = "") -> Iterator[list[str]]:
        """Return a page of the symbols that this name and `sees` match, of instruments with these words; as `page`."""
        words, texts, instrument = words_of(text), self._texts, self._cache.instrument
        weight = TEXT_WEIGHT if words else 1

        def wanted(symbol: str) -> bool:
            record = instrument(symbol)
            return (
                record is not None and bool(sees(symbol)) and (not words or texts.has_words(record.instrument, words))
            )

        if is_symbol(name):
            yield [name] if name > after and wanted(name) else []
            return
        match = self._find(name).match
        yield from self.page(after, most, lambda symbol: match(symbol) and wanted(symbol), weight)

    def page(self, after: str, most: int, match: Match, weight: int = 1) -> Iterator[list[str]]:
        """Return the matching symbols behind `after` in their order.

        They come in pieces, each of bounded work; the last one is that in which they become `most`. `weight` is the
        cost of a comparison.
        """
        found = 0
        while not self._symbols.advance(self._cache.records):
            yield []
        while symbols := self._symbols.after(after, max(1, min(self._most // weight, 4 * most))):
            after = symbols[-1]
            self.comparisons += len(symbols) * weight
            piece = [symbol for symbol in symbols if match(symbol)][: most - found]
            found += len(piece)
            yield piece
            if found == most:
                return

    def _find(self, key: _Key) -> Matches:
        if key in self._matches:
            return self._matches[key]
        matches = self._spare.pop(key, None) or Matches([key] if isinstance(key, str) else key)
        self._spare[key] = matches
        if len(self._spare) > SPARE_MATCHES:
            del self._spare[next(iter(self._spare))]
        return matches

    def _advance(self, matches: Matches, through: int, most: int) -> int:
        made = matches.begin(self._symbols, most, self._id_of) or matches.advance(
            self._cache.records, self.tables.bits, through, most
        )
        self.comparisons += made
        return max(1, made)

    def _id_of(self, symbol: str) -> int:
        return self._cache.find(symbol).id  # type: ignore[union-attr]  # the symbol comes from the index

    # Audiences

    def add(self, audience: Audience) -> None:
        """Find the instruments of a new audience, and remember that it watches them."""
        names, visible = audience.subscription_set, self.visible
        ids = []
        for symbol in names.symbols:
            record = self.find(symbol)
            if record is None:
                self._wait(symbol, audience)
            elif audience.sees(symbol):
                ids.append(record.id)
        bits = 0
        for pattern in names.patterns:
            bits |= self._use(pattern, audience)
        if names.patterns and names.entitled is not None:
            bits &= self._use(names.entitled, audience)
        bits &= (1 << visible) - 1
        self.joins += len(names.symbols)
        count = len(ids) + bits.bit_count()
        if count >= max(self._broad, visible // _BROAD_SHARE):
            audience.make_broad(bits | bitmap_of(ids))
            self._select(audience, audience.bits)
            self.tables.watch(audience.bits)
            return
        if self.tables.bits:
            self.tables.watch(bits | bitmap_of(ids))
        audience.set_ids({*ids, *numbers_in(bits)})
        self._select(audience, bits | bitmap_of(ids))
        self.joins += len(audience.ids)
        for number in audience.ids:
            watch(self.watch_index[number], audience)

    def _select(self, audience: Audience, bits: int) -> None:
        """Note which fields of these further records an audience wants, if it wants only some of any."""
        names = audience.subscription_set
        if not names.selected:
            return
        selections, instruments = dict(names.selected), bits & ~self.tables.bits
        wanted: dict[Selection, int] = {None: bits & self.tables.bits}
        for pattern in names.patterns:
            selection = selections.get(pattern)
            wanted[selection] = wanted.get(selection, 0) | self._matches[pattern].bits & instruments
        if instruments.bit_count() < len(names.symbols):
            records = [self._cache.records[number] for number in numbers_in(instruments)]
        else:
            records = [each for each in map(self._cache.find, names.symbols) if each is not None]
        numbers: dict[Selection, list[int]] = {}
        symbols = set(names.symbols)
        for record in records:
            if record.symbol in symbols:
                numbers.setdefault(selections.get(record.symbol), []).append(record.id)
        for selection, some in numbers.items():
            wanted[selection] = wanted.get(selection, 0) | bitmap_of(some) & instruments
        portions = dict(audience.portions)
        for selection, matched in portions_of(wanted).items():
            portions[selection] = portions.get(selection, 0) | matched
        audience.portions = portions

    def remove(self, audience: Audience) -> None:
        """Forget an audience."""
        if self.tables.bits:
            self.tables.unwatch(audience.bitmap())
        self.joins += len(audience.ids)
        for number in audience.ids:
            unwatch(self.watch_index[number], audience)
        names = audience.subscription_set
        for symbol in (self._waiting.keys() & names.symbols) if self._waiting else ():
            if self._waiting[symbol].pop(audience, audience) is None and audience.sees(symbol):
                self.tables.give_up_waiting(symbol)
            if not self._waiting[symbol]:
                del self._waiting[symbol]
        for pattern in names.patterns:
            self._give_up(pattern, audience)
        if names.patterns and names.entitled is not None:
            self._give_up(names.entitled, audience)

    def _wait(self, name: str, audience: Audience) -> None:
        self._waiting.setdefault(name, {})[audience] = None
        if audience.sees(name):
            self.tables.await_table(name)

    def _use(self, key: _Key, audience: Audience) -> int:
        bits = self.matching(key)
        matches = self._matches[key] = self._find(key)
        self._spare.pop(key, None)
        matches.users += 1
        if isinstance(key, str):
            if key not in self._audiences_of:
                self._audiences_of[key] = {}
                self.tables.use(key)
            self._audiences_of[key][audience] = None
        return bits

    def _give_up(self, key: _Key, audience: Audience) -> None:
        matches = self._matches[key]
        matches.users -= 1
        if isinstance(key, str):
            del self._audiences_of[key][audience]
            if not self._audiences_of[key]:
                del self._audiences_of[key]
                self.tables.give_up(key)
        if not matches.users:
            del self._matches[key]
            self._spare[key] = matches
            self._find(key)

    def watched(self, numbers: Collection[int], groups: Collection[Group], new: Audience | None) -> bool:
        """Return whether an audience but the `new` one watches any of these records, or perhaps, if they are many.

        Of broad audiences, only those in these groups count.
        """
        if len(numbers) > self._most:
            return True
        visible = [number for number in numbers if number < len(self.watch_index)]
        narrow = {each for number in visible for watchers in self.watch_index[number].values() for each in watchers}
        broad = {each for group in groups for each in group.broad if any(each.bits >> number & 1 for number in visible)}
        return bool((narrow | broad) - {new})

    # New instruments

    @property
    def late(self) -> bool:
        """Whether the next instrument to become visible was there in an earlier pass."""
        return len(self.watch_index) < self._late

    def adopt(self) -> bool:
        """Compare new instruments with the subscribed patterns, in one step; make those visible that are compared.

        Return whether something is in the open cut now: records that were late, or tables.
        """
        records, room, changed = self._cache.records, self._most, self.late
        while len(self.watch_index) < len(records) and room > 0:
            if self._target <= len(self.watch_index):
                patterns = len(self._matches)
                some = max(1, self._most // patterns) if patterns else len(records)
                self._target = min(len(records), len(self.watch_index) + some)
            for matches in self._matches.values():
                while matches.through < self._target and room > 0:
                    room -= self._advance(matches, self._target, room)
            if all(matches.through >= self._target for matches in self._matches.values()):
                changed |= self._reveal(self._target)
        self._late = max(self._late, len(records))
        return changed

    def _reveal(self, visible: int) -> bool:
        """Make the records below this id visible; return whether there are tables among them, or some were opened."""
        first, records = len(self.watch_index), self._cache.records
        new = records[first:visible]
        if not new:
            return False
        if first < self._late:
            self._cache.redeclare(new[: self._late - first])
        self.watch_index += [{} for _ in new]
        mask = (1 << visible) - (1 << first)
        joined: dict[Audience, int] = {}
        for key, audiences in self._audiences_of.items():
            if bits := self._matches[key].bits & mask:
                for audience in audiences:
                    joined[audience] = joined.get(audience, 0) | bits
        for audience, bits in joined.items():
            entitled = audience.subscription_set.entitled
            self._join(audience, bits if entitled is None else bits & self._matches[entitled].bits)
        opened = bool(mask & self.tables.bits)
        for record in new:
            for audience in self._waiting.pop(record.symbol, ()):
                if audience.sees(record.symbol):
                    self._join(audience, 1 << record.id)
            opened |= self.tables.appear(record.symbol)
        return opened

    def _join(self, audience: Audience, bits: int) -> None:
        if self.observer is not None:
            self.observer.joined(audience, bits)
        self._select(audience, bits)
        if tables := bits & self.tables.bits:
            self.tables.watch(tables & ~audience.bitmap())
        if audience.broad:
            audience.make_broad(audience.bits | bits)
            return
        numbers = set(numbers_in(bits)).difference(audience.ids)
        audience.set_ids([*audience.ids, *numbers])
        for number in numbers:
            watch(self.watch_index[number], audience)

    def leftovers(self) -> dict[str, Collection[object]]:
        """Return the data still held for audiences, for tests."""
        watched = [watchers for watchers in self.watch_index if watchers]
        return {"waiting": self._waiting, "patterns": self._matches, "watch index": watched, **self.tables.leftovers()}
