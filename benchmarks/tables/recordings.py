"""Recorded depth and trades of Binance (the folder `$TICKER_RECORDINGS`), and the books that they must give.

Prices and sizes are integers at eight decimal places, the most that these recordings have.
"""

from __future__ import annotations

import gzip
import os
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec

FILES = ("spot-btcusdt_20240808.gz", "spot-ethusdt_20240808.gz", "usdm-ethusdt_20240808.gz")
PLACES = 8
TOP = 10
"""Levels of each side in a fingerprint: those of `book:10`."""

_BOOK_EVERY = 50
"""A whole book is kept every so many events, for symbols that begin there."""

Level: TypeAlias = tuple[int, int]


class Missing(FileNotFoundError):
    """The recordings are not there."""


class Trade(NamedTuple):
    """A recorded print."""

    id: int
    price: int
    size: int
    time: int
    """In microseconds since 1970 UTC."""
    side: int
    """1 for a buyer that took the liquidity, -1 for a seller."""
    line: bytes
    """The venue's message."""


class Recording(NamedTuple):
    """One recorded market."""

    events: Sequence[bytes]
    """The venue's messages of changed levels."""
    fingerprints: Sequence[int]
    """Of the best levels: before the first event, and after each."""
    books: Sequence[bytes]
    """The whole book, in the form of such a message: before the first event, and after every so many."""
    trades: Sequence[Trade]

    def start(self, number: int) -> int:
        """Return the event with which the symbol of this number begins: symbols begin at different ones."""
        return number % (len(self.books) // 2) * _BOOK_EVERY

    def book_before(self, event: int) -> bytes:
        """Return the whole book before an event that `start` has given."""
        return self.books[event // _BOOK_EVERY]


class Side:
    """One side of a book, the best level last."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []
        self._sizes: dict[int, int] = {}

    def apply(self, levels: Iterable[Sequence[str]]) -> None:
        """Apply changed levels; a size of 0 is gone."""
        for price, size in levels:
            key, amount = scaled(price) * self._sign, scaled(size)
            if not amount:
                if self._sizes.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
                continue
            if key not in self._sizes:
                insort(self._keys, key)
            self._sizes[key] = amount

    def fingerprint(self) -> int:
        """Return that of the best levels: the same in whatever order they came."""
        found = 0
        for key in self._keys[-TOP:]:
            found ^= level_hash(self._sign, key * self._sign, self._sizes[key])
        return found

    def levels(self) -> list[tuple[str, str]]:
        """Return all levels as a venue writes them."""
        return [(text(key * self._sign), text(self._sizes[key])) for key in reversed(self._keys)]


def level_hash(sign: int, price: int, size: int) -> int:
    """Return the part of a fingerprint that one level is; `sign` is 1 for bids, -1 for asks."""
    return hash((sign, price, size))


@lru_cache(maxsize=100_000)
def scaled(number: str) -> int:
    """Return a decimal text as an integer at `PLACES`."""
    whole, _, fraction = number.partition(".")
    return int(whole + fraction[:PLACES].ljust(PLACES, "0"))


def text(number: int) -> str:
    """Return such an integer as a decimal text."""
    return f"{number // 10**PLACES}.{number % 10**PLACES:0{PLACES}}"


@lru_cache(maxsize=1)
def recordings() -> Sequence[Recording]:
    """Read all recordings. Raises `Missing`."""
    return [_read(path) for path in recorded_files()]


def recorded_files() -> Sequence[Path]:
    """Return the files of the recordings. Raises `Missing`."""
    folder = Path(os.environ.get("TICKER_RECORDINGS", "")) / "ticks"
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise Missing(f"TICKER_RECORDINGS has to name a folder with ticks/{missing[0]}")
    return [folder / name for name in FILES]


def _read(path: Path) -> Recording:
    depth: list[Any] = []
    trades: list[Trade] = []
    snapshot: Any = None
    with gzip.open(path) as file:
        for line in file:
            message = msgspec.json.decode(line.partition(b" ")[2])
            data = message.get("data", message)
            if "lastUpdateId" in data:
                snapshot = data
            elif data.get("e") == "depthUpdate":
                depth.append(data)
            elif data.get("e") == "trade" and data.get("X", "MARKET") == "MARKET":
                trades.append(_trade(data))
    bids, asks = Side(1), Side(-1)
    bids.apply(snapshot["bids"])
    asks.apply(snapshot["asks"])
    events, books = [], [_book(bids, asks)]
    fingerprints = [bids.fingerprint() ^ asks.fingerprint()]
    for data in depth:
        if data["u"] <= snapshot["lastUpdateId"]:
            continue
        bids.apply(data["b"])
        asks.apply(data["a"])
        events.append(msgspec.json.encode(data))
        fingerprints.append(bids.fingerprint() ^ asks.fingerprint())
        if len(events) % _BOOK_EVERY == 0:
            books.append(_book(bids, asks))
    return Recording(events, fingerprints, books, trades)


def _trade(data: Any) -> Trade:  # noqa: ANN401  # the venue's message
    side = -1 if data["m"] else 1
    return Trade(data["t"], scaled(data["p"]), scaled(data["q"]), data["T"] * 1000, side, msgspec.json.encode(data))


def _book(bids: Side, asks: Side) -> bytes:
    return msgspec.json.encode({"complete": True, "b": bids.levels(), "a": asks.levels()})
