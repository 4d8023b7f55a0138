"""What the adapters of venues have in common and that knows nothing of networks: messages, symbols, statuses, gaps.

An adapter has two halves. `parse(raw)` says what a message states, and nothing else. A `Tracker` follows the messages
of one run: it drops what came before, sees what is missing, and says of each instrument whether its prices can be
relied on. What is read here is a stranger's: a message that is not as documented raises `BadMessage`, is counted, and
makes its instrument `stale` if it can be told which that is.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from ticker.errors import ConfigError, TickerError
from ticker.market import Instrument, Publication, Update, Value, is_symbol

Message: TypeAlias = dict[str, Any]
"""A venue's message as JSON gave it, with numbers as `int` or `Decimal`."""

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_DECIMAL = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")
_BEYOND = 2**53


class BadMessage(TickerError):
    """A venue's message that is not what its documentation says; `symbol` is the venue's name of what it is about."""

    def __init__(self, text: str, symbol: str | None = None) -> None:
        super().__init__(text)
        self.symbol = symbol


class VenueRefused(TickerError):
    """A venue refused a request, and not because of one of the symbols."""


def decode(raw: str | bytes) -> Message:
    """A message's JSON object; no number in it becomes a float. Raises `BadMessage`."""
    try:
        message = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeError, ArithmeticError, RecursionError) as error:
        raise BadMessage(f"not JSON: {error}") from None
    if type(message) is not dict:
        raise BadMessage("not a JSON object")
    return message


def text(message: Message, key: str, symbol: str | None = None) -> str:
    """A text that has to be there."""
    value = message.get(key)
    if type(value) is not str:
        raise BadMessage(f"{key}: no text", symbol)
    return value


def word(message: Message, key: str) -> str:
    """A text that says what kind of message this is; empty if there is none."""
    value = message.get(key)
    return value if type(value) is str else ""


def whole(message: Message, key: str, symbol: str | None = None) -> int:
    """A whole number that has to be there, and that every client can hold."""
    value = message.get(key)
    if type(value) is not int or not 0 <= value < _BEYOND:
        raise BadMessage(f"{key}: no whole number", symbol)
    return value


def number(message: Message, key: str, symbol: str) -> str | Decimal | int:
    """A price or size that has to be there: a decimal text as it came, or a JSON number."""
    value = message.get(key)
    if isinstance(value, str) and _DECIMAL.fullmatch(value) is not None:
        return value
    if type(value) is int or (isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= 40):
        return value
    raise BadMessage(f"{key}: no decimal number", symbol)


def numbers(message: Message, names: Mapping[str, str], symbol: str) -> dict[str, Value]:
    """Those of these prices and sizes that the message has, by the names of their fields."""
    return {field: number(message, key, symbol) for key, field in names.items() if message.get(key) is not None}


def without_empty_sides(fields: dict[str, Value]) -> dict[str, Value]:
    """The same, where a bid or ask of zero, as venues write it when nobody bids or asks, is none."""
    for side in ("bid", "ask"):
        price = fields.get(side)
        if price is not None and not Decimal(price):
            fields[side] = fields[f"{side}_size"] = None
    return fields


def microseconds(message: Message, key: str, symbol: str) -> int:
    """A time in RFC 3339, UTC, as microseconds since 1970; what is finer is cut off."""
    found = _TIME.fullmatch(text(message, key, symbol))
    try:
        seconds = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found is not None else None
    except ValueError:
        seconds = None
    if found is None or seconds is None:
        raise BadMessage(f"{key}: no time in UTC", symbol)
    return int(seconds.timestamp()) * 1_000_000 + int((found[2] or "").ljust(6, "0")[:6])


def symbols_of(symbols: str, prefix: str, *, upper: bool = True) -> dict[str, str]:
    """The option `symbols`: the venue's names, with what they are called here. Raises `ConfigError`."""
    names: dict[str, str] = {}
    for written in symbols.split(","):
        name = written.upper() if upper else written
        if not is_symbol(prefix + name) or not name:
            raise ConfigError(f"symbols: {prefix + written!r} cannot be a symbol")
        if name in names:
            raise ConfigError(f"symbols: {name} is given twice")
        names[name] = prefix + name
    return names


_STATUSES = {
    "delisted": "closed",
    "exchange_halt": "halted",
    "refused": "stale",
    "gap": "stale",
    "bad_message": "stale",
    "no_data": "stale",
}
"""What can be wrong with an instrument, the gravest first, and the status that clients see."""


class StatusTracker:
    """What is wrong with each instrument, if anything is, and what clients have been told of it."""

    def __init__(self) -> None:
        self._wrong: dict[str, set[str]] = {}
        self._told: dict[str, str | None] = {}

    def add(self, symbol: str, reason: str) -> None:
        """This is wrong with it from now on."""
        self._wrong.setdefault(symbol, set()).add(reason)

    def remove(self, symbol: str, *reasons: str) -> None:
        """This is wrong with it no more."""
        if symbol in self._wrong:
            self._wrong[symbol].difference_update(reasons)

    def has(self, symbol: str, *reasons: str) -> bool:
        """Whether any of these is wrong with it."""
        return not self._wrong.get(symbol, set()).isdisjoint(reasons)

    def news(self, symbol: str) -> list[Update]:
        """What clients do not know yet of its status."""
        marks = self._marks(symbol)
        return [Update(symbol, marks)] if marks else []

    def with_news(self, update: Update) -> Update:
        """The same update, with what clients do not know yet of the status."""
        marks = self._marks(update.symbol)
        return Update(update.symbol, {**update.fields, **marks}) if marks else update

    def _marks(self, symbol: str) -> dict[str, Value]:
        wrong = self._wrong.get(symbol)
        reason = next((each for each in _STATUSES if each in wrong), None) if wrong else None
        if symbol in self._told and self._told[symbol] == reason:
            return {}
        self._told[symbol] = reason
        return {"status": _STATUSES[reason] if reason else "live", "reason": reason}


_REPAIRABLE = ("gap", "bad_message")
"""What is right again as soon as the venue says all there is to say of a symbol's quotes."""


class VenueState:
    """What one run has learned, from all its connections. Symbols in it are the venue's."""

    def __init__(self, names: Mapping[str, str], counters: Counter[str]) -> None:
        """`names` are the venue's symbols with ours."""
        self.names = names
        self.counters = counters
        self.unseen: set[str] = set(names)
        """Those that had no data yet."""
        self._standing = StatusTracker()
        self._trades: dict[str, int] = {}
        self._quotes: dict[str, int] = {}
        self._repairs: Counter[str] = Counter()

    def wrong(self, symbol: str, reason: str) -> list[Publication]:
        """Something is wrong with a symbol from now on."""
        self._standing.add(self.names[symbol], reason)
        return [*self._standing.news(self.names[symbol])]

    def right(self, symbol: str, reason: str) -> None:
        """It is no longer, if it was: the next data says so."""
        self._standing.remove(self.names[symbol], reason)

    def refused(self, symbol: str) -> list[Publication]:
        """The venue does not send this symbol; the others go on."""
        self.counters["refused"] += 1
        self.unseen.discard(symbol)
        return self.wrong(symbol, "refused")

    def silent(self, symbols: Iterable[str]) -> list[Publication]:
        """Whatever of these had no data by now."""
        return [update for symbol in symbols if symbol in self.unseen for update in self.wrong(symbol, "no_data")]

    def data(self, symbol: str, fields: Mapping[str, Value], *, repairs: bool) -> list[Publication]:
        """Good data of a symbol. What says all there is to say of its quotes repairs what was amiss with them."""
        name = self.names[symbol]
        self.unseen.discard(symbol)
        if repairs and self._standing.has(name, *_REPAIRABLE):
            self._repairs[symbol] += 1
        self._standing.remove(name, "no_data", *(_REPAIRABLE if repairs else ()))
        return [self._standing.with_news(Update(name, fields))]

    def missed(self, symbol: str) -> None:
        """Messages of a symbol are missing: its next data says that it is stale."""
        self.counters["gaps"] += 1
        self._standing.add(self.names[symbol], "gap")

    def damaged(self, symbols: Iterable[str]) -> dict[str, int]:
        """Those of these of which something was missed since their last repair; of each, how often it was repaired.

        What the venue does not send at all is none of them: there is nothing to ask for.
        """
        found = {}
        for symbol in symbols:
            name = self.names[symbol]
            if self._standing.has(name, *_REPAIRABLE) and not self._standing.has(name, "refused"):
                found[symbol] = self._repairs[symbol]
        return found

    def forget_quote(self, symbol: str) -> None:
        """The venue is asked to tell a symbol's quote anew: the next one counts, even if it has the same number."""
        self._quotes.pop(symbol, None)

    def is_new_trade(self, symbol: str, trade: int) -> bool:
        """Whether this trade comes after all those seen. Trades are numbered without a gap, so a gap is noticed."""
        last = self._trades.get(symbol)
        if last is not None and trade <= last:
            self.counters["duplicates"] += 1
            return False
        self._trades[symbol] = trade
        if last is not None and trade > last + 1:
            self.missed(symbol)
        return True

    def overtaken(self, symbol: str, trade: int) -> list[Publication]:
        """The venue says that this is the last trade, and it was not seen."""
        self._trades[symbol] = trade
        self.missed(symbol)
        return self.wrong(symbol, "gap")

    def last_trade(self, symbol: str) -> int | None:
        """The number of the last trade seen."""
        return self._trades.get(symbol)

    def is_new_quote(self, symbol: str, sequence: int) -> bool:
        """Whether this quote comes after all those seen. Their numbers only rise, so a gap cannot be noticed."""
        last = self._quotes.get(symbol)
        if last is not None and sequence <= last:
            self.counters["duplicates"] += 1
            return False
        self._quotes[symbol] = sequence
        return True


class Tracker(ABC):
    """One connection, without its I/O: what it asks for, what it was answered, and what follows from each message."""

    def __init__(self, memory: VenueState) -> None:
        self.memory = memory
        self.names = memory.names
        self.outbox: list[Message] = []
        """Requests that are to be sent now."""
        self.pending: set[Hashable] = set()
        """What the venue has not answered yet, nor sent any data for."""

        self.ends = False
        """Whether the venue has said that it will end this connection."""

    @abstractmethod
    def read(self, message: Message) -> list[Publication]:
        """What follows from a message. Raises `BadMessage` and `VenueRefused`."""

    @abstractmethod
    def symbols(self) -> Iterable[str]:
        """The venue's names of what it follows."""

    def again(self, symbol: str) -> list[Message]:  # noqa: ARG002  # for those venues that can be asked
        """The requests that make the venue say at once all there is to say of a symbol's quotes; none, if it cannot."""
        return []

    def take(self, raw: str | bytes) -> list[Publication]:
        """What follows from a message as it came; one that is no good is counted. Raises `VenueRefused`."""
        try:
            return self.read(decode(raw))
        except BadMessage as error:
            self.memory.counters["parse_errors"] += 1
            if error.symbol is None or error.symbol not in self.names:
                return []
            return self.memory.wrong(error.symbol, "bad_message")


def instruments(names: Mapping[str, str], metadata: Mapping[str, str], separator: str = "") -> dict[str, Instrument]:
    """An instrument for each symbol, by the venue's names. Scales are what the first values make of them."""
    made: dict[str, Instrument] = {}
    for symbol, name in names.items():
        base, _, currency = symbol.partition(separator) if separator else (symbol, "", "")
        more = {"base": base, "currency": currency} if currency else {}
        made[symbol] = Instrument(name, price_scale=0, metadata={**metadata, **more})
    return made


def chunks(items: Sequence[str], size: int) -> list[list[str]]:
    """The items, so many at a time."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
