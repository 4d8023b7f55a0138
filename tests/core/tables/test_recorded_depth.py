"""Recorded depth: the copies of clients of all tempers equal an independent reading of the recording at their cuts."""

from __future__ import annotations

import gzip
import heapq
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.core.tables.books import CANDLES, STATUS, Ladder, TableCopy, watched
from tests.support import CLOCK, cut, market
from ticker.market import Instrument, Levels, Stale, Trade

RECORDINGS = os.environ.get("TICKER_RECORDINGS")
COUNTS = (10, 25)
EVENTS = 1500


def messages(name: str) -> Iterator[dict[str, Any]]:
    """The messages of a recording: depth, prints and the complete book."""
    with gzip.open(Path(RECORDINGS or "") / "ticks" / name, "rt") as lines:
        for line in lines:
            message = json.loads(line.split(" ", 1)[1])
            yield message.get("data", message)


class Reading:
    """The book as the venue's document says to build it: prices as they are written, sizes replaced."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.bids = {Decimal(price): Decimal(size) for price, size in snapshot["bids"]}
        self.asks = {Decimal(price): Decimal(size) for price, size in snapshot["asks"]}

    def take(self, event: dict[str, Any]) -> None:
        for side, changes in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, size in changes:
                side[Decimal(price)] = Decimal(size)
                if not Decimal(size):
                    del side[Decimal(price)]

    def best(self, count: int) -> tuple[Ladder, Ladder]:
        return heapq.nlargest(count, self.bids.items()), heapq.nsmallest(count, self.asks.items())


@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
@pytest.mark.parametrize("name", ["spot-btcusdt_20240808.gz", "spot-ethusdt_20240808.gz"])
def test_copies_of_any_temper_equal_an_independent_reading_of_recorded_depth(name: str) -> None:
    snapshot = next(message for message in messages(name) if "lastUpdateId" in message)
    reading, random = Reading(snapshot), Random(15)  # noqa: S311  # the same choices in each run
    cache = market(Instrument("A", 2, 0))
    records = {count: watched(cache, f"book:{count}") for count in COUNTS}
    cut(cache, Levels("A", snapshot["bids"], snapshot["asks"], complete=True))
    copies = [(every, count, TableCopy()) for every in (1, 50) for count in COUNTS]
    events = [
        each for each in messages(name) if each.get("e") == "depthUpdate" and each["u"] > snapshot["lastUpdateId"]
    ]
    events, complete = events[:EVENTS], 0
    for number, event in enumerate(events):
        reading.take(event)
        if random.random() < 0.02:  # the venue's book is lost, and comes again as a whole
            complete += 1
            cut(cache, Stale("A", "gap", book_only=True))
            cut(cache, Levels("A", list(reading.bids.items()), list(reading.asks.items()), complete=True))
        else:
            cut(cache, Levels("A", event["b"], event["a"]))
        bids, asks = reading.best(max(COUNTS))
        for every, count, copy in copies:
            if random.random() < 1 / every or number == len(events) - 1:
                copy.update(records[count], cache.cut)
                assert copy.ladder(records[count]) == (bids[:count], asks[:count])
                assert copy.marks[STATUS] == "live"
    assert complete > 10
    book = cache.book_of("A")
    assert book is not None
    assert (len(book.bids.keys), len(book.asks.keys)) == (len(reading.bids), len(reading.asks))
    assert cache.tables.resyncs == complete + 1


@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
def test_recorded_prints_make_the_bars_that_a_plain_reading_makes() -> None:
    cache = market(Instrument("A", 2, 0))
    cache.time = CLOCK
    record = watched(cache, "candles:1m:100")
    bars: dict[int, list[Decimal]] = {}
    count = 0
    for message in messages("usdm-ethusdt_20240808.gz"):
        if message.get("e") == "trade" and Decimal(message["p"]):
            price, size, time = Decimal(message["p"]), Decimal(message["q"]), message["T"] * 1000
            bar = bars.setdefault(time // 60_000_000 * 60, [price, price, price, price, Decimal(0)])
            bar[1:] = [max(bar[1], price), min(bar[2], price), price, bar[4] + size]
            cut(cache, Trade("A", message["p"], message["q"], None, time, message["t"]))
            count += 1
    flat = record.present()[CANDLES]
    assert isinstance(flat, list)
    found = {int(str(flat[at])): flat[at + 1 : at + 6] for at in range(0, len(flat), 7)}
    scales = [record.price_scale] * 4 + [record.size_scale]
    assert {
        start: [Decimal(str(cell)).scaleb(-scale) for cell, scale in zip(row, scales, strict=True)]
        for start, row in found.items()
    } == bars
    log = cache.trades_of("A")
    assert log is not None
    assert log.count == count
