"""What the cache takes for publications, by itself: `LastValueCache.publish`, in a process of its own.

Quotes of four fields and changed levels of books, as a venue writes them: recorded ones where `TICKER_RECORDINGS` names
their folder, else made ones. CPU time; the collector is off, and closing the cuts does not count.
"""

from __future__ import annotations

import gc
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec

from benchmarks.metrics import Stopwatch
from benchmarks.run import Job
from benchmarks.sample import Sample
from benchmarks.tables.recordings import Missing, recorded_files
from ticker.core.last_value import LastValueCache
from ticker.market import Instrument, Levels, Publication, Update

UPDATES = 50_000
INSTRUMENTS = 500
BOOKS = 12
EVENTS = 300
"""Of each book."""
LEVELS = 36
"""Of each event, both sides together."""
PER_CUT = 100
SECONDS = 60.0

Text: TypeAlias = tuple[str, str]
"""A price and a size."""
Book: TypeAlias = tuple[Sequence[Text], Sequence[Text]]


class Texts(NamedTuple):
    """What a venue said: quotes as bid, its size, ask and its size; a whole book, and changed levels of it."""

    quotes: Sequence[Sequence[str]]
    book: Book
    events: Sequence[Book]


def run_publish(job: Job) -> Sample:
    """Return the sample of one run."""
    (phase,) = job.workload.phases
    sample, began = job.sample(phase), Stopwatch.now(_measured())
    command = [sys.executable, "-m", "benchmarks.publishing"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return replace(sample, void=f"it took longer than {SECONDS:.0f} s")
    if done.returncode:
        return replace(sample, void=done.stderr.strip().splitlines()[-1])
    found = json.loads(done.stdout)
    return replace(sample, phase=found.pop("texts"), metrics=found | Stopwatch.now(_measured()).since(began))


def _measured() -> float:
    """Return the CPU time of all processes that have been run for this."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, and print the results as JSON."""
    are_recorded = bool(os.environ.get("TICKER_RECORDINGS"))
    try:
        sources = [recorded(path) for path in recorded_files()] if are_recorded else [made(seed) for seed in (1, 2)]
    except Missing as error:
        sys.exit(str(error))
    gc.disable()
    found = {"us_per_update": measure_quotes(sources), "us_per_levels": measure_levels(sources)}
    print(json.dumps({"texts": "recorded texts" if are_recorded else "made texts", **found}))


def measure_quotes(sources: Sequence[Texts]) -> float:
    """Return the microseconds of an update; each instrument is at another place of the quotes."""
    updates = []
    for number in range(UPDATES):
        instrument, step = number % INSTRUMENTS, number // INSTRUMENTS
        quotes = sources[instrument % len(sources)].quotes
        bid, bid_size, ask, ask_size = quotes[(instrument * 17 + step) % len(quotes)]
        fields = {"bid": bid, "bid_size": bid_size, "ask": ask, "ask_size": ask_size}
        updates.append(Update(f"S{instrument}", fields))
    return _measure(INSTRUMENTS, [], updates)


def measure_levels(sources: Sequence[Texts]) -> float:
    """Return the microseconds of an event of `LEVELS` levels."""
    books = [(f"S{number}", sources[number % len(sources)]) for number in range(BOOKS)]
    whole = [Levels(symbol, *texts.book, complete=True) for symbol, texts in books]
    shortest = min(len(texts.events) for _, texts in books)
    return _measure(BOOKS, whole, [Levels(name, *each.events[at]) for at in range(shortest) for name, each in books])


def _measure(instruments: int, before: Sequence[Publication], publications: Sequence[Publication]) -> float:
    """Return the microseconds for each publication; those of the first tenth raise scales, and do not count."""
    cache = LastValueCache("benchmark")
    for number in range(instruments):
        cache.publish(Instrument(f"S{number}"))
    warm = len(publications) // 10
    for publication in (*before, *publications[:warm]):
        if unusable := cache.publish(publication, "feed"):
            raise ValueError(f"the cache could not use {publication}: {unusable[0].detail}")
    cache.close_cut(0)
    publish, spent, rest = cache.publish, 0, iter(publications[warm:])
    while some := list(islice(rest, PER_CUT)):
        began = time.process_time_ns()
        for publication in some:
            publish(publication, "feed")
        spent += time.process_time_ns() - began
        cache.close_cut(0)
    return spent / 1000 / (len(publications) - warm)


def recorded(path: Path) -> Texts:
    """Return what Binance said."""
    quotes, book, events = [], None, []
    for data in _messages(path):
        if "lastUpdateId" in data and book is None:
            book = _levels(data["bids"]), _levels(data["asks"])
        elif data.get("e") == "depthUpdate" and book is not None and len(data["b"]) + len(data["a"]) >= LEVELS:
            events.append(_shortened(_levels(data["b"]), _levels(data["a"])))
        elif data.get("e", "bookTicker") == "bookTicker" and "B" in data:
            quotes.append([data[each] for each in "bBaA"])
        if len(events) == EVENTS and len(quotes) >= UPDATES // INSTRUMENTS:
            break
    if book is None or not events or not quotes:
        raise ValueError(f"{path} has no whole book, no events of {LEVELS} levels or no quotes")
    return Texts(quotes, book, events)


def _messages(path: Path) -> Iterator[Any]:
    with gzip.open(path) as file:
        for line in file:
            message = msgspec.json.decode(line.partition(b" ")[2])
            yield message.get("data", message)


def _levels(found: Sequence[Sequence[str]]) -> list[Text]:
    return [(price, size) for price, size in found]


def _shortened(bids: Sequence[Text], asks: Sequence[Text]) -> Book:
    """Return the first `LEVELS` levels, half of them of each side where it has so many."""
    few = max(LEVELS // 2, LEVELS - len(asks))
    some = bids[:few]
    return some, asks[: LEVELS - len(some)]


def made(seed: int) -> Texts:
    """Return what a venue could have said: a price that wanders by single steps, most changes near the best levels."""
    choose = random.Random(seed)  # noqa: S311  # the same for every run
    middle, quotes, events = 6_000_000, [], []

    def level(side: int, distance: int, *, gone: float) -> Text:
        price = middle + side * (1 + distance)
        size = "0.00000000" if choose.random() < gone else f"{choose.expovariate(1):.8f}"
        return f"{price // 100}.{price % 100:02}000000", size

    book = tuple([level(side, distance, gone=0) for distance in range(1000)] for side in (-1, 1))
    for _ in range(EVENTS):
        middle += choose.randint(-1, 1)
        quotes.append([text for side in (-1, 1) for text in level(side, 0, gone=0)])
        distances = [{int(choose.expovariate(1 / 60)) for _ in range(3 * LEVELS)} for _ in (-1, 1)]
        bids, asks = (
            [level(side, each, gone=0.3) for each in sorted(some)[: LEVELS // 2]]
            for side, some in zip((-1, 1), distances, strict=True)
        )
        events.append((bids, asks))
    return Texts(quotes, (book[0], book[1]), events)


if __name__ == "__main__":
    main()
