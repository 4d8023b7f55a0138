"""The vocabulary that feeds and the service share: instruments, fields, updates and scaled numbers.

This is the one module of `ticker` that the author of a feed needs to know. A feed publishes:

- `Instrument`: "this exists, and its prices have so many decimal places". Before anything else about a symbol.
- `Update`: new values of some of its fields. Other fields stay as they were; `None` withdraws a field.
- `Withdrawal`: every field of a symbol is withdrawn, and its book is empty.
- `Stale`: nothing that this feed has said of a symbol is current until it says it again.
- `Levels`: price levels of its order book. `Trade`: a print. `Candle`: a bar of its past.

Prices and sizes are never floats. A feed hands over `str`, `Decimal` or `int`; they become integers scaled by the
instrument's `price_scale` or `size_scale` ("190.25" at scale 2 is 19025) and stay so up to the client's edge. A number
that has no such integer within 53 bits is carried as its plain decimal text: no finite decimal is refused or rounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from itertools import islice
from typing import NamedTuple, TypeAlias, TypeGuard

from ticker.errors import BadPublication
from ticker.numbers import MAX_INTEGER, MAX_SCALE, decimal_text, parse_decimal
from ticker.texts import shown

MAX_SYMBOL = 128
"""The longest symbol, in characters."""


MAX_TEXT = 256
"""The longest text value, in characters."""

MAX_METADATA = 32
"""The most entries in an instrument's metadata."""

MAX_FIELDS = 64
"""The most fields of one instrument, the feed's own included, beside `status` and `reason`, which always have room."""

MAX_BATCH = 10_000
"""The most publications in one batch of a feed: a larger one is refused."""

LIGHT_BATCH = 1_000
"""Publications that need not be one moment are better sent in batches of this size: others are served in between."""


class Kind(Enum):
    """The kind of a field's values."""

    PRICE = "price"
    """A decimal, scaled by the instrument's `price_scale`."""
    SIZE = "size"
    """A decimal, scaled by the instrument's `size_scale`."""
    INTEGER = "integer"
    """A count, or a time in microseconds since 1970-01-01 UTC."""
    TEXT = "text"
    """A short text."""
    STATUS = "status"
    """One of `Status`."""
    ROWS = "rows"
    """Rows of a table, one behind the other in a flat array: feeds do not name such fields."""


class Field(IntEnum):
    """The standard fields and their ids on the wire (PROTOCOL.md, section 4). The names are the lower-cased members."""

    BID = 1
    BID_SIZE = 2
    ASK = 3
    ASK_SIZE = 4
    LAST = 5
    LAST_SIZE = 6
    OPEN = 7
    HIGH = 8
    LOW = 9
    PREV_CLOSE = 10
    VOLUME = 11
    TRADE_COUNT = 12
    TIME = 13
    STATUS = 14
    REASON = 15
    BIDS = 16
    ASKS = 17
    TRADES = 18
    CANDLES = 19


class Status(StrEnum):
    """The values of the field `status`."""

    LIVE = "live"
    STALE = "stale"
    HALTED = "halted"
    CLOSED = "closed"


class Reason(StrEnum):
    """The values of the field `reason` that Ticker and its own feeds give (PROTOCOL.md, section 4).

    Another feed may have words of its own: clients show them as they are.
    """

    FEED_DOWN = "feed_down"
    FEED_SILENT = "feed_silent"
    FEED_BLOCKED = "feed_blocked"
    FEED_ENDED = "feed_ended"
    RECONNECTING = "reconnecting"
    INSTRUMENT_SILENT = "instrument_silent"
    BAD_DATA = "bad_data"
    GAP = "gap"
    CHECKSUM = "checksum"
    CROSSED = "crossed"
    BAD_MESSAGE = "bad_message"
    NO_DATA = "no_data"
    REFUSED = "refused"
    WRITER_GONE = "writer_gone"
    EXCHANGE_HALT = "exchange_halt"
    DELISTED = "delisted"


KINDS: Mapping[int, Kind] = {
    Field.BID: Kind.PRICE,
    Field.BID_SIZE: Kind.SIZE,
    Field.ASK: Kind.PRICE,
    Field.ASK_SIZE: Kind.SIZE,
    Field.LAST: Kind.PRICE,
    Field.LAST_SIZE: Kind.SIZE,
    Field.OPEN: Kind.PRICE,
    Field.HIGH: Kind.PRICE,
    Field.LOW: Kind.PRICE,
    Field.PREV_CLOSE: Kind.PRICE,
    Field.VOLUME: Kind.SIZE,
    Field.TRADE_COUNT: Kind.INTEGER,
    Field.TIME: Kind.INTEGER,
    Field.STATUS: Kind.STATUS,
    Field.REASON: Kind.TEXT,
    Field.BIDS: Kind.ROWS,
    Field.ASKS: Kind.ROWS,
    Field.TRADES: Kind.ROWS,
    Field.CANDLES: Kind.ROWS,
}

NAMES: Mapping[int, str] = {member: member.name.lower() for member in Field}
"""The names of the standard fields, as clients use them."""

FIELDS: Mapping[str, Field] = {member.name.lower(): member for member in Field if KINDS[member] is not Kind.ROWS}
"""The fields of an instrument by the names that feeds use."""

Value: TypeAlias = str | Decimal | int | None
"""A field's value as a feed hands it over."""

FieldKey: TypeAlias = int | str
"""A field on the wire: the id of a standard field, or the name of one of the feed's own."""

DecimalText: TypeAlias = tuple[str]
"""A decimal in one of a feed's own fields: its plain text, as the only element of an array."""

Cell: TypeAlias = int | str | None
"""One column of a row: a scaled integer or the plain decimal text of a number, another integer, a text, or nothing."""

Rows: TypeAlias = list[Cell]
"""Rows of a table, as a flat list of their columns (`ticker.protocol.tables`)."""

WireValue: TypeAlias = int | str | DecimalText | None
"""A field's value in the cache and on the wire.

A price or size is a scaled integer, or its plain decimal text where no integer of 53 bits has that value at the
instrument's scale; a count or time is an integer; a text is a text; a feed's own field is an integer, a text, or a
`DecimalText`. None is withdrawn.
"""

RecordValue: TypeAlias = WireValue | Rows
"""A field's value in a record of an instrument or a table."""

_SYMBOL = re.compile(rf"[^\s,*?\[\]]{{1,{MAX_SYMBOL}}}")
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_STATUSES = frozenset(str(status) for status in Status)
_A_TEXT = f"a printable text of at most {MAX_TEXT} characters"
_WANTED = {None: f"an int, a Decimal, or {_A_TEXT}", Kind.TEXT: _A_TEXT, Kind.STATUS: f"one of {', '.join(Status)}"}


@dataclass(frozen=True, slots=True)
class Instrument:
    """Something that has prices: declared by a feed before its first update, and again when its description changes.

    `price_scale` and `size_scale` are numbers of decimal places, 0 to 15. They may be a first guess: a finer value
    raises the scale, or travels as a text, and nothing is ever rounded. `metadata` is free text for people and programs
    (name, venue, currency, ...).

    Raises `BadPublication` for a symbol, scale or metadata that cannot be.
    """

    symbol: str
    price_scale: int = 2
    size_scale: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not is_symbol(self.symbol):
            raise BadPublication(
                f"symbol {shown(self.symbol)}: give 1 to {MAX_SYMBOL} printable characters without spaces or , * ? [ ]"
            )
        for name in ("price_scale", "size_scale"):
            scale = getattr(self, name)
            if type(scale) is not int or not 0 <= scale <= MAX_SCALE:
                raise BadPublication(f"{self.symbol}: {name} {shown(scale)}: give a whole number from 0 to {MAX_SCALE}")
        if not isinstance(self.metadata, Mapping):
            raise BadPublication(f"{self.symbol}: metadata {shown(self.metadata)}: give a mapping of texts to texts")
        if len(self.metadata) > MAX_METADATA:
            raise BadPublication(
                f"{self.symbol}: {len(self.metadata)} metadata entries; at most {MAX_METADATA} are kept"
            )
        for key, text in self.metadata.items():
            if not is_text(key) or not is_text(text):
                raise BadPublication(
                    f"{self.symbol}: metadata {shown(key)}: give printable texts of at most {MAX_TEXT} characters"
                )
        # Its own copy: a feed may go on using the map it gave.
        object.__setattr__(self, "metadata", dict(self.metadata))


class Update(NamedTuple):
    """New values of some fields of one instrument.

    `fields` maps names to values: the standard names (`bid`, `ask_size`, ... as in `Field`) or the feed's own names
    (lower case letters, digits and underscores). Prices and sizes are `str`, `Decimal` or `int`; `time` is the
    exchange's, in microseconds since 1970 UTC; a feed's own fields are `int`, `Decimal` or `str` (a text). `status` is
    one of `Status`. `None` withdraws a field. Fields that are not named stay as they were. A value that cannot be read
    withdraws its field, and the others apply.
    """

    symbol: str
    fields: Mapping[str, Value]


class Withdrawal(NamedTuple):
    """Every field of this instrument is withdrawn: clients see each change to nothing."""

    symbol: str


class Stale(NamedTuple):
    """Nothing that this feed has said of the instrument is current: it is shown as `stale`, with this reason.

    The instrument's next update brings the fields that it names. All others that this feed gave before are then
    withdrawn. Its book is stale, too, until the next complete `Levels`. `reason` is a member of `Reason`, or another
    short text. With `book_only` the quotes are current, and only the book is not: a message of it was lost, say.
    """

    symbol: str
    reason: str
    book_only: bool = False


Level: TypeAlias = tuple[str | Decimal | int, str | Decimal | int]
"""Price and size of a level of an order book; a size of 0 means that the level is gone."""


class Levels(NamedTuple):
    """Levels of an instrument's order book that have changed, or with `complete` the whole book.

    The first one of a book, and the first one after `Stale`, has to be complete: until then what is known of the book
    cannot be shown. A complete one is compared with the book that is known, so it costs only what differs. A side
    has at most 10,000 levels.

    `depth` goes with `complete`: the venue gives only so many levels of each side. What lies beyond the worst level of
    a side that has so many is unknown, and never shown.
    """

    symbol: str
    bids: Sequence[Level]
    asks: Sequence[Level]
    complete: bool = False
    depth: int | None = None


class Side(StrEnum):
    """The side that took the liquidity of a trade."""

    BUY = "buy"
    SELL = "sell"


class Trade(NamedTuple):
    """A print: a trade of the instrument. It also brings the fields `last`, `last_size` and `time`.

    `time` is the exchange's, in microseconds since 1970 UTC; without one, the time of its cut is taken, and bars take
    that of the cut, too, where a time lies more than an hour ahead. `size` is below 10 to the power of 30. `id` is the
    venue's, an integer or a short text. A second trade with the `id` of a recent one corrects that; a size of 0 means
    that the trade was busted.
    """

    symbol: str
    price: str | Decimal | int
    size: str | Decimal | int
    side: str | None = None
    time: int | None = None
    id: int | str | None = None


MAX_TRADES = 10**15
"""The most trades of a bar that a feed gives: those that continue it are counted as well."""


class Candle(NamedTuple):
    """A bar of the past, for the time before the first trade that this service has seen; it replaces what is there.

    `period` is `1m`, `5m`, `1h`, `1d` or another one of the service's; `start` is the bar's start in seconds since 1970
    UTC. `trades` is their number, up to `MAX_TRADES`. An `estimate`, or an invention, replaces no bar of the service's
    own, those of its earlier runs included.
    """

    symbol: str
    period: str
    start: int
    open: str | Decimal | int
    high: str | Decimal | int
    low: str | Decimal | int
    close: str | Decimal | int
    volume: str | Decimal | int | None = None
    trades: int | None = None
    estimate: bool = False


Publication: TypeAlias = Instrument | Update | Withdrawal | Stale | Levels | Trade | Candle
"""A feed's smallest message."""

FeedItem: TypeAlias = Publication | Sequence[Publication]
"""An item in a feed's channel: one publication, or a list of them that clients see as one moment."""


def batches(publications: Iterable[Publication], most: int = LIGHT_BATCH) -> Iterator[list[Publication]]:
    """Yield these publications in order, in batches that a feed can send: each is a moment of its own.

    For publications without a bound to their number: the declarations of a venue, or all instruments that are stale.
    """
    rest = iter(publications)
    while batch := list(islice(rest, most)):
        yield batch


def is_symbol(text: object) -> bool:
    """Return whether this can be an instrument's symbol (and not a pattern)."""
    return type(text) is str and _SYMBOL.fullmatch(text) is not None and text.isprintable()


def is_text(value: object) -> TypeGuard[str]:
    """Return whether this can be a text value: printable (so it has a UTF-8 form) and not too long."""
    return type(value) is str and len(value) <= MAX_TEXT and value.isprintable()


def plain(value: object) -> object:
    """Return a member of a `StrEnum` (`Status.LIVE`) as its text, and any other value unchanged."""
    return str(value) if isinstance(value, StrEnum) else value


def field_key(name: str) -> FieldKey:
    """Return the wire's key of the field that a feed calls `name`. Raises `BadPublication` for an impossible name."""
    key = FIELDS.get(name)
    if key is not None:
        return int(key)
    if not is_text(name) or _FIELD_NAME.fullmatch(name) is None:
        raise BadPublication(
            f"field {shown(name)}: a name is 1 to 32 lower case letters, digits and _, and starts with a letter"
        )
    return name


def field_name(key: FieldKey) -> str:
    """Return the name of the field that the wire calls `key`. Raises `KeyError` for an unknown id."""
    return key if isinstance(key, str) else NAMES[key]


def field_kind(key: FieldKey) -> Kind | None:
    """Return the kind of this field; `None` for a feed's own fields, which are carried as they are."""
    return KINDS.get(key) if isinstance(key, int) else None


def read_value(kind: Kind | None, value: object) -> WireValue:
    """Return a value for the wire. Prices and sizes have a scale, too: `parse_decimal`, then `scaled_number`.

    `kind` is None for a feed's own fields. Raises `BadPublication` for a value that such a field cannot have.
    """
    if type(value) is int and kind in {None, Kind.INTEGER} and -MAX_INTEGER <= value <= MAX_INTEGER:
        return value
    if value is None:
        return None
    if kind is Kind.INTEGER:
        digits, places = parse_decimal(value)
        if places or not -MAX_INTEGER <= digits <= MAX_INTEGER:
            raise BadPublication(f"{shown(value)} is not a whole number of at most 53 bits")
        return digits
    text = plain(value)
    if is_text(text) and (kind is not Kind.STATUS or text in _STATUSES):
        return text
    if kind is None and (type(value) is int or isinstance(value, Decimal)):
        return (decimal_text(*parse_decimal(value)),)
    raise BadPublication(f"{shown(value)} is a {type(value).__name__}: give {_WANTED[kind]}")


def shown_value(key: FieldKey, value: WireValue, price_scale: int, size_scale: int) -> int | str | None:
    """Return a value of the wire for people and JSON: numbers with a scale as exact decimal texts."""
    if type(value) is int:
        kind = field_kind(key)
        if kind is Kind.PRICE or kind is Kind.SIZE:
            return decimal_text(value, price_scale if kind is Kind.PRICE else size_scale)
        return value
    return value[0] if isinstance(value, tuple) else value
