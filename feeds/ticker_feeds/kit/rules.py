"""The rules of the conformance kit, and the check of everything that a feed sends. No clock, no I/O.

`PublicationChecker` accepts exactly the values that the service can read (the tests compare the two). It is stricter
in one point: the declaration of instruments in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ticker.errors import BadPublication
from ticker.market import (
    MAX_BATCH,
    MAX_FIELDS,
    Candle,
    Field,
    FieldKey,
    Instrument,
    Kind,
    Levels,
    Stale,
    Status,
    Trade,
    Update,
    Withdrawal,
    field_key,
    field_kind,
    read_value,
)
from ticker.numbers import parse_decimal
from ticker.texts import shown
from ticker_feeds.rows import check_candle, check_levels, check_trade

RULES: Mapping[str, str] = {
    "attributes": "silence_seconds and instrument_silence_seconds are None or numbers above 0; counters maps names to"
    " numbers; faulty_symbols is a collection of texts",
    "no failure": "For the kit, give the feed a source that works and goes on",
    "something comes": "Give the feed a source that has something to say at once, or the kit more `seconds`",
    "publications only": "Send an Instrument, an Update, a Withdrawal, a Stale, Levels, a Trade or a Candle of"
    " ticker.market, or a list of these",
    "declared first": "Send Instrument(symbol, ...) before anything else about a symbol, in every call of run",
    "no floats": "Hand over the source's own text, or Decimal, or int (json: parse_float=Decimal; msgspec:"
    " float_hook=Decimal): a float is already rounded",
    "values": "Prices and sizes are str, Decimal or int; times and counts int; other fields int, Decimal or short text"
    " (ticker.market says it all)",
    "whole book first": "Let the first Levels of a book have complete=True, and the first ones after a Stale or a"
    " Withdrawal",
    "tables": "Levels have pairs of price and size; sizes are not negative; sides are buy or sell; times are whole"
    " microseconds, starts of candles whole seconds, at a multiple of the period; a bar's high is its highest price,"
    " its low the lowest (ticker.market says it all)",
    "status": "`status` is live, stale, halted or closed; say why in `reason`",
    "bounded batches": "Send it in several parts: `for batch in batches(publications)` (ticker.market)",
    "hands off": "Make a new dict and a new list for every send: the service reads them later",
    "prompt cancellation": "Let trio.Cancelled pass (no bare except, no `except BaseException` that goes on), do not"
    " shield waits, and put blocking calls into trio.to_thread.run_sync with abandon_on_cancel=True",
    "silence after the end": "Start tasks in a nursery of run's own, so that they end with it; no threads, no"
    " system tasks",
    "bounded memory": "Wait in `await updates.send(...)` before taking more from the source: no task for each update,"
    " no queue without an end",
    "clean restart": "Let run begin with fresh state: knowledge of the source belongs to the call of run, not to self",
}
"""Each rule, and the remedy for a breach."""

STATUSES: tuple[str, ...] = tuple(Status)

_MARKS: frozenset[FieldKey] = frozenset({int(Field.STATUS), int(Field.REASON)})


class Nonconformity(AssertionError):
    """A feed broke a rule: `rule` is its name in `RULES`, `finding` the breach."""

    def __init__(self, rule: str, finding: str) -> None:
        super().__init__(f"{rule}: {finding}. {RULES[rule]}.")
        self.rule = rule
        self.finding = finding


class PublicationChecker:
    """Checks everything that a feed sends in one run, and counts the updates, levels and trades."""

    def __init__(self) -> None:
        self.updates = 0
        self._copies: dict[str, _InstrumentCopy] = {}

    def take(self, item: object) -> None:
        """Check an item that was sent. Raises `Nonconformity`."""
        # An Update is a tuple, too, so the type itself counts.
        batch = item if type(item) in {list, tuple} else [item]
        assert isinstance(batch, list | tuple)  # noqa: S101  # for the type checker
        if len(batch) > MAX_BATCH:
            raise Nonconformity(
                "bounded batches", f"a batch of {len(batch)} publications; at most {MAX_BATCH} are taken"
            )
        for publication in batch:
            self._take(publication)

    def _take(self, publication: object) -> None:
        if type(publication) is Instrument:
            self._copies.setdefault(publication.symbol, _InstrumentCopy())
        elif type(publication) is Update:
            self._update(publication)
            self.updates += 1
        elif type(publication) is Withdrawal or type(publication) is Stale:
            self._declared(publication.symbol).has_book = False
        elif isinstance(publication, Levels | Trade | Candle):
            self._rows(publication)
            self.updates += type(publication) is not Candle
        else:
            raise Nonconformity("publications only", f"{shown(publication)} was sent, a {type(publication).__name__}")

    def _declared(self, symbol: object) -> _InstrumentCopy:
        copy = self._copies.get(symbol) if isinstance(symbol, str) else None
        if copy is None:
            raise Nonconformity("declared first", f"{shown(symbol)} was sent before its Instrument")
        return copy

    def _update(self, update: Update) -> None:
        copy = self._declared(update.symbol)
        fields: object = update.fields
        if not isinstance(fields, Mapping):
            raise Nonconformity("values", f"{update.symbol}: the fields are {shown(fields)}, which is no mapping")
        for name, value in fields.items():
            if isinstance(value, float):
                raise Nonconformity("no floats", f"{update.symbol}: {shown(name)} is the float {value!r}")
            if name == "status" and value is not None and value not in STATUSES:
                raise Nonconformity("status", f"{update.symbol}: status is {shown(value)}")
        _raise_as_nonconformity("values", update.symbol, lambda: copy.update(fields))

    def _rows(self, publication: Levels | Trade | Candle) -> None:
        copy = self._declared(publication.symbol)
        for cell in _cells(publication):
            if isinstance(cell, float):
                kind = type(publication).__name__
                raise Nonconformity("no floats", f"{publication.symbol}: {kind} with the float {cell!r}")
        _raise_as_nonconformity("tables", publication.symbol, lambda: _check_rows(publication))
        if isinstance(publication, Levels):
            if not publication.complete and not copy.has_book:
                raise Nonconformity("whole book first", f"{publication.symbol}: levels changed in a book without any")
            copy.has_book = True


class _InstrumentCopy:
    """An instrument as far as the rules need it: its names of fields, and whether its book is known."""

    def __init__(self) -> None:
        self.has_book = False
        self.keys: set[FieldKey] = set()

    def update(self, fields: Mapping[str, object]) -> None:
        """New values. Raises `BadPublication`."""
        for name, value in fields.items():
            key = field_key(name)
            kind = field_kind(key)
            self.keys.add(key)
            if value is not None and (kind is Kind.PRICE or kind is Kind.SIZE):
                parse_decimal(value)
            else:
                read_value(kind, value)
        if len(self.keys - _MARKS) > MAX_FIELDS:
            raise BadPublication(f"more than {MAX_FIELDS} fields")


def _raise_as_nonconformity(rule: str, symbol: str, take: Callable[[], None]) -> None:
    try:
        take()
    except BadPublication as error:
        raise Nonconformity(rule, f"{symbol}: {error}") from None


def _check_rows(publication: Levels | Trade | Candle) -> None:
    """Raise `BadPublication` for one that the service cannot read or that cannot be."""
    if isinstance(publication, Levels):
        check_levels(publication)
    elif isinstance(publication, Trade):
        check_trade(publication)
    else:
        check_candle(publication)


def _cells(value: object) -> Iterator[object]:
    """Yield the cells of a publication with rows, also those of its levels."""
    for each in value if isinstance(value, list | tuple) else ():
        yield each
        yield from _cells(each)
