"""ticker_feeds/recordings/venue_files.py: raw messages in files bring quotes, trades and order books."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from ticker.core.last_value import LastValueCache
from ticker.market import Instrument, Levels, Publication, Stale, Trade, Update
from ticker_feeds.recordings.text_files import Messages
from ticker_feeds.recordings.venue_files import VENUES
from ticker_feeds.venues import BadMessage

RECORDINGS = os.environ.get("TICKER_RECORDINGS")

SNAPSHOT = {"lastUpdateId": 10, "bids": [["1.00", "5"], ["0.99", "6"]], "asks": [["1.02", "7"], ["1.03", "8"]]}


def depth(first: int, last: int, bids: list[list[str]], asks: list[list[str]], symbol: str = "AB") -> dict[str, object]:
    event = {"e": "depthUpdate", "E": 1, "s": symbol, "U": first, "u": last, "b": bids, "a": asks}
    return {"stream": f"{symbol.lower()}@depth@100ms", "data": event}


def read(venue: str, *messages: object, counters: Counter[str] | None = None) -> list[Publication]:
    file = VENUES[venue](Counter() if counters is None else counters)
    return [each for message in messages for each in file.read(json.dumps(message))]


def book(told: list[Publication], symbol: str) -> tuple[object, ...]:
    """The book that follows from these publications, and the cause why it is not current."""
    cache = LastValueCache("epoch")
    cache.publish(Instrument(symbol, 2, 0))
    for each in told:
        assert not cache.publish(each)
    found = cache.book_of(symbol)
    assert found is not None
    return *found.top(5), found.reason


CHANGES = [
    depth(8, 9, [["0.98", "1"]], []),
    depth(10, 12, [["1.00", "0"]], [["1.01", "3"]]),
    depth(13, 13, [["0.99", "9"]], []),
]


@pytest.mark.parametrize("at", range(4))
def test_a_snapshot_of_binance_fits_in_wherever_it_stands_among_the_changes(at: int) -> None:
    counters: Counter[str] = Counter()
    told = read("binance", *CHANGES[:at], SNAPSHOT, *CHANGES[at:], counters=counters)
    assert book(told, "AB") == ([99, 9], [101, 3, 102, 7, 103, 8], None)
    first = next(each for each in told if isinstance(each, Levels))
    assert first.complete
    assert first.depth is not None, "what lies beyond the snapshot is not known"
    assert not counters["book_gap"]


def test_a_change_that_is_left_out_makes_the_book_stale_until_the_next_snapshot() -> None:
    counters: Counter[str] = Counter()
    told = read("binance", SNAPSHOT, CHANGES[0], CHANGES[2], counters=counters)
    assert told[-1] == Stale("AB", "gap", book_only=True)
    assert counters["book_gap"] == 1
    told = read("binance", SNAPSHOT, CHANGES[0], CHANGES[2], SNAPSHOT | {"lastUpdateId": 20}, counters=counters)
    assert book(told, "AB")[2] is None


def test_a_snapshot_of_binance_among_books_of_several_symbols_is_refused() -> None:
    with pytest.raises(BadMessage, match="does not say its symbol"):
        read("binance", depth(1, 2, [], []), depth(1, 2, [], [], "CD"), SNAPSHOT)


def test_trades_and_quotes_come_beside_the_book() -> None:
    trade = {"e": "trade", "E": 1, "s": "AB", "t": 7, "p": "1.01", "q": "2", "T": 1_700_000_000_000, "m": True}
    quote = {"u": 5, "s": "AB", "b": "1.00", "B": "5", "a": "1.02", "A": "7"}
    told = read("binance", {"stream": "ab@trade", "data": trade}, {"stream": "ab@bookTicker", "data": quote})
    assert [type(each) for each in told] == [Trade, Update]
    assert told[0] == Trade("AB", "1.01", "2", "sell", 1_700_000_000_000_000, 7)


def test_books_of_coinbase_follow_their_snapshots() -> None:
    snapshot = {"type": "snapshot", "product_id": "A-B", "bids": [["1.00", "5"]], "asks": [["1.02", "7"]]}
    change = {"type": "l2update", "product_id": "A-B", "changes": [["buy", "1.01", "3"], ["sell", "1.02", "0"]]}
    told = read("coinbase", change, snapshot, change, {"type": "subscriptions", "channels": []})
    assert len(told) == 2
    assert book(told, "A-B") == ([101, 3, 100, 5], [], None)


def test_books_of_kraken_are_as_deep_as_their_subscription() -> None:
    answer = {"method": "subscribe", "success": True, "result": {"channel": "book", "symbol": "A/B", "depth": 2}}

    def message(kind: str, bids: list[tuple[str, int]]) -> dict[str, object]:
        levels = [{"price": price, "qty": size} for price, size in bids]
        element = {"symbol": "A/B", "bids": levels, "asks": [{"price": "1.02", "qty": 7}], "checksum": 0}
        return {"channel": "book", "type": kind, "data": [element]}

    told = read("kraken", answer, message("snapshot", [("1.00", 5), ("0.99", 6)]), message("update", [("1.01", 3)]))
    assert book(told, "A/B") == ([101, 3, 100, 5], [102, 7], None), "the third level has left the book"


def test_each_reading_of_a_file_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    lines = (json.dumps(each) for each in (SNAPSHOT, *CHANGES))
    path.write_text("".join(f"170000000000000000{at} {line}\n" for at, line in enumerate(lines)))
    messages = Messages(str(path), VENUES["binance"])
    first, second = (
        [each for chunk in messages.chunks() for moment in chunk for each in moment.publications] for _ in range(2)
    )
    assert first == second
    assert book(first, "AB")[2] is None
    assert not messages.skipped["book_requests"]


@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
def test_a_recorded_day_of_binance_has_an_unbroken_book_as_far_as_its_snapshot_reaches() -> None:
    counters: Counter[str] = Counter()
    file = VENUES["binance"](counters)
    kinds: Counter[type] = Counter()
    with gzip.open(Path(str(RECORDINGS)) / "ticks" / "spot-ethusdt_20240808.gz", "rt") as lines:
        for line in lines:
            kinds.update(type(each) for each in file.read(line.partition(" ")[2]))
    assert kinds[Trade] == 6_106
    assert kinds[Levels] > 1_000
    assert not counters["book_gap"]
    assert not counters["parse_errors"]
