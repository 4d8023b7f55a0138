"""`/v1/snapshot`: values of instruments and rows of tables at one cut, by name and in pages.

The order of names is by symbol, and below each symbol its tables; a table's name sorts there by itself, because a space
comes before every character of a symbol. No table is opened for it: the rows come from the stores in the cache.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

from ticker.bounds import FOUND_PER_REPLY, ROWS_PER_ANSWER, WRITTEN_PER_STEP
from ticker.core.bitmaps import flags_of
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.core.selections import Selection, selected
from ticker.door.grants import Grant
from ticker.market import FieldKey, WireValue, field_name, is_symbol, shown_value
from ticker.net.http1 import Response
from ticker.protocol.tables import TableName, parse_table, split_name
from ticker.server.answers import market_response, moment_of
from ticker.server.table_rows import TableRows, rows_of

Entry: TypeAlias = tuple[Record, TableName | None]
"""An instrument, or one of its tables."""

Held: TypeAlias = tuple[str, TableRows | tuple[Mapping[FieldKey, WireValue], int, int]]
"""A name, and the rows of a table, or the values and scales of an instrument, as of one moment."""


def snapshot_steps(
    hub: Hub, names: Sequence[str], selection: Selection, after: str, grant: Grant
) -> Generator[None, None, Response]:
    """Make the page behind the name `after`, in steps, with the selected fields of instruments."""
    cache = hub.cache
    found: dict[str, int] = {}
    yield from _find(hub, names, grant, found)
    wanted = _Wanted(names, found)
    entries: list[Entry] = []
    more = yield from _collect(hub, wanted, after, entries)
    # One moment of the market; its values are written afterwards.
    content = moment_of(hub, grant)
    held = [_held(cache, selection, *entry) for entry in entries]
    content["instruments"] = yield from _texts(held)
    content |= {"unknown": [name for name in names if not found[name]], "more": more}
    return market_response(content, list(content["instruments"]))


class _Wanted:
    """The instruments and tables of some names, by id of the instrument."""

    def __init__(self, names: Sequence[str], found: Mapping[str, int]) -> None:
        """`found` has the bitmap of the instruments of each name."""
        bits: dict[TableName | None, int] = {}
        for name in names:
            table = parse_table(split_name(name)[1])
            bits[table] = bits.get(table, 0) | found[name]
        self.any = flags_of(reduce(or_, bits.values()))
        self._kinds = sorted(((table, flags_of(each)) for table, each in bits.items()), key=_order)

    def __repr__(self) -> str:
        return f"<_Wanted: {len(self._kinds)} kinds>"

    def entries(self, record: Record) -> list[Entry]:
        """Return what is wanted of an instrument, in order."""
        return [(record, table) for table, flags in self._kinds if _flag(flags, record)]


def _order(kind: tuple[TableName | None, bytes]) -> str:
    return "" if kind[0] is None else str(kind[0])


def _find(hub: Hub, names: Sequence[str], grant: Grant, found: dict[str, int]) -> Generator[None, None, None]:
    """Find the instruments of each name, as far as the grant shows them or their table."""
    cache, index = hub.cache, hub.index
    patterns = [name for name in names if not is_symbol(split_name(name)[0])]
    entitled = {name: _entitled(grant, split_name(name)[1]) for name in patterns}
    yield from index.prepare(
        [
            *dict.fromkeys(split_name(name)[0] for name in patterns),
            *dict.fromkeys(each for each in entitled.values() if each),
        ]
    )
    everything = (1 << len(cache.records)) - 1
    for name in patterns:
        allowed = entitled[name]
        seen = everything if allowed is None else index.matching(allowed) if allowed else 0
        found[name] = index.matching(split_name(name)[0]) & seen
    for name in set(names).difference(patterns):
        record = cache.instrument(split_name(name)[0])
        found[name] = 1 << record.id if record is not None and grant.sees(name) else 0


def _entitled(grant: Grant, table: str) -> frozenset[str] | None:
    """Return the symbols and patterns that show this table, or without one the instrument; None for all."""
    if grant.symbols is None:
        return None
    split = [split_name(name) for name in grant.symbols]
    return frozenset(symbol for symbol, text in split if (fnmatchcase(table, text) if table else not text))


def _collect(hub: Hub, wanted: _Wanted, after: str, entries: list[Entry]) -> Generator[None, None, bool]:
    """Add the entries behind the name `after`, at most a page of them; return whether there are more."""
    symbol, table = split_name(after)
    first = hub.cache.instrument(symbol)
    rows = 0
    for piece in _symbols(hub, wanted, symbol, first):
        for record in piece:
            for entry in wanted.entries(record):
                if record is first and _order((entry[1], b"")) <= table:
                    continue
                rows += entry[1].most_rows if entry[1] is not None else 0
                if len(entries) >= FOUND_PER_REPLY or (rows > ROWS_PER_ANSWER and entries):
                    return True
                entries.append(entry)
        yield
    return False


def _symbols(hub: Hub, wanted: _Wanted, after: str, first: Record | None) -> Generator[list[Record], None, None]:
    """Yield the instruments of which anything is wanted, from the one of this symbol on."""
    cache = hub.cache
    if first is not None:
        yield [first]
    for piece in hub.index.page(after, FOUND_PER_REPLY + 1, lambda name: _flag(wanted.any, cache.instrument(name))):
        yield [record for symbol in piece if (record := cache.instrument(symbol)) is not None]


def _flag(flags: bytes, record: Record | None) -> int:
    """Return whether an instrument is in a set; those declared after it was made are not."""
    return flags[record.id >> 3] >> (record.id & 7) & 1 if record is not None and record.id >> 3 < len(flags) else 0


def _held(cache: LastValueCache, selection: Selection, record: Record, table: TableName | None) -> Held:
    if table is None:
        return record.symbol, (selected(record.present(), selection), record.price_scale, record.size_scale)
    return f"{record.symbol} {table}", rows_of(cache, record, table)


def _texts(held: Sequence[Held]) -> Generator[None, None, dict[str, Any]]:
    written: dict[str, Any] = {}
    for number, (name, content) in enumerate(held, 1):
        if isinstance(content, TableRows):
            written[name] = yield from content.texts()
        else:
            written[name] = _value_texts(*content)
            if number % WRITTEN_PER_STEP == 0:
                yield
    return written


def _value_texts(present: Mapping[FieldKey, WireValue], price_scale: int, size_scale: int) -> dict[str, Any]:
    """Return values by field name, decimals as exact texts."""
    return {field_name(key): shown_value(key, value, price_scale, size_scale) for key, value in present.items()}
