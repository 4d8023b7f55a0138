"""ticker_feeds/venues/: a message with anything anywhere in it raises only documented errors."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.feeds import test_binance as b
from tests.feeds import test_binance_depth as bd
from tests.feeds import test_coinbase as c
from tests.feeds import test_coinbase_book as cb
from tests.feeds import test_kraken as k
from tests.feeds import test_kraken_book as kb
from tests.feeds import test_template as t
from ticker.core.last_value import LastValueCache
from ticker.errors import BadPublication
from ticker.market import Instrument, Levels, Update
from ticker_feeds.kit.template import TemplateTracker
from ticker_feeds.venues import (
    BadMessage,
    Books,
    Tracker,
    VenueRefused,
    VenueState,
    binance,
    coinbase,
    decode_object,
    kraken,
)
from ticker_feeds.venues.venue import first_instruments

ANYTHING: list[object] = [None, True, 1, -1, 1.5, 10**30, "", "x", [], {}, [[]], [None], [{}], "A-B", "1e5", {"a": 1}]

MISSING = object()

GOOD: dict[str, list[object]] = {
    "coinbase": [
        c.ticker("A-B", 5),
        c.match("A-B", 5),
        c.heartbeat("A-B", 5),
        c.subscriptions("A-B"),
        c.states(A_B="online", C_D="delisted"),
        c.error("A-B is not a valid product"),
        c.error("Too many requests"),
        cb.snapshot(2),
        cb.update(["buy", "1000.00", "2"]),
    ],
    "kraken": [
        json.loads(k.ticker("A-B", "5")),
        json.loads(k.trades("A-B", 5)),
        k.instrument(k.pair("A-B", "online", 1, 1)),
        k.status("online"),
        k.answer("ticker", "A-B", 1),
        k.answer("ticker", "A-B", 1, "Currency pair not supported A-B"),
        {**k.FAILED, "req_id": 1},
        json.loads(kb.snapshot(kb.BIDS[:2], kb.ASKS[:1]).replace(kb.SYMBOL, "A-B")),
    ],
    "template": [
        t.quote("A-B", 5),
        t.trade("A-B", 5),
        {"type": "halt", "symbol": "A-B"},
        {"type": "ping", "id": 1},
        {"type": "subscribed", "symbols": ["A-B"], "unknown": ["C-D"]},
    ],
    "binance": [
        b.quote("A-B", 5),
        b.trade("A-B", 5),
        b.day("A-B"),
        {"result": None, "id": 1},
        {"error": {"code": 2, "msg": "Invalid request"}, "id": 1},
        b.combined("depth@100ms", "A-B", {**bd.event(10, 12, [["99", "1"]], [["101", "1"]])["data"], "s": "A-B"}),  # type: ignore[dict-item]
        b.combined("depth5@100ms", "A-B", {"lastUpdateId": 7, "bids": [["99", "1"]], "asks": []}),
    ],
}

PARSE: dict[str, Callable[[str], object]] = {
    "coinbase": coinbase.parse,
    "kraken": kraken.parse,
    "binance": binance.parse,
    "template": lambda raw: TemplateTracker(VenueState({"A-B": "A-B"}, Counter())).read(decode_object(raw)),
}


def trackers(name: str) -> list[Tracker]:
    """The venue's trackers with books: of Binance one for each of its two ways to follow them."""
    names = {"A-B": "A-B", "C-D": "C-D"}
    state = VenueState(names, Counter())
    if name == "coinbase":
        return [coinbase.CoinbaseTracker(state, Books(state, 1_000))]
    if name == "kraken":
        return [kraken.KrakenTracker(state, first_instruments(names, {}), Books(state, cut=10))]
    if name == "template":
        return [TemplateTracker(state)]
    made: list[Tracker] = []
    for depth in (5, 500):
        state = VenueState(names, Counter())
        books = Books(state, depth, keeps=True)
        books.follow(names, asked=depth == 5)
        books.snapshot("A-B", [("99", "1")], [("100", "1")], 9)
        made.append(binance.BinanceTracker(state, list(names), ["bookTicker", "trade", "depth"], books))
    return made


def mutated(message: object) -> Iterator[str]:
    """The message with anything in place of each of its parts and of the whole, and without each part."""
    for path in paths(message):
        for value in (*ANYTHING, MISSING):
            changed: Any = [copy.deepcopy(message)]
            place = changed
            for step in (0, *path)[:-1]:
                place = place[step]
            if value is not MISSING:
                place[(0, *path)[-1]] = value
            elif path:
                del place[path[-1]]
            yield json.dumps(changed[0])


def paths(value: object) -> Iterator[tuple[Any, ...]]:
    yield ()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        for path in paths(inner):
            yield (key, *path)


def read(tracked: Tracker, messages: list[str]) -> None:
    """Read messages; the service would take everything that follows from them."""
    cache = LastValueCache("epoch")
    for symbol in tracked.names.values():
        cache.publish(Instrument(symbol))
        cache.publish(Levels(symbol, [("99", "1")], [("100", "1")], complete=True))
    for message in messages:
        for publication in tracked.take(message):
            try:
                unusable = cache.publish(publication)
            except BadPublication as error:
                assert "10 to the power of 30" in str(error)  # noqa: PT017  # the one limit that is the cache's alone
                continue
            assert not unusable or isinstance(publication, Update)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("before", [False, True], ids=["first", "after all others"])
def test_no_message_makes_an_adapter_raise_or_publish_what_is_no_market_data(name: str, *, before: bool) -> None:
    bad = seen = 0
    others = [json.dumps(good) for good in GOOD[name] if "error" not in json.dumps(good)] if before else []
    for good in GOOD[name]:
        for raw in mutated(good):
            seen += 1
            for tracked in trackers(name):
                try:
                    read(tracked, [*others, raw, json.dumps(good), raw])
                except VenueRefused:
                    bad += 1
            try:
                PARSE[name](raw)
            except BadMessage:
                bad += 1
    assert 0 < bad < seen


@pytest.mark.parametrize(("module", "good"), [(coinbase, c.ticker("A-B", 5)), (binance, b.quote("A-B", 5))])
def test_numbers_never_become_floats_even_where_a_venue_writes_texts(module: Any, good: object) -> None:  # noqa: ANN401
    text = json.dumps(good).replace('"5.40"', "5.400000000000000000001").replace('"5.40000000"', "5.4")
    bid = module.parse(text)[0].fields["bid"]
    assert isinstance(bid, Decimal)
    assert bid in {Decimal("5.400000000000000000001"), Decimal("5.4")}
