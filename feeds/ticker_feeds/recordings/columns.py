"""The columns of a table: the field that each of them holds, by its name or by the option `columns`.

A name is compared without regard to case, spaces and signs between words (`Bid Price`, `bid-price` and `bidPrice` are
`bid_price`). Names that other programs give the same thing are known; where two columns could be meant, neither is
guessed: the option says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from ticker.errors import BadPublication, ConfigError
from ticker.market import Kind, field_key, field_kind
from ticker.texts import shown
from ticker_feeds.recordings.table import EXCHANGE_TIME, KINDS, SYMBOL, TIME, WITHDRAWN, field_of
from ticker_feeds.recordings.times import UNITS

MAX_COLUMNS = 2_000
"""The most columns of a table that are read: an exported one has a column for each field of any instrument."""

_SAME: Mapping[str, str] = {
    SYMBOL: "ticker instrument pair sym instrument_id trading_symbol",
    TIME: "timestamp ts datetime date_time time_utc utc_time date local_time received_at ts_recv recv_time",
    EXCHANGE_TIME: "exch_time exchange_timestamp exchange_ts venue_time event_time ts_event",
    "bid": "bid_price best_bid best_bid_price bid_px bid_px_00",
    "bid_size": "bid_qty bid_quantity bid_amount bid_sz bid_sz_00 best_bid_size best_bid_qty best_bid_quantity",
    "ask": "ask_price best_ask best_ask_price ask_px ask_px_00 offer offer_price best_offer",
    "ask_size": "ask_qty ask_quantity ask_amount ask_sz ask_sz_00 best_ask_size best_ask_qty offer_size offer_qty",
    "last": "last_price price trade_price last_trade_price last_px",
    "last_size": "last_qty last_quantity qty quantity size trade_size trade_qty last_sz",
    "open": "open_price",
    "high": "high_price",
    "low": "low_price",
    "prev_close": "previous_close prior_close prev_close_price",
    "volume": "vol total_volume volume_24h",
    "trade_count": "trades number_of_trades num_trades",
}
_KNOWN = {other: name for name, others in _SAME.items() for other in (name, *others.split())}
_WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN = re.compile(r"[^a-z0-9]+")
_REMEDY = "say which column holds what by the option columns=FIELD:COLUMN,…, as columns=time:ts_event,bid:bid_px_00"


class FieldColumn(NamedTuple):
    """A column that holds a field: its place, and the field's name and kind (of an own field: as in `KINDS`)."""

    at: int
    name: str
    kind: Kind | str | None


class Columns(NamedTuple):
    """The places of a table's columns. `time_unit` is the unit that the name of the column of times says."""

    time: int
    time_unit: str | None
    symbol: int | None
    withdrawn: int | None
    fields: Sequence[FieldColumn]

    @property
    def has_time_field(self) -> bool:
        """Whether the field `time` has a column of its own, or none at all, as where `ticker export` made the table."""
        return self.withdrawn is not None or any(each.name == TIME for each in self.fields)


def parse_columns(text: str) -> dict[str, str]:
    """Return the option `columns`, fields to columns. Raises `ConfigError`."""
    mapping: dict[str, str] = {}
    for part in text.split(","):
        name, colon, column = (each.strip() for each in part.partition(":"))
        if not colon or not name or not column:
            raise ConfigError(f"columns {shown(text)}: {shown(part)} is not FIELD:COLUMN; {_REMEDY}")
        if name in mapping:
            raise ConfigError(f"columns {shown(text)}: {name} is given twice")
        mapping[name] = column
    return mapping


def find_columns(header: Sequence[str], symbol: str | None = None, mapping: Mapping[str, str] | None = None) -> Columns:
    """Return the columns and their fields; `mapping` is the option `columns`, `symbol` that of all rows.

    Raises `ConfigError`, with a remedy.
    """
    if len(header) > MAX_COLUMNS:
        raise ConfigError(f"{len(header)} columns; at most {MAX_COLUMNS} are read: {_REMEDY}")
    mapping = mapping or {}
    if WITHDRAWN in header and not mapping:
        places = _as_exported(header)
    else:
        # With the option, only the columns that it names are read, and time, symbol and `withdrawn` if recognised.
        recognised = _recognised(header, {TIME, SYMBOL, WITHDRAWN} if mapping else None, mapping)
        places = {**dict(recognised), **dict(_mapped(header, mapping))}
    units = {at: unit for at, name in enumerate(header) if (unit := _unit(name)) is not None}
    if TIME not in places and EXCHANGE_TIME in places:  # one column of times is both
        places[TIME] = places.pop(EXCHANGE_TIME)
    time, symbol_at, withdrawn = (places.pop(each, None) for each in (TIME, SYMBOL, WITHDRAWN))
    if time is None:
        raise ConfigError(f"there is no column time among {_listed(header)}; {_REMEDY}")
    if symbol_at is None and symbol is None:
        raise ConfigError(
            f"there is no column symbol among {_listed(header)}: name it, or give the option symbol; {_REMEDY}"
        )
    if symbol_at is not None and symbol is not None:
        raise ConfigError(f"the column {shown(header[symbol_at])} has the symbols: leave out the option symbol")
    if not places:
        raise ConfigError(f"there is no field beside symbol and time among {_listed(header)}; {_REMEDY}")
    return Columns(time, units.get(time), symbol_at, withdrawn, [_field(name, at) for name, at in places.items()])


def _as_exported(header: Sequence[str]) -> dict[str, int]:
    """The columns of `ticker export`: fields of a feed may be called as other programs call the standard ones."""
    for name in header:
        if header.count(name) > 1:
            raise ConfigError(f"column {shown(name)} stands there twice; {_REMEDY}")
    return {name: at for at, name in enumerate(header)}


def _mapped(header: Sequence[str], mapping: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for name, column in mapping.items():
        if column not in header:
            raise ConfigError(f"columns: there is no column {shown(column)} among {_listed(header)}")
        yield name, header.index(column)


def _recognised(
    header: Sequence[str], wanted: AbstractSet[str] | None, without: AbstractSet[str] | Mapping[str, str]
) -> Iterator[tuple[str, int]]:
    """The fields of the columns by their names: of these fields (None: of any), and `without` those."""
    own: dict[str, list[int]] = {}
    others: dict[str, list[int]] = {}
    for at, name in enumerate(header):
        plain = _plain(name)
        known = _KNOWN.get(_without_unit(plain), plain)
        # The column's own name comes before the field that this may be another word for.
        (own if known in {plain, _without_unit(plain)} else others).setdefault(known, []).append(at)
    for field in list(others):
        if field in own:
            for at in others.pop(field):
                own.setdefault(_plain(header[at]), []).append(at)
    for field, places in (*own.items(), *others.items()):
        if field in without or (wanted is not None and field not in wanted):
            continue
        if len(places) > 1:
            raise ConfigError(f"the columns {_listed([header[at] for at in places])} could each be {field}; {_REMEDY}")
        yield field, places[0]


def _field(column: str, at: int) -> FieldColumn:
    try:
        name, kind = field_of(column)
        standard = field_kind(field_key(name)) is not None
    except BadPublication as error:
        raise ConfigError(f"column {shown(column)}: {error}; {_REMEDY}") from error
    if "." in column and (standard or kind not in KINDS):
        raise ConfigError(
            f"column {shown(column)}: behind the dot of a field of your own stands one of {', '.join(KINDS)}; {_REMEDY}"
        )
    return FieldColumn(at, name, kind)


def _plain(name: str) -> str:
    """Return a column's name in the form of a field's: `Bid Price`, `bidPrice` and `<BID_PRICE>` are `bid_price`."""
    begin, _, kind = name.strip().rpartition(".")
    name, behind = (begin, f".{kind}") if kind in KINDS else (name, "")
    return _BETWEEN.sub("_", _WORD_END.sub("_", name).lower()).strip("_") + behind


def _unit(name: str) -> str | None:
    """Return the unit that stands behind the name of a column of times, as in `timestamp_ms`."""
    plain = _plain(name)
    return None if _without_unit(plain) == plain else plain.rpartition("_")[2]


def _without_unit(name: str) -> str:
    begin, _, unit = name.rpartition("_")
    return begin if unit in UNITS and _KNOWN.get(begin) in {TIME, EXCHANGE_TIME} else name


def _listed(header: Sequence[str]) -> str:
    return shown(", ".join(header[:20]))
