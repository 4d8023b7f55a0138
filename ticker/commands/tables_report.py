"""The part of the report of `ticker feeds check` on order books, trades and candles."""

from __future__ import annotations

from collections import Counter

from ticker.core.last_value import LastValueCache
from ticker.market import Candle, Levels, Publication, Stale, Trade


class TablesReport:
    """Statistics of the levels, trades and candles that the service took from one feed."""

    def __init__(self, cache: LastValueCache) -> None:
        self.crossed: list[str] = []
        """Symbols with a book whose best bid is not below its best ask, once for each time that it became so."""
        self._cache = cache
        self._whole = self._changes = 0
        self._depths: dict[str, int] = {}
        self._stale: Counter[str] = Counter()
        self._is_crossed: set[str] = set()
        self._trades: Counter[str] = Counter()
        self._known: Counter[str] = Counter()
        self._candles: Counter[str] = Counter()
        self._with_candles: set[str] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._depths)} books, {self._trades.total()} trades>"

    @property
    def live(self) -> int:
        """Number of levels and trades."""
        return self._whole + self._changes + self._trades.total()

    def add(self, publication: Publication) -> None:
        """Add a publication that the cache took."""
        if isinstance(publication, Levels):
            self._add_levels(publication)
        elif isinstance(publication, Trade):
            self._trades[publication.symbol] += 1
            self._known.update(name for name in ("side", "time", "id") if getattr(publication, name) is not None)
        elif isinstance(publication, Candle):
            self._candles[publication.period] += 1
            self._with_candles.add(publication.symbol)
        elif isinstance(publication, Stale) and publication.symbol in self._depths:
            self._stale[str(publication.reason)] += 1

    def lines(self, total: int) -> list[tuple[str, list[str]]]:
        """Return titles and texts; `total` is the number of instruments. Kinds that never came have none."""
        rows = []
        if self._depths:
            stale = ", ".join(f"{reason} {count:,}" for reason, count in self._stale.most_common(5))
            depths = self._depths.values()
            text = f"{len(depths):,}/{total:,}, {min(depths):,} to {max(depths):,} levels a side at the most"
            text += f", whole {self._whole:,}, changes {self._changes:,}"
            rows.append(("books", [text + (f", stale: {stale}" if stale else "")]))
        if self._trades:
            known = ", ".join(f"{name} {self._known[name]:,}" for name in ("side", "time", "id"))
            rows.append(("trades", [f"{self._trades.total():,} of {len(self._trades):,}/{total:,}, with {known}"]))
        if self._candles:
            periods = ", ".join(f"{period} {count:,}" for period, count in self._candles.items())
            rows.append(("candles", [f"{periods}, of {len(self._with_candles):,}/{total:,}"]))
        return rows

    def _add_levels(self, levels: Levels) -> None:
        symbol = levels.symbol
        self._whole += levels.complete
        self._changes += not levels.complete
        book = self._cache.book_of(symbol)
        if book is None:
            return
        self._depths[symbol] = max(self._depths.get(symbol, 0), len(book.bids.keys), len(book.asks.keys))
        if not book.is_crossed():
            self._is_crossed.discard(symbol)
        elif symbol not in self._is_crossed:
            self._is_crossed.add(symbol)
            self.crossed.append(symbol)
