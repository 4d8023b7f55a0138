"""The whole cache as plain data, and a cache that goes on from it: with its epoch, its cuts and all their memory.

The rules:

1. A keyframe is made between two cuts. It has everything from which pending changes are computed (`changed_at`,
   `whole_at`, withdrawn fields, levels that left a view), so that any cursor of the epoch stays one.
2. It does not have the feeds. All that they said was said in an earlier life: it is outdated until one says it again
   (`freshness`).
3. The tables that were watched have a watcher in the new cache, so that their clients find them as they were. The
   caller takes it back after a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from ticker.core.journal import part_of
from ticker.core.last_value import LastValueCache
from ticker.core.offer import offers
from ticker.core.quotes import QuoteMove
from ticker.core.record import Record
from ticker.core.state import State
from ticker.core.tables.bars import MADE_OF_LAST
from ticker.core.tables.table_record import TableRecord
from ticker.market import Instrument, Reason
from ticker.protocol.tables import parse_table

EARLIER: Final = "an earlier run"
"""The source of all values of a keyframe."""


def parts_of(cache: LastValueCache) -> Iterator[State]:
    """Yield a keyframe in parts: first the cache's own, then one for each record. No cut may be closed meanwhile."""
    yield [cache.cut, cache.time, cache.last_definition, len(cache.records)]
    for record in cache.records:
        if isinstance(record, TableRecord):
            yield [record.instrument.id, str(record.table), bool(record.watchers), record.state()]
        else:
            yield part_of(record, cache.tables)


def restore(
    cache: LastValueCache, parts: Iterable[State], time: int, restored: Callable[[], None] = lambda: None
) -> list[TableRecord]:
    """Fill a new cache of the keyframe's epoch, and close its next cut at `time`; return the tables it watches.

    `restored` is called before that cut, which those that follow have to be told, too.

    Raises `ValueError`, `TypeError` or another ordinary error for data that no cache with these settings gave; the
    cache cannot be used then.
    """
    reading = iter(parts)
    cut, closed_at, last_definition, count = next(reading)
    watched = []
    for part in reading:
        if isinstance(part[0], list):
            restore_instrument(cache, part)
        elif _restore_table(cache, *part):
            watched.append(cache.records[-1])
    if len(cache.records) != count:
        raise ValueError(f"{len(cache.records)} records, {count} expected")
    cache.go_on_from(cut, closed_at, last_definition)
    held = [record for record in watched if isinstance(record, TableRecord)]
    for table in held:
        table.watch()
    restored()
    lead(cache, time)
    return held


def lead(cache: LastValueCache, time: int) -> None:
    """Have a cache whose content was said in an earlier life go on by itself, and close its next cut at `time`."""
    cache.tables.lead()
    cache.has_all_bars()
    for record in cache.instruments:
        record.source = EARLIER if record.values else None
        cache.mark_stale(record, EARLIER, Reason.FEED_DOWN)
    cache.close_cut(time, always=True)


def restore_instrument(cache: LastValueCache, part: State) -> Record:
    """Take in the whole of an instrument, which may be known already."""
    (symbol, price_scale, size_scale, metadata), state, tables, quotes, updates = part
    if not isinstance(metadata, Mapping):
        raise TypeError(f"{symbol} has no metadata")
    instrument, record = Instrument(symbol, price_scale, size_scale, metadata), cache.instrument(symbol)
    cuts = 0, 0, 0
    if record is None:
        record = cache.add_instrument(instrument)
    else:
        # Later ones of this cache alone, if it was late to the instrument.
        cuts = record.whole_at, record.defined_at, record.last_change
    record.instrument = instrument
    record.restore(state, EARLIER, cache.per_cut)
    record.whole_at = max(record.whole_at, cuts[0])
    record.defined_at = max(record.defined_at, cuts[1])
    record.last_change = max(record.last_change, cuts[2])
    if tables is not None:
        cache.tables.of_followed(record).restore_state(tables, EARLIER, cache.per_cut)
    record.updates = updates
    record.quotes = None
    if quotes and cache.tables.makes_bars:
        # The next value counts for the bars, and not the one that is there.
        record.quotes = QuoteMove()
        found = cache.tables.find(record)
        bars = None if found is None else found.bars
        record.quotes.of_last = bars is not None and bars.source == MADE_OF_LAST
        record.quotes.seen = record.quotes.value_of(record.values)
    return record


def _restore_table(cache: LastValueCache, instrument: int, name: str, watched: bool, state: State) -> bool:  # noqa: FBT001
    record, table = cache.records[instrument], parse_table(name)
    if table is None or not isinstance(record, Record) or not offers(cache.tables.config, table):
        raise ValueError(f"{name} is no table of this service")
    cache.add_table(record, table).restore(state)
    return watched
