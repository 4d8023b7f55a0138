"""The report of `ticker feeds check` on a feed: counts, coverage of fields, odd values, refused publications.

Crossed quotes, negative prices and times that step backwards are valid data, and the service publishes them. The author
of an adapter wants to see them nevertheless: more often than not they are a fault of the adapter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from ticker.commands.tables_report import TablesReport
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.errors import BadPublication
from ticker.market import (
    KINDS,
    Candle,
    FieldKey,
    Kind,
    Levels,
    Stale,
    Trade,
    Update,
    Withdrawal,
    field_key,
    field_kind,
    field_name,
    shown_value,
)
from ticker.texts import printable, shown

JUMP = Decimal("0.1")
"""A price that moves by more than this share of itself in one update is odd."""

DAY_US = 86_400_000_000
"""A `time` further from now than a day is odd: perhaps it is in seconds or milliseconds, not microseconds."""

_BID, _ASK, _TIME = (field_key(name) for name in ("bid", "ask", "time"))
_TRADED = tuple(field_key(name) for name in ("last", "last_size", "time"))
"""The fields that a trade brings."""

_JUMPING = frozenset(field_key(name) for name in ("bid", "ask", "last"))
_MAX_NAMES = 5
_MAX_KINDS = 12
"""Maximum numbers of symbols and of kinds in the report."""


class ExampleCounter:
    """Counts by kind, with the first example of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, kind: str, example: str) -> None:
        """Count one of a kind."""
        self.counts[kind] += 1
        self._examples.setdefault(kind, example)

    def lines(self) -> list[str]:
        """Return a line for each of the most frequent kinds."""
        lines = [
            f"{kind}: {count:,}, first {self._examples[kind]}" for kind, count in self.counts.most_common(_MAX_KINDS)
        ]
        more = len(self.counts) - len(lines)
        return [*lines, f"and {more:,} kinds more"] if more else lines


class FeedReport:
    """Statistics and findings about the publications of one feed."""

    def __init__(self) -> None:
        self.batches = 0
        self.updates = 0
        self.publications = 0
        self.longest_silence = 0.0
        self.odd = ExampleCounter()
        self.refused = ExampleCounter()
        self._cache = LastValueCache("check")
        self.tables = TablesReport(self._cache)
        self._covered: dict[FieldKey, set[int]] = {}
        self._updated: set[int] = set()
        self._before: dict[tuple[int, FieldKey], Decimal] = {}
        self._last_item_at: float | None = None

    def __repr__(self) -> str:
        counts = f"{self.updates} updates, {self.odd.counts.total()} odd, {self.refused.counts.total()} refused"
        return f"<{type(self).__name__}: {counts}>"

    def add(self, item: object, seconds: float, now: int) -> None:
        """Add an item that the feed sent `seconds` after the start; `now` is the wall clock in microseconds."""
        if self._last_item_at is not None:
            self.longest_silence = max(self.longest_silence, seconds - self._last_item_at)
        self._last_item_at = seconds
        self.batches += 1
        # An update is a tuple as well, hence the exact type.
        batch: Sequence[object] = item if type(item) in {list, tuple} else [item]  # type: ignore[assignment]  # as above
        for publication in batch:
            self._add_publication(publication, now)
        self._cache.close_cut(now)

    def finish(self, seconds: float, limit: float | None) -> None:
        """End the check `seconds` after the start; after a silence of `limit` seconds the service restarts the feed."""
        self.longest_silence = max(self.longest_silence, seconds - (self._last_item_at or 0.0))
        if limit is not None and self.longest_silence >= limit:
            self.odd.add("silent for longer than its silence_seconds", f"{self.longest_silence:.1f} s, not {limit:g} s")

    def _add_publication(self, publication: object, now: int) -> None:
        self.publications += 1
        try:
            unusable = self._cache.publish(publication)  # type: ignore[arg-type]  # the cache checks it
        except BadPublication as error:
            self.refused.add(_kind_of(publication), str(error))
            return
        except Exception as error:  # noqa: BLE001  # a feed's own object can fail in any way, as in the publisher
            self.refused.add(_kind_of(publication), f"{type(error).__name__} while it was read: {shown(error)}")
            return
        for cause, detail in unusable:
            self.refused.add(cause, detail)
        if isinstance(publication, Levels | Trade | Candle | Stale) and not unusable:
            self._add_rows(publication, now)
        if type(publication) is Update:
            self.updates += 1
            record = self._cache.instrument(publication.symbol)
            if record is not None:
                self._inspect(record, _keys(publication.fields), now)

    def _add_rows(self, publication: Levels | Trade | Candle | Stale, now: int) -> None:
        crossed = len(self.tables.crossed)
        self.tables.add(publication)
        for symbol in self.tables.crossed[crossed:]:
            self.odd.add("crossed book", symbol)
        record = self._cache.instrument(publication.symbol)
        if record is None or isinstance(publication, Candle | Stale):
            return
        self._updated.add(record.id)
        if isinstance(publication, Trade):
            self._inspect(record, set(_TRADED), now)

    def _inspect(self, record: Record, keys: set[FieldKey], now: int) -> None:
        """Inspect the current values of the fields that an update named."""
        self._updated.add(record.id)
        for key in keys:
            value = record.values.get(key)
            if value is None:
                self._before.pop((record.id, key), None)
                continue
            self._covered.setdefault(key, set()).add(record.id)
            if field_kind(key) in {Kind.PRICE, Kind.SIZE}:
                self._inspect_number(record, key, _decimal(record, key))
            elif isinstance(value, int) and key == _TIME:
                self._inspect_time(record, value, now)
        if keys & {_BID, _ASK} and None not in {record.values.get(_BID), record.values.get(_ASK)}:
            bid, ask = _decimal(record, _BID), _decimal(record, _ASK)
            if bid > ask:
                self.odd.add("bid above ask", f"{record.symbol} {bid} {ask}")

    def _inspect_number(self, record: Record, key: FieldKey, value: Decimal) -> None:
        if value < 0:
            self.odd.add("negative", f"{record.symbol} {field_name(key)} {value}")
        if key in _JUMPING:
            before = self._before.get((record.id, key))
            if before is not None and abs(value - before) > JUMP * abs(before):
                self.odd.add(f"jump by more than {JUMP:.0%}", f"{record.symbol} {field_name(key)} {before} to {value}")
            self._before[record.id, key] = value

    def _inspect_time(self, record: Record, value: int, now: int) -> None:
        before = self._before.get((record.id, _TIME))
        if before is not None and value < before:
            self.odd.add("time backwards", f"{record.symbol} by {(before - value) / 1_000_000:f} s")
        if abs(now - value) > DAY_US:
            self.odd.add("time more than a day from now", f"{record.symbol} {value} (microseconds since 1970?)")
        self._before[record.id, _TIME] = Decimal(value)

    def lines(self, seconds: float, counters: Mapping[str, float]) -> list[str]:
        """Return the lines of the report after `seconds`, with the feed's own counters."""
        records = self._cache.instruments
        silent = [record.symbol for record in records if record.id not in self._updated]
        total = len(records)
        covered = sorted(self._covered.items(), key=lambda item: (-len(item[1]), _field_order(item[0])))
        rate = self.updates / seconds if seconds > 0 else 0.0
        rows = [
            ("instruments", [f"{total:,}{_with_symbols(' without an update', silent)}"]),
            ("updates", [f"{self.updates:,} in {seconds:.1f} s, {rate:,.1f} a second"]),
            ("batches", [f"{self.batches:,} of {self.publications:,} publications"]),
            ("silence", [f"{self.longest_silence:.1f} s at the longest"]),
            *self.tables.lines(total),
            ("fields", [f"{field_name(key)} {len(ids):,}/{total:,}" for key, ids in covered]),
            ("odd", self.odd.lines()),
            ("refused", self.refused.lines()),
            ("counters", [f"{name} {count:,.15g}" for name, count in sorted(counters.items())]),
        ]
        # A feed names its counters itself, and may quote its source in them.
        return [printable(f"{title:<12} {line}") for title, lines in rows for line in _joined(title, lines)]


def _field_order(key: FieldKey) -> tuple[int, str]:
    """Sort key of a field: standard fields in the protocol's order, then the feed's own."""
    return (key, "") if isinstance(key, int) else (len(KINDS) + 1, key)


def _joined(title: str, lines: Sequence[str]) -> list[str]:
    """Join short entries into one line; an empty section is `none`."""
    if title in {"fields", "counters"}:
        return [", ".join(lines) or "none"]
    return list(lines) or ["none"]


def _with_symbols(title: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = ", ..." if len(names) > _MAX_NAMES else ""
    return f", {len(names):,}{title}: {', '.join(names[:_MAX_NAMES])}{more}"


def _kind_of(publication: object) -> str:
    """Return the kind under which a refused publication is counted."""
    name = type(publication).__name__
    return f"{name} of {shown(publication.symbol)}" if isinstance(publication, Update | Withdrawal) else name


def _decimal(record: Record, key: FieldKey) -> Decimal:
    return Decimal(shown_value(key, record.values[key], record.price_scale, record.size_scale) or 0)


def _keys(names: Iterable[str]) -> set[FieldKey]:
    keys: set[FieldKey] = set()
    for name in names:
        with suppress(BadPublication):
            keys.add(field_key(name))
    return keys
